/* Inside session/. A call (struct epc_session) holds the dialog, its media and its policy session.
 * What happens to it comes as *jobs* (a request, a response, an ACK, a new media address), worked off
 * one at a time: a job that waits for the gateway or the policy function holds up the later ones, so
 * that nothing overtakes an offer or an answer. A *transfer* is one request on its way through. */
#ifndef EPC_SESSION_PRIV_H
#define EPC_SESSION_PRIV_H

#include "session/session.h"

#include <sofia-sip/sip_header.h>

struct epc_session;
struct job;
struct transfer;
struct early;
struct reliable;

/* ---- dialog state machine (fsm.c) -------------------------------------------------------------- */

enum call_state {
    CALL_OFFERING,   /* initial INVITE in hand, gateway reserving */
    CALL_PROCEEDING, /* INVITE sent on, no dialog yet */
    CALL_EARLY,      /* a 1xx with a To tag passed */
    CALL_CONFIRMED,  /* a 2xx passed */
    CALL_ENDING,     /* over for us; transactions are still finishing */
    CALL_STATES
};
enum call_event {
    CALL_EV_SENT,     /* the INVITE went out */
    CALL_EV_EARLY,    /* 101..199 with a To tag relayed */
    CALL_EV_ANSWERED, /* 2xx relayed */
    CALL_EV_REJECTED, /* final non-2xx relayed or made here */
    CALL_EV_BYE,      /* a BYE of the confirmed dialog passed */
    CALL_EV_RELEASE,  /* we end it */
    CALL_EVENTS
};
/** Apply an event: runs the row's action and moves on; false when the table has no row (counted). */
bool call_event(struct epc_session *s, enum call_event ev);
const char *call_state_name(enum call_state st);

/* ---- objects --------------------------------------------------------------------------------------- */

struct flow_calls { /* the calls of one flow, so that its end costs only what it held */
    struct epc_hnode node;
    uint64_t flow_id;
    struct epc_session *first;
};

struct epc_sessions {
    struct epc_shard *shard;
    struct epc_sip *sip;
    struct epc_reg *reg;
    struct epc_gw *gw;
    struct epc_policy_client *policy;
    const struct epc_config *cfg;
    struct epc_wss *wss;
    struct epc_iw_policy iw_policy;
    struct epc_hash calls; /* by flow and Call-ID */
    struct epc_hash flows;
    struct epc_hash signalling; /* AF signalling sessions, by flow */
    struct transfer *loose; /* transfers outside of any call */
    struct epc_hash loose_flows; /* dialogs of SUBSCRIBE and REFER, by flow (loose.c) */
    uint64_t next_icid;
};

/** One party of the dialog as the other one sees it. */
struct party {
    char *identity;   /* From or To value with tag */
    char *tag;
    char *target;     /* Contact URI */
    uint32_t cseq;    /* last CSeq number that it sent, or that we sent in its name */
};

struct epc_session {
    struct epc_hnode node;
    struct epc_sessions *ss;
    struct epc_session *flow_next, **flow_prev;
    uint64_t flow_id;
    bool originating;         /* the WIC called */
    enum call_state state;
    uint64_t started_ms;
    char *call_id;
    char *caller_tag;
    struct party wic, core;
    char **core_routes;       /* route set beyond us, NULL-terminated; NULL until the dialog is known */
    char *icid, *impu, *called_party;
    bool answered;            /* a 2xx was relayed */
    bool running;             /* session_run() is on the call stack */
    bool held;                /* confirmed, and the WIC's connection is lost: it may come back */
    bool bye_due;             /* ended meanwhile: the WIC hears of it when it comes back */

    struct job *queue, **queue_tail, *active;
    struct transfer *transfers;
    struct transfer *invite;  /* the initial INVITE while it is open */
    struct transfer *offering; /* the exchange whose offer is pending */
    char *ack_text;           /* SDP answer of the last ACK that had one: a repeated ACK carries it again */

    struct epc_iw *iw;
    struct epc_gw_ctx *gw;
    struct epc_policy_session *policy;
    enum epc_policy_mode policy_mode; /* as it applies to this UE */
    struct epc_addr ue;            /* what the policy session knows it by */
    struct epc_service_info *told; /* what the policy function knows */
    struct epc_service_info *asked; /* full information behind the open request */
    bool tell_again;               /* the policy function must hear of it though nothing has changed */
    bool several_dialogues;        /* early dialogs share the policy session */
    char *first_tag;               /* of the first early dialog that had an answer */
    struct early *at_gateway;      /* whose answer the gateway has, while the INVITE is open */
    bool shut_access, shut_core;   /* early media is held back at the gateway, towards that side */
    bool preconditions;            /* this node stands for the WIC's (RFC 3312) */
    uint32_t lost_components;      /* bit n - 1: component n has no bearer */
    uint32_t unpaid_components;    /* the same for credit */
    char *access_info;             /* value of a network-provided P-Access-Network-Info */
    char *charging_info;           /* access-network-charging-info for P-Charging-Vector */
    char *requested, *icsi;        /* Request-URI of the INVITE; its service identifier */
    char *mps;                     /* the priority service, as the core's INVITE has it */
    char ice_ufrag[64];            /* of the WIC; another one is a restart */
    uint32_t ice_generation;
    struct epc_addr learned[EPC_SDP_MAX_MEDIA];
    struct epc_timer grace;   /* all media lost: waits for recovery */
    bool emergency;           /* no refusal and no end of a registration stops it */
    bool freeing;

    /* timer.c, indexed by enum epc_leg */
    struct epc_timer session_timer;
    bool self_refresh;        /* neither end has session timers: this node asks */
    bool updates[2];          /* that party takes UPDATE */
    struct epc_sip_out *probe[2];
    uint32_t cseq_shift[2];   /* requests of our own that stand in front of what goes to that leg */
    struct {
        uint32_t cseq, shift;
    } invite_sent[2];         /* the newest INVITE to that leg: its ACK has the same number */
};

/** An early dialog as its responses make it, or the only one of a request inside a dialog (early.c). */
struct early {
    struct early *next;
    char *tag;                /* of To; "" for none */
    char *sdp;                /* its answer as it came: carried out again when the caller settles on it */
    char *answer_text;        /* what that became: repeated responses carry it again */
    bool final;               /* answered for good: 2xx or reliable 1xx */
    uint32_t rseq;            /* the newest reliable response acknowledged from here; 0: none */
    bool authorised;          /* it had a P-Early-Media; what it says: */
    bool backward, forward;   /* media to the caller, to the callee */
};

struct transfer {
    struct transfer *next, **prev;
    struct epc_sessions *ss;
    struct epc_session *s;    /* NULL: outside of a call */
    struct epc_sip_in *in;
    struct epc_sip_out *out;
    sip_method_t method;
    enum epc_leg from;
    unsigned jobs;            /* queued or active jobs that refer to it */
    bool initial;             /* opens the dialog */
    bool in_dialog;
    struct early *early;      /* the callee's dialogs that it has made or is in */
    struct reliable *reliable; /* its provisional responses on their way to the core (reliable.c) */
    bool wants_preconditions; /* its sender knows RFC 3312 */
    bool acts_reliably;       /* this node does for the WIC what RFC 3262 asks */
    bool offered;             /* it came without an offer and a response brought one */
    bool finished;            /* a final response was relayed or made here */
    int unacked;              /* INVITE: 2xx relayed less ACKs that came back */
    bool cancelled;
    bool timed_out;           /* timer C fired */
    bool emergency;
    bool uac_timer;           /* its sender has session timers */
    uint32_t session_expires; /* interval in the request as sent; 0: none */
    char *called_party;       /* P-Called-Party-ID of a core request */
    char *icid, *orig_ioi;
    char *offer_text;         /* SDP of its responses that made an offer, as relayed */
    char *acceptable_sdp;     /* body of a 488: what the policy function would grant */
    struct epc_timer timer_c;
};

/** How a negotiation ends; @p cause NULL when all sides agreed. */
typedef void media_done_fn(struct epc_session *s, struct job *j, const struct epc_cause *cause);

enum job_kind { JOB_REQUEST, JOB_RESPONSE, JOB_ACK, JOB_POLICY };
struct job {
    struct job *next;
    enum job_kind kind;
    struct transfer *x;       /* NULL for ACK and policy jobs */
    msg_t *msg;               /* owned */
    int status;               /* of a response */
    enum epc_leg from;        /* where the message came from */
    struct early *early;      /* dialog of a response */
    media_done_fn *done;      /* while a negotiation is under way */
    char *answer;             /* text for the offerer while the policy function is asked */
};

/* ---- session.c --------------------------------------------------------------------------------------- */

struct epc_session *session_find(struct epc_sessions *ss, uint64_t flow_id, enum epc_leg from,
                                 const sip_t *sip);
struct epc_session *session_new(struct epc_sessions *ss, struct epc_sip_in *in);
/** Free the call once it is ending and nothing refers to it. */
void session_check_end(struct epc_session *s);
void session_queue(struct epc_session *s, enum job_kind kind, struct transfer *x, msg_t *msg,
                   int status, enum epc_leg from);
/** The active job is finished: the next one starts (on this call stack, without recursion). */
void session_job_done(struct epc_session *s);
void session_run(struct epc_session *s);
/** Forget all queued work; a 2xx among it is acknowledged and its dialog ended. */
void session_drop_jobs(struct epc_session *s);
/** "call=ID user=u:... state=..." for log lines. */
const char *session_log(const struct epc_session *s, char out[384]);
static inline enum epc_leg other_leg(enum epc_leg leg)
{
    return leg == EPC_LEG_WIC ? EPC_LEG_CORE : EPC_LEG_WIC;
}
static inline enum epc_leg caller_leg(const struct epc_session *s)
{
    return s->originating ? EPC_LEG_WIC : EPC_LEG_CORE;
}

/** @p fn may end @p s. */
void sessions_of_flow(struct epc_sessions *ss, uint64_t flow_id,
                      void (*fn)(struct epc_session *s, void *arg), void *arg);
/** The call is another flow's from here on. False: out of memory, the call is in no flow's list. */
bool session_to_flow(struct epc_session *s, uint64_t flow_id);

/* ---- moved.c: calls that outlive their connection ------------------------------------------------------ */

void session_set_held(struct epc_session *s, bool held);
/** What a request in the dialog of a held call is answered with. */
void held_cause(struct epc_cause *cause);
/** Its flow may have moved on while the call was still being set up. */
void session_follow_flow(struct epc_session *s);

/* ---- transfer.c: one request through and its responses back --------------------------------------------- */

struct transfer *transfer_new(struct epc_sessions *ss, struct epc_session *s, struct epc_sip_in *in);
void transfer_start(struct transfer *x, const struct epc_binding *b); /* outside of a call */
/** Send @p msg (taken) on to the other leg; refuses `in` on failure. */
bool transfer_send(struct transfer *x, msg_t **msg);
void transfer_refuse(struct transfer *x, const struct epc_cause *cause);
void transfer_end(struct transfer *x);
/** Has this method a meaning only inside a dialog that an INVITE made? */
bool needs_call(sip_method_t m);
/** A request outside of a dialog that may pass: takes it over. */
void initial_request(struct epc_sessions *ss, struct epc_sip_in *in, const struct epc_binding *b);
bool transfer_acked(const struct transfer *x);
void transfer_check_end(struct transfer *x);
void job_request(struct epc_session *s, struct job *j);
void job_response(struct epc_session *s, struct job *j);
void job_ack(struct epc_session *s, struct job *j);

/* ---- early.c: early dialogs and their media ---------------------------------------------------------------- */

/** The dialog that a response with this To tag belongs to; made if it is new. NULL: out of memory. */
struct early *early_of(struct transfer *x, const char *tag);
void early_free(struct transfer *x);
/** What the core says of early media in a message of that dialog (RFC 5009 8). */
void early_authorise(struct epc_session *s, struct early *e, msg_t *msg);
/** Let pass at the gateway what may pass now. */
void early_gate(struct epc_session *s);
enum epc_err early_request(struct transfer *x, msg_t *msg);
/** An UPDATE of the core's in an early dialog of a WIC that knows nothing of reliable responses, so nothing of
 *  UPDATE before the answer either: answered here where the WIC need not hear of it. */
bool early_update_here(const struct epc_session *s, const struct job *j);
void early_update_answer(struct transfer *x, const char *sdp); /**< @p sdp may be NULL */
/** A request of the callee's may say something of early media, too. */
void early_seen_request(struct epc_session *s, const struct job *j);

/* ---- reliable.c: reliable provisional responses for WICs without them (RFC 3262) --------------------------- */

enum epc_err reliable_request(struct transfer *x, msg_t *msg);
/** A provisional response of the core's: shall it go on? False: a copy, or out of order. */
bool reliable_expected(struct transfer *x, const struct early *e, msg_t *msg);
/** It was carried out: acknowledged in the WIC's name, and an ordinary one from here on. */
void reliable_acknowledge(struct transfer *x, struct early *e, msg_t *msg);
/** A WIC's response on its way to the core: taken (*msg NULL) when it goes, or waits, as a reliable one. */
void reliable_forward(struct transfer *x, msg_t **msg, int status);
/** Answers a PRACK for a response that was made reliable here: true. */
bool reliable_prack(struct epc_session *s, struct epc_sip_in *in);
void reliable_stop(struct transfer *x);

/* ---- precondition.c: resources reserved beforehand (RFC 3312) ---------------------------------------------- */

/** EPC_EPOLICY: required, and this node does not stand for the WIC. */
enum epc_err precondition_request(struct transfer *x, msg_t *msg, struct epc_cause *cause);

/* ---- crossing.c: what changes in a message that crosses -------------------------------------------------- */

/** @p b: the WIC's binding; may be NULL inside a dialog. False: out of memory (nothing sent). */
bool cross_request(struct transfer *x, msg_t *msg, const struct epc_binding *b, struct epc_cause *cause);
void cross_response(struct transfer *x, msg_t *msg, int status);
/** What the network knows of the WIC's place, for a message that goes to the core now. */
enum epc_err cross_access_info(const struct transfer *x, msg_t *msg);
/** Does this method open a dialog (so that we must stay on its route)? */
bool opens_dialog(sip_method_t m, const sip_t *sip);

/* ---- identity.c: who a WIC is ---------------------------------------------------------------------------- */

/** What a WIC's message says, read before the header table takes it off. */
struct claim {
    char *preferred[2];
    struct epc_buf services, priority;
};
struct identity { /**< what is asserted; uri[1] may be NULL */
    char *uri[2];
};
char *identity_uri(struct epc_str value); /**< canonical addr-spec of a header value; gives, NULL: none */
void claim_read(struct claim *c, msg_t *msg);
void claim_free(struct claim *c);
/** What the WIC prefers if it is registered, else @p called if it is, else the default identity. @p c may
 *  be NULL. False: out of memory. */
bool identity_assert(struct identity *id, const struct epc_cfg_calls *cfg, const struct epc_binding *b,
                     const struct claim *c, const char *called);
void identity_free(struct identity *id);
enum epc_err identity_add(msg_t *msg, const struct identity *id);
enum epc_err identity_hide(const struct epc_binding *b, msg_t *msg);
/** Is From one of the user's identities, or anonymous? */
bool identity_from_fits(const struct epc_binding *b, const sip_t *sip);
/** P-Asserted-Service for a preferred one that is allowed. EPC_EPOLICY: refused, with @p cause. */
enum epc_err service_assert(struct transfer *x, msg_t *msg, const struct claim *c, struct epc_cause *cause);
enum epc_err priority_assert(struct transfer *x, msg_t *msg, const struct claim *c, const struct identity *id);

/* ---- charging.c ---------------------------------------------------------------------------------------- */

enum charging_role { CHARGING_REQUEST, CHARGING_RESPONSE };
char *charging_new_icid(struct epc_sessions *ss);
void charging_read(struct transfer *x, msg_t *msg);
enum epc_err charging_add(struct transfer *x, msg_t *msg, enum charging_role role);
/** Does a response say it: in the 2xx to what begins a dialog or stands alone; with what is known of the
 *  bearers also in other answers that carry media (TS 24.229 5.2.7.4)? */
bool charging_told(const struct transfer *x, int status);

/* ---- emergency.c --------------------------------------------------------------------------------------- */

/** Is it an emergency call? @p out: its service URN. */
bool emergency_urn(const struct epc_sessions *ss, const sip_t *sip, char out[EPC_EMERGENCY_URN_LEN]);
/** Takes over a WIC's request outside of a dialog if it is one. */
bool emergency_taken(struct epc_sessions *ss, struct epc_sip_in *in);
/** To the E-CSCF, by the service's name. */
enum epc_err emergency_route(struct transfer *x, msg_t *msg);
/** A call back from the emergency centre (RFC 7090)? */
void emergency_read_invite(struct epc_session *s, msg_t *msg);

/* ---- timer.c: session timers (RFC 4028) ------------------------------------------------------------------ */

/** EPC_EPOLICY: the interval is too small, @p cause says 422. */
enum epc_err timer_request(struct transfer *x, msg_t *msg, struct epc_cause *cause);
void timer_response(struct transfer *x, msg_t *msg, int status);
void timer_stop(struct epc_session *s);

/* ---- loose.c: requests that belong to no call ------------------------------------------------------------- */

bool loose_eq(const struct epc_hnode *node, const void *key);
/** Route set beyond us of the dialog that @p in is in, and its icid: borrowed, NULL: not known. */
char *const *loose_routes(const struct epc_sessions *ss, const struct epc_sip_in *in);
const char *loose_icid(const struct epc_sessions *ss, const struct epc_sip_in *in);
/** A response is about to be passed on, unchanged so far. */
void loose_answered(struct transfer *x, msg_t *msg, int status);
void loose_flow_gone(struct epc_sessions *ss, uint64_t flow_id);
void loose_flow_moved(struct epc_sessions *ss, uint64_t from, uint64_t to);
void loose_end_all(struct epc_sessions *ss);
/** Do body, Refer-To and Replaces stand where they may? False: @p cause. */
bool loose_check(struct transfer *x, struct epc_cause *cause);
/** Takes over an INFO with trickled candidates: ICE ends at the gateway, which takes none. */
bool loose_trickle(struct epc_sessions *ss, struct epc_sip_in *in);

/* ---- dialog.c: what we know of the dialog, requests in a party's name ------------------------------------ */

bool dialog_from_invite(struct epc_session *s, const sip_t *sip);
/** Learn tags, targets and route set from a response that is about to be relayed to the caller. */
void dialog_from_response(struct epc_session *s, const sip_t *sip, int status);
void dialog_seen_request(struct epc_session *s, enum epc_leg from, const sip_t *sip);
/** A request or its 2xx inside the dialog: Contact may be a new target (RFC 3261 12.2). */
void dialog_seen_target(struct epc_session *s, enum epc_leg from, sip_method_t m, const sip_t *sip);
/** Is this 2xx/BYE of the confirmed dialog (not of another fork)? */
bool dialog_is_confirmed(const struct epc_session *s, enum epc_leg from, const sip_t *sip);
/** Route set beyond us from Record-Route: a NULL-terminated list (gives), NULL: out of memory. */
char **dialog_routes(const sip_record_route_t *rr, bool reverse, size_t skip);
/** A request without a body in the other party's name, and whoever comes after it is counted on. NULL:
 *  not sent. @p fn gets @p s. */
struct epc_sip_out *dialog_send(struct epc_session *s, enum epc_leg to, const char *method, epc_sip_response_fn *fn);
void dialog_send_bye(struct epc_session *s, enum epc_leg to, const char *reason);
/** PRACK in the WIC's name for a reliable provisional response of the core's. */
void dialog_prack(struct epc_session *s, const sip_t *answer, uint32_t rseq);
/** ACK (and BYE) a 2xx that nobody else will take any more. */
void dialog_ack_and_bye(struct epc_session *s, enum epc_leg to, const sip_t *answer, uint32_t cseq,
                        bool bye, const char *reason);
void dialog_free(struct epc_session *s);
void party_free(struct party *p);
void strings_free(char **list);

/* ---- media.c: offer/answer, gateway, policy ---------------------------------------------------------------- */

/** Negotiate the SDP that @p j->msg carries; when all is agreed, put the other leg's SDP in its place
 *  and call @p next(s, j, NULL), else next(s, j, cause). May call back at once. */
void media_negotiate(struct epc_session *s, struct job *j, media_done_fn *next);
/** The pending offer was rejected or given up. */
void media_rollback(struct epc_session *s);
/** @p x will get no answer any more: its offer, if it is the pending one, is given up. */
void media_give_up(struct transfer *x);
void media_commit(struct epc_session *s);
/** A media address was learned: tell the policy function if that changes anything. */
void media_policy_refresh(struct epc_session *s, struct job *j);
/** Give gateway context and policy session back. Idempotent. */
void media_release(struct epc_session *s);
/** For `epcscfctl rx explain`: what SIP makes of the policy function's newest word. */
void policy_note(struct epc_session *s, const char *fmt, ...) EPC_PRINTF(2, 3);

/* ---- policy.c ---------------------------------------------------------------------------------------------- */

/** Ask for what is not yet granted. @p preliminary: on the offer alone. EPC_OK: @p done will run;
 *  EPC_EAGAIN: nothing to ask; else the request could not be made. */
enum epc_err policy_ask(struct epc_session *s, bool preliminary, epc_policy_done_fn *done);
/** Shall an offer be asked about before it goes on: by configuration, or as a call of a priority service
 *  (TS 29.214 A.1)? Not one towards a WIC whose preconditions are not met. */
bool policy_wants_offer(const struct epc_session *s, const struct job *j);
/** An answer or the 2xx of the initial INVITE is about to pass: do early dialogs share the session? */
void policy_dialogue(struct epc_session *s, const struct job *j);
/** Something changed outside of any message. */
void policy_refresh_later(struct epc_session *s);
/** What the core's INVITE says of the call, before the header table takes it off. */
void policy_read_invite(struct epc_session *s, msg_t *msg);
/** What was asked is now known at the policy function, or not. True: go on; false: @p cause. */
bool policy_settle(struct epc_session *s, const struct epc_policy_result *r, struct epc_cause *cause);
/** The request could not be made. True: go on all the same. */
bool policy_failed_here(struct epc_session *s, struct epc_cause *cause);
void policy_close(struct epc_session *s); /**< ends the policy session; idempotent */

/* ---- signalling.c ------------------------------------------------------------------------------------------- */

bool signalling_eq(const struct epc_hnode *node, const void *key);
void signalling_end(struct epc_sessions *ss, uint64_t flow_id);
void signalling_end_all(struct epc_sessions *ss);
void signalling_moved(struct epc_sessions *ss, uint64_t old_flow_id, uint64_t new_flow_id);
/** The WIC has sent something: its signalling path is there. */
void signalling_heard(struct epc_sessions *ss, uint64_t flow_id);
bool signalling_lost(struct epc_sessions *ss, uint64_t flow_id);
/** Value of a network-provided P-Access-Network-Info, borrowed; NULL: not known. */
const char *signalling_access_info(struct epc_sessions *ss, uint64_t flow_id);

/* ---- release.c ---------------------------------------------------------------------------------------------- */

enum release_side { RELEASE_BOTH, RELEASE_CORE_ONLY, RELEASE_WIC_ONLY };
/** Answer what is under way and waits for an answer with @p cause, cancel its INVITEs. */
void session_end_transfers(struct epc_session *s, const struct epc_cause *cause, const char *reason);
/** End the call ourselves, whatever its state (TS 24.229 5.2.8): CANCEL or BYE with @p reason (value of a
 *  Reason header), @p cause to the INVITE's sender if it still waits. */
void session_release(struct epc_session *s, enum release_side side, const struct epc_cause *cause,
                     const char *reason);

#endif
