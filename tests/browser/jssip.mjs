// Unmodified JsSIP against the eP-CSCF.
import {stack} from './stacks.mjs';

await stack('jssip', 'JsSIP 3.13.8');
