/* What a reply says: which context and terminations there are, what the gateway chose, what it refused. */
#include "gateway/h248/iq_priv.h"

#include <stdlib.h>
#include <string.h>

struct reading {
    struct iq_ctx *c;
    unsigned mg;
    const char *mg_name;
    int side;             /* of the last command's termination; -1: neither */
    unsigned n_added;
    unsigned code;        /* the first error; 0: none */
    char text[64];        /* of it */
    bool unusable;        /* a description that cannot be read */
    bool no_memory;
    struct gw_statistics stat;
    bool counted;
    unsigned n_errors;
};

static void on_context(void *arg, uint32_t context)
{
    struct reading *r = arg;
    if (context && !r->c->id)
        iq_set_id(r->c, r->mg, r->mg_name, context);
}

/* Terminations come back in the order of the request. */
static void on_command(void *arg, enum iq_command kind, struct epc_str termination)
{
    struct reading *r = arg;
    struct iq_leg *leg = r->c->leg;
    r->side = -1;
    if (kind == IQ_CMD_ADD && r->n_added < 2 && !leg[r->n_added].name[0]) {
        r->side = (int)r->n_added++;
        if (termination.n < IQ_TERM_LEN)
            snprintf(leg[r->side].name, IQ_TERM_LEN, "%.*s", EPC_STR_ARG(termination));
        return;
    }
    for (int side = 0; side < 2; side++)
        if (leg[side].name[0] && epc_str_ieqc(termination, leg[side].name))
            r->side = side;
}

static void on_error(void *arg, unsigned code, struct epc_str text)
{
    struct reading *r = arg;
    r->n_errors++;
    if (r->code)
        return;
    r->code = code;
    snprintf(r->text, sizeof r->text, "%.*s", EPC_STR_ARG(text));
}

static void on_local(void *arg, size_t stream, struct epc_str text)
{
    struct reading *r = arg;
    struct epc_sdp *got = NULL;
    if (r->side < 0 || stream >= r->c->next_n || !r->c->next_stream[r->side])
        return;
    struct iq_stream *s = &r->c->next_stream[r->side][stream];
    if (!s->on || epc_str_trim(text).n == 0)
        return;
    enum epc_err err = iq_local_parse(text, &got);
    if (err == EPC_OK) {
        epc_sdp_free(s->got);
        s->got = got;
    } else if (err == EPC_ENOMEM)
        r->no_memory = true;
    else
        r->unusable = true;
}

static void on_statistic(void *arg, struct epc_str name, struct epc_str value)
{
    struct reading *r = arg;
    if (r->side < 0)
        return;
    r->counted = true;
    iq_statistic(&r->stat, (enum epc_gw_side)r->side, name, value);
}

/* ---- operations -------------------------------------------------------------------------------------------- */

static void cause_of_err(enum epc_err err, struct epc_cause *cause)
{
    epc_cause_set(cause, 503, "TS 23.334 6.1", "%s",
                  err == EPC_ENOENT   ? "no media gateway"
                  : err == EPC_ELIMIT ? "no room at the media gateways"
                                      : "the media gateway does not answer");
    cause->retry_after_s = 10;
}

static bool is_gone(unsigned code)
{
    return code == 411 || code == 430 || code == 431 || code == 435;
}

static enum iq_verdict judge(struct reading *r, bool fresh, struct epc_cause *cause)
{
    struct iq_ctx *c = r->c;
    if (r->code) {
        iq_cause_of_code(r->code, cause);
        if (!fresh && is_gone(r->code))
            return r->code == 411 ? IQ_VANISHED : IQ_BROKEN;
        return iq_refused(c->gw, r->mg, r->code, epc_str_c(r->text), c->used) ? IQ_AGAIN : IQ_REFUSED;
    }
    if (r->no_memory || r->unusable) {
        epc_cause_set(cause, 500, "TS 29.334 5.17.2", "gateway: %s",
                      r->no_memory ? "out of memory" : "description not usable");
        return IQ_REFUSED;
    }
    if (!c->id || !c->leg[0].name[0] || !c->leg[1].name[0]) {
        epc_cause_set(cause, 500, "H.248.1 7.2.1", "gateway: reply without context or terminations");
        return IQ_REFUSED;
    }
    return IQ_DONE;
}

enum iq_verdict iq_reply(struct iq_ctx *c, enum epc_err err, const struct h248_reply *r, struct epc_cause *cause)
{
    static const struct iq_reply_fns fns = {
        .context = on_context, .command = on_command, .error = on_error, .local = on_local};
    struct reading rd = {.c = c, .mg = r->mg, .mg_name = r->mg_name, .side = -1};
    bool fresh = !c->id;
    if (fresh) /* a first try that was refused may have named some */
        c->leg[0].name[0] = c->leg[1].name[0] = 0;
    if (err != EPC_OK) {
        cause_of_err(err, cause);
        return IQ_REFUSED;
    }
    if (r->error)
        rd.code = r->error;
    else if (r->reply)
        iq_read_reply(r->reply, &fns, &rd);
    return judge(&rd, fresh, cause);
}

/* ---- Subtract -------------------------------------------------------------------------------------------------- */

bool iq_subtracted(struct iq_ctx *c, enum epc_err err, const struct h248_reply *r)
{
    static const struct iq_reply_fns fns = {.command = on_command, .error = on_error, .statistic = on_statistic};
    struct reading rd = {.c = c, .side = -1, .n_added = 2};
    if (err != EPC_OK)
        return false;
    gw_statistics_init(&rd.stat);
    if (r->error)
        rd.code = r->error;
    else if (r->reply)
        iq_read_reply(r->reply, &fns, &rd);
    if (rd.counted)
        gw_report_statistics(c->key, c->mg_name, &rd.stat);
    /* One of two terminations unknown is not both: a wildcard will tell. */
    return rd.code == 0 || rd.code == 411 || (c->unsure && is_gone(rd.code));
}

/* ---- audit ------------------------------------------------------------------------------------------------------- */

static bool address_of(struct epc_str text, struct epc_addr *out)
{
    struct epc_sdp *s = NULL;
    char host[EPC_ADDR_LEN];
    if (iq_local_parse(text, &s) != EPC_OK)
        return false;
    const struct epc_sdp_media *m = &s->media[0];
    snprintf(host, sizeof host, "%.*s", m->c_addr.n < sizeof host ? (int)m->c_addr.n : 0, m->c_addr.p);
    bool ok = epc_addr_parse(out, host, m->port) == EPC_OK;
    epc_sdp_free(s);
    return ok;
}

static bool same(const struct epc_addr *a, const struct epc_addr *b)
{
    return epc_addr_same_ip(a, b) && epc_addr_port(a) == epc_addr_port(b);
}

/* As long as Remote shows what it was set to, nothing has been learned. */
static void on_remote(void *arg, size_t stream, struct epc_str text)
{
    struct reading *r = arg;
    const struct iq_leg *leg = &r->c->leg[EPC_GW_ACCESS];
    struct epc_addr now, set;
    if (r->side != EPC_GW_ACCESS || stream >= r->c->n || !leg->stream[stream].on || !leg->stream[stream].remote ||
        !address_of(text, &now))
        return;
    if (r->c->learned[stream].len == 0 && address_of(epc_str_c(leg->stream[stream].remote), &set) &&
        same(&now, &set))
        return;
    iq_learned(r->c, stream, &now);
}

void iq_audited(struct iq_ctx *c, enum epc_err err, const struct h248_reply *r)
{
    static const struct iq_reply_fns fns = {.command = on_command, .error = on_error, .remote = on_remote};
    struct reading rd = {.c = c, .side = -1, .n_added = 2};
    if (err != EPC_OK || r->error || !r->reply)
        return;
    iq_read_reply(r->reply, &fns, &rd);
}
