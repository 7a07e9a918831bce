/* What we ask of a gateway by ourselves: its packages, the properties of its root, its contexts
 * (H.248.1 7.2.5: ContextID ALL with ROOT lists them), and every so often nothing at all: the heartbeat.
 * Properties and packages that it does not tell stay at the configuration's values. */
#include <stdlib.h>
#include <string.h>

#include "gateway/h248/assoc.h"
#include "gateway/h248/wire.h"

/* ---- heartbeat --------------------------------------------------------------------------------------------- */

static void on_beat_time(void *arg);

static void beat_later(struct h248_mg *mg)
{
    const struct h248_hub *h = mg->hub;
    if (h->cfg->audit_interval_ms && !h->stopping)
        epc_timer_start(h->sh, &mg->beat, h->cfg->audit_interval_ms, on_beat_time, mg);
}

static void on_beat(void *arg, enum epc_err err, unsigned error, struct h248_in *in,
                    const struct epc_h248_transaction *t)
{
    struct h248_mg *mg = arg;
    (void)in;
    (void)t;
    mg->beating = false;
    if (err == EPC_OK) {
        mg->misses = 0;
        mg->answered = true;
        if (error == 505) /* it thinks that it is not registered */
            h248_order_registration(mg);
        else if (mg->state == MG_LOST)
            h248_mg_event(mg, MG_EV_HEARD);
        h248_facts_publish(mg);
        return;
    }
    if (err != EPC_ETIMEDOUT || mg->state == MG_DOWN)
        return;
    mg->misses++;
    epc_log(EPC_LOG_WARN, "gateway", "event=iq-audit-unanswered gateway=%s misses=%u", mg->mid, mg->misses);
    if (mg->misses >= mg->hub->cfg->audit_misses)
        h248_mg_event(mg, MG_EV_SILENT);
}

static void on_beat_time(void *arg)
{
    struct h248_mg *mg = arg;
    if (!mg->beating && mg->reachable)
        mg->beating = h248_trans_send(mg, NULL, "Context = - {\nAuditValue = ROOT { Audit { } }\n}", NULL, on_beat,
                                      mg) == EPC_OK;
    beat_later(mg);
}

/* ---- check of a gateway that registered, or came back ---------------------------------------------------------- */

struct step {
    struct h248_mg *mg;
    uint32_t run;
    void (*take)(struct h248_mg *mg, const struct epc_h248_transaction *t);
    const char *what;
};

static void on_step(void *arg, enum epc_err err, unsigned error, struct h248_in *in,
                    const struct epc_h248_transaction *t)
{
    struct step s = *(struct step *)arg;
    struct h248_mg *mg = s.mg;
    (void)in;
    free(arg);
    if (s.run != mg->check_run || err == EPC_EIO)
        return; /* it registered again, or is lost, or we stop */
    if (err == EPC_ETIMEDOUT) {
        mg->check_run++;
        h248_mg_event(mg, MG_EV_SILENT);
        return;
    }
    mg->answered = true;
    if (error)
        epc_log(EPC_LOG_INFO, "gateway", "event=iq-audit-refused gateway=%s what=%s error=%u", mg->mid, s.what, error);
    s.take(mg, error ? NULL : t);
    if (--mg->checks_open == 0)
        h248_mg_event(mg, MG_EV_CHECKED);
}

static void ask(struct h248_mg *mg, const char *what, const char *actions,
                void (*take)(struct h248_mg *mg, const struct epc_h248_transaction *t))
{
    struct step *s = malloc(sizeof *s);
    if (!s)
        return; /* as if it had refused */
    *s = (struct step){mg, mg->check_run, take, what};
    if (h248_trans_send(mg, NULL, actions, NULL, on_step, s) == EPC_OK)
        mg->checks_open++;
    else
        free(s);
}

static void take_packages(struct h248_mg *mg, const struct epc_h248_transaction *t)
{
    mg->n_packages = t ? wire_packages(t, mg->package, H248_MAX_PACKAGES) : 0;
}

/* H.248.1 E.2: what the root says of itself. */
static void take_root(struct h248_mg *mg, const struct epc_h248_transaction *t)
{
    static const struct {
        const char *name;
        size_t at;
    } properties[] = {
        {"root/maxNumberOfContexts", offsetof(struct h248_mg, max_contexts)},
        {"root/normalMGExecutionTime", offsetof(struct h248_mg, mg_execution_ms)},
        {"root/MGProvisionalResponseTimerValue", offsetof(struct h248_mg, mg_pending_ms)},
        {"root/MGCProvisionalResponseTimerValue", offsetof(struct h248_mg, mgc_pending_ms)},
        {"root/MGOriginatedPendingLimit", offsetof(struct h248_mg, mg_pending_limit)},
        {"root/MGCOriginatedPendingLimit", offsetof(struct h248_mg, mgc_pending_limit)},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(properties); i++)
        *(uint32_t *)(void *)((char *)mg + properties[i].at) = t ? wire_root_property(t, properties[i].name) : 0;
}

/* A gateway that does not list its contexts and holds none of ours is told to drop what it has. */
static void take_contexts(struct h248_mg *mg, const struct epc_h248_transaction *t)
{
    if (t) {
        h248_contexts_compare(mg, t);
        return;
    }
    if (mg->n_contexts == 0 &&
        h248_trans_send(mg, NULL, "Context = * {\nW-Subtract = * { Audit { } }\n}", NULL, NULL, NULL) != EPC_OK)
        epc_log(EPC_LOG_WARN, "gateway", "event=iq-not-cleared gateway=%s", mg->mid);
}

void h248_check_start(struct h248_mg *mg)
{
    mg->check_run++;
    mg->checks_open = 1; /* ours, until all are asked */
    ask(mg, "packages", "Context = - {\nAuditValue = ROOT { Audit { Packages } }\n}", take_packages);
    ask(mg, "root", "Context = - {\nAuditValue = ROOT { Audit { Media } }\n}", take_root);
    ask(mg, "contexts", "Context = * {\nAuditValue = ROOT { Audit { } }\n}", take_contexts);
    beat_later(mg);
    if (--mg->checks_open == 0) /* memory ran out */
        h248_mg_event(mg, MG_EV_CHECKED);
}

/* ---- contexts without an owner ------------------------------------------------------------------------------------ */

void h248_subtract_context(struct h248_mg *mg, uint32_t context)
{
    char actions[96];
    snprintf(actions, sizeof actions, "Context = %u {\nW-Subtract = * { Audit { } }\n}", (unsigned)context);
    epc_count(EPC_C_IQ_ORPHANS);
    epc_log(EPC_LOG_INFO, "gateway", "event=iq-orphan-subtracted gateway=%s context=%u", mg->mid, (unsigned)context);
    if (h248_trans_send(mg, NULL, actions, NULL, NULL, NULL) != EPC_OK)
        epc_log(EPC_LOG_WARN, "gateway", "event=iq-orphan-stays gateway=%s context=%u", mg->mid, (unsigned)context);
}

void h248_subtract_orphans(struct h248_mg *mg, const struct epc_h248_transaction *reply)
{
    uint32_t last = EPC_H248_CTX_NULL;
    for (size_t i = 0; i < reply->n_actions; i++) {
        const struct epc_h248_action *a = &reply->action[i];
        if (!wire_is_context(a) || a->context == last)
            continue;
        last = a->context;
        h248_subtract_context(mg, a->context);
    }
}
