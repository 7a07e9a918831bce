// The calls: a card for each, the banner and the ringing for those that come in.
import {$, el, icon, notice, shortUri, text} from './dom.js';
import {keypad} from './dial.js';
import {keyTone, toneFor, unlock} from '../ring.js';

const OVER_MS = 8000;

const STATE = {
  connecting: 'Calling…',
  progress: 'Ringing…',
  incoming: 'Incoming call',
  answering: 'Answering…',
  accepted: 'Connecting the media…',
  held: 'On hold',
};

export function duration(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (n) => String(n).padStart(2, '0');
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` :
    `${Math.floor(s / 60)}:${two(s % 60)}`;
}

/** A reason that is too long for the card's corner goes below it. */
function longReason(call) {
  return call.isOver() && call.reason.length > 24 ? call.reason : '';
}

function stateWords(call) {
  if (longReason(call)) return call.state === 'failed' ? 'Not connected' : 'Call ended';
  if (call.isOver()) return call.reason || 'Call ended';
  if (call.state === 'confirmed') return call.remoteHold ? 'The other side holds the call' :
    duration(Date.now() - call.answeredAt);
  return STATE[call.state] ?? call.state;
}

async function act(action) {
  try {
    await action();
  } catch (error) {
    notice(error.message);
  }
}

function toggle(name, label, onclick) {
  return el('button', {type: 'button', class: 'round', 'aria-pressed': 'false', 'aria-label': label,
    title: label, onclick}, icon(name), el('span', {class: 'round-label'}, label));
}

class Card {
  constructor(call, phone) {
    this.call = call;
    this.phone = phone;
    this.name = el('strong', {class: 'call-name'});
    this.uri = el('span', {class: 'quiet call-uri'});
    this.state = el('span', {class: 'call-state'});
    this.note = el('p', {class: 'help', hidden: true});
    this.audio = el('audio', {autoplay: true});
    this.remote = el('video', {autoplay: true, playsinline: true, class: 'remote-video', 'aria-label': 'Picture of the other side'});
    this.local = el('video', {autoplay: true, playsinline: true, class: 'local-video', 'aria-label': 'Your own picture'});
    this.local.muted = true;
    this.remote.muted = true; // the sound comes from the audio element
    this.pictures = el('div', {class: 'pictures', hidden: true}, this.remote, this.local);
    this.mute = toggle('mic', 'Mute', () => act(() => call.mute(!call.muted)));
    this.hold = toggle('pause', 'Hold', () => act(() => call.state === 'held' ? call.resume() : call.hold()));
    this.camera = toggle('video', 'Camera', () => act(() => call.showCamera(!call.cameraOn)));
    this.keys = toggle('keys', 'Keys', () => this.#showKeys());
    this.answer = el('button', {type: 'button', class: 'go', onclick: () => this.#answer(false)}, icon('call'), 'Answer');
    this.answerVideo = el('button', {type: 'button', class: 'go soft', onclick: () => this.#answer(true)}, icon('video'), 'With video');
    this.reject = el('button', {type: 'button', class: 'stop', onclick: () => act(() => call.reject())}, icon('end'), 'Decline');
    this.end = el('button', {type: 'button', class: 'stop', onclick: () => act(() => call.hangup())}, icon('end'), 'Hang up');
    this.tones = el('output', {class: 'tones', 'aria-label': 'Keys sent'});
    this.pad = el('div', {class: 'pad small', hidden: true}, this.tones, ...keypad((key) => this.#press(key)));
    this.controls = el('div', {class: 'controls'}, this.mute, this.hold, this.camera, this.keys);
    this.actions = el('div', {class: 'call-actions'}, this.answer, this.answerVideo, this.reject, this.end);
    this.node = el('article', {class: 'card call', tabindex: '-1'},
      el('div', {class: 'call-head'}, el('div', {class: 'avatar', 'aria-hidden': 'true'}),
        el('div', {class: 'call-who'}, this.name, this.uri), this.state),
      this.pictures, this.note, this.controls, this.pad, this.actions, this.audio);
    this.node.addEventListener('keydown', (e) => {
      if (!this.pad.hidden && /^[0-9*#]$/.test(e.key) && !e.ctrlKey && !e.metaKey) this.#press(e.key);
    });
    this.audio.srcObject = call.remoteStream;
  }

  #answer(video) {
    unlock();
    // One microphone, one mouth: whoever talks now is put on hold.
    const others = this.phone.live().filter((c) => c !== this.call && c.state === 'confirmed');
    act(async () => {
      for (const other of others) await other.hold();
      await this.call.answer(video);
    });
  }

  #showKeys() {
    this.pad.hidden = !this.pad.hidden;
    this.render();
    if (!this.pad.hidden) this.pad.querySelector('button').focus();
  }

  #press(key) {
    act(() => {
      this.call.sendDtmf(key);
      keyTone(key);
      text(this.tones, (this.tones.textContent + key).slice(-24));
    });
  }

  render() {
    const call = this.call;
    const live = call.isAnswered();
    const label = call.remoteName || shortUri(call.remoteUri, this.phone.homeDomain);
    this.node.dataset.state = call.state;
    this.node.hidden = call.state === 'incoming'; // the banner has it
    this.node.setAttribute('aria-label', `Call with ${label}`);
    text(this.name, label);
    text(this.uri, shortUri(call.remoteUri, ''));
    text(this.node.querySelector('.avatar'), (label[0] ?? '?').toUpperCase());
    text(this.state, stateWords(call));
    text(this.note, longReason(call) || call.note);
    this.note.hidden = !this.note.textContent;
    this.controls.hidden = !live;
    this.#set(this.mute, call.muted, call.muted ? 'Unmute' : 'Mute');
    this.#set(this.hold, call.state === 'held', call.state === 'held' ? 'Resume' : 'Hold');
    this.#set(this.keys, !this.pad.hidden, 'Keys');
    this.#set(this.camera, call.video && !call.cameraOn, call.cameraOn ? 'Camera off' : 'Camera on');
    this.camera.hidden = !call.video;
    this.answer.hidden = this.reject.hidden = call.state !== 'incoming';
    this.answerVideo.hidden = call.state !== 'incoming' || !call.videoOffered;
    this.end.hidden = call.state === 'incoming';
    this.actions.hidden = call.isOver();
    text(this.end.lastChild, live ? 'Hang up' : 'Cancel');
    if (!live) this.pad.hidden = true;
    this.#pictures();
  }

  #set(button, pressed, label) {
    button.setAttribute('aria-pressed', String(pressed));
    button.setAttribute('aria-label', label);
    button.title = label;
    text(button.lastChild, label);
  }

  #pictures() {
    const call = this.call;
    const remote = call.remoteStream.getVideoTracks().length > 0;
    const show = call.isAnswered() && (remote || call.video);
    if (show && this.remote.srcObject !== call.remoteStream && remote) this.remote.srcObject = call.remoteStream;
    if (show && call.video && this.local.srcObject !== call.localStream) this.local.srcObject = call.localStream;
    this.remote.hidden = !remote;
    this.local.hidden = !call.video || !call.cameraOn;
    this.pictures.hidden = !show;
    if (call.isOver()) this.remote.srcObject = this.local.srcObject = this.audio.srcObject = null;
  }
}

export class Calls {
  #phone;
  #cards = new Map();
  #title = document.title;
  #blink = 0;

  constructor(phone) {
    this.#phone = phone;
    setInterval(() => {
      for (const card of this.#cards.values()) text(card.state, stateWords(card.call));
    }, 1000);
  }

  render() {
    for (const call of this.#phone.live()) {
      if (this.#cards.has(call.id)) continue;
      const card = new Card(call, this.#phone);
      this.#cards.set(call.id, card);
      $('calls').prepend(card.node);
      call.on('over', () => {
        text($('spoken'), longReason(call) || stateWords(call));
        if (card.node.hidden) this.#forget(call.id);
        else setTimeout(() => this.#forget(call.id), OVER_MS);
      });
    }
    for (const card of this.#cards.values()) card.render();
    this.#ringing();
    toneFor(this.#phone.live());
  }

  #forget(id) {
    this.#cards.get(id)?.node.remove();
    this.#cards.delete(id);
  }

  #ringing() {
    const incoming = this.#phone.live().filter((c) => c.state === 'incoming');
    const box = $('banners');
    for (const banner of [...box.children])
      if (!incoming.some((c) => c.id === banner.dataset.id)) banner.remove();
    for (const call of incoming) {
      if ([...box.children].some((b) => b.dataset.id === call.id)) continue;
      box.append(this.#banner(call));
    }
    clearInterval(this.#blink);
    document.title = this.#title;
    if (!incoming.length) return;
    const words = `☎ ${incoming[0].remoteName || shortUri(incoming[0].remoteUri, this.#phone.homeDomain)} calls`;
    document.title = words;
    this.#blink = setInterval(() => {
      document.title = document.title === words ? this.#title : words;
    }, 1000);
  }

  #banner(call) {
    const name = call.remoteName || shortUri(call.remoteUri, this.#phone.homeDomain);
    const waiting = this.#phone.live().some((c) => c !== call && c.isAnswered());
    const card = () => this.#cards.get(call.id);
    return el('div', {class: 'banner', 'data-id': call.id, role: 'alertdialog', 'aria-label': `Incoming call from ${name}`},
      el('span', {class: 'pulse', 'aria-hidden': 'true'}, icon('call')),
      el('div', {class: 'banner-text'}, el('strong', {}, name),
        el('span', {}, `${call.videoOffered ? 'Video call' : 'Call'}${waiting ? ' waiting: answering holds the other one' : ''}`)),
      el('button', {type: 'button', class: 'go', onclick: () => card()?.answer.click()}, icon('call'), 'Answer'),
      call.videoOffered && el('button', {type: 'button', class: 'go soft', onclick: () => card()?.answerVideo.click()}, icon('video'), 'With video'),
      el('button', {type: 'button', class: 'stop', onclick: () => card()?.reject.click()}, icon('end'), 'Decline'));
  }
}
