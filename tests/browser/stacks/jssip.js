// Unmodified JsSIP as another WWSF's page would use it.
import JsSIP from 'jssip';

const events = [];
const note = (name, data = {}) => events.push({name, ...data});
let ua = null;

window.stack = {
  events: () => events,
  async start({url, uri, token, user, password, expires}) {
    ua = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(url)], uri, register_expires: expires, register: true,
      connection_recovery_min_interval: 1, connection_recovery_max_interval: 2,
      ...(token ? {authorization_jwt: `Bearer ${token}`} : {authorization_user: user, password}),
    });
    ua.registrator().setExtraHeaders(['X-Page: jssip']);
    ua.on('registered', ({response}) => note('registered', {status: response.status_code}));
    ua.on('unregistered', () => note('unregistered'));
    ua.on('registrationFailed', ({response, cause}) =>
      note('failed', {status: response?.status_code ?? 0, cause,
        challenge: response?.getHeader('WWW-Authenticate') ?? ''}));
    ua.on('connected', () => note('connected'));
    ua.on('disconnected', () => note('disconnected'));
    ua.start();
  },
  async renew(token) {
    ua.set('authorization_jwt', `Bearer ${token}`);
    ua.register();
  },
  async unregister() {
    ua.unregister();
  },
  async stop() {
    ua?.removeAllListeners();
    ua?.stop();
    ua = null;
    events.length = 0;
  },
};
