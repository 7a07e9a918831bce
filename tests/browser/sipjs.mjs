// Unmodified SIP.js against the eP-CSCF.
import {stack} from './stacks.mjs';

await stack('sipjs', 'SIP.js 0.21.2');
