// A call outlives its connection: the eP-CSCF's socket is cut by whoever waits for the line CUT; JsSIP
// connects and registers again by itself, and the dialog goes on over the new connection.
import {callLife, hangUp} from './call.mjs';
import {flows, say, scenario} from './phone.mjs';

await scenario('a call goes on over a new connection', ['alice'], async (alice) => {
  await alice.registerWithToken();
  const id = await alice.do('call', 'sip:phone@ims.test', {video: false});
  await alice.waitState(id, ['confirmed', 'established', 'accepted']);
  await flows(alice, id, 'audio', await alice.media(id));
  const since = (await alice.events()).length;
  say('CUT');
  await alice.event('disconnected', since, 15);
  say('  alice: the connection is lost');
  await alice.event('registered', since, 20);
  say('  alice: registered again');
  await flows(alice, id, 'audio', await alice.media(id));
  say('  alice: audio goes on');
  await callLife(alice, id); // re-INVITEs of the old dialog, over the new connection
  await hangUp(alice, id);
  await alice.do('unregister');
});
