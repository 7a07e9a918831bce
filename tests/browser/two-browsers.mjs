// Scenario 4: two browsers, two registrations (one of each mode), a call with audio and video.
import {callLife, hangUp, ringing} from './call.mjs';
import {flows, say, scenario} from './phone.mjs';

await scenario('two browsers call each other with video', ['alice', 'bob'], async (alice, bob) => {
  await alice.registerWithToken();
  await bob.registerWithDigest();
  say('  alice and bob: registered');
  const id = await alice.do('call', 'sip:bob@ims.test', {video: true});
  const incoming = await ringing(bob);
  await bob.do('answer', incoming.id);
  await bob.waitState(incoming.id, ['confirmed', 'established', 'accepted']);
  for (const kind of ['audio', 'video']) {
    const media = await flows(bob, incoming.id, kind, await bob.media(incoming.id), 10);
    say(`  bob: ${kind} sent ${media[kind].sent}, received ${media[kind].received} packets`);
  }
  await callLife(alice, id, ['audio', 'video']);
  await hangUp(alice, id);
  await bob.waitState(incoming.id, ['gone', 'ended', 'terminated']);
  await alice.do('unregister');
  await bob.do('unregister');
  say('  both unregistered');
});
