// The life of one call on a phone, shared by the scenarios: media both ways, hold, resume, hang up.
import {check, flows, say, until} from './phone.mjs';

/** Both counts of audio for as long as it takes to see whether packets still arrive. */
async function received(phone, id) {
  return (await phone.media(id)).audio.received;
}

/** While held, the far side's packets must stop: two counts in a row that are the same. */
async function stopped(phone, id, seconds = 10) {
  let last = -1;
  await until(async () => {
    const now = await received(phone, id);
    const still = now === last;
    last = now;
    return still;
  }, seconds, `${phone.user}: audio still arrives while the call is on hold`);
}

/** From an answered call to its end. kinds: the media that must flow. */
export async function callLife(phone, id, kinds = ['audio']) {
  await phone.waitState(id, ['confirmed', 'established', 'accepted']);
  for (const kind of kinds) {
    const media = await flows(phone, id, kind, await phone.media(id));
    say(`  ${phone.user}: ${kind} sent ${media[kind].sent}, received ${media[kind].received} packets`);
  }
  await phone.do('hold', id);
  await phone.waitState(id, ['held', 'hold', 'onhold']);
  await stopped(phone, id);
  say(`  ${phone.user}: on hold, audio stopped`);
  await phone.do('resume', id);
  await phone.waitState(id, ['confirmed', 'established', 'accepted']);
  for (const kind of kinds) {
    const media = await flows(phone, id, kind, await phone.media(id));
    say(`  ${phone.user}: resumed, ${kind} sent ${media[kind].sent}, received ${media[kind].received}`);
  }
}

export async function hangUp(phone, id) {
  await phone.do('hangup', id);
  await phone.waitState(id, ['gone', 'ended', 'terminated', 'failed']);
  say(`  ${phone.user}: hung up`);
}

/** The first incoming call that rings. */
export async function ringing(phone, seconds = 20) {
  const call = await until(
    async () => (await phone.calls()).find((c) => ['incoming', 'ringing'].includes(c.state)),
    seconds, `${phone.user}: no call came in`);
  check(call.id !== undefined, 'a call must have an id');
  return call;
}
