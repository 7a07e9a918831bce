// The page's words: nothing secret may be shown, and a message must be told for what it is.
import assert from 'node:assert/strict';
import test from 'node:test';
import {callFailure, mask, registrationFailure, summarise} from '../../../epcscf/wwsf/page/src/words.js';
import {summarise as summariseStats} from '../../../epcscf/wwsf/page/src/media.js';

const sip = (...lines) => `${lines.join('\r\n')}\r\n\r\n`;

test('credentials are masked', () => {
  for (const secret of ['Authorization: Bearer SECRET.a.b', 'authorization : Digest username="x",\r\n response="SECRET"',
    'Proxy-Authorization: Bearer SECRET', 'a=ice-pwd:SECRET', 'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:SECRET']) {
    const shown = mask(sip('REGISTER sip:ims.test SIP/2.0', secret, 'Expires: 600'));
    assert.ok(!shown.includes('SECRET'), shown);
    assert.ok(shown.includes('Expires: 600'));
  }
  assert.ok(mask(sip('WWW-Authenticate: Bearer realm="a"')).includes('realm="a"'));
});

test('requests', () => {
  const head = ['From: <sip:a@x>;tag=1', 'Call-ID: c1', 'CSeq: 1 X'];
  const words = (first, ...more) => summarise(sip(first, ...head, ...more)).words;
  assert.equal(words('REGISTER sip:x SIP/2.0', 'To: <sip:a@x>', 'Authorization: Bearer t', 'Expires: 600'),
    'Register a@x with the token');
  assert.equal(words('REGISTER sip:x SIP/2.0', 'To: <sip:a@x>', 'Expires: 0'), 'Unregister a@x');
  assert.equal(words('INVITE sip:b@x SIP/2.0', 'To: <sip:b@x>', '', 'm=audio 9 X 0', 'm=video 0 X 96'),
    'Call from a@x to b@x with audio');
  assert.match(words('INVITE sip:b@x SIP/2.0', 'To: <sip:b@x>;tag=2', '', 'm=audio 9 X 0', 'a=sendonly'), /on hold/);
  assert.equal(summarise(sip('BYE sip:b@x SIP/2.0', ...head)).callId, 'c1');
});

test('responses', () => {
  const told = (first, method, ...more) => summarise(sip(first, `CSeq: 1 ${method}`, ...more));
  assert.equal(told('SIP/2.0 180 Ringing', 'INVITE').words, 'It rings');
  assert.equal(told('SIP/2.0 200 OK', 'REGISTER', 'Contact: <sip:a@b>;expires=600').words, 'Registration accepted');
  assert.equal(told('SIP/2.0 200 OK', 'REGISTER', 'Contact: <sip:a@b>;expires=0').words, 'No longer registered');
  assert.equal(told('SIP/2.0 200 OK', 'REGISTER').words, 'No longer registered');
  assert.equal(told('SIP/2.0 200 OK', 'REGISTER').kind, 'ok');
  assert.equal(told('SIP/2.0 403 Forbidden', 'REGISTER').kind, 'error');
  assert.equal(told('SIP/2.0 401 Unauthorized', 'REGISTER', 'WWW-Authenticate: Bearer realm="x"').words, 'Token not accepted');
  assert.match(told('SIP/2.0 401 Unauthorized', 'REGISTER', 'WWW-Authenticate: Digest realm="x"').words, /challenge/);
});

test('nonsense is no reason to fail', () => {
  for (const text of ['', '\r\n', 'x', 'SIP/2.0 ', 'INVITE', '\u0000\uffff'])
    assert.equal(typeof summarise(text).words, 'string');
});

test('failures say what to do', () => {
  assert.match(registrationFailure('token', 401), /Log in again/);
  assert.match(registrationFailure('digest', 401), /wrong/);
  assert.match(callFailure(488), /in common/);
  assert.match(callFailure(0, 'RTP Timeout'), /blocked/);
  assert.match(callFailure(599), /599/);
});

test('statistics', () => {
  const s = summariseStats([
    {id: 'c', type: 'codec', mimeType: 'audio/opus'},
    {id: 'o', type: 'outbound-rtp', kind: 'audio', packetsSent: 5, bytesSent: 500, codecId: 'c'},
    {id: 'i', type: 'inbound-rtp', kind: 'audio', packetsReceived: 4, bytesReceived: 400, packetsLost: 1, jitter: 0.002},
    {id: 'p', type: 'candidate-pair', nominated: true, currentRoundTripTime: 0.012},
  ]);
  assert.equal(s.roundTripMs, 12);
  assert.deepEqual(s.media, [{kind: 'audio', packetsSent: 5, packetsReceived: 4, bytesSent: 500, bytesReceived: 400,
    packetsLost: 1, jitterMs: 2, codec: 'opus'}]);
});
