// Number entry, dial pad, recent calls.
import {$, el, icon, notice, shortUri, text} from './dom.js';
import {keyTone, unlock} from '../ring.js';

export const KEYS = [['1', ''], ['2', 'ABC'], ['3', 'DEF'], ['4', 'GHI'], ['5', 'JKL'], ['6', 'MNO'],
  ['7', 'PQRS'], ['8', 'TUV'], ['9', 'WXYZ'], ['*', ''], ['0', '+'], ['#', '']];
const RECENT_MAX = 6;
const LONG_PRESS_MS = 500;

/** The twelve keys; press(key) is called for each. A long press on 0 gives +, when asked for. */
export function keypad(press, plus = false) {
  return KEYS.map(([key, letters]) => {
    let held = false;
    let timer = 0;
    const button = el('button', {type: 'button', class: 'key', 'aria-label': key === '*' ? 'star' : key === '#' ? 'hash' : key},
      el('span', {class: 'digit'}, key), el('span', {class: 'letters'}, plus || key !== '0' ? letters : ''));
    button.onclick = () => {
      if (!held) press(key);
      held = false;
    };
    if (plus && key === '0') {
      button.onpointerdown = () => {
        timer = setTimeout(() => {
          held = true;
          press('+');
        }, LONG_PRESS_MS);
      };
      button.onpointerup = button.onpointerleave = () => clearTimeout(timer);
    }
    return button;
  });
}

export class Dial {
  #phone;
  #recent = [];

  constructor(phone) {
    this.#phone = phone;
    const target = $('target');
    $('pad').append(...keypad((key) => {
      keyTone(key);
      target.value += key;
      this.#typed();
    }, true));
    $('erase').append(icon('erase'));
    $('erase').onclick = () => {
      target.value = target.value.slice(0, -1);
      this.#typed();
      target.focus();
    };
    target.oninput = () => this.#typed();
    $('call-audio').prepend(icon('call'));
    $('call-video').prepend(icon('video'));
    $('dial').addEventListener('submit', (e) => {
      e.preventDefault();
      this.#call(false);
    });
    $('call-video').onclick = () => this.#call(true);
    phone.on('over', (call) => this.#remember(call));
    this.#typed();
  }

  async #call(video) {
    const target = $('target');
    unlock();
    if (!target.value.trim() && this.#recent.length) {
      target.value = shortUri(this.#recent[0].remoteUri, this.#phone.homeDomain);
      this.#typed();
      return;
    }
    try {
      await this.#phone.call(target.value, {video});
      target.value = '';
      this.#typed();
    } catch (error) {
      notice(error.message);
    }
  }

  #typed() {
    const value = $('target').value.trim();
    $('erase').hidden = !value;
    let words = 'Type, or use the keys. A bare name is one of your own network.';
    if (value) {
      try {
        words = `Calls ${this.#phone.target(value)}`;
      } catch (error) {
        words = error.message;
      }
    }
    text($('target-help'), words);
  }

  #remember(call) {
    this.#recent = [call, ...this.#recent.filter((c) => c.remoteUri !== call.remoteUri)].slice(0, RECENT_MAX);
    $('recent').hidden = false;
    $('recent').querySelector('ul').replaceChildren(...this.#recent.map((c) => el('li', {},
      el('button', {type: 'button', class: 'recent-call', onclick: () => this.#pick(c)},
        el('span', {class: 'recent-name'}, c.remoteName || shortUri(c.remoteUri, this.#phone.homeDomain)),
        el('span', {class: 'quiet'}, `${describe(c)}, ${new Date(c.startedAt).toLocaleTimeString([], {hour: '2-digit', minute: '2-digit'})}`)))));
  }

  #pick(call) {
    $('target').value = shortUri(call.remoteUri, this.#phone.homeDomain);
    this.#typed();
    $('target').focus();
  }

  render() {
    const ready = this.#phone.registration === 'registered';
    $('call-audio').disabled = $('call-video').disabled = !ready;
    $('dial').classList.toggle('in-call', this.#phone.live().length > 0);
  }
}

function describe(call) {
  if (call.answeredAt) return call.direction === 'incoming' ? 'took the call' : 'talked';
  if (call.direction === 'incoming') return call.reason === 'Declined.' ? 'declined' : 'missed';
  return call.reason === 'Busy.' ? 'busy' : 'not reached';
}
