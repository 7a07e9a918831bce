// Scenario 1: log in at the WWSF, register with its token, call the RTP phone.
import {callLife, hangUp} from './call.mjs';
import {say, scenario} from './phone.mjs';

await scenario('token registration and call', ['alice'], async (alice) => {
  await alice.registerWithToken();
  say('  alice: registered with a token');
  const id = await alice.do('call', 'sip:phone@ims.test', {video: false});
  await callLife(alice, id);
  await hangUp(alice, id);
  await alice.do('unregister');
  say('  alice: unregistered');
});
