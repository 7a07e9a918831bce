/* The agent of one shard: life, and the end of flows. */
#include "sip/sip_priv.h"

#include <pthread.h>
#include <sofia-sip/su_debug.h>
#include <sofia-sip/su_log.h>
#include <stdlib.h>
#include <string.h>

void epc_sip_link(struct tx_link **list, struct tx_link *l)
{
    l->next = *list;
    l->prev = list;
    if (l->next)
        l->next->prev = &l->next;
    *list = l;
}

void epc_sip_unlink(struct tx_link *l)
{
    if (!l->prev)
        return;
    *l->prev = l->next;
    if (l->next)
        l->next->prev = l->prev;
    l->next = NULL;
    l->prev = NULL;
}

static bool ref_eq(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, struct flow_ref, node)->flow_id == *(const uint64_t *)key;
}

void epc_sip_ref_add(struct epc_sip *s, struct flow_ref *r, uint64_t flow_id)
{
    r->flow_id = flow_id;
    r->linked = true;
    epc_hash_add(&s->by_flow, &r->node, epc_hash_u64(flow_id));
}

void epc_sip_ref_del(struct epc_sip *s, struct flow_ref *r)
{
    if (r->linked)
        epc_hash_del(&s->by_flow, &r->node);
    r->linked = false;
}

/* sofia-sip writes to standard error by itself; its lines belong into our log. */
static void sofia_log(void *stream, char const *fmt, va_list ap) EPC_PRINTF(2, 0);
static void sofia_log(void *stream, char const *fmt, va_list ap)
{
    char line[256];
    (void)stream;
    int n = vsnprintf(line, sizeof line, fmt, ap);
    if (n <= 0)
        return;
    line[strcspn(line, "\r\n")] = 0;
    if (line[0])
        epc_log(EPC_LOG_DEBUG, "sip", "event=sofia text=\"%s\"", line);
}

static pthread_once_t log_once = PTHREAD_ONCE_INIT;
static void redirect_log(void)
{
    su_log_redirect(su_log_default, sofia_log, NULL);
}

static enum epc_err read_trusted(struct epc_sip *s)
{
    s->trusted = calloc(s->cfg->n_trusted ? s->cfg->n_trusted : 1, sizeof *s->trusted);
    if (!s->trusted)
        return EPC_ENOMEM;
    for (size_t i = 0; i < s->cfg->n_trusted; i++) {
        if (epc_addr_parse(&s->trusted[s->n_trusted], s->cfg->trusted[i], 0) != EPC_OK) {
            epc_log(EPC_LOG_ERROR, "sip", "event=bad-trusted-address text=\"%s\"", s->cfg->trusted[i]);
            return EPC_EIO;
        }
        s->n_trusted++;
    }
    return EPC_OK;
}

enum epc_err epc_sip_create(struct epc_sip **out, struct epc_shard *sh, const struct epc_cfg_sip *cfg,
                            const unsigned char token_key[32], const struct epc_sip_handler *h,
                            void *arg)
{
    if (!out || !sh || !cfg || !token_key || !h || !h->request || !h->ack || !cfg->core_host ||
        !cfg->public_host)
        return EPC_EINVAL;
    pthread_once(&log_once, redirect_log);
    struct epc_sip *s = calloc(1, sizeof *s);
    if (!s)
        return EPC_ENOMEM;
    s->sh = sh;
    s->cfg = cfg;
    s->h = h;
    s->arg = arg;
    s->t1_ms = EPC_SIP_T1_MS;
    s->t64_ms = s->timer_b_ms = EPC_SIP_T64_MS;
    s->linger_ms = EPC_SIP_LINGER_MS;
    epc_sip_overload_open(s);
    enum epc_err err = epc_sip_token_init(s, token_key);
    if (!err)
        err = epc_hash_init(&s->wic_in, epc_sip_in_eq);
    if (!err)
        err = epc_hash_init(&s->wic_out, epc_sip_out_eq);
    if (!err)
        err = epc_hash_init(&s->core_in, epc_sip_in_core_eq);
    if (!err)
        err = epc_hash_init(&s->core_tx, epc_core_tx_eq);
    if (!err)
        err = epc_hash_init(&s->by_flow, ref_eq);
    if (!err)
        err = epc_sip_moved_init(s);
    if (!err)
        err = read_trusted(s);
    if (!err)
        err = epc_sip_core_open(s);
    if (err) {
        epc_sip_destroy(s);
        return err;
    }
    *out = s;
    return EPC_OK;
}

void epc_sip_destroy(struct epc_sip *s)
{
    if (!s)
        return;
    while (s->ins)
        epc_sip_in_orphan(EPC_CONTAINER(s->ins, struct epc_sip_in, link));
    while (s->outs)
        epc_sip_out_orphan(EPC_CONTAINER(s->outs, struct epc_sip_out, link));
    while (s->txs)
        epc_core_tx_orphan(s->txs);
    core_net_close(s->net);
    epc_timer_stop(s->sh, &s->remember_timer);
    epc_sip_overload_close(s);
    free(s->last_hop_uri);
    epc_hash_free(&s->wic_in);
    epc_hash_free(&s->wic_out);
    epc_hash_free(&s->core_in);
    epc_hash_free(&s->core_tx);
    epc_hash_free(&s->by_flow);
    epc_sip_moved_free(s);
    epc_sip_token_free(s);
    free(s->trusted);
    free(s);
}

void epc_sip_set_wss(struct epc_sip *s, struct epc_wss *w)
{
    s->wss = w;
}

void epc_sip_set_emergency(struct epc_sip *s, char *const *numbers, size_t n)
{
    s->emergency = numbers;
    s->n_emergency = n;
}

void epc_sip_flow_closed(struct epc_sip *s, uint64_t flow_id)
{
    EPC_ASSERT_OWNER(s->sh);
    struct epc_hnode *node;
    while ((node = epc_hash_find(&s->by_flow, epc_hash_u64(flow_id), &flow_id))) {
        struct flow_ref *r = EPC_CONTAINER(node, struct flow_ref, node);
        epc_sip_ref_del(s, r);
        epc_sip_out_flow_gone(r->out);
    }
}
