/* What lies below the contexts of Iq, played by the test: timers, the hub, and with it the gateway. One
 * thread, and nothing happens but what the test says. */
#ifndef IQ_SEAMS_H
#define IQ_SEAMS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/h248/iq_priv.h"

enum { SEAM_MAX = 64 };

/** A request that was sent and not answered yet. */
struct open_request {
    struct epc_h248_message *msg;
    h248_reply_fn *done;
    void *arg;
    unsigned mg;
    bool emergency;
};

struct seams {
    struct epc_cfg_media cfg;
    struct epc_gw *gw;
    struct epc_gw_ctx *ctx;
    const char *packages;  /* "adid ostuncc": the optional ones that all gateways have */
    enum epc_err refuse;   /* what h248_request() returns from now on */
    struct open_request open[SEAM_MAX]; /* oldest first */
    size_t n_open;
    const struct h248_client_ops *ops; /* of the client */
    void *ops_arg;
    unsigned n_ended;      /* h248_context_ended() */
    /* results and events, newest last */
    struct {
        enum epc_err err;
        char *local;
        struct epc_cause cause;
        int tag;
    } done[SEAM_MAX];
    size_t n_done;
    struct epc_gw_event event[SEAM_MAX];
    size_t n_events;
    bool release_in_done, release_in_event;
    struct gw_statistics stat;
    unsigned n_stats;
};
extern struct seams seam;

/** The defaults of the configuration, no optional package, one context. */
void seams_start(void);
/** Releases what is left; every context must end by that. */
void seams_stop(void);
void seams_context(bool emergency, int priority); /**< a further one, that takes the place in `seam` */
/** Fire every timer that is due within @p ms, as often as one comes. */
void seams_wait(uint64_t ms);

/** The actions of the oldest open request must be @p want (in any layout); it stays open. */
void expect(const char *want);
void expect_nothing(void);
/** Does the oldest open request hold @p part, as it is printed? */
bool asks_for(const char *part);
/** Answer the oldest open request with these actions, or with an error of the whole transaction. */
void reply(const char *actions);
void reply_error(unsigned code);
void reply_fails(enum epc_err err);
/** A Notify or ServiceChange: "Notify = ip/1/access/17 { ... }". @return the H.248 error code */
unsigned notify(uint32_t context, const char *command);
void service_change(uint32_t context, const char *command);
/** The exchanges of tests/golden/iq/@p file: for each "> request" what is expected, for each "< reply"
 *  what is answered. Goes on where the last call for this file stopped, to the next line "=" or the end. With EPC_GOLDEN_WRITE
 *  what is missing at the end of a file, or all of it, is written. */
void play(const char *file);

void offer(enum epc_gw_side from, const char *remote, const char *want, int tag);
void answer(const char *remote, const char *want, int tag);
void restore(enum epc_gw_side offerer, const char *offer_remote, const char *answer_remote);
void gate(bool to_access, bool to_core);
void release(void);
struct epc_gw_view view(void);
/** The last result: of that tag, and fine. @return the description */
const char *result(int tag);
/** The last result: of that tag, and refused with @p status. */
void refusal(int tag, int status, bool retry_after);

#endif
