// Puts the page together, and offers window.epcPhone for automated tests (and for the curious).
import {Phone} from './phone.js';
import {Account} from './ui/account.js';
import {Calls} from './ui/calls.js';
import {Dial} from './ui/dial.js';
import {$, icon, notice} from './ui/dom.js';
import {Ladder} from './ui/ladder.js';

const THEMES = {auto: 'Colours: as the system', light: 'Colours: light', dark: 'Colours: dark'};

function theme() {
  const names = Object.keys(THEMES);
  let now = localStorage.getItem('theme');
  if (!names.includes(now)) now = 'auto';
  const show = () => {
    document.documentElement.dataset.theme = now;
    $('theme').setAttribute('aria-label', THEMES[now]);
    $('theme').title = THEMES[now];
    $('theme').replaceChildren(icon(now));
  };
  $('theme').onclick = () => {
    now = names[(names.indexOf(now) + 1) % names.length];
    localStorage.setItem('theme', now);
    show();
  };
  show();
}

const phone = new Phone();
const views = [new Account(phone), new Dial(phone), new Calls(phone)];
new Ladder(phone);
theme();

const render = () => views.forEach((view) => view.render());
phone.on('change', render);
phone.on('registrationFailed', ({words}) => notice(words));
phone.on('message', ({from, text}) => notice(`Message from ${from}: ${text}`, 'info'));
render();

/**
 * window.epcPhone: the phone for automated tests. Methods give promises; they are refused with an
 * Error whose message is what the page would tell a user (and `status`: the HTTP or SIP status).
 *
 *   login(user, password, {plmn, home}) log in at the WWSF; gives the profile, token included. The
 *                                       networks are else those of the page's address, ?plmn=&home=
 *   guest({plmn, home})                 an identity of the pool, without log-in; gives the profile
 *   registerWithToken()                 after login(): register with its token; gives the identity
 *   registerWithDigest({impi, impu, password, plmn})   no log-in needed
 *   registerRaw({token, impu, plmn})    register with any token, even a broken one
 *   unregister(), logout()
 *   call(target, {video})               gives the call's id once the INVITE is on its way
 *   answer(id, {video}), reject(id), hangup(id), hold(id), resume(id), mute(id, on)
 *   sendDtmf(id, tones)
 *   calls()                             live calls: {id, direction, state, remoteUri, video, …};
 *                                       state: connecting progress incoming answering accepted
 *                                       confirmed held; a call that ended is gone
 *   stats(id)                           all entries of getStats as plain objects
 *   media(id)                           {media: [{kind, codec, packetsSent, packetsReceived, …}],
 *                                       roundTripMs}
 *   state()                             {connection, registration, mode, impu, url, trouble}
 *   ladder()                            what the panel shows: {at, dir, title, words, text}
 *   on(event, fn)                       gives a function that takes fn off. Events, each with a plain
 *                                       object: connected disconnected registered unregistered
 *                                       registrationFailed {status, reason, words} incoming {id, from}
 *                                       progress accepted confirmed hold unhold resume {id}
 *                                       ended failed {id, status, cause, reason, words} message
 */
window.epcPhone = Object.freeze({
  login: (user, password, options) => phone.login(user, password, options),
  guest: (options) => phone.guest(options),
  logout: () => phone.logout(),
  registerWithToken: () => phone.registerWithToken(),
  registerWithDigest: (identity) => phone.registerWithDigest(identity),
  registerRaw: (options) => phone.registerRaw(options),
  unregister: () => phone.unregister(),
  call: (target, options) => phone.call(target, options),
  answer: async (id, {video} = {}) => phone.get(id).answer(video),
  reject: async (id) => phone.get(id).reject(),
  hangup: async (id) => phone.get(id).hangup(),
  hold: async (id) => phone.get(id).hold(),
  resume: async (id) => phone.get(id).resume(),
  mute: async (id, on = true) => phone.get(id).mute(on),
  sendDtmf: async (id, tones) => phone.get(id).sendDtmf(tones),
  calls: async () => phone.live().map((call) => call.view()),
  stats: async (id) => phone.get(id).stats(),
  media: async (id) => phone.get(id).media(),
  state: async () => ({connection: phone.connection, registration: phone.registration,
    mode: phone.mode, impu: phone.impu, url: phone.url, trouble: phone.trouble}),
  ladder: async () => phone.ladder.map((line) => ({...line})),
  on: (event, fn) => phone.on(event, fn),
});

// A reload keeps the user logged in, as long as the WWSF's session lasts.
if (localStorage.getItem('session')) {
  phone.restore().then((ok) => {
    if (!ok) localStorage.removeItem('session');
    else if (phone.registration === 'none') phone.registerWithToken().catch((e) => notice(e.message));
  });
}
phone.on('change', () => {
  if (phone.profile) localStorage.setItem('session', '1');
  else localStorage.removeItem('session');
});
