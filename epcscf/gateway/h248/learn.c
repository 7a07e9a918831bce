/* A lite agent reports nothing (TS 23.334 6.2.17.1). Where the gateways show in an audit where they send to,
 * they are asked: often until every stream has shown it, then now and then. */
#include "gateway/h248/iq_priv.h"

enum { OFTEN_MS = 1000, OFTEN_TIMES = 30 };

static void on_time(void *arg);

static bool all_known(const struct iq_ctx *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (iq_runs(&c->leg[EPC_GW_ACCESS].stream[i]) && c->learned[i].len == 0)
            return false;
    return true;
}

static void again(struct iq_ctx *c)
{
    bool seldom = all_known(c) || c->learn_tries > OFTEN_TIMES;
    epc_timer_start(c->gw->sh, &c->learn, seldom ? c->gw->cfg->poll_ms : OFTEN_MS, on_time, c);
}

static void on_audit(void *arg, enum epc_err err, const struct h248_reply *r)
{
    struct iq_ctx *c = arg;
    if (!c->released && !c->gone) /* busy: the owner may release the context on what this tells */
        iq_audited(c, err, r);
    if (!c->released && !c->gone)
        again(c);
    c->busy = false;
    iq_next(c);
}

static bool ask(struct iq_ctx *c)
{
    struct epc_h248_message *m = NULL;
    struct h248_request_opts o = {.mg = c->mg, .key = c->key};
    return iq_audit(c, &m) == EPC_OK && h248_request(c->gw->client, &o, &m, on_audit, c, NULL) == EPC_OK;
}

static void on_time(void *arg)
{
    struct iq_ctx *c = arg;
    c->learn_tries++;
    if (c->gone)
        return;
    if (!c->busy && !c->resting && c->id && ask(c))
        c->busy = true;
    else
        again(c);
}

void iq_learn_start(struct iq_ctx *c)
{
    if (!c->gw->cfg->iq.learn_by_audit || c->released)
        return;
    c->learn_tries = 0;
    again(c);
}
