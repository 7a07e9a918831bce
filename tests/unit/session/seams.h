/* Doors of sip/ (transactions), registration/, gateway/, shard/ and a policy client, played by the
 * test: every message that session/ sends is kept, every answer comes when the test says so. */
#ifndef SEAMS_H
#define SEAMS_H

#include <sofia-sip/sip_header.h>

#include "session/session.h"

enum { SEAM_MAX = 64 };

struct epc_sip_in {
    msg_t *msg;
    enum epc_leg leg;
    uint64_t flow;
    int n_answers, final, released;
    int status[SEAM_MAX];
    msg_t *answer[SEAM_MAX]; /* NULL where it was made here by reply or refuse */
    char *refusal_warning, *refusal_sdp;
    unsigned min_se;
    const char *unsupported;
    char *reply_sdp; /* body of a reply that was made here */
    bool routed;
    const char *response_source;
    void (*cancel_fn)(void *arg, struct epc_sip_in *in, const sip_t *cancel);
    void *cancel_arg;
};
struct epc_sip_out {
    msg_t *msg;
    enum epc_leg leg;
    epc_sip_response_fn *fn;
    void *arg;
    uint64_t flow;
    bool cancelled, detached;
};
struct epc_gw_ctx {
    epc_gw_event_fn *event;
    void *event_arg;
    epc_gw_done_fn *done;
    void *arg;
    bool is_answer, released, emergency;
    bool shut_access, shut_core; /* what the gate was told last */
    int gates;                   /* how often */
    enum epc_gw_side from, offerer;
    struct epc_sdp *remote;
};
struct epc_policy_session {
    struct epc_addr ue;
    unsigned n_rebound;
    bool signalling;
    epc_policy_event_fn *event;
    void *event_arg;
    epc_policy_done_fn *done;
    void *arg;
    struct epc_service_info *info;
    char called[64], calling[64], icsi[128], urn[32], mps[32];
    bool closed;
};

struct seams {
    struct epc_sip_out *out[SEAM_MAX];
    int n_out;
    msg_t *ack[SEAM_MAX];
    enum epc_leg ack_leg[SEAM_MAX];
    int n_ack;
    struct epc_gw_ctx *gw[SEAM_MAX];
    int n_gw, restores;
    struct epc_policy_session *rx[SEAM_MAX];
    int n_rx, n_rx_requests;
    int64_t acceptable_bps;       /* what a refusal names, or 0 */
    const char *ue;               /* address of the WIC; NULL: the usual one */
    uint64_t gone_flow;           /* epc_wss_flow() has nothing for it */
    uint64_t moved_from, moved_to; /* what epc_sip_flow_now() says */
    const char *charging_functions;
    bool phone;                   /* the user has a SIP URI of its number, too */
    bool token_refused;           /* epc_reg_check() says no */
    bool registered, no_service_route, out_fails, anonymous, over;
};
extern struct seams seam;
extern struct epc_policy_client seam_policy;

void seams_reset(void);
/** Run what was put off to the end of the turn. */
void seams_turn(void);
/** Let the timer that is due next fire. */
bool seams_fire_timer(void);
/** After how many ms the session timer (the only one of minutes) is due; 0: none. */
uint64_t seam_timer_after(const char *which);
struct epc_sip_in *seam_in(enum epc_leg leg, uint64_t flow, const char *text);
void seam_in_free(struct epc_sip_in *in);
void seam_cancel(struct epc_sip_in *in);
/** Answer a request that was sent. @p sdp NULL = none; @p extra header lines. */
void seam_respond(struct epc_sip_out *out, int status, const char *to_tag, const char *sdp,
                  const char *extra);
/** The transaction is over (last callback). */
void seam_over(struct epc_sip_out *out);
/** The gateway finishes the open operation. */
void seam_gw_done(struct epc_gw_ctx *c, bool ok);
void seam_rx_done(struct epc_policy_session *p, enum epc_policy_outcome outcome, uint32_t code);

#endif
