/* A shard without loops, for tests that run on the program's own thread: messages wait until the test
 * takes them; timers never fire; there is no network. */
#ifndef EPC_TEST_FAKE_SHARD_H
#define EPC_TEST_FAKE_SHARD_H

#include "shard/shard.h"

extern struct epc_shard *const fake_shard;
/* Wait for one message (at most 20 s, else abort) and run it. */
void fake_shard_run_one(void);

#endif
