// A guest at the WWSF: an identity of the pool, its registration beyond the end of its first token, and
// a reload of the page, which keeps both. LAB_TOKEN_S: how long tokens live.
import {Phone, PAGE, check, say, until} from './phone.mjs';

const LIFE_S = Number(process.env.LAB_TOKEN_S || 36);
const phone = await Phone.open('guest', PAGE);
try {
  await phone.page.waitForSelector('#guest:not([hidden])', {timeout: 10000});
  await phone.page.click('#guest');
  const state = () => phone.page.evaluate(() => window.epcPhone.state());
  const registers = () => phone.page.evaluate(async () => // with their answers
    (await window.epcPhone.ladder()).filter((line) => /^SIP\/2\.0 200[^]*CSeq: \d+ REGISTER/i.test(line.text)).length);
  const renewed = () => phone.page.evaluate(async () =>
    (await window.epcPhone.ladder()).filter((line) => line.words.startsWith('New token')).length);
  await until(async () => (await state()).registration === 'registered', 20, 'no registration');
  const began = Date.now();
  const {impu} = await state();
  check(/^sip:guest\d@/.test(impu), `a guest is ${impu}`);
  say(`  guest: registered as ${impu}`);
  await until(async () => await renewed() >= 1 && await registers() >= 2, LIFE_S,
    'no fresh token before the first one ended');
  say('  guest: registered again with a fresh token');
  await until(() => Date.now() - began > (LIFE_S + 2) * 1000, LIFE_S + 5, 'the clock stood still');
  check((await state()).registration === 'registered', 'the registration ended with the first token');
  const ended = await phone.page.evaluate(
    () => window.labEvents.filter((e) => ['unregistered', 'registrationFailed'].includes(e.name)));
  check(ended.length === 0, `in between: ${JSON.stringify(ended)}`);
  await phone.page.reload();
  await phone.page.waitForFunction(() => Boolean(window.epcPhone), null, {timeout: 15000});
  await until(async () => (await state()).registration === 'registered', 20, 'no registration after the reload');
  check((await state()).impu === impu, 'the reload took another identity');
  say('  guest: a reload keeps the identity');
  await phone.page.click('#logout');
  await phone.page.waitForSelector('#login:not([hidden])', {timeout: 10000});
  console.log('1 passed, 0 failed');
} catch (error) {
  console.log(`FAIL guest: ${error.message}`);
  for (const line of phone.console.slice(-10)) console.log(`    ${line}`);
  console.log('0 passed, 1 failed');
  process.exitCode = 1;
} finally {
  await phone.close();
}
