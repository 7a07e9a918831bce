/* The difference between what the gateway has and what it shall have, as commands of one transaction
 * (TS 29.334 5.17.2). They are written as text and read back by the codec: what leaves is well-formed. */
#include "gateway/h248/iq_priv.h"

#include <inttypes.h>
#include <string.h>

static enum epc_err to_message(struct epc_buf *b, struct epc_h248_message **out)
{
    enum epc_err err = b->failed ? EPC_ENOMEM : iq_read_actions((struct epc_str){b->p, b->n}, out);
    epc_buf_free(b);
    return err;
}

/* A list in braces whose parts are put with commas between; nothing at all when there are none. */
struct list {
    struct epc_buf *b;
    const char *head;
    size_t n;
};

static struct epc_buf *item(struct list *l)
{
    epc_buf_adds(l->b, l->n++ ? ", " : l->head);
    return l->b;
}

static void close_list(struct list *l)
{
    if (l->n)
        epc_buf_adds(l->b, " }");
}

/* ---- LocalControl --------------------------------------------------------------------------------------- */

static const char *mode_text(enum iq_mode mode)
{
    static const char *const names[] = {
        [IQ_INACTIVE] = "Inactive", [IQ_RECVONLY] = "ReceiveOnly", [IQ_SENDONLY] = "SendOnly",
        [IQ_SENDRECV] = "SendReceive"};
    return names[mode];
}

struct writer {
    struct iq_ctx *c;
    enum epc_gw_side side;
    struct epc_buf *b;
};

/* The name to use, noted as used; NULL: it is not to be used. */
static const char *use(struct writer *w, enum iq_name n)
{
    if (!iq_may_use(w->c->gw, w->c->mg, n))
        return NULL;
    w->c->used |= (uint64_t)1 << n;
    return iq_name(w->c->gw, n);
}

static void put_switch(struct writer *w, struct list *l, enum iq_name n, bool on)
{
    const char *name = use(w, n);
    if (name)
        epc_buf_printf(item(l), "%s = %s", name, on ? "ON" : "OFF");
}

static void put_number(struct writer *w, struct list *l, enum iq_name n, uint32_t value)
{
    const char *name = use(w, n);
    if (name)
        epc_buf_printf(item(l), "%s = %" PRIu32, name, value);
}

static void put_policing(struct writer *w, struct list *l, const struct iq_stream *s)
{
    put_switch(w, l, IQ_POLICE, true);
    put_number(w, l, IQ_RATE, s->rate);
    if (w->c->gw->cfg->iq.burst_octets)
        put_number(w, l, IQ_BURST, w->c->gw->cfg->iq.burst_octets);
}

static void put_realm(struct writer *w, struct list *l)
{
    const struct epc_cfg_iq *cfg = &w->c->gw->cfg->iq;
    const char *realm = w->side == EPC_GW_ACCESS ? cfg->access_realm : cfg->core_realm;
    const char *name = realm && *realm ? use(w, IQ_REALM) : NULL;
    if (name)
        epc_buf_printf(item(l), "%s = \"%s\"", name, realm);
}

/* @p h: what the gateway has; NULL: nothing, so that everything is said. */
static void put_local_control(struct writer *w, struct list *stream, const struct iq_stream *s,
                              const struct iq_stream *h)
{
    struct epc_buf b = {0};
    struct list l = {&b, "LocalControl { ", 0};
    const char *name;
    if (!h || h->mode != s->mode)
        epc_buf_printf(item(&l), "Mode = %s", mode_text(s->mode));
    if (h ? h->several != s->several : s->several)
        epc_buf_printf(item(&l), "ReservedValue = %s", s->several ? "ON" : "OFF");
    if (!h)
        put_realm(w, &l);
    if (h ? h->filter != s->filter : s->filter || w->side == EPC_GW_ACCESS) {
        put_switch(w, &l, IQ_ADDRESS_FILTER, s->filter);
        put_switch(w, &l, IQ_PORT_FILTER, s->filter);
    }
    if (s->rate && (!h || h->rate != s->rate))
        put_policing(w, &l, s);
    if (s->dscp && (!h || h->dscp != s->dscp) && (name = use(w, IQ_DSCP)))
        epc_buf_printf(item(&l), "%s = %02" PRIX32, name, s->dscp);
    if (!h || h->rtcp != s->rtcp)
        put_switch(w, &l, IQ_RTCP, s->rtcp);
    close_list(&l);
    if (l.n)
        epc_buf_addstr(item(stream), (struct epc_str){b.p, b.n});
    w->b->failed = w->b->failed || b.failed;
    epc_buf_free(&b);
}

/* ---- streams --------------------------------------------------------------------------------------------- */

static bool differs(const char *a, const char *b)
{
    return !a != !b || (a && strcmp(a, b) != 0);
}

/* H.248.1 7.1.6: a stream ends when all its terminations have no descriptions of it. */
static void put_end_of_stream(struct list *media, size_t i)
{
    epc_buf_printf(item(media),
                   "Stream = %zu { LocalControl { Mode = Inactive, ReservedValue = OFF, ReservedGroup = OFF }, "
                   "Local {}, Remote {} }",
                   i + 1);
}

static void put_stream(struct writer *w, struct list *media, size_t i)
{
    struct iq_ctx *c = w->c;
    const struct iq_stream *s = &c->next_stream[w->side][i];
    const struct iq_stream *h = i < c->n && c->leg[w->side].stream[i].on ? &c->leg[w->side].stream[i] : NULL;
    bool all = !h || c->unsure;
    struct epc_buf b = {0};
    struct list l = {&b, "", 0};
    if (!s->on) {
        if (h)
            put_end_of_stream(media, i);
        return;
    }
    put_local_control(w, &l, s, all ? NULL : h);
    if (s->local && (all || s->send_local))
        epc_buf_printf(item(&l), "Local {%s}", s->local);
    if (s->remote && (all || differs(s->remote, h->remote)))
        epc_buf_printf(item(&l), "Remote {%s}", s->remote);
    if (l.n)
        epc_buf_printf(item(media), "Stream = %zu { %s }", i + 1, b.p ? b.p : "");
    w->b->failed = w->b->failed || b.failed;
    epc_buf_free(&b);
}

/* ---- events and signals --------------------------------------------------------------------------------------- */

static void put_event(struct writer *w, struct list *l, enum iq_name n)
{
    const char *name = use(w, n);
    if (name)
        epc_buf_adds(item(l), name);
}

static void put_events(struct writer *w, struct list *descriptors)
{
    const struct epc_cfg_media *cfg = w->c->gw->cfg;
    const struct iq_gw *gw = w->c->gw;
    struct epc_buf b = {0};
    struct list l = {&b, " { ", 0};
    const char *name;
    put_event(w, &l, IQ_CAUSE);
    if (cfg->iq.heartbeat_s && (name = use(w, IQ_HEARTBEAT)))
        epc_buf_printf(item(&l), "%s { %s = %" PRIu32 " }", name, iq_name(gw, IQ_HEARTBEAT_TIME),
                       cfg->iq.heartbeat_s);
    if (w->side == EPC_GW_ACCESS) {
        uint32_t silence_s = (cfg->inactivity_ms + 999) / 1000;
        if (silence_s && (name = use(w, IQ_INACTIVITY)))
            epc_buf_printf(item(&l), "%s { %s = %" PRIu32 ", %s = BOTH }", name, iq_name(gw, IQ_INACTIVITY_TIME),
                           silence_s, iq_name(gw, IQ_INACTIVITY_DIR));
        if (cfg->iq.ice == EPC_IQ_ICE_FULL) {
            put_event(w, &l, IQ_ICE_RESULT);
            put_event(w, &l, IQ_NEW_PEER);
            put_event(w, &l, IQ_CONSENT);
        }
    }
    close_list(&l);
    if (l.n)
        epc_buf_printf(item(descriptors), "Events = %" PRIu32 "%s", w->c->number, b.p ? b.p : "");
    w->b->failed = w->b->failed || b.failed;
    epc_buf_free(&b);
}

static void put_access_signals(struct writer *w, struct list *l, size_t i)
{
    const struct iq_stream *s = &w->c->next_stream[EPC_GW_ACCESS][i];
    bool fresh = i >= w->c->n || !w->c->leg[EPC_GW_ACCESS].stream[i].on;
    const char *name;
    if (fresh && (name = use(w, IQ_STUN_SERVER)))
        epc_buf_printf(item(l), "%s { Stream = %zu }", name, i + 1);
    /* Checks begin when both sides know each other's credentials (TS 23.334 6.2.17.2). */
    if (w->c->gw->cfg->iq.ice == EPC_IQ_ICE_FULL && s->check_due && w->c->open->kind != IQ_OFFER &&
        (name = use(w, IQ_ICE_CHECK)))
        epc_buf_printf(item(l), "%s { Stream = %zu }", name, i + 1);
}

static void put_core_signals(struct writer *w, struct list *l, size_t i)
{
    const struct iq_stream *s = &w->c->next_stream[EPC_GW_CORE][i];
    const struct iq_stream *h = i < w->c->n ? &w->c->leg[EPC_GW_CORE].stream[i] : NULL;
    const char *name;
    if (!w->c->gw->cfg->iq.latch_core || !s->remote || (h && !differs(s->remote, h->remote)))
        return;
    if ((name = use(w, IQ_LATCH)))
        epc_buf_printf(item(l), "%s { Stream = %zu, %s = %s }", name, i + 1, iq_name(w->c->gw, IQ_LATCH_MODE),
                       h && h->remote ? "RELATCH" : "LATCH");
}

static void put_signals(struct writer *w, struct list *descriptors)
{
    struct epc_buf b = {0};
    struct list l = {&b, "Signals { ", 0};
    for (size_t i = 0; i < w->c->next_n; i++)
        if (!w->c->next_stream[w->side][i].on)
            continue;
        else if (w->side == EPC_GW_ACCESS)
            put_access_signals(w, &l, i);
        else
            put_core_signals(w, &l, i);
    close_list(&l);
    if (l.n)
        epc_buf_addstr(item(descriptors), (struct epc_str){b.p, b.n});
    w->b->failed = w->b->failed || b.failed;
    epc_buf_free(&b);
}

/* ---- commands ---------------------------------------------------------------------------------------------- */

static void put_command(struct writer *w, struct list *commands, bool add)
{
    const struct epc_cfg_iq *cfg = &w->c->gw->cfg->iq;
    const char *name = !add                        ? w->c->leg[w->side].name
                       : w->side == EPC_GW_ACCESS ? cfg->access_termination
                                                  : cfg->core_termination;
    struct epc_buf b = {0}, m = {0};
    struct list descriptors = {&b, " { ", 0}, media = {&m, "Media { ", 0};
    for (size_t i = 0; i < w->c->next_n; i++)
        put_stream(w, &media, i);
    close_list(&media);
    if (media.n)
        epc_buf_addstr(item(&descriptors), (struct epc_str){m.p, m.n});
    if (add)
        put_events(w, &descriptors);
    put_signals(w, &descriptors);
    close_list(&descriptors);
    if (descriptors.n)
        epc_buf_printf(item(commands), "%s = %s%s", add ? "Add" : "Modify", name, b.p ? b.p : "");
    w->b->failed = w->b->failed || b.failed || m.failed;
    epc_buf_free(&b);
    epc_buf_free(&m);
}

static bool any_stream(const struct iq_ctx *c)
{
    for (size_t i = 0; i < c->next_n; i++)
        if (c->next_stream[EPC_GW_ACCESS][i].on)
            return true;
    return false;
}

enum epc_err iq_request(struct iq_ctx *c, struct epc_h248_message **out)
{
    struct epc_buf b = {0}, all = {0};
    struct list commands = {&b, "", 0};
    bool add = c->id == 0;
    *out = NULL;
    c->used = 0;
    if (add && !any_stream(c))
        return EPC_OK;
    for (int side = 0; side < 2; side++) {
        struct writer w = {c, (enum epc_gw_side)side, &b};
        put_command(&w, &commands, add);
    }
    if (commands.n && add) {
        epc_buf_printf(&all, "Context = $ { %s", c->emergency ? "Emergency, " : "");
        if (c->priority > 0)
            epc_buf_printf(&all, "Priority = %d, ", c->priority);
    } else if (commands.n)
        epc_buf_printf(&all, "Context = %" PRIu32 " { ", c->id);
    if (commands.n)
        epc_buf_printf(&all, "%s }", b.p ? b.p : "");
    bool none = !commands.n && !b.failed;
    all.failed = all.failed || b.failed;
    epc_buf_free(&b);
    return none ? EPC_OK : to_message(&all, out);
}

enum epc_err iq_subtract(const struct iq_ctx *c, bool wildcard, struct epc_h248_message **out)
{
    struct epc_buf b = {0};
    epc_buf_printf(&b, "Context = %" PRIu32 " { ", c->id);
    if (wildcard || !c->leg[0].name[0] || !c->leg[1].name[0])
        epc_buf_adds(&b, "W-Subtract = * { Audit { } }");
    else
        epc_buf_printf(&b, "Subtract = %s { Audit { Statistics } }, Subtract = %s { Audit { Statistics } }",
                       c->leg[EPC_GW_ACCESS].name, c->leg[EPC_GW_CORE].name);
    epc_buf_adds(&b, " }");
    return to_message(&b, out);
}

enum epc_err iq_audit(const struct iq_ctx *c, struct epc_h248_message **out)
{
    struct epc_buf b = {0};
    epc_buf_printf(&b, "Context = %" PRIu32 " { AuditValue = %s { Audit { Media } } }", c->id,
                   c->leg[EPC_GW_ACCESS].name);
    return to_message(&b, out);
}
