// Unmodified SIP.js as another WWSF's page would use it. It has no setting for tokens: the Bearer
// credentials are a header of each REGISTER, and coming back after a cut is the page's own work.
import {Registerer, RegistererState, UserAgent} from 'sip.js';

const events = [];
const note = (name, data = {}) => events.push({name, ...data});
let ua = null;
let registerer = null;
let bearer = '';
let stopping = false;

const headers = () => (bearer ? [`Authorization: Bearer ${bearer}`, 'X-Page: sipjs'] : ['X-Page: sipjs']);

function register() {
  return registerer.register({
    requestOptions: {extraHeaders: headers()},
    requestDelegate: {
      onAccept: ({message}) => note('registered', {status: message.statusCode}),
      onReject: ({message}) => note('failed', {status: message.statusCode,
        challenge: message.getHeader('WWW-Authenticate') ?? ''}),
    },
  });
}

async function again() {
  if (stopping) return;
  try {
    await ua.reconnect();
    note('connected');
    await register();
  } catch {
    setTimeout(again, 500);
  }
}

window.stack = {
  events: () => events,
  async start({url, uri, token, user, password, expires}) {
    stopping = false;
    bearer = token ?? '';
    ua = new UserAgent({
      uri: UserAgent.makeURI(uri), transportOptions: {server: url}, logLevel: 'error',
      contactParams: {transport: 'ws'},
      authorizationUsername: user, authorizationPassword: password,
      delegate: {
        onDisconnect: (error) => {
          note('disconnected');
          if (error) again();
        },
      },
    });
    await ua.start();
    note('connected');
    registerer = new Registerer(ua, {expires, refreshFrequency: 50});
    registerer.stateChange.addListener((state) => {
      if (state === RegistererState.Unregistered) note('unregistered');
    });
    await register();
  },
  async renew(token) {
    bearer = token;
    await register();
  },
  async unregister() {
    await registerer.unregister({requestOptions: {extraHeaders: headers()}});
  },
  async stop() {
    stopping = true;
    await ua?.stop();
    ua = null;
    events.length = 0;
  },
};
