/* Properties that hold for any input; used by the property test and by the fuzz targets. Each aborts
 * with a message when broken. */
#ifndef SDP_PROPERTIES_H
#define SDP_PROPERTIES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer_gateway.h"

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #cond);                      \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/** What parses, prints; the print parses again and prints the same. */
static inline void property_stable(struct epc_str text)
{
    struct epc_sdp *a = NULL, *b = NULL;
    struct epc_buf first = {0}, second = {0};
    if (epc_sdp_parse(&a, text, NULL) != EPC_OK) {
        MUST(a == NULL);
        return;
    }
    MUST(epc_sdp_print(a, &first) == EPC_OK);
    /* c= of the session is written once for each m-line, so the text may outgrow the limit. */
    if (first.n <= EPC_SDP_MAX_OCTETS) {
        MUST(epc_sdp_parse(&b, (struct epc_str){first.p, first.n}, NULL) == EPC_OK);
        MUST(epc_sdp_print(b, &second) == EPC_OK);
        MUST(strcmp(first.p, second.p) == 0);
        MUST(a->n_media == b->n_media);
        epc_sdp_free(b);
    }
    b = epc_sdp_ref(a);
    MUST(b->n_media == a->n_media);
    epc_sdp_free(a);
    epc_sdp_free(b);
    epc_buf_free(&first);
    epc_buf_free(&second);
}

static inline bool property_contains(const struct epc_buf *b, struct epc_str s)
{
    return s.n && memmem(b->p, b->n, s.p, s.n) != NULL;
}

/** Nothing of @p s's transport stands in @p out. Values of fewer than 8 octets can stand anywhere by
 *  chance; so can what a peer itself wrote into fmtp or rtpmap, which pass by design: such input is
 *  left out with @p strict false. */
static inline void property_no_leak(const struct epc_sdp *s, const struct epc_buf *out, bool strict)
{
    for (size_t i = 0; strict && i < s->n_media; i++) {
        const struct epc_sdp_media *m = &s->media[i];
        MUST(m->c_addr.n < 8 || !property_contains(out, m->c_addr));
        MUST(m->ice_pwd.n < 8 || !property_contains(out, m->ice_pwd));
        for (size_t k = 0; k < m->n_fingerprint; k++)
            MUST(m->fingerprint[k].value.n < 32 || !property_contains(out, m->fingerprint[k].value));
        for (size_t k = 0; k < m->n_candidate; k++)
            MUST(m->candidate[k].address.n < 8 || !property_contains(out, m->candidate[k].address));
    }
}

/** Every m-line sent keeps its place, and what we send is SDP. */
static inline void property_sent(const struct epc_buf *out, size_t n_media)
{
    struct epc_sdp *s = NULL;
    MUST(epc_sdp_parse(&s, (struct epc_str){out->p, out->n}, NULL) == EPC_OK);
    MUST(n_media == 0 || s->n_media == n_media);
    for (size_t i = 0; i < s->n_media; i++)
        MUST(s->media[i].port == 0 || s->media[i].c_addr.n);
    epc_sdp_free(s);
}

/** One whole exchange: @p offer from @p from, @p answer from the other leg. */
static inline void property_exchange(struct epc_iw *w, enum epc_sdp_leg from, struct epc_str offer,
                                     struct epc_str answer, bool strict)
{
    enum epc_sdp_leg to = from == EPC_SDP_WIC ? EPC_SDP_CORE : EPC_SDP_WIC;
    struct epc_sdp *remote = NULL, *local = NULL, *came = NULL;
    struct epc_buf out = {0};
    bool unchanged;
    if (epc_iw_offer(w, from, offer, &remote, &unchanged, NULL) != EPC_OK) {
        MUST(remote == NULL && !epc_iw_pending(w));
        return;
    }
    MUST((local = peer_gateway_local(remote, to, 1)) != NULL);
    if (epc_iw_offer_out(w, local, &out, NULL) != EPC_OK)
        goto out;
    MUST(epc_sdp_parse(&came, offer, NULL) == EPC_OK);
    property_sent(&out, 0);
    property_no_leak(came, &out, strict);
    size_t n_offer = came->n_media;
    epc_sdp_free(came);
    epc_sdp_free(local);
    epc_sdp_free(remote);
    local = remote = came = NULL;
    out.n = 0;
    if (epc_iw_answer(w, answer, &remote, &unchanged, NULL) != EPC_OK)
        goto out;
    MUST((local = peer_gateway_local(remote, from, 1)) != NULL);
    if (epc_iw_answer_out(w, local, &out, NULL) != EPC_OK)
        goto out;
    MUST(epc_sdp_parse(&came, answer, NULL) == EPC_OK);
    property_sent(&out, n_offer);
    property_no_leak(came, &out, strict);
    epc_iw_commit(w);
out:
    epc_iw_rollback(w);
    epc_sdp_free(came);
    epc_sdp_free(local);
    epc_sdp_free(remote);
    epc_buf_free(&out);
}

#endif
