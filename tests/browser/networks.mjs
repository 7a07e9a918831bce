// Two networks, an eP-CSCF in each: which one the page goes to, what it does when one does not answer,
// and where it lets itself be sent.
import readline from 'node:readline/promises';
import {check, Phone, PAGE, say, until} from './phone.mjs';

const {LAB_A: A, LAB_B: B} = process.env;
const CELL_IN = {a: '2620112340abcdef', elsewhere: '2080112340abcdef'};
const lines = readline.createInterface({input: process.stdin})[Symbol.asyncIterator]();
let failed = 0;

/** Have the lab do something to a network: "b stop". */
async function lab(words) {
  console.log(`@ ${words}`);
  await lines.next();
}

async function scenario(title, query, body, {cell = ''} = {}) {
  let phone = null;
  try {
    phone = await Phone.open('alice', PAGE + query, cell ? (page) => tellCell(page, cell) : undefined);
    await body(phone);
    say(`pass networks: ${title}`);
  } catch (e) {
    failed += 1;
    say(`FAIL networks: ${title}: ${e.stack}`);
    if (phone) {
      for (const line of phone.console.slice(-10)) say(`    console: ${line}`);
      for (const line of (await phone.do('ladder')).slice(-12)) say(`    ${line.dir} ${line.title} ${line.words}`);
    }
  }
  await phone?.close();
}

/** As a WIC that knows its cell would: P-Access-Network-Info in each REGISTER. */
function tellCell(page, cell) {
  return page.routeWebSocket(/^wss:/, (ws) => {
    const server = ws.connectToServer();
    ws.onMessage((message) => server.send(String(message).startsWith('REGISTER ') ? String(message).replace('\r\n',
      `\r\nP-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=${cell}\r\n`) : message));
  });
}

const at = async (phone) => (await phone.do('state')).url;
const known = async (query) => (await fetch(`${PAGE}api/epcscf?${query}`)).json();

await scenario('the eP-CSCF of each network', '', async (phone) => {
  for (const [plmn, url] of [['262-01', A], ['310260', B], ['262-09', A], ['26299', A], ['', A]]) {
    await phone.do('login', 'alice', 'wonderland', {plmn});
    await phone.do('registerWithToken');
    check(await at(phone) === url, `network ${plmn || '(none)'}: at ${await at(phone)}, not at ${url}`);
    await phone.do('unregister');
  }
  await phone.do('registerWithDigest', {impi: 'alice@ims.test', impu: '', password: 'wonderland', plmn: '310-260'});
  check(await at(phone) === B, 'with Digest: not at b');
});

await scenario('the networks of the address of the page', '?plmn=999-99&home=310-260', async (phone) => {
  await phone.registerWithToken();
  check(await at(phone) === B, `at ${await at(phone)}, not at b`);
});

await scenario('the next one when one does not answer', '?plmn=310-260', async (phone) => {
  await phone.registerWithToken();
  check(await at(phone) === B, 'not at b');
  const since = (await phone.events()).length;
  await lab('b stop');
  await phone.event('registered', since, 30);
  check(await at(phone) === A, `b has gone: at ${await at(phone)}, not at a`);
  await until(async () => (await known('serving=310-260')).epcscf[0] === A, 15, 'the WWSF did not find b down');

  const second = await Phone.open('bob', `${PAGE}?plmn=310-260`);
  await second.registerWithToken();
  check(await at(second) === A, 'who comes now is not sent to a');
  await second.close();

  const back = (await phone.events()).length;
  await lab('b start');
  await until(async () => (await known('serving=310-260')).epcscf[0] === B, 15, 'the WWSF did not find b up');
  await phone.event('registered', back, 30);
  check(await at(phone) === B, `b is back: at ${await at(phone)}`);
});

await scenario('sent on by 305', '?plmn=310-260', async (phone) => {
  await phone.registerWithToken();
  check(await at(phone) === A, `at ${await at(phone)}, not at a`);
  const titles = (await phone.do('ladder')).map((line) => line.title);
  check(titles.some((t) => t.includes('305')), `no 305 among ${titles}`);
}, {cell: CELL_IN.a});

await scenario('a 305 to a stranger is not followed', '?plmn=310-260', async (phone) => {
  await phone.do('login', 'alice', 'wonderland', {});
  const error = await phone.do('registerWithToken').then(() => null, (e) => e.message);
  check(error, 'it registered');
  const state = await phone.do('state');
  check(state.url === B && state.registration === 'none', `at ${state.url}, ${state.registration}`);
  check((await phone.do('ladder')).some((l) => l.words.includes('Not followed')), 'the ladder does not say why');
}, {cell: CELL_IN.elsewhere});

process.exit(failed ? 1 : 0);
