/* One Rx client against one PCRF on stock freeDiameterd: what the tests of diameter-ext/ share. */
#ifndef RX_CASE_H
#define RX_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "diameter/diameter.h"
#include "pcrf_peer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct rx_case {
    struct pcrf_peer pcrf;
    struct epc_cfg_policy cfg; /* rx_set_up() fills what is 0 */
    struct epc_diameter *d;
    struct epc_shard *shard;
};
extern struct rx_case t;

void nap(void);
#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        uint64_t until_ = epc_now_ms() + 20000;                                                    \
        while (!(condition) && epc_now_ms() < until_)                                              \
            nap();                                                                                 \
        assert_true(condition);                                                                    \
    } while (0)

void on_shard(void (*fn)(void *arg), void *arg); /* returns when it has run */

#define MAX_RESULTS 8

/* One session and what it heard. Written on the shard; counts are read from the test. */
struct call {
    struct epc_policy_session *s;
    const char *impu, *ue; /* NULL: the usual ones */
    struct epc_policy_open with; /* what else is asked for; identities above come first */
    struct epc_service_info *info[MAX_RESULTS]; /* to send, one after the other */
    size_t n_info;
    bool close_in_callback;
    _Atomic int n_results, n_events;
    struct epc_policy_result result[MAX_RESULTS];
    struct epc_policy_event event[MAX_RESULTS];
    struct epc_policy_access access[MAX_RESULTS];     /* of the event of the same number */
    struct epc_policy_charging charging[MAX_RESULTS];
};
void open_call(void *call);
void send_all(void *call);  /* what info[] holds */
void close_call(void *call);
/* Open, and send what info[] holds: audio and video if it is empty. */
void ask(struct call *c);
/* Send one more and wait for its result. */
const struct epc_policy_result *tell(struct call *c, struct epc_service_info *info);

void component(struct epc_media_component *c, unsigned number, enum epc_media_type type, int64_t bps,
               unsigned agw_port, unsigned ue_port);
/* An audio and a video component, before ICE: the video port of the WIC is not known. */
struct epc_service_info *audio_video(void);
struct epc_service_info *video_update(void); /* it is known now */
struct epc_service_info *one_component(unsigned number, enum epc_media_type type, int64_t bps);

/* The PCRF's side. */
int count(const char *dir, const char *command); /* messages recorded */
/* AVPs of the last message of that kind; *all keeps them alive. */
json_t *last(json_t **all, const char *command);
int count_avps(const json_t *avps, const char *name);
void nothing_left(void); /* at either side */
void fresh(const char *rules); /* rules, and an empty record */
bool avoided(void);      /* is the PCRF left alone for a while? */
/* Compare with a file of tests/unit/diameter; Session-Id and Origin-State-Id have no fixed value. */
void golden(const char *file, json_t *avps);

/* EPC_ONLY=pattern in the environment runs some of them. */
#define RX_RUN(tests, set_up)                                                                      \
    (cmocka_set_test_filter(getenv("EPC_ONLY")), cmocka_run_group_tests(tests, set_up, rx_tear_down))
int rx_set_up(void **state);
int rx_tear_down(void **state);

#endif
