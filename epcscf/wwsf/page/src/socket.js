// SIP over a secure WebSocket (RFC 7118), in the form that JsSIP takes as a transport, with an eye on
// every message that passes and a keep-alive: scripts cannot send WebSocket Pings, so CRLFCRLF.

const CONNECT_MS = 8000;
const KEEPALIVE_MS = 25000;
const ANSWER_MS = 10000;

export class SipSocket {
  /**
   * @param {string} url wss://…
   * @param {(dir: 'in'|'out', text: string) => void} onMessage sees every SIP message
   */
  constructor(url, onMessage) {
    const {protocol, host} = new URL(url);
    if (protocol !== 'wss:') throw new TypeError(`not a wss URL: ${url}`);
    this.url = url;
    this.via_transport = 'WSS';
    this.sip_uri = `sip:${host};transport=ws`;
    this._onMessage = onMessage;
    this._ws = null;
    this.onconnect = this.ondisconnect = this.ondata = () => {};
  }

  connect() {
    if (this.isConnected() || this.isConnecting()) return;
    const ws = new WebSocket(this.url, 'sip');
    ws.binaryType = 'arraybuffer';
    this._ws = ws;
    this._limit = setTimeout(() => this._lost(true, 1006, 'no answer'), CONNECT_MS);
    ws.onopen = () => {
      clearTimeout(this._limit);
      this._beat = setInterval(() => this._keepAlive(), KEEPALIVE_MS);
      this.onconnect();
    };
    ws.onclose = ({wasClean, code, reason}) => this._lost(!wasClean, code, reason);
    ws.onmessage = ({data}) => this._received(data);
  }

  disconnect() {
    const ws = this._drop();
    if (ws) ws.close(1000);
  }

  send(message) {
    if (!this.isConnected()) return false;
    this._ws.send(message);
    if (message.trim()) this._onMessage('out', message);
    return true;
  }

  isConnected() {
    return Boolean(this._ws) && this._ws.readyState === WebSocket.OPEN;
  }

  isConnecting() {
    return Boolean(this._ws) && this._ws.readyState === WebSocket.CONNECTING;
  }

  _received(data) {
    clearTimeout(this._limit);
    const text = typeof data === 'string' ? data : new TextDecoder().decode(data);
    if (text.trim()) this._onMessage('in', text);
    this.ondata(text);
  }

  // Whatever comes back within the time shows that the connection lives.
  _keepAlive() {
    if (!this.isConnected()) return;
    this._ws.send('\r\n\r\n');
    clearTimeout(this._limit);
    this._limit = setTimeout(() => this._lost(true, 1006, 'keep-alive not answered'), ANSWER_MS);
  }

  _drop() {
    const ws = this._ws;
    clearTimeout(this._limit);
    clearInterval(this._beat);
    this._ws = null;
    if (ws) ws.onopen = ws.onclose = ws.onmessage = null;
    return ws;
  }

  _lost(error, code, reason) {
    const ws = this._drop();
    if (ws && ws.readyState < WebSocket.CLOSING) ws.close();
    this.ondisconnect(error, code, reason);
  }
}

/** Does that eP-CSCF take connections? Never more than a try: nothing is sent. */
export function answers(url) {
  return new Promise((resolve) => {
    const ws = new WebSocket(url, 'sip');
    const end = (is) => {
      clearTimeout(limit);
      ws.onopen = ws.onclose = null;
      ws.close();
      resolve(is);
    };
    const limit = setTimeout(() => end(false), CONNECT_MS);
    ws.onopen = () => end(true);
    ws.onclose = () => end(false);
  });
}
