/* Private to sdp/: the interworking object and the steps of an exchange.
 *
 * A stream is an m-line of the WIC's leg: stream i is WIC m-line i, for ever. core_of[i] is the m-line
 * that it has on the core's leg, or -1 when the core never hears of it (data channels that the gateway
 * cannot terminate). Nothing is copied from one leg to the other but what the writers in iw_out.c
 * name: so no address, candidate, key or identifier of one leg can reach the other. */
#ifndef EPC_IW_PRIV_H
#define EPC_IW_PRIV_H

#include "sdp/sdp_priv.h"

enum { IW_LEGS = 2, IW_MAX_CODECS = 128 };

/** One offer/answer exchange, indexed by leg. */
struct iw_exchange {
    enum epc_sdp_leg offerer;
    struct epc_sdp *recv[IW_LEGS];   /* what came from the leg */
    struct epc_sdp *remote[IW_LEGS]; /* the same, one m-line a stream, as the gateway sees it */
    struct epc_sdp *local[IW_LEGS];  /* the gateway's own description for the leg */
    struct epc_sdp *sent[IW_LEGS];   /* what we sent to the leg */
    struct epc_sdp *want[IW_LEGS];   /* protocols and codecs that the leg shall get */
    bool transcoded[EPC_SDP_MAX_MEDIA];
    bool offer_unchanged;
    size_t n_streams, n_core;
    int core_of[EPC_SDP_MAX_MEDIA];
};

/** Our own identity as the author of SDP on one leg. */
struct iw_author {
    uint64_t id, version;
    char addr[EPC_ADDR_LEN]; /* "" until the first body is written; then fixed, RFC 8866 5.2 */
    bool ip6;
    char *body;              /* last text without the o= line: a change of it raises the version */
};

struct epc_iw {
    struct epc_iw_policy policy;
    struct iw_author author[IW_LEGS];
    struct iw_exchange committed, pending;
    bool have_committed, have_pending;
    bool preconditions; /* we stand for the WIC's (iw_qos.c) */
};

/** Codecs of one m-line that pass; copies, with a name even where the peer left rtpmap out. */
struct iw_codecs {
    struct epc_sdp_codec c[IW_MAX_CODECS];
    size_t n;
};

static inline enum epc_sdp_leg iw_other(enum epc_sdp_leg leg)
{
    return leg == EPC_SDP_WIC ? EPC_SDP_CORE : EPC_SDP_WIC;
}

/* ---- iw_codec.c -------------------------------------------------------------------------------------- */

/** What of an offered m-line may pass: the allowed codecs, by preference, and the telephone-events of
 *  their clock rates. Empty when nothing but telephone-events is left. */
void iw_codecs_of_offer(const struct epc_iw_policy *p, const struct epc_sdp_media *m,
                        struct iw_codecs *out);
/** What of an answered m-line was offered, in the answerer's order. */
void iw_codecs_of_answer(const struct epc_sdp_media *offered, const struct epc_sdp_media *answer,
                         struct iw_codecs *out);

/* ---- iw_check.c -------------------------------------------------------------------------------------- */

/** The gateway can carry this kind of m-line on @p leg (whatever its port). */
bool iw_carried(const struct epc_iw_policy *p, enum epc_sdp_leg leg, const struct epc_sdp_media *m);
/** "0.0.0.0" or "::". */
bool iw_addr_unspecified(struct epc_str addr);
/** A literal address (no name) that is not the unspecified one. */
bool iw_addr_usable(struct epc_str addr);
/** Old-style hold, RFC 3264 8.4. */
bool iw_held(const struct epc_sdp_media *m);
/** Direction, with old-style hold read as the direction that it means. */
enum epc_sdp_dir iw_dir(enum epc_sdp_leg leg, const struct epc_sdp_media *m);
/** @p answer, cut down to what @p offer allows. */
enum epc_sdp_dir iw_dir_clamp(enum epc_sdp_dir offer, enum epc_sdp_dir answer);
/** sha-256 or better, and of the right length. */
bool iw_fingerprint_ok(const struct epc_sdp_fingerprint *f);
/** Is the active m-line @p number fit for us? EPC_EPROTO with cause 488 when not. */
enum epc_err iw_check_line(enum epc_sdp_leg leg, bool is_offer, const struct epc_sdp_media *m,
                           size_t number, struct epc_cause *cause) EPC_MUST_CHECK;

/* ---- iw_remote.c ------------------------------------------------------------------------------------- */

/** M-line of @p s that stands for @p stream on @p leg, or NULL. */
const struct epc_sdp_media *iw_line(const struct iw_exchange *x, const struct epc_sdp *s,
                                    enum epc_sdp_leg leg, size_t stream);
/** Build x->remote's candidate for @p leg from x->recv[leg]. */
enum epc_err iw_remote(const struct epc_iw *w, const struct iw_exchange *x, enum epc_sdp_leg leg,
                       struct epc_sdp **out, struct epc_cause *cause) EPC_MUST_CHECK;
/** Same media for the gateway? (o= is not compared) */
bool iw_same_media(const struct epc_sdp *a, const struct epc_sdp *b);

/* ---- iw_want.c --------------------------------------------------------------------------------------- */

/** Fill x->want[leg] from the other leg's `remote`. */
enum epc_err iw_want(const struct epc_iw *w, struct iw_exchange *x, enum epc_sdp_leg leg, struct epc_cause *cause)
    EPC_MUST_CHECK;

/* ---- iw_qos.c ---------------------------------------------------------------------------------------- */

/** The lines of RFC 3312 for a stream towards the core. */
void iw_put_qos(const struct epc_iw *w, const struct iw_exchange *x, size_t stream, struct epc_buf *b);

/* ---- iw_out.c ---------------------------------------------------------------------------------------- */

/** Write what goes to @p leg (offer or answer) and remember it in the exchange. */
enum epc_err iw_send(struct epc_iw *w, struct iw_exchange *x, enum epc_sdp_leg leg,
                     const struct epc_sdp *local, struct epc_buf *out, struct epc_cause *cause)
    EPC_MUST_CHECK;
/** Shared writers. */
void iw_put_media(struct epc_buf *b, struct epc_str type, unsigned port, struct epc_str proto);
void iw_put_formats(struct epc_buf *b, const struct iw_codecs *codecs);
void iw_put_codecs(struct epc_buf *b, const struct iw_codecs *codecs);
void iw_put_times(struct epc_buf *b, const struct epc_sdp_media *m);
void iw_put_connection(struct epc_buf *b, struct epc_str addr);
void iw_put_candidate(struct epc_buf *b, const struct epc_sdp_candidate *c);
/** Value of b=@p type of the m-line, or @p otherwise; what is beyond all reason is cut. */
uint64_t iw_bandwidth(const struct epc_sdp_media *m, const char *type, uint64_t otherwise);
enum { IW_NO_BW = -1 };

#endif
