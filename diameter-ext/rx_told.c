/* What each PCRF was told. The caller thinks in full pictures; a PCRF sees them in the form that its
 * profile asks for, and hears only of what changed in that form: what an AAR leaves out stays valid, so
 * that a repeated component costs a message and says nothing. Spec: TS 29.214 4.4.2. */
#include "rx_priv.h"

#include <stdlib.h>
#include <string.h>

static bool same_webrtc(const struct epc_webrtc_session *x, const struct epc_webrtc_session *y)
{
    return strcmp(x->agw_identity, y->agw_identity) == 0 && strcmp(x->agw_context, y->agw_context) == 0 &&
           strcmp(x->client_origin, y->client_origin) == 0 && x->ice_mode == y->ice_mode;
}

bool rx_told_webrtc_new(const struct rx_assoc *a)
{
    return !a->told || a->unsure || !a->told_webrtc || !same_webrtc(&a->told->webrtc, &a->telling->webrtc);
}

static bool same_session(const struct rx_assoc *a, const struct epc_service_info *x,
                         const struct epc_service_info *y)
{
    return x->preliminary == y->preliminary && x->several_dialogues == y->several_dialogues &&
           (!a->webrtc || (a->told_webrtc && same_webrtc(&x->webrtc, &y->webrtc)));
}

static bool has(const struct epc_service_info *s, unsigned number)
{
    for (size_t i = 0; i < s->n_components; i++)
        if (s->component[i].number == number)
            return true;
    return false;
}

/* Nobody knows whether the last AAR arrived: a component that either of the two pictures has, and that
 * holds no more, is removed once again. */
static enum epc_err remove_gone(const struct epc_service_info *old, const struct epc_service_info *now,
                                struct epc_service_info *delta)
{
    for (size_t i = 0; i < old->n_components; i++) {
        unsigned number = old->component[i].number;
        if (number == 0 || has(now, number) || has(delta, number))
            continue;
        struct epc_media_component *more =
            realloc(delta->component, (delta->n_components + 1) * sizeof *more);
        if (!more)
            return EPC_ENOMEM;
        delta->component = more;
        more[delta->n_components++] = (struct epc_media_component){
            .number = number, .type = old->component[i].type, .status = EPC_FLOW_REMOVED,
            .max_ul_bps = -1, .max_dl_bps = -1, .rr_bps = -1, .rs_bps = -1};
    }
    return EPC_OK;
}

static enum epc_err all_again(const struct rx_assoc *a, const struct epc_service_info *now,
                              struct epc_service_info **delta)
{
    enum epc_err e = rx.host->info_diff(NULL, now, delta);
    if (!e && a->profile->cfg->removed) {
        if (a->told)
            e = remove_gone(a->told, now, *delta);
        if (!e && a->telling)
            e = remove_gone(a->telling, now, *delta);
    }
    if (e) {
        rx.host->info_free(*delta);
        *delta = NULL;
    }
    return e;
}

static void read_route(struct rx_assoc *a)
{
    struct rx_route to;
    rx_route(a, &to);
    a->profile = rx_profile(to.profile);
    enum epc_webrtc_avps when = a->profile->cfg->webrtc_avps;
    a->webrtc = rx_webrtc_known() && (when == EPC_WEBRTC_AVPS_ON ||
                                      (when == EPC_WEBRTC_AVPS_NEGOTIATED && a->webrtc_agreed));
}

enum epc_err rx_told_prepare(struct rx_assoc *a, const struct epc_service_info *full,
                             struct epc_service_info **delta)
{
    struct epc_service_info *now = NULL, *d = NULL;
    read_route(a);
    enum epc_err e = rx.host->shape(full, a->profile->cfg, a->webrtc, &now);
    if (!e)
        e = a->unsure ? all_again(a, now, &d) : rx.host->info_diff(a->told, now, &d);
    if (e) {
        rx.host->info_free(now);
        return e;
    }
    if (a->told && !a->unsure && d->n_components == 0 && same_session(a, a->told, now)) {
        rx.host->info_free(d);
        d = NULL;
    }
    rx.host->info_free(a->telling);
    a->telling = now;
    *delta = d;
    return EPC_OK;
}

void rx_told_settle(struct rx_assoc *a, const struct epc_policy_result *r)
{
    if (r->outcome == EPC_POLICY_GRANTED) {
        rx.host->info_free(a->told);
        a->told = a->telling;
        a->telling = NULL;
        a->unsure = false;
        a->answered = true;
        a->told_webrtc = a->webrtc;
    } else if (r->outcome == EPC_POLICY_TIMED_OUT)
        a->unsure = true;
}

void rx_told_free(struct rx_assoc *a)
{
    rx.host->info_free(a->told);
    rx.host->info_free(a->telling);
    a->told = a->telling = NULL;
}
