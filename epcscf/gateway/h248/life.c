/* Beginning and end of the hub. At the end the gateways are told, and the shard waits for their answers. */
#include <stdlib.h>
#include <string.h>

#include "gateway/h248/client.h"

enum { STOP_MS = 1000 };

static void closed(void *arg, struct h248_conn *conn)
{
    struct h248_hub *h = arg;
    struct h248_mg *mg = h248_conn_owner(conn);
    (void)h;
    h248_exec_forget_conn(mg, conn);
    if (mg->path.conn != conn)
        return;
    mg->path = (struct h248_path){0};
    mg->reachable = false;
    if (mg->state != MG_DOWN)
        h248_mg_event(mg, MG_EV_SILENT);
}

/* Before anything is read: can anybody be there who may register? */
static bool welcome(void *arg, const struct epc_addr *peer)
{
    const struct h248_hub *h = arg;
    for (size_t i = 0; i < h->cfg->n_gateways; i++)
        if (!h->cfg->gateways[i].network || epc_network_fit(h->cfg->gateways[i].network, peer))
            return true;
    return false;
}

static const struct h248_net_ops net_ops = {welcome, h248_hub_received, closed};

enum epc_err h248_hub_start(struct h248_hub *h, struct epc_shard *sh)
{
    h->sh = sh;
    h->home = sh;
    h->unsent_tail = &h->unsent;
    enum epc_err err = h248_net_create(&h->net, sh, h->cfg, &net_ops, h);
    if (err != EPC_OK)
        h->sh = NULL;
    return err;
}

static void hub_end(struct h248_hub *h)
{
    struct epc_shard *sh = h->sh;
    epc_timer_stop(sh, &h->stop_timer);
    for (unsigned i = 0; i < h->n_mgs; i++) {
        struct h248_mg *mg = h->mg[i];
        epc_timer_stop(sh, &mg->beat);
        epc_timer_stop(sh, &mg->recovery);
        epc_timer_stop(sh, &mg->drain);
        mg->reachable = false;
        h248_trans_fail_all(mg, EPC_EIO);
        h248_trans_drop_all(mg);
        h248_exec_drop_all(mg);
        if (mg->state != MG_DOWN && mg->state != MG_LOST)
            epc_count_add(EPC_C_IQ_GATEWAYS, -1);
        epc_count_add(EPC_C_IQ_GATEWAYS_UP, -(mg->state == MG_UP));
    }
    epc_timer_stop(sh, &h->resend);
    h248_mail_drop_unsent(h);
    h248_contexts_drop(h);
    h248_net_destroy(h->net);
    h->net = NULL;
    h->sh = NULL;
    if (h->stopping)
        epc_shard_release(sh);
}

static void on_stop_time(void *arg)
{
    struct h248_hub *h = arg;
    if (h->stops_open)
        epc_log(EPC_LOG_WARN, "gateway", "event=iq-stop-unanswered gateways=%u", h->stops_open);
    hub_end(h);
}

static void on_told(void *arg, enum epc_err err, unsigned error, struct h248_in *in,
                    const struct epc_h248_transaction *t)
{
    struct h248_mg *mg = arg;
    struct h248_hub *h = mg->hub;
    (void)in;
    (void)t;
    if (err != EPC_OK || error)
        epc_log(EPC_LOG_INFO, "gateway", "event=iq-stop-not-accepted gateway=%s error=%u why=\"%s\"", mg->mid, error,
                epc_err_name(err));
    /* From a timer: the transactions' own code is still at work. */
    if (--h->stops_open == 0 && h->sh)
        epc_timer_start(h->sh, &h->stop_timer, 0, on_stop_time, h);
}

void h248_hub_stop(struct h248_hub *h)
{
    if (!h->sh)
        return;
    h->stopping = true;
    epc_shard_hold(h->sh);
    for (unsigned i = 0; i < h->n_mgs; i++) {
        struct h248_mg *mg = h->mg[i];
        bool there = mg->reachable && (mg->state == MG_CHECK || mg->state == MG_UP || mg->state == MG_DRAIN);
        if (there && h248_order_stop(mg, on_told, mg) == EPC_OK)
            h->stops_open++;
    }
    epc_timer_start(h->sh, &h->stop_timer, h->stops_open ? STOP_MS : 0, on_stop_time, h);
}

static void hub_destroy(struct epc_gw_hub *base)
{
    struct h248_hub *h = (struct h248_hub *)base;
    for (unsigned i = 0; i < h->n_mgs; i++)
        free(h->mg[i]);
    epc_hash_free(&h->trans);
    epc_hash_free(&h->execs);
    epc_hash_free(&h->contexts);
    pthread_mutex_destroy(&h->facts_mutex);
    free(h->facts);
    free(h);
}

enum epc_err h248_hub_create(struct epc_gw_hub **out, const struct epc_cfg_media *cfg)
{
    struct h248_hub *h = calloc(1, sizeof *h);
    if (!h)
        return EPC_ENOMEM;
    h->base.destroy = hub_destroy;
    h->media = cfg;
    h->cfg = &cfg->h248;
    pthread_mutex_init(&h->facts_mutex, NULL);
    enum epc_err err = h248_facts_init(h);
    if (err == EPC_OK)
        err = h248_trans_init(h);
    if (err == EPC_OK)
        err = h248_exec_init(h);
    if (err == EPC_OK)
        err = h248_contexts_init(h);
    if (err == EPC_OK)
        *out = &h->base;
    else
        hub_destroy(&h->base);
    return err;
}
