// Calls with unmodified SIP.js.
import {Inviter, Registerer, SessionState, SIPExtension, UserAgent} from 'sip.js';
import {page} from './calls.js';

let ua = null;
let registerer = null;
const media = (video) => ({sessionDescriptionHandlerOptions: {constraints: {audio: true, video}}});
const handler = (session) => session.sessionDescriptionHandler;

/** A re-INVITE; resolves with its answer. */
function again(session, options) {
  session.sessionDescriptionHandlerOptionsReInvite = options;
  return new Promise((resolve, reject) => {
    session.invite({requestDelegate: {onAccept: () => resolve(),
      onReject: ({message}) => reject(new Error(`re-INVITE: ${message.statusCode}`))}}).catch(reject);
  });
}

const stack = page({
  connection: (session) => handler(session)?.peerConnection,
  async start({url, uri, user, password}) {
    ua = new UserAgent({
      uri: UserAgent.makeURI(uri), transportOptions: {server: url}, logLevel: 'error',
      contactParams: {transport: 'ws'}, authorizationUsername: user, authorizationPassword: password,
      sipExtension100rel: SIPExtension.Supported, sipExtensionReplaces: SIPExtension.Supported,
      sessionDescriptionHandlerFactoryOptions: {peerConnectionConfiguration: {iceServers: []}},
      delegate: {onInvite: (invitation) => watch(invitation, 'in', invitation.remoteIdentity.uri.user)},
    });
    await ua.start();
    registerer = new Registerer(ua, {expires: 600});
    await new Promise((resolve, reject) => {
      registerer.register({requestDelegate: {onAccept: () => resolve(),
        onReject: ({message}) => reject(new Error(`registration: ${message.statusCode}`))}}).catch(reject);
    });
  },
  async stop() {
    await ua.stop();
  },
  async call(target, video) {
    const inviter = new Inviter(ua, UserAgent.makeURI(target), media(video));
    const id = watch(inviter, 'out', inviter.remoteIdentity.uri.user);
    await invite(inviter);
    return id;
  },
  answer: (session, video) => session.accept(media(video)),
  reject: (session, status) => session.reject({statusCode: status}),
  hangup: (session) => (session.state === SessionState.Established ? session.bye() : session.cancel()),
  hold: (session) => again(session, {hold: true}),
  resume: (session) => again(session, {hold: false}),
  restart: (session) => again(session, {offerOptions: {iceRestart: true}}),
  tone: (session, tone, how) => {
    if (how !== 'info') return handler(session).sendDtmf(tone, {duration: 200});
    return session.info({requestOptions: {body: {contentDisposition: 'render', contentType: 'application/dtmf-relay',
      content: `Signal=${tone}\r\nDuration=200\r\n`}}}).then(() => true);
  },
  refer: (session, target, replaced) => session.refer(referTo(target, replaced), {
    onNotify(notification) {
      notification.accept();
      const status = Number(/^SIP\/2\.0 (\d+)/.exec(notification.request.body)?.[1] ?? 0);
      if (status >= 300) stack.note('transferFailed', {id: stack.id(session), text: notification.request.body});
      if (status < 200 || status >= 300) return;
      stack.note('transferred', {id: stack.id(session)});
      if (session.state === SessionState.Established) session.bye();
    },
    requestDelegate: {onReject: ({message}) =>
      stack.note('transferFailed', {id: stack.id(session), text: String(message.statusCode)})},
  }).then(() => {}),
});

/** By the address of record: the stack itself would name the other's contact, which only a GRUU makes global. */
function referTo(target, replaced) {
  const uri = UserAgent.makeURI(target);
  const d = replaced?.dialog;
  if (d) uri.setHeader('Replaces', encodeURIComponent(`${d.callId};to-tag=${d.remoteTag};from-tag=${d.localTag}`));
  return uri;
}

const invite = (inviter) => inviter.invite({requestDelegate: {
  onProgress: () => stack.set(inviter, {state: 'ringing'}),
  onReject: ({message}) => stack.set(inviter, {status: message.statusCode}),
}});

function watch(session, direction, remote) {
  const id = stack.add(session, direction, remote);
  session.stateChange.addListener((state) => {
    if (state === SessionState.Established) stack.set(session, {state: 'established'});
    // A turn later: why it ended is told after its state.
    if (state === SessionState.Terminated) setTimeout(() => stack.set(session, {state: 'ended'}), 0);
  });
  session.delegate = {
    async onRefer(referral) {
      await referral.accept();
      const inviter = referral.makeInviter(media(false));
      watch(inviter, 'out', inviter.remoteIdentity.uri.user);
      await invite(inviter);
    },
    onInfo(info) {
      const tone = /^Signal=\s*(\S)/m.exec(info.request.body)?.[1];
      if (tone) stack.note('tone', {id, tone});
      info.accept();
    },
  };
  return id;
}
