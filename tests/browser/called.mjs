// Scenario 3: registered with a token, called by the RTP phone. Prints READY once registered; the
// lab then lets the phone dial. The phone's side hangs up (the lab sees to it).
import {callLife, ringing} from './call.mjs';
import {say, scenario} from './phone.mjs';

await scenario('called by the RTP phone', ['alice'], async (alice) => {
  await alice.registerWithToken();
  say('READY');
  const {id} = await ringing(alice);
  await alice.do('answer', id);
  await callLife(alice, id);
  say('DONE');
  await alice.waitState(id, ['gone', 'ended', 'terminated']);
  say('  alice: the phone hung up');
  await alice.do('unregister');
});
