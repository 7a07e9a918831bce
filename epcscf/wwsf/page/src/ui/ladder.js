// What is going on: SIP messages in plain words, and the media of the calls in numbers.
import {$, el, shortUri} from './dom.js';

const STATS_MS = 1000;
const ARROW = {out: '→', in: '←', note: '·'};
const SPOKEN = {out: 'sent', in: 'received', note: 'note'};

function clock(ms) {
  const d = new Date(ms);
  return `${d.toLocaleTimeString([], {hour12: false})}.${String(d.getMilliseconds()).padStart(3, '0')}`;
}

function amount(octets) {
  return octets < 1e4 ? `${octets} B` : octets < 1e6 ? `${Math.round(octets / 1e3)} kB` : `${(octets / 1e6).toFixed(1)} MB`;
}

function row(line) {
  const head = [el('time', {}, clock(line.at)),
    el('span', {class: 'arrow', role: 'img', 'aria-label': SPOKEN[line.dir]}, ARROW[line.dir]),
    el('span', {class: 'what'}, line.words),
    line.title && el('code', {class: 'title'}, line.title)];
  const content = line.text ?
    el('details', {}, el('summary', {}, ...head.filter(Boolean)), el('pre', {tabindex: '0'}, line.text.replace(/\r/g, ''))) :
    el('div', {class: 'plain-line'}, ...head.filter(Boolean));
  return el('li', {class: `${line.dir} ${line.kind}`}, content);
}

export class Ladder {
  #phone;

  constructor(phone) {
    this.#phone = phone;
    $('ladder-clear').onclick = () => phone.clearLadder();
    phone.on('ladder', (line) => this.#add(line));
    setInterval(() => this.#media(), STATS_MS);
  }

  #add(line) {
    const list = $('ladder');
    $('ladder-empty').hidden = Boolean(line);
    if (!line) {
      list.replaceChildren();
      return;
    }
    this.#keepEnd(() => {
      list.append(row(line));
      while (list.children.length > this.#phone.ladder.length) list.firstChild.remove();
    });
  }

  /** Whoever reads the newest line goes on reading the newest; whoever scrolled up stays there. */
  #keepEnd(change) {
    const list = $('ladder');
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    change();
    if (atEnd) list.scrollTop = list.scrollHeight;
  }

  async #media() {
    const calls = this.#phone.live().filter((c) => c.isAnswered());
    const tables = [];
    for (const call of calls) tables.push(this.#table(call, await call.media().catch(() => null)));
    this.#keepEnd(() => {
      $('media').hidden = !tables.length;
      $('media').replaceChildren(...tables);
    });
  }

  #table(call, stats) {
    const head = el('h3', {}, `Media with ${call.remoteName || shortUri(call.remoteUri, this.#phone.homeDomain)}`);
    if (!stats?.media.length) return el('div', {}, head, el('p', {class: 'help'}, 'Nothing flows yet.'));
    const trip = stats.roundTripMs === null ? '' : `Round trip to the gateway ${stats.roundTripMs} ms`;
    return el('div', {}, head, el('div', {class: 'scroll'}, el('table', {},
      el('thead', {}, el('tr', {}, ...['', 'Codec', 'Sent', 'Received', 'Lost', 'Jitter'].map((t) => el('th', {scope: 'col'}, t)))),
      el('tbody', {}, ...stats.media.map((m) => el('tr', {}, el('th', {scope: 'row'}, m.kind),
        el('td', {}, m.codec || '–'), el('td', {}, `${m.packetsSent} (${amount(m.bytesSent)})`),
        el('td', {}, `${m.packetsReceived} (${amount(m.bytesReceived)})`), el('td', {}, String(m.packetsLost)),
        el('td', {}, m.jitterMs === null ? '–' : `${m.jitterMs} ms`)))))),
    trip && el('p', {class: 'help'}, trip));
  }
}
