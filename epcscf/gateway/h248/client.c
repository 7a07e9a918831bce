/* Clients of the hub, and the mails between their threads. With hub and client on one shard there is no
 * mailbox between them, but for results that are there at once: nobody is called back inside his own call. */
#include "gateway/h248/client.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/h248/wire.h"

enum { MAILBOX_FULL_MS = 10 };

struct waiting {
    struct epc_hnode node;
    uint64_t handle;
    h248_reply_fn *done;
    void *arg;
};

struct h248_client *h248_client_ref(struct h248_client *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void h248_client_unref(struct h248_client *c)
{
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
        free(c);
}

struct h248_in *h248_in_ref(struct h248_in *in)
{
    atomic_fetch_add_explicit(&in->refs, 1, memory_order_relaxed);
    return in;
}

void h248_in_unref(struct h248_in *in)
{
    if (!in || atomic_fetch_sub_explicit(&in->refs, 1, memory_order_acq_rel) != 1)
        return;
    epc_h248_free(in->msg);
    free(in);
}

struct h248_mail *h248_mail_new(struct h248_client *c, enum h248_mail_kind kind)
{
    struct h248_mail *m = calloc(1, sizeof *m);
    if (m) {
        m->kind = kind;
        m->client = h248_client_ref(c);
    }
    return m;
}

void h248_mail_free(struct h248_mail *m)
{
    h248_in_unref(m->in);
    epc_h248_free(m->msg);
    free(m->key);
    h248_client_unref(m->client);
    free(m);
}

/* ---- on the client's thread: what comes ---------------------------------------------------------------- */

static bool waiting_eq(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, struct waiting, node)->handle == *(const uint64_t *)key;
}

static struct waiting *find(struct h248_client *c, uint64_t handle)
{
    struct epc_hnode *n = c->ended ? NULL : epc_hash_find(&c->open, epc_hash_u64(handle), &handle);
    return n ? EPC_CONTAINER(n, struct waiting, node) : NULL;
}

static void waiting_free(struct h248_client *c, struct waiting *w)
{
    epc_hash_del(&c->open, &w->node);
    free(w);
}

static void post_to_hub(struct h248_mail *m);

static void take_result(struct h248_client *c, struct h248_mail *m)
{
    struct waiting *w = find(c, m->handle);
    if (!w) { /* forgotten meanwhile: what it made has no owner */
        if (m->creates && m->reply) {
            m->kind = MAIL_ORPHAN;
            post_to_hub(m);
            return;
        }
        h248_mail_free(m);
        return;
    }
    struct h248_reply r = {m->mg, m->mg_name, m->error, m->error ? NULL : m->reply};
    h248_reply_fn *done = w->done;
    void *arg = w->arg;
    waiting_free(c, w);
    done(arg, m->err, &r);
    h248_mail_free(m);
}

static void client_take(struct h248_client *c, struct h248_mail *m)
{
    switch (m->kind) {
    case MAIL_RESULT:
        take_result(c, m);
        return;
    case MAIL_NOTIFY:
        m->error = c->ended ? 411 : c->ops->notify(c->arg, m->mg, m->context, m->command);
        m->kind = MAIL_NOTIFIED;
        post_to_hub(m);
        return;
    case MAIL_CHANGE:
        if (!c->ended)
            c->ops->service_change(c->arg, m->mg, m->context, m->command);
        break;
    case MAIL_GONE:
        if (!c->ended)
            c->ops->context_gone(c->arg, m->mg, m->context);
        break;
    case MAIL_MG_LOST:
        if (!c->ended)
            c->ops->mg_lost(c->arg, m->mg);
        break;
    default:
        break;
    }
    h248_mail_free(m);
}

static void on_client_mail(struct epc_shard *sh, void *arg)
{
    struct h248_mail *m = arg;
    (void)sh;
    client_take(m->client, m);
}

/* ---- hub to client ------------------------------------------------------------------------------------------ */

static void on_mailbox_time(void *arg)
{
    struct h248_hub *h = arg;
    struct h248_mail *m = h->unsent;
    h->unsent = NULL;
    h->unsent_tail = &h->unsent;
    while (m) {
        struct h248_mail *next = m->next;
        m->next = NULL;
        h248_mail_deliver(h, m);
        m = next;
    }
}

void h248_mail_deliver(struct h248_hub *h, struct h248_mail *m)
{
    struct epc_shard *sh = m->client->sh;
    if (sh == h->sh && !h->in_take) {
        client_take(m->client, m);
        return;
    }
    /* In order: nothing overtakes what waits. */
    enum epc_err err = h->unsent ? EPC_ELIMIT : epc_shard_post(sh, on_client_mail, m);
    if (err == EPC_OK)
        return;
    if (err == EPC_ENOENT) { /* the shard ends, and with it whoever asked */
        h248_mail_free(m);
        return;
    }
    *h->unsent_tail = m;
    h->unsent_tail = &m->next;
    if (!epc_timer_running(&h->resend))
        epc_timer_start(h->sh, &h->resend, MAILBOX_FULL_MS, on_mailbox_time, h);
}

void h248_mail_drop_unsent(struct h248_hub *h)
{
    while (h->unsent) {
        struct h248_mail *m = h->unsent;
        h->unsent = m->next;
        h248_mail_free(m);
    }
    h->unsent_tail = &h->unsent;
}

/* ---- client to hub ---------------------------------------------------------------------------------------------- */

static void on_hub_mail(struct epc_shard *sh, void *arg)
{
    struct h248_mail *m = arg;
    (void)sh;
    h248_hub_take(m->client->hub, m);
}

static enum epc_err to_hub(struct h248_mail *m)
{
    struct h248_hub *h = m->client->hub;
    struct epc_shard *sh = h->home;
    if (!sh)
        return EPC_ENOENT;
    if (sh == m->client->sh) {
        h248_hub_take(h, m);
        return EPC_OK;
    }
    enum epc_err err = epc_shard_post(sh, on_hub_mail, m);
    return err == EPC_ELIMIT ? EPC_EAGAIN : err;
}

/* For what must not be lost, but is made good by audits if it is. */
static void post_to_hub(struct h248_mail *m)
{
    enum epc_err err = to_hub(m);
    if (err == EPC_OK)
        return;
    if (err != EPC_ENOENT)
        epc_log(EPC_LOG_WARN, "gateway", "event=iq-mail-lost kind=%d", (int)m->kind);
    h248_mail_free(m);
}

enum epc_err h248_request(struct h248_client *c, const struct h248_request_opts *o,
                          struct epc_h248_message **actions, h248_reply_fn *done, void *arg, uint64_t *handle)
{
    struct h248_mail *m = h248_mail_new(c, MAIL_REQUEST);
    struct waiting *w = malloc(sizeof *w);
    EPC_ASSERT_OWNER(c->sh);
    if (m) {
        m->msg = *actions;
        m->opts = *o;
        m->opts.key = NULL;
        m->key = o->key ? strdup(o->key) : NULL;
    } else {
        epc_h248_free(*actions);
    }
    *actions = NULL;
    if (!m || !w || (o->key && !m->key)) {
        if (m)
            h248_mail_free(m);
        free(w);
        return EPC_ENOMEM;
    }
    *w = (struct waiting){.handle = ++c->last_handle, .done = done, .arg = arg};
    m->handle = w->handle;
    epc_hash_add(&c->open, &w->node, epc_hash_u64(w->handle));
    if (handle)
        *handle = w->handle;
    enum epc_err err = to_hub(m);
    if (err != EPC_OK) {
        waiting_free(c, w);
        h248_mail_free(m);
    }
    return err;
}

void h248_forget(struct h248_client *c, uint64_t handle)
{
    struct waiting *w = find(c, handle);
    if (w)
        waiting_free(c, w);
}

void h248_context_ended(struct h248_client *c, unsigned mg, uint32_t context)
{
    struct h248_mail *m = h248_mail_new(c, MAIL_ENDED);
    if (!m)
        return; /* the next audit of contexts sets it right */
    m->mg = mg;
    m->context = context;
    post_to_hub(m);
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

enum epc_err h248_client_create(struct h248_client **out, struct epc_gw_hub *hub, struct epc_shard *sh,
                                const struct epc_cfg_media *cfg, const struct h248_client_ops *ops, void *arg)
{
    struct h248_hub *h = (struct h248_hub *)hub;
    struct h248_client *c = calloc(1, sizeof *c);
    (void)cfg;
    if (!c)
        return EPC_ENOMEM;
    atomic_init(&c->refs, 1);
    c->hub = h;
    c->sh = sh;
    c->ops = ops;
    c->arg = arg;
    enum epc_err err = epc_hash_init(&c->open, waiting_eq);
    if (err == EPC_OK && epc_shard_index(sh) == 0)
        err = h248_hub_start(h, sh);
    struct h248_mail *m = err == EPC_OK ? h248_mail_new(c, MAIL_ATTACH) : NULL;
    if (err == EPC_OK && !m)
        err = EPC_ENOMEM;
    if (err == EPC_OK && (err = to_hub(m)) != EPC_OK)
        h248_mail_free(m);
    if (err != EPC_OK) {
        if (epc_shard_index(sh) == 0)
            h248_hub_stop(h);
        epc_hash_free(&c->open);
        h248_client_unref(c);
        return err;
    }
    *out = c;
    return EPC_OK;
}

static void drop_waiting(struct epc_hnode *node, void *arg)
{
    waiting_free(arg, EPC_CONTAINER(node, struct waiting, node));
}

void h248_client_destroy(struct h248_client *c)
{
    if (!c)
        return;
    struct h248_hub *h = c->hub;
    bool home = epc_shard_index(c->sh) == 0;
    struct h248_mail *m = h248_mail_new(c, MAIL_DETACH);
    c->ended = true;
    epc_hash_each(&c->open, drop_waiting, c);
    if (m)
        post_to_hub(m);
    if (home)
        h248_hub_stop(h);
    epc_hash_free(&c->open);
    c->open = (struct epc_hash){0};
    h248_client_unref(c);
}
