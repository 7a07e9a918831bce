// Log-in form, registration and the connection's state.
import {$, clearNotices, notice, shortUri, text} from './dom.js';
import * as api from '../api.js';
import {unlock} from '../ring.js';

const STATUS = {
  off: 'Not connected',
  connecting: 'Connecting…',
  lost: 'Connection lost, trying again…',
};

function status(phone) {
  if (phone.connection !== 'connected') return [phone.connection, STATUS[phone.connection]];
  if (phone.registration === 'registered') return ['registered', 'Registered'];
  if (phone.registration === 'registering') return ['connecting', 'Registering…'];
  return ['connected', 'Connected, not registered'];
}

export class Account {
  #phone;
  #busy = false;
  #guests = false;
  #digest = null; // what was entered, for registering again; only in this page's memory

  constructor(phone) {
    this.#phone = phone;
    const form = $('login');
    form.addEventListener('submit', (e) => {
      e.preventDefault();
      this.#submit(form);
    });
    for (const radio of form.elements.mode) radio.addEventListener('change', () => this.#chosen());
    $('guest').onclick = () => this.#guest(form);
    // Offered only where the server lends identities; without an answer there is nothing to offer.
    api.config({}).then((place) => {
      this.#guests = Boolean(place.guests);
      this.#chosen();
    }).catch(() => {});
    $('register').onclick = () => this.#do(() => this.#registerAgain());
    $('unregister').onclick = () => this.#do(() => phone.unregister());
    $('logout').onclick = () => this.#do(() => this.#logout());
    form.elements.plmn.value = phone.servingNetwork;
    this.#chosen();
  }

  #chosen() {
    const form = $('login');
    const mode = form.elements.mode.value;
    for (const part of form.querySelectorAll('[data-mode]')) {
      part.hidden = part.dataset.mode !== mode;
      for (const input of part.querySelectorAll('input')) input.disabled = part.hidden;
    }
    text(form.querySelector('[type=submit]'), mode === 'token' ? 'Log in' : 'Register');
    $('guest').hidden = !this.#guests || mode !== 'token';
  }

  #guest(form) {
    unlock();
    this.#do(async () => {
      this.#digest = null;
      await this.#phone.guest({plmn: form.elements.plmn.value.trim()});
      await this.#phone.registerWithToken();
      $('target').focus();
    });
  }

  #submit(form) {
    const f = form.elements;
    unlock();
    this.#do(async () => {
      const plmn = f.plmn.value.trim();
      if (f.mode.value === 'token') {
        this.#digest = null;
        await this.#phone.login(f.user.value.trim(), f.password.value, {plmn});
        f.password.value = '';
        await this.#phone.registerWithToken();
      } else {
        const entered = {impi: f.impi.value.trim(), impu: f.impu.value.trim(),
          password: f['sip-password'].value, plmn};
        await this.#phone.registerWithDigest(entered);
        this.#digest = entered;
        f['sip-password'].value = '';
      }
      $('target').focus();
    });
  }

  #registerAgain() {
    return this.#digest ? this.#phone.registerWithDigest(this.#digest) : this.#phone.registerWithToken();
  }

  async #logout() {
    this.#digest = null;
    if (this.#phone.profile) await this.#phone.logout();
    else await this.#phone.unregister();
    $('login').elements.user.focus();
  }

  async #do(action) {
    if (this.#busy) return;
    this.#busy = true;
    clearNotices();
    this.render();
    try {
      await action();
    } catch (error) {
      notice(error.message);
    } finally {
      this.#busy = false;
      this.render();
    }
  }

  render() {
    const phone = this.#phone;
    const [state, words] = status(phone);
    $('status').dataset.state = state;
    text($('status-text'), words);
    $('status').title = phone.trouble || phone.url;

    const inside = Boolean(phone.profile) || Boolean(this.#digest) || phone.registration === 'registered';
    const here = inside && !(this.#busy && !phone.profile && phone.registration === 'none');
    $('login').hidden = here;
    $('account').hidden = !here;
    $('dial').hidden = !here;
    for (const button of document.querySelectorAll('#login button, .account-actions button'))
      button.disabled = this.#busy;
    $('login').setAttribute('aria-busy', String(this.#busy));

    const registered = phone.registration === 'registered';
    $('register').hidden = phone.registration !== 'none';
    $('unregister').hidden = phone.registration === 'none';
    const name = (phone.profile?.guest ? 'Guest' : phone.profile?.display_name) || shortUri(phone.impu || phone.profile?.impus[0] || '', '');
    text($('account-name'), name);
    const how = {token: 'with a web token', digest: 'with SIP Digest', raw: 'with a given token'}[phone.mode];
    text($('account-detail'), registered ? `Registered ${how}` :
      phone.trouble || (phone.registration === 'registering' ? 'Registering…' : 'Not registered: calls do not work'));
    text($('who'), here ? shortUri(phone.impu || phone.profile?.impus[0] || '', '') : '');
  }
}
