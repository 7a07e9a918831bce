// What an unmodified SIP stack has to be able to do with the eP-CSCF from a page of another WWSF, on an
// origin of its own: registration by token and by Digest, and what can go wrong in its life.
import {build} from 'esbuild';
import crypto from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {chromium} from 'playwright-core';
import {check, FLAGS, PAGE, say, until} from './phone.mjs';

const {LAB_A, LAB_CERTS} = process.env;
const PORT = 9443;
const CUT_PORT = 9444;
const here = path.dirname(fileURLToPath(import.meta.url));

/** A token of the lab's second issuer, whose key is at hand. */
function token(lifetimeS) {
  const b64 = (o) => Buffer.from(JSON.stringify(o)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const text = `${b64({alg: 'RS256', typ: 'at+jwt', kid: 'lab-rsa'})}.${b64({iss: 'https://waf.ims.test',
    aud: 'epcscf.ims.test', iat: now, exp: now + lifetimeS, scope: 'sip', azp: 'lab-wwsf', sub: 'alice',
    jti: crypto.randomUUID(), impi: 'alice@ims.test', impu: ['sip:alice@ims.test']})}`;
  const key = fs.readFileSync(path.join(LAB_CERTS, 'rsa-key.pem'));
  return `${text}.${crypto.sign('sha256', Buffer.from(text), key).toString('base64url')}`;
}

/** The other WWSF: one page with the stack in it. */
async function serve(name) {
  const out = await build({entryPoints: [path.join(here, 'stacks', `${name}.js`)], bundle: true, write: false,
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

/** On the way to the eP-CSCF, so that connections can be cut: as a server does that dies. */
async function wire() {
  const pairs = new Set();
  const {hostname, port} = new URL(LAB_A);
  const server = net.createServer((client) => {
    const up = net.connect(Number(port), hostname);
    const pair = [client, up];
    const end = () => pair.forEach((s) => s.destroy());
    pairs.add(pair);
    for (const s of pair) s.on('error', end).on('close', end);
    client.pipe(up).pipe(client);
  });
  await new Promise((resolve) => server.listen(CUT_PORT, '127.0.0.1', resolve));
  return () => {
    for (const [client, up] of pairs) {
      client.resetAndDestroy();
      up.destroy();
    }
    pairs.clear();
  };
}

export async function stack(name, title) {
  await serve(name);
  const cut = await wire();
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'epcscf-stack-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium', headless: true, args: FLAGS,
    ignoreHTTPSErrors: true});
  const page = context.pages()[0] || await context.newPage();
  const said = [];
  page.on('console', (m) => said.push(m.text()));
  page.on('pageerror', (e) => said.push(e.message));
  // Refreshes are no events of the stacks': what crosses the connection counts.
  let accepted = 0;
  page.on('websocket', (ws) => ws.on('framereceived', ({payload}) => {
    const text = String(payload);
    if (text.startsWith('SIP/2.0 200') && /^CSeq: *\d+ REGISTER/im.test(text)) accepted += 1;
  }));
  await page.goto(`https://127.0.0.1:${PORT}/`);
  const call = (method, ...args) => page.evaluate(([m, a]) => window.stack[m](...a), [method, args]);
  const count = async (event) => (await call('events')).filter((e) => e.name === event).length;
  const nth = (event, n, seconds = 15) => until(async () =>
    (await call('events')).filter((e) => e.name === event)[n - 1], seconds, `${event} number ${n}`);
  // Which eP-CSCF: asked of the WWSF from the page, as any page may. The way there is through the cutter.
  const place = await page.evaluate(async (u) => (await fetch(u)).json(), `${PAGE}api/epcscf?serving=262-01`);
  const url = `wss://127.0.0.1:${CUT_PORT}${new URL(place.epcscf[0]).pathname}`;
  const start = (options) => call('start', {url, uri: 'sip:alice@ims.test', expires: 600, ...options});
  const refreshes = async (n) => {
    const before = accepted;
    await until(async () => accepted >= before + n, 25, `${n} refreshes`);
    check(await count('failed') === 0, 'a refresh failed');
  };
  let failed = 0;

  async function test(what, body) {
    try {
      await body();
      say(`pass ${title}: ${what}`);
    } catch (e) {
      failed += 1;
      say(`FAIL ${title}: ${what}: ${e.message}`);
      say(`    events: ${JSON.stringify(await call('events'))}`);
      for (const line of said.slice(-5)) say(`    console: ${line}`);
    }
    await call('stop');
  }

  check(place.epcscf[0] === LAB_A, 'the WWSF names another eP-CSCF');
  await test('token, refresh, leave', async () => {
    await start({token: token(600), expires: 10});
    await nth('registered', 1);
    await refreshes(2); // by itself, before the 10 s are over, and again
    await call('unregister');
    await nth('unregistered', 1);
  });
  await test('token that ends in mid-life', async () => {
    await start({token: token(16)});
    await nth('registered', 1);
    const {status, challenge} = await nth('failed', 1, 20);
    check(status === 401 && /^Bearer /.test(challenge) && /error="invalid_token"/.test(challenge),
      `${status} ${challenge}`);
    const before = await count('registered');
    await call('renew', token(600));
    await nth('registered', before + 1);
  });
  await test('connection cut by the server', async () => {
    await start({token: token(600)});
    await nth('registered', 1);
    cut();
    await nth('disconnected', 1);
    await nth('registered', 2, 20);
  });
  await test('SIP Digest', async () => {
    await start({user: 'alice@ims.test', password: 'wonderland', expires: 10});
    await nth('registered', 1);
    await refreshes(1);
    cut();
    await nth('registered', 2, 20);
    await call('unregister');
    await nth('unregistered', 1);
  });
  await test('wrong password', async () => {
    await start({user: 'alice@ims.test', password: 'rabbit'});
    const {status} = await nth('failed', 1);
    check([401, 403].includes(status), `${status}`);
    check(await count('registered') === 0, 'registered');
  });
  await context.close();
  fs.rmSync(profile, {recursive: true, force: true});
  process.exit(failed ? 1 : 0);
}
