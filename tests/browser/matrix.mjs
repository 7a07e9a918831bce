// What a call can do, with an unmodified stack in the browsers and a plain RTP phone: written once, run for
// each stack and each gateway. After each step media are counted where they arrive. The lab does what is
// asked of it by lines "@ ..." on standard output, and answers each with a line.
import {build} from 'esbuild';
import fs from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline/promises';
import {fileURLToPath} from 'node:url';
import {chromium} from 'playwright-core';
import {check, FLAGS, say, until} from './phone.mjs';

const [name, only] = process.argv.slice(2);
const {LAB_WSS, LAB_CERTS, LAB_USERS} = process.env;
const users = JSON.parse(LAB_USERS);
const PORT = 9443;
const PHONE = 'sip:phone@ims.test';
const here = path.dirname(fileURLToPath(import.meta.url));
const lines = readline.createInterface({input: process.stdin})[Symbol.asyncIterator]();
let failed = 0;

/** Have the lab do something; its words of answer. */
async function lab(words) {
  console.log(`@ ${words}`);
  const answer = (await lines.next()).value ?? 'no answer';
  check(answer.startsWith('ok'), `${words}: ${answer}`);
  return answer.slice(3);
}

async function serve() {
  const out = await build({entryPoints: [path.join(here, 'stacks', `calls-${name}.js`)], bundle: true, write: false,
    format: 'iife', platform: 'browser', logLevel: 'error', absWorkingDir: here});
  const files = {'/': ['text/html', `<!doctype html><title>${name}</title><script src="/stack.js"></script>`],
    '/stack.js': ['text/javascript', out.outputFiles[0].text]};
  const server = https.createServer({cert: fs.readFileSync(path.join(LAB_CERTS, 'server.cert.pem')),
    key: fs.readFileSync(path.join(LAB_CERTS, 'server.key.pem'))}, (request, response) => {
    const [type, body] = files[request.url] ?? ['text/plain', 'none'];
    response.writeHead(files[request.url] ? 200 : 404, {'Content-Type': type}).end(body);
  });
  await new Promise((resolve) => server.listen(PORT, '127.0.0.1', resolve));
}

/** A page with a registered stack in it. */
class Wic {
  constructor(user, page) {
    this.user = user;
    this.page = page;
    this.uri = `sip:${user}@ims.test`;
    this.said = [];
    this.seen = 0; // calls that earlier scenarios made
    page.on('console', (m) => this.said.push(m.text()));
    page.on('pageerror', (e) => this.said.push(e.message));
  }

  async open() {
    const {password, impi} = users[this.user];
    await this.page.goto(`https://127.0.0.1:${PORT}/`);
    await this.page.evaluate((o) => window.phone.start(o), {url: LAB_WSS, uri: this.uri, user: impi, password});
  }

  calls() {
    return this.page.evaluate(() => window.phone.calls());
  }

  do(what, id, ...args) {
    return this.page.evaluate(([w, i, a]) => window.phone.do(w, i, ...a), [what, id, args]);
  }

  stats(id) {
    return this.page.evaluate((i) => window.phone.stats(i), id);
  }

  call(target, video = false) {
    return this.page.evaluate(([t, v]) => window.phone.call(t, v), [target, video]);
  }

  /** The id of a call of this scenario that fits, once there is one. */
  async find(fits, what, seconds = 15) {
    const call = await until(async () => (await this.calls()).slice(this.seen).find(fits), seconds,
      `${this.user}: ${what}`);
    return call.id;
  }

  /** A call that comes in. */
  ringing(from) {
    return this.find((c) => c.direction === 'in' && c.state === 'ringing' && c.remote === from, `no call of ${from}`);
  }

  async state(id, wanted, seconds = 15) {
    let call;
    await until(async () => {
      call = (await this.calls()).find((c) => c.id === id);
      return call.state === wanted;
    }, seconds, `${this.user}: call ${id} did not become ${wanted}`).catch((e) => {
      throw new Error(`${e.message} but is ${call?.state} ${call?.status || ''}`);
    });
    return call;
  }

  noted(event) {
    return until(async () => (await this.page.evaluate(() => window.phone.events())).find(event), 15,
      `${this.user}: an event did not come`);
  }

  /** Packets of the kinds arrive here, and leave. */
  async flows(id, kinds = ['audio'], {sent = true, received = true} = {}) {
    const from = await this.stats(id);
    let now = from;
    await until(async () => {
      now = await this.stats(id);
      return kinds.every((k) => (!sent || now[k].sent >= from[k].sent + 15) &&
        (!received || now[k].received >= from[k].received + 15));
    }, 15, `${this.user}: ${kinds} of ${id} do not flow`).catch((e) => {
      throw new Error(`${e.message}: ${JSON.stringify(from)} to ${JSON.stringify(now)}`);
    });
  }

  /** Nothing arrives here any more: the count stands still. */
  async stopped(id, kind = 'audio') {
    let last = -1;
    let still = 0;
    await until(async () => {
      const now = (await this.stats(id))[kind].received;
      still = now === last ? still + 1 : 0;
      last = now;
      return still >= 3;
    }, 15, `${this.user}: ${kind} of ${id} still arrives`);
  }
}

const wics = [];

async function scenario(title, body) {
  if (only && !title.includes(only)) return;
  const begin = Date.now();
  for (const wic of wics) wic.seen = (await wic.calls()).length;
  try {
    await body(...wics);
    for (const wic of wics) {
      await until(async () => (await wic.calls()).every((c) => c.state === 'ended'), 10,
        `${wic.user}: a call is left`);
    }
    await lab('settle');
    say(`pass ${name}: ${title} (${((Date.now() - begin) / 1000).toFixed(1)} s)`);
  } catch (e) {
    failed += 1;
    say(`FAIL ${name}: ${title}: ${e.stack}`);
    for (const wic of wics) {
      say(`    ${wic.user}: ${JSON.stringify((await wic.calls()).slice(wic.seen))}`);
      say(`    ${wic.user}: ${JSON.stringify(await wic.page.evaluate(() => window.phone.events()))}`);
      for (const line of wic.said.slice(-8)) say(`    ${wic.user} console: ${line}`);
      for (const c of await wic.calls()) {
        if (c.state !== 'ended') await wic.do('hangup', c.id).catch(() => {});
      }
    }
    await lab('recover');
  }
}

/** Two browsers in a call: their ids. */
async function connect(from, to, video = false) {
  const id = await from.call(to.uri, video);
  const other = await to.ringing(from.user);
  await to.do('answer', other, video);
  await from.state(id, 'established');
  await to.state(other, 'established');
  return [id, other];
}

async function bothFlow(a, ia, b, ib, kinds) {
  await a.flows(ia, kinds);
  await b.flows(ib, kinds);
}

async function all() {
  await scenario('browser calls phone: audio, hold by both, ICE restart, DTMF', async (alice) => {
    const id = await alice.call(PHONE);
    await alice.state(id, 'established');
    await alice.flows(id);
    await lab('phone flows');
    await alice.do('hold', id);
    await alice.stopped(id);
    await alice.do('resume', id);
    await alice.flows(id);
    await lab('phone flows');
    await lab('phone hold');
    await alice.stopped(id);
    await lab('phone resume');
    await alice.flows(id);
    await lab('phone flows');
    const before = (await alice.stats(id)).ufrag;
    await alice.do('restart', id);
    await until(async () => ['connected', 'completed'].includes((await alice.stats(id)).ice), 10, 'ICE after its restart');
    check((await alice.stats(id)).ufrag !== before, 'ICE was not restarted');
    await alice.flows(id);
    await lab('phone flows');
    await alice.do('tone', id, '5', 'rtp');
    await lab('phone tone 5');
    await alice.do('tone', id, '7', 'info');
    await lab('phone tone 7');
    await alice.do('hangup', id);
    await lab('phone heard');
  });
  await scenario('phone calls browser', async (alice) => {
    await lab(`phone dial ${alice.uri}`);
    const id = await alice.ringing('phone');
    await alice.do('answer', id, false);
    await alice.state(id, 'established');
    await alice.flows(id);
    await lab('phone flows');
    await alice.do('hold', id);
    await alice.stopped(id);
    await alice.do('resume', id);
    await alice.flows(id);
    await lab('phone flows');
    await lab('phone hangup');
    await alice.state(id, 'ended');
    await lab('phone heard');
  });
  await scenario('browser calls browser: audio and video, hold by both, ICE restart', async (alice, bob) => {
    const kinds = ['audio', 'video'];
    const [a, b] = await connect(alice, bob, true);
    await bothFlow(alice, a, bob, b, kinds);
    for (const [holder, h, other, o] of [[alice, a, bob, b], [bob, b, alice, a]]) {
      await holder.do('hold', h);
      await holder.stopped(h);
      await holder.stopped(h, 'video');
      await holder.do('resume', h);
      await bothFlow(holder, h, other, o, kinds);
    }
    await bob.do('restart', b);
    await bothFlow(alice, a, bob, b, kinds);
    await bob.do('hangup', b);
    await alice.state(a, 'ended');
  });
  await scenario('call waiting', async (alice, bob, carol) => {
    const [a, b] = await connect(alice, bob);
    await bothFlow(alice, a, bob, b);
    const c = await carol.call(alice.uri);
    const second = await alice.ringing('carol');
    await alice.do('hold', a);
    await alice.do('answer', second, false);
    await carol.state(c, 'established');
    await bothFlow(alice, second, carol, c);
    await alice.stopped(a);
    await alice.do('hold', second); // and back to the first one
    await alice.do('resume', a);
    await bothFlow(alice, a, bob, b);
    await alice.stopped(second);
    await carol.do('hangup', c);
    await alice.state(second, 'ended');
    await alice.do('hangup', a);
    await bob.state(b, 'ended');
  });
  await scenario('blind transfer to the phone', async (alice, bob) => {
    const [a] = await connect(alice, bob);
    await alice.do('refer', a, PHONE);
    const b = await bob.find((c) => c.direction === 'out' && c.state === 'established', 'bob did not call the phone');
    await bob.flows(b);
    await lab('phone flows');
    await alice.noted((e) => e.name === 'transferred');
    await alice.state(a, 'ended');
    await lab('phone hangup');
    await bob.state(b, 'ended');
  });
  await scenario('attended transfer', async (alice, bob, carol) => {
    const [a] = await connect(alice, bob);
    await alice.do('hold', a);
    const [consult, c1] = await connect(alice, carol);
    await alice.do('refer', a, carol.uri, consult);
    // Where the stack leaves it to the page: the call that takes the other's place is answered.
    const c2 = await carol.find((c) => c.id !== c1 && c.direction === 'in', 'no call came in place of the other');
    await carol.do('answer', c2, false);
    const b = await bob.find((c) => c.direction === 'out' && c.state === 'established', 'bob did not call carol');
    await bothFlow(bob, b, carol, c2);
    await alice.state(a, 'ended');
    await alice.state(consult, 'ended');
    await carol.state(c1, 'ended');
    await bob.do('hangup', b);
    await carol.state(c2, 'ended');
  });
  await scenario('rejected', async (alice, bob) => {
    const id = await alice.call(bob.uri);
    await bob.do('reject', await bob.ringing('alice'), 486);
    const {status} = await alice.state(id, 'ended');
    check(status === 486, `alice was told ${status}`);
  });
  await scenario('cancelled', async (alice, bob) => {
    const id = await alice.call(bob.uri);
    const b = await bob.ringing('alice');
    await alice.state(id, 'ringing');
    await alice.do('hangup', id);
    await alice.state(id, 'ended');
    await bob.state(b, 'ended');
  });
  await scenario('phone cancels', async (alice) => {
    await lab(`phone dial ${alice.uri}`);
    const id = await alice.ringing('phone');
    await lab('phone hangup');
    await alice.state(id, 'ended');
  });
}

await serve();
const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'epcscf-matrix-'));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium', headless: true, args: FLAGS, ignoreHTTPSErrors: true,
  permissions: ['microphone', 'camera']});
try {
  for (const user of ['alice', 'bob', 'carol']) {
    const wic = new Wic(user, await context.newPage());
    await wic.open();
    wics.push(wic);
  }
  await all();
} catch (e) {
  failed += 1;
  say(`FAIL ${name}: ${e.stack}`);
}
await context.close();
fs.rmSync(profile, {recursive: true, force: true});
process.exit(failed ? 1 : 0);
