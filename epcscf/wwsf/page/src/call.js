// One call: JsSIP's session with a state that people and tests understand.
//
//   outgoing: connecting -> progress -> accepted -> confirmed <-> held -> ended | failed
//   incoming: incoming -> answering -> accepted -> confirmed <-> held -> ended | failed
import {Emitter} from './emitter.js';
import {closeMedia, openMedia, rawStats, summarise} from './media.js';
import {callFailure} from './words.js';

const ICE_WAIT_MS = 1500;

/** For RTCPeerConnection: media of one kind each on its own transport, as the IMS has no BUNDLE. */
export const PC_CONFIG = {iceServers: [], bundlePolicy: 'max-compat', rtcpMuxPolicy: 'require'};

let count = 0;

export class Call extends Emitter {
  constructor(direction) {
    super();
    this.id = `call-${++count}`;
    this.direction = direction;
    this.state = direction === 'incoming' ? 'incoming' : 'connecting';
    this.remoteUri = '';
    this.remoteName = '';
    this.video = false;
    this.videoOffered = false;
    this.muted = false;
    this.remoteHold = false;
    this.earlyMedia = false;
    this.startedAt = Date.now();
    this.answeredAt = 0;
    this.reason = '';
    this.note = '';
    this.remoteStream = new MediaStream();
    this.localStream = null;
    this._session = null;
    this._connection = null;
  }

  /** What the page and the tests may see; can be turned into JSON. */
  view() {
    const {id, direction, state, remoteUri, remoteName, video, videoOffered, muted, remoteHold,
      earlyMedia, startedAt, answeredAt, reason, note} = this;
    return {id, direction, state, remoteUri, remoteName, video, videoOffered, muted, remoteHold,
      earlyMedia, startedAt, answeredAt, reason, note};
  }

  isOver() {
    return this.state === 'ended' || this.state === 'failed';
  }

  isAnswered() {
    return ['accepted', 'confirmed', 'held'].includes(this.state);
  }

  /** Options for JsSIP's call() and answer(). */
  options(extra) {
    return {pcConfig: {...PC_CONFIG}, mediaStream: this.localStream,
      mediaConstraints: {audio: true, video: this.video}, ...extra};
  }

  /** @param session JsSIP's RTCSession */
  attach(session) {
    this._session = session;
    const remote = session.remote_identity;
    this.remoteUri = remote.uri.toString();
    this.remoteName = remote.display_name || '';
    if (session.connection) this._useConnection(session.connection);
    session.on('peerconnection', ({peerconnection}) => this._useConnection(peerconnection));
    session.on('icecandidate', ({ready}) => this._limitGathering(ready));
    session.on('progress', ({originator, response}) => {
      if (originator !== 'remote') return;
      this.earlyMedia ||= Boolean(response?.body);
      this._change('progress', 'progress');
    });
    session.on('accepted', () => {
      this.answeredAt = Date.now();
      this._change('accepted', 'accepted');
    });
    session.on('confirmed', () => {
      if (this.state === 'accepted') this._change('confirmed', 'confirmed');
    });
    session.on('hold', ({originator}) => this._held(originator, true));
    session.on('unhold', ({originator}) => this._held(originator, false));
    session.on('muted', () => this._muted(true));
    session.on('unmuted', () => this._muted(false));
    session.on('ended', (e) => this._over('ended', e));
    session.on('failed', (e) => this._over('failed', e));
  }

  async openMedia(video) {
    const {stream, note} = await openMedia(video);
    if (this.isOver()) {
      closeMedia(stream);
      throw new Error('The call was over before it began.');
    }
    this.localStream = stream;
    this.video = stream.getVideoTracks().length > 0;
    this.note = note;
  }

  async answer(video = this.videoOffered) {
    if (this.state !== 'incoming') throw new Error('This call does not ring.');
    this._change('answering');
    try {
      await this.openMedia(video && this.videoOffered);
    } catch (error) {
      if (!this.isOver()) this._change('incoming');
      throw error;
    }
    this._session.answer(this.options());
  }

  reject() {
    if (this.state !== 'incoming' && this.state !== 'answering')
      throw new Error('Only a call that comes in can be declined.');
    this._session.terminate({status_code: 603, reason_phrase: 'Decline'});
  }

  hangup() {
    if (this.isOver()) return;
    if (!this._session) return this.fail('Call cancelled.');
    if (this.state === 'incoming') return this.reject();
    this._session.terminate();
  }

  hold() {
    if (this.state === 'held') return Promise.resolve();
    return this._renegotiate('hold', 'put on hold');
  }

  resume() {
    if (this.state !== 'held') return Promise.resolve();
    return this._renegotiate('unhold', 'resumed');
  }

  mute(on) {
    if (!this._session) return;
    if (on) this._session.mute({audio: true});
    else this._session.unmute({audio: true});
  }

  /** Switches the own picture off and on without a new negotiation. */
  showCamera(on) {
    for (const track of this.localStream?.getVideoTracks() ?? []) track.enabled = on;
    this.emit('change');
  }

  get cameraOn() {
    return Boolean(this.localStream?.getVideoTracks().some((t) => t.enabled));
  }

  /** RFC 4733 events in the audio stream. */
  sendDtmf(tones) {
    if (!/^[0-9A-D#*,]+$/i.test(tones)) throw new Error('Tones are 0-9, *, #, A-D and a comma.');
    const sender = this._connection?.getSenders().find((s) => s.dtmf);
    if (!this.isAnswered() || !sender?.dtmf.canInsertDTMF)
      throw new Error('The other side does not take key tones in this call.');
    sender.dtmf.insertDTMF(sender.dtmf.toneBuffer + tones, 120, 70);
  }

  stats() {
    return rawStats(this._connection);
  }

  async media() {
    return summarise(await this.stats());
  }

  /** The end of a call that never became a session. */
  fail(reason) {
    this.reason = reason;
    this._finish('failed', {cause: reason, status: 0});
  }

  _useConnection(connection) {
    if (this._connection === connection) return;
    this._connection = connection;
    connection.addEventListener('track', ({track}) => {
      this.remoteStream.addTrack(track);
      this.emit('change');
    });
  }

  // All candidates go into the offer; an interface that never answers must not hold it up.
  _limitGathering(ready) {
    clearTimeout(this._gathering);
    this._gathering = setTimeout(ready, ICE_WAIT_MS);
  }

  _renegotiate(what, done) {
    return new Promise((resolve, reject) => {
      const off = this.on('over', () => reject(new Error('The call ended.')));
      const ok = this._session?.[what]({}, () => {
        off();
        resolve();
      });
      if (ok) return;
      off();
      reject(new Error(`The call cannot be ${done} now. Try again in a moment.`));
    });
  }

  _held(originator, on) {
    if (originator === 'remote') {
      this.remoteHold = on;
      this.emit('change');
    } else {
      this.state = on ? 'held' : 'confirmed';
    }
    this.emit('event', {name: on ? 'hold' : 'unhold', originator});
    this.emit('change');
  }

  _muted(on) {
    this.muted = on;
    this.emit('change');
  }

  _change(state, event) {
    this.state = state;
    if (event) this.emit('event', {name: event});
    this.emit('change');
  }

  _over(state, {originator, message, cause}) {
    const status = message?.status_code ?? 0;
    if (state === 'failed')
      this.reason = originator === 'local' && cause === 'Rejected' ? 'Declined.' :
        originator === 'remote' && cause === 'Canceled' ? 'Missed: the caller gave up.' :
          callFailure(status, cause);
    else if (cause && cause !== 'Terminated')
      this.reason = callFailure(0, cause);
    this._finish(state, {originator, cause, status, reason: message?.reason_phrase ?? ''});
  }

  _finish(state, detail) {
    if (this.isOver()) return;
    clearTimeout(this._gathering);
    closeMedia(this.localStream);
    this._change(state);
    this.emit('event', {name: state, ...detail, words: this.reason});
    this.emit('over');
  }
}
