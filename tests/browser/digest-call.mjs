// Scenario 2: register with SIP Digest, end to end with the core, call the RTP phone.
import {callLife, hangUp} from './call.mjs';
import {say, scenario} from './phone.mjs';

await scenario('Digest registration and call', ['alice'], async (alice) => {
  await alice.registerWithDigest();
  say('  alice: registered with Digest');
  const id = await alice.do('call', 'sip:phone@ims.test', {video: false});
  await callLife(alice, id);
  await hangUp(alice, id);
  await alice.do('unregister');
  say('  alice: unregistered');
});
