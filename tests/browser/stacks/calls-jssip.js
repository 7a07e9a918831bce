// Calls with unmodified JsSIP.
import JsSIP from 'jssip';
import {page} from './calls.js';

const pcConfig = {iceServers: []};
let ua = null;
const media = (video) => ({mediaConstraints: {audio: true, video}, pcConfig});
const later = (start) => new Promise((resolve, reject) => {
  if (!start(resolve)) reject(new Error('refused by the stack'));
});

const stack = page({
  connection: (session) => session.connection,
  start: ({url, uri, user, password}) => new Promise((resolve, reject) => {
    ua = new JsSIP.UA({sockets: [new JsSIP.WebSocketInterface(url)], uri, authorization_user: user, password,
      register: true, register_expires: 600});
    ua.on('registered', () => resolve());
    ua.on('registrationFailed', ({cause}) => reject(new Error(`registration: ${cause}`)));
    ua.on('newRTCSession', ({originator, session, request}) => watch(session, originator === 'local' ? 'out' : 'in',
      originator === 'local' ? request.to.uri.user : request.from.uri.user));
    ua.start();
  }),
  stop: () => ua.stop(),
  call: (target, video) => stack.id(ua.call(target, media(video))),
  answer: (session, video) => session.answer(media(video)),
  reject: (session, status) => session.terminate({status_code: status}),
  hangup: (session) => session.terminate(),
  hold: (session) => later((done) => session.hold({}, done)),
  resume: (session) => later((done) => session.unhold({}, done)),
  restart: (session) => later((done) => session.renegotiate({rtcOfferConstraints: {iceRestart: true}}, done)),
  tone: (session, tone, how) => session.sendDTMF(tone, {duration: 200,
    transportType: how === 'info' ? JsSIP.C.DTMF_TRANSPORT.INFO : JsSIP.C.DTMF_TRANSPORT.RFC2833}),
  refer: (session, target, replaced) => session.refer(target, {...(replaced ? {replaces: replaced} : {}),
    eventHandlers: {
      accepted: () => {
        stack.note('transferred', {id: stack.id(session)});
        session.terminate();
      },
      failed: ({request}) => stack.note('transferFailed', {id: stack.id(session), text: String(request?.body)}),
      requestFailed: ({cause}) => stack.note('transferFailed', {id: stack.id(session), text: cause}),
    }}),
});

function watch(session, direction, remote) {
  stack.add(session, direction, remote);
  session.on('progress', () => direction === 'out' && stack.set(session, {state: 'ringing'}));
  session.on('confirmed', () => stack.set(session, {state: 'established'}));
  session.on('failed', ({message, cause}) => stack.set(session, {state: 'ended', status: message?.status_code ?? 0, cause}));
  session.on('ended', () => stack.set(session, {state: 'ended'}));
  session.on('newDTMF', ({originator, dtmf}) => originator === 'remote' &&
    stack.note('tone', {id: stack.id(session), tone: dtmf.tone}));
  session.on('refer', ({accept}) => accept(null, media(false)));
  session.on('replaces', ({accept}) => accept(() => {}));
}
