// The phone without its looks: log-in, registration, calls. See main.js for what tests may use.
import JsSIP from 'jssip';
import * as api from './api.js';
import {Call} from './call.js';
import {Emitter} from './emitter.js';
import {SipSocket, answers} from './socket.js';
import {connectionLost, mask, registrationFailure, summarise} from './words.js';

const UNREGISTER_MS = 4000;
const LADDER_MAX = 400;
const RECONNECT_MAX_S = 20;
const REDIRECTS_MAX = 3;
const RETURN_S = 300;

export class RegistrationError extends Error {
  constructor(message, status) {
    super(message);
    this.name = 'RegistrationError';
    this.status = status;
  }
}

/** An id of this tab (RFC 5626), so that a reload replaces its registration instead of adding one. */
function instanceId() {
  let id = sessionStorage.getItem('instance');
  if (!id) {
    id = crypto.randomUUID();
    sessionStorage.setItem('instance', id);
  }
  return id;
}

/** The UE's networks, as whoever opened the page says: ?plmn=262-01 (or serving), &home=310-260.
 * What is no PLMN is left out: the page has to work all the same. */
function networks() {
  const q = new URLSearchParams(location.search);
  const read = (text) => (/^\d{3}(-?\d{2,3})?$/.test(text ?? '') ? text : '');
  return {serving: read(q.get('serving') ?? q.get('plmn')), home: read(q.get('home'))};
}

/** host:port of a URL, with the port that its scheme has if it names none. */
function authority(url) {
  const {host, port} = new URL(url);
  return (port ? host : `${host}:443`).toLowerCase();
}

export class Phone extends Emitter {
  /** What the WWSF gave at log-in, or null. */
  profile = null;
  /** 'off', 'connecting', 'connected', 'lost' */
  connection = 'off';
  /** 'none', 'registering', 'registered' */
  registration = 'none';
  /** 'token' or 'digest' while there is or was a registration */
  mode = '';
  impu = '';
  homeDomain = '';
  url = '';
  /** Why there is no connection or registration, in words. */
  trouble = '';
  ladder = [];
  #ua = null;
  #calls = new Map();
  #where = networks();
  #attempt = null; // what #register() was called with: for another eP-CSCF, or the same later
  #returnTimer = 0;
  #refreshTimer = 0;
  #retriedToken = false;

  constructor() {
    super();
    JsSIP.debug.disable();
    addEventListener('online', () => this.#note('The network is back.'));
    addEventListener('offline', () => this.#note('The computer has no network.'));
    addEventListener('pagehide', () => this.#ua?.stop());
  }

  // ---- log-in ------------------------------------------------------------------------------------

  /** @param options.plmn the serving network, @param options.home the user's own */
  async login(user, password, options) {
    const where = this.#there(options);
    this.#keep(await api.login(user, password, where), where);
    return this.profile;
  }

  /** Without log-in: with an identity that the WWSF lends for a while. */
  async guest(options) {
    const where = this.#there(options);
    this.#keep(await api.guest(where), where);
    return this.profile;
  }

  get servingNetwork() {
    return this.#where.serving;
  }

  #there({plmn = this.#where.serving, home = this.#where.home} = {}) {
    return {serving: plmn, home};
  }

  /** Go on with the session of an earlier visit, if its cookie still holds. */
  async restore() {
    try {
      this.#keep(await api.refresh(this.#where), this.#where);
      return true;
    } catch {
      return false;
    }
  }

  async logout() {
    await this.unregister();
    clearTimeout(this.#refreshTimer);
    this.profile = null;
    this.#changed();
    await api.logout();
  }

  #keep(profile, where) {
    this.profile = profile;
    this.#where = where;
    this.#planRefresh();
    this.#changed();
  }

  // A new token well before the old one ends, so that no request meets an expired one.
  #planRefresh() {
    clearTimeout(this.#refreshTimer);
    if (!this.profile) return;
    const left = this.profile.expires_at * 1000 - Date.now();
    const wait = Math.max(1000, left - Math.max(left * 0.25, Math.min(60000, left * 0.5)));
    this.#refreshTimer = setTimeout(() => this.#refreshToken(), Math.min(wait, 2 ** 31 - 1));
  }

  async #refreshToken() {
    if (!this.profile) return false;
    const before = this.profile;
    try {
      this.#keep(await api.refresh(this.#where), this.#where);
    } catch (error) {
      if (error.status === 401) {
        this.trouble = 'Your log-in has ended. Log in again.';
        this.#note(this.trouble);
        this.profile = null;
      } else {
        this.#refreshTimer = setTimeout(() => this.#refreshToken(), 5000);
      }
      this.#changed();
      return false;
    }
    this.#note('New token from the web server.');
    // A lent identity that ran out while the computer slept: there is another one now.
    if (before.impi !== this.profile.impi && this.#ua && this.mode === 'token') {
      this.#note('Another identity was lent: registering anew.');
      this.registerWithToken().catch(() => {}); // shown by registrationFailed
      return false;
    }
    if (this.#ua && this.mode === 'token') {
      this.#ua.set('authorization_jwt', `Bearer ${this.profile.token}`);
      if (this.#ua.isConnected() && this.#ua.isRegistered()) this.#ua.register();
    }
    return true;
  }

  // ---- registration --------------------------------------------------------------------------------

  async registerWithToken() {
    if (!this.profile) throw new RegistrationError('Log in first: the token comes with it.', 0);
    return this.#register('token', this.profile, {
      impu: this.profile.impus.find((u) => u.startsWith('sip:')) ?? this.profile.impus[0],
      settings: {authorization_jwt: `Bearer ${this.profile.token}`,
        display_name: this.profile.display_name || null},
    });
  }

  async registerWithDigest({impi, impu, password, plmn, home}) {
    const place = await api.config(this.#there({plmn, home}));
    const uri = this.#identity(impu || impi, place.home_domain);
    const privateId = impi || uri.replace(/^sip:/, '');
    return this.#register('digest', place, {
      impu: uri,
      settings: {authorization_user: privateId, password},
      privateId: privateId === uri.replace(/^sip:/, '') ? '' : privateId,
    });
  }

  /** Any token, even a broken one, for tests of the eP-CSCF's answers. */
  async registerRaw({token, impu, plmn, home}) {
    const place = await api.config(this.#there({plmn, home}));
    const uri = this.#identity(impu || this.profile?.impus[0] || 'nobody', place.home_domain);
    return this.#register('raw', place,
      {impu: uri, settings: {authorization_jwt: `Bearer ${token}`}});
  }

  async unregister() {
    const ua = this.#ua;
    this.trouble = '';
    clearTimeout(this.#returnTimer);
    if (!ua) return;
    this.#ua = null;
    for (const call of this.#calls.values()) call.hangup();
    const registered = ua.isRegistered();
    if (registered) {
      await new Promise((resolve) => {
        const limit = setTimeout(resolve, UNREGISTER_MS);
        ua.once('unregistered', () => {
          clearTimeout(limit);
          resolve();
        });
        ua.unregister();
      });
    }
    ua.removeAllListeners();
    ua.stop();
    this.connection = 'off';
    this.registration = 'none';
    this.#changed();
    if (registered) this.emit('unregistered', {cause: 'asked for'});
  }

  #identity(text, domain) {
    const t = text.trim();
    if (/^(sips?|tel):/i.test(t)) return t;
    return `sip:${t.includes('@') ? t : `${t}@${domain}`}`;
  }

  async #register(mode, place, who, redirects = 0) {
    const {impu, settings, privateId = ''} = who;
    await this.unregister();
    if (!place.epcscf.length) throw new RegistrationError('The web server names no eP-CSCF.', 0);
    this.mode = mode;
    this.impu = impu;
    this.homeDomain = place.home_domain;
    this.registration = 'registering';
    this.connection = 'connecting';
    this.#retriedToken = false;
    this.#attempt = {mode, place, who, redirects};
    // Weights keep the server's order; without them JsSIP chooses at random.
    const sockets = place.epcscf.map((url, i) => ({
      socket: new SipSocket(url, (dir, text) => this.#saw(dir, text)),
      weight: place.epcscf.length - i,
    }));
    const ua = new JsSIP.UA({
      sockets, uri: impu, instance_id: instanceId(), register: true, register_expires: 600,
      connection_recovery_min_interval: 1, connection_recovery_max_interval: RECONNECT_MAX_S,
      ...settings,
    });
    // An IMPI that does not follow from the public identity has to be in the first REGISTER already.
    if (privateId)
      ua.registrator().setExtraHeaders([`Authorization: Digest username="${privateId}", ` +
        `realm="${place.home_domain}", nonce="", uri="sip:${place.home_domain}", response=""`]);
    this.#ua = ua;
    this.#changed();
    return this.#watch(ua, place.epcscf.length);
  }

  #watch(ua, urls) {
    let lost = 0;
    return new Promise((resolve, reject) => {
      const mine = (fn) => (data) => this.#ua === ua && fn(data);
      ua.on('connecting', mine(({socket}) => this.#connecting(socket.url)));
      ua.on('connected', mine(() => {
        lost = 0;
        this.#connected();
      }));
      ua.on('disconnected', mine(({code, error}) => {
        this.#disconnected(code, error);
        lost += 1;
        if (lost >= urls) reject(new RegistrationError(this.trouble, 0));
      }));
      ua.on('registered', mine(({response}) => {
        this.#registered(response);
        resolve(this.impu);
      }));
      ua.on('unregistered', mine(() => this.#unregistered()));
      ua.on('registrationFailed', mine(async ({response, cause}) => {
        const next = response?.status_code === 305 ? this.#redirection(response) : null;
        if (next) {
          resolve(this.#register(next.mode, next.place, next.who, next.redirects));
          return;
        }
        if (await this.#mendToken(ua, response)) return;
        this.#registrationFailed(response, cause);
        reject(new RegistrationError(this.trouble, response?.status_code ?? 0));
      }));
      ua.on('newRTCSession', mine(({originator, session, request}) => {
        if (originator === 'remote') this.#incoming(session, request);
      }));
      ua.on('newMessage', mine(({originator, request}) => {
        if (originator === 'remote')
          this.emit('message', {from: request.from.uri.toString(), text: request.body ?? ''});
      }));
      ua.start();
    });
  }

  #connecting(url) {
    this.url = url;
    this.connection = this.connection === 'lost' ? 'lost' : 'connecting';
    this.#changed();
  }

  #connected() {
    this.connection = 'connected';
    this.trouble = '';
    this.#note(`Connected to ${this.url}`);
    this.emit('connected', {url: this.url});
    this.#changed();
  }

  #disconnected(code, error) {
    this.connection = 'lost';
    if (this.registration === 'registered') this.registration = 'registering';
    this.trouble = connectionLost(code, true);
    this.#note(`${this.trouble} (${this.url})`);
    this.emit('disconnected', {url: this.url, code: code ?? 0, error: Boolean(error)});
    this.#changed();
  }

  #registered(response) {
    this.registration = 'registered';
    this.trouble = '';
    this.#retriedToken = false;
    this.emit('registered', {impu: this.impu, mode: this.mode, status: response?.status_code ?? 200});
    this.#planReturn();
    this.#changed();
  }

  // 305 Use Proxy: to an eP-CSCF that the WWSF has named, never blindly to another.
  #redirection(response) {
    const {mode, place, who, redirects} = this.#attempt;
    const uri = response.parseHeader('contact')?.uri;
    const host = uri ? `${uri.host}:${uri.port ?? 443}`.toLowerCase() : '';
    const url = (place.known ?? []).find((known) => authority(known) === host);
    if (!url || redirects >= REDIRECTS_MAX) {
      this.#note(url ? 'Sent from one eP-CSCF to the next too often.'
        : `Not followed: sent to ${host || 'nowhere'}, which the web server does not know.`);
      return null;
    }
    this.#note(`Sent on to ${url}`);
    return {mode, place: {...place, epcscf: [url]}, who, redirects: redirects + 1};
  }

  // Registered with a later choice because an earlier one did not answer: back to it once it does.
  #planReturn() {
    clearTimeout(this.#returnTimer);
    const {place} = this.#attempt;
    if (place.epcscf.indexOf(this.url) > 0)
      this.#returnTimer = setTimeout(() => this.#return(this.#ua), (place.ttl_s ?? RETURN_S) * 1000);
  }

  async #return(ua) {
    const {mode, place, who} = this.#attempt;
    const free = () => this.#ua === ua && this.registration === 'registered' && this.#calls.size === 0;
    if (free() && await answers(place.epcscf[0]) && free()) {
      this.#note(`Back to ${place.epcscf[0]}`);
      const now = mode === 'token' && this.profile
        ? {...who, settings: {...who.settings, authorization_jwt: `Bearer ${this.profile.token}`}} : who;
      this.#register(mode, place, now).catch((error) => this.#note(error.message));
    } else if (this.#ua === ua && ua) {
      this.#planReturn();
    }
  }

  #unregistered() {
    if (this.registration !== 'registered') return;
    this.registration = 'none';
    this.emit('unregistered', {cause: 'ended by the network'});
    this.#changed();
  }

  // A refusal of a token that worked before: it ran out while the computer slept, say.
  async #mendToken(ua, response) {
    if (this.mode !== 'token' || response?.status_code !== 401 || this.#retriedToken) return false;
    this.#retriedToken = true;
    if (!await this.#refreshToken() || this.#ua !== ua) return false;
    ua.register();
    return true;
  }

  #registrationFailed(response, cause) {
    const status = response?.status_code ?? 0;
    if (cause === 'Connection Error') return; // told by 'disconnected'; JsSIP registers when it is back
    this.registration = 'none';
    this.trouble = registrationFailure(this.mode === 'digest' ? 'digest' : 'token', status, cause);
    this.emit('registrationFailed',
      {status, reason: response?.reason_phrase ?? '', cause, words: this.trouble});
    this.#changed();
  }

  // ---- calls -----------------------------------------------------------------------------------------

  /** What someone typed, as a URI. */
  target(text) {
    const t = text.trim();
    if (!t) throw new Error('Enter a number or an address.');
    if (/^(sips?):/i.test(t)) return t.includes('@') ? t : `${t}@${this.homeDomain}`;
    if (/^tel:/i.test(t)) return `sip:${t.slice(4)}@${this.homeDomain};user=phone`;
    if (/[\s<>"]/.test(t.replace(/^[+\d().\s-]+$/, ''))) throw new Error('That is not an address.');
    const plain = /^[+\d().\s-]+$/.test(t) ? t.replace(/[().\s-]/g, '') : t;
    return `sip:${plain.includes('@') ? plain : `${plain}@${this.homeDomain}`}`;
  }

  async call(text, {video = false} = {}) {
    if (!this.#ua || this.registration !== 'registered')
      throw new Error('Register first: without it the network takes no calls.');
    const uri = this.target(text);
    const call = this.#add(new Call('outgoing'));
    call.remoteUri = uri;
    call.video = video;
    this.#changed();
    try {
      await call.openMedia(video);
      const session = this.#ua.call(uri, call.options({
        eventHandlers: {peerconnection: ({peerconnection}) => call._useConnection(peerconnection)},
      }));
      call.attach(session);
    } catch (error) {
      const said = error instanceof TypeError ? new Error('That is not an address.') : error;
      if (!call.isOver()) call.fail(said.message);
      throw said;
    }
    this.#changed();
    return call.id;
  }

  #incoming(session, request) {
    const call = this.#add(new Call('incoming'));
    call.videoOffered = /^m=video [1-9]/m.test(request.body ?? '');
    call.attach(session);
    this.emit('incoming', {id: call.id, from: call.remoteUri, name: call.remoteName,
      video: call.videoOffered});
    this.#changed();
  }

  #add(call) {
    this.#calls.set(call.id, call);
    call.on('event', ({name, ...data}) => {
      this.emit(name, {id: call.id, ...data});
      if (name === 'unhold') this.emit('resume', {id: call.id, ...data});
    });
    call.on('change', () => this.#changed());
    call.on('over', () => {
      this.#calls.delete(call.id);
      this.emit('over', call.view());
      this.#changed();
    });
    return call;
  }

  /** @returns {Call} */
  get(id) {
    const call = this.#calls.get(id);
    if (!call) throw new Error(`There is no call ${id}.`);
    return call;
  }

  live() {
    return [...this.#calls.values()];
  }

  // ---- what is going on ----------------------------------------------------------------------------------

  #saw(dir, text) {
    const {title, words, kind, callId} = summarise(text);
    this.#log({dir, title, words, kind, callId, text: mask(text)});
  }

  #note(words) {
    this.#log({dir: 'note', title: '', words, kind: 'note', callId: '', text: ''});
  }

  #log(entry) {
    const line = {at: Date.now(), ...entry};
    this.ladder.push(line);
    if (this.ladder.length > LADDER_MAX) this.ladder.shift();
    this.emit('ladder', line);
  }

  clearLadder() {
    this.ladder = [];
    this.emit('ladder', null);
  }

  #changed() {
    this.emit('change');
  }
}
