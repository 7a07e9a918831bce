// One browser with the WWSF's page open: a thin wrapper around window.epcPhone, with the media
// statistics as numbers and waiting by deadline.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {scheduler} from 'node:timers/promises';
import {chromium} from 'playwright-core';

export const FLAGS = ['--no-sandbox', '--disable-gpu', '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream', '--ignore-certificate-errors', '--disable-quic',
  '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync',
  // For hosts without any other interface, and so that media stays on loopback.
  '--allow-loopback-in-peer-connection'];

/** No promise of the page may keep a scenario for longer. */
const LIMIT_S = 40;

export const DOMAIN = 'ims.test';
export const PAGE = process.env.LAB_PAGE || 'https://127.0.0.1:8444/';
export const USERS = {
  alice: {password: 'wonderland', impi: 'alice@ims.test', impu: 'sip:alice@ims.test'},
  bob: {password: 'builder', impi: 'bob@ims.test', impu: 'sip:bob@ims.test'},
};

export class Failure extends Error {}

export function check(condition, text) {
  if (!condition) throw new Failure(text);
}

export function say(text) {
  console.log(text);
}

/** Ask again until it is true or the deadline passes. */
export async function until(ask, seconds, what) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await ask();
    if (value) return value;
    if (Date.now() >= end) throw new Failure(`${what} within ${seconds} s`);
    await scheduler.wait(100);
  }
}

export class Phone {
  /** @param prepare what is to be done to the page before it is loaded */
  static async open(user, page = PAGE, prepare = async () => {}) {
    const phone = new Phone();
    phone.user = user;
    phone.profile = fs.mkdtempSync(path.join(os.tmpdir(), 'epcscf-browser-'));
    phone.context = await chromium.launchPersistentContext(phone.profile, {
      executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
      headless: true, args: FLAGS, ignoreHTTPSErrors: true,
      permissions: ['microphone', 'camera'],
    });
    phone.console = [];
    phone.page = phone.context.pages()[0] || await phone.context.newPage();
    phone.page.on('console', (m) => phone.console.push(`${m.type()}: ${m.text()}`));
    phone.page.on('pageerror', (e) => phone.console.push(`error: ${e.message}`));
    await prepare(phone.page);
    await phone.page.goto(page);
    await phone.page.waitForFunction(() => Boolean(window.epcPhone), null, {timeout: 15000});
    // Every event that the page reports, in order, for waits that cannot miss one.
    await phone.page.evaluate(() => {
      window.labEvents = [];
      for (const name of ['registered', 'unregistered', 'registrationFailed', 'incoming',
        'progress', 'accepted', 'confirmed', 'ended', 'failed', 'hold', 'unhold', 'resume',
        'disconnected', 'connected']) {
        window.epcPhone.on(name, (data) => {
          let plain = null;
          try { plain = JSON.parse(JSON.stringify(data ?? null)); } catch { plain = String(data); }
          window.labEvents.push({name, data: plain});
        });
      }
    });
    return phone;
  }

  async close() {
    await this.context.close();
    fs.rmSync(this.profile, {recursive: true, force: true});
  }

  /** Call a method of window.epcPhone and give its result. */
  do(method, ...args) {
    return Promise.race([
      this.page.evaluate(([m, a]) => window.epcPhone[m](...a), [method, args]),
      scheduler.wait(LIMIT_S * 1000, {ref: false}).then(() => {
        throw new Failure(`${this.user}: ${method}() gave no result within ${LIMIT_S} s`);
      }),
    ]);
  }

  events() {
    return this.page.evaluate(() => window.labEvents);
  }

  /** The first event of that name after position `since`. */
  async event(name, since = 0, seconds = 15) {
    return until(async () => (await this.events()).slice(since).find((e) => e.name === name),
      seconds, `${this.user}: the page reported no "${name}"`);
  }

  async registerWithToken() {
    await this.do('login', this.user, USERS[this.user].password);
    await this.do('registerWithToken');
  }

  async registerWithDigest() {
    const {impi, impu, password} = USERS[this.user];
    await this.do('registerWithDigest', {impi, impu, password});
  }

  calls() {
    return this.do('calls');
  }

  async state(id) {
    const call = (await this.calls()).find((c) => c.id === id);
    return call ? call.state : 'gone';
  }

  /** Wait until the call is in one of the states. */
  waitState(id, states, seconds = 20) {
    return until(async () => states.includes(await this.state(id)), seconds,
      `${this.user}: call ${id} did not become ${states.join(' or ')}`);
  }

  /** {audio: {sent, received}, video: {sent, received}} in packets, from getStats. */
  async media(id) {
    return packets(await this.do('stats', id));
  }
}

/** RTP packets by medium, from the page's summary {media: [{kind, packetsSent, packetsReceived}]} or
 * from the plain entries of a getStats report. */
export function packets(report) {
  const entries = Array.isArray(report) ? report : report?.media ?? Object.values(report ?? {});
  const sum = {audio: {sent: 0, received: 0}, video: {sent: 0, received: 0}};
  for (const entry of entries) {
    if (!sum[entry?.kind] || !['outbound-rtp', 'inbound-rtp', undefined].includes(entry.type)) continue;
    sum[entry.kind].sent += entry.packetsSent ?? 0;
    sum[entry.kind].received += entry.packetsReceived ?? 0;
  }
  return sum;
}

/** Wait until both counts of a medium have grown by at least `by` packets over `from`. */
export async function flows(phone, id, kind, from, by = 25, seconds = 15) {
  let now = from;
  await until(async () => {
    now = await phone.media(id);
    return now[kind].sent - from[kind].sent >= by && now[kind].received - from[kind].received >= by;
  }, seconds, `${phone.user}: ${kind} did not flow both ways (${JSON.stringify(from[kind])} to ` +
     `${JSON.stringify(now[kind])})`).catch((e) => {
    throw new Failure(`${e.message}; last seen ${JSON.stringify(now[kind])}`);
  });
  return now;
}

/** Run a scenario's body with phones that are closed whatever happens; sets the exit status. */
export async function scenario(title, users, body) {
  const phones = [];
  let failed = false;
  try {
    for (const user of users) phones.push(await Phone.open(user));
    await body(...phones);
    say(`pass browser: ${title}`);
  } catch (e) {
    failed = true;
    say(`FAIL browser: ${title}: ${e instanceof Failure ? e.message : e.stack}`);
    for (const phone of phones) {
      for (const line of phone.console.slice(-15)) say(`    ${phone.user} console: ${line}`);
      try {
        say(`    ${phone.user} events: ${JSON.stringify(await phone.events())}`);
      } catch { /* the page is gone: its console is all there is */ }
    }
  }
  for (const phone of phones) await phone.close();
  process.exit(failed ? 1 : 0); // timers that only guard a limit must not hold the process
}
