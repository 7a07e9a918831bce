/* Recorded exchanges: lines of JSON, or captures. */
#include "avp/msg_priv.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct epc_exchange *x;
    const struct epc_dict *d;
    struct epc_buf *why;
    enum epc_err e;
};

static struct epc_recorded *one_more(struct reader *r)
{
    struct epc_exchange *x = r->x;
    if (x->n == EPC_EXCHANGE_MAX) {
        epc_why(r->why, "more than %d messages", EPC_EXCHANGE_MAX);
        r->e = EPC_ELIMIT;
        return NULL;
    }
    if ((x->n & (x->n - 1)) == 0) {
        struct epc_recorded *p = realloc(x->msg, (x->n ? 2 * x->n : 1) * sizeof *p);
        if (!p) {
            r->e = EPC_ENOMEM;
            return NULL;
        }
        x->msg = p;
    }
    struct epc_recorded *m = &x->msg[x->n++];
    memset(m, 0, sizeof *m);
    return m;
}

/* Octets to a message, or kept with what is wrong with them. */
static enum epc_err take_octets(struct reader *r, struct epc_recorded *m, const void *p, size_t n)
{
    struct epc_buf fault = {0};
    enum epc_err e = epc_msg_decode(&m->msg, r->d, p, n, &fault);
    if (e == EPC_EPROTO || e == EPC_ELIMIT) {
        struct epc_buf copy = {0};
        size_t length = 0;
        epc_buf_add(&copy, p, n);
        m->raw = (uint8_t *)epc_buf_take(&copy, &length);
        m->n_raw = length;
        size_t k = 0;
        m->fault = epc_buf_take(&fault, &k);
        e = m->raw && m->fault ? EPC_OK : EPC_ENOMEM;
        if (k && m->fault && m->fault[k - 1] == '\n')
            m->fault[k - 1] = 0;
    }
    epc_buf_free(&fault);
    return e;
}

/* ---- captures ------------------------------------------------------------------------------------------- */

static bool on_message(void *arg, uint64_t t_us, const char *from, const char *to, const uint8_t *p, size_t n)
{
    struct reader *r = arg;
    struct epc_recorded *m = one_more(r);
    if (!m)
        return false;
    m->t_us = t_us;
    m->line = r->x->n;
    snprintf(m->from, sizeof m->from, "%s", from);
    snprintf(m->to, sizeof m->to, "%s", to);
    r->e = take_octets(r, m, p, n);
    return r->e == EPC_OK;
}

/* ---- lines ------------------------------------------------------------------------------------------------ */

static void read_envelope(struct epc_recorded *m, const json_t *o)
{
    const char *dir = json_string_value(json_object_get(o, "dir"));
    const char *peer = json_string_value(json_object_get(o, "peer"));
    json_int_t t = json_integer_value(json_object_get(o, "t_us"));
    m->t_us = t > 0 ? (uint64_t)t : 0;
    m->out = dir && strcmp(dir, "out") == 0;
    snprintf(m->peer, sizeof m->peer, "%s", peer ? peer : "");
}

static enum epc_err read_raw(struct reader *r, struct epc_recorded *m, const char *text)
{
    struct epc_buf octets = {0};
    enum epc_err e = text && epc_str_starts(epc_str_c(text), "0x") ? epc_value_parse(NULL, epc_str_c(text), &octets)
                                                                    : EPC_EPROTO;
    if (e)
        epc_why(r->why, "line %zu: \"raw\" is \"0x...\"", m->line);
    else if (octets.failed)
        e = EPC_ENOMEM;
    else
        e = take_octets(r, m, octets.p ? octets.p : "", octets.n);
    epc_buf_free(&octets);
    return e;
}

static void take_object(struct reader *r, const json_t *o, struct epc_str text, size_t number)
{
    const json_t *raw = json_object_get(o, "raw");
    struct epc_buf why = {0};
    if (!raw && !json_object_get(o, "command"))
        return;
    struct epc_recorded *m = one_more(r);
    if (!m)
        return;
    m->line = number;
    read_envelope(m, o);
    r->e = raw ? read_raw(r, m, json_string_value(raw)) : epc_msg_from_json(&m->msg, r->d, text, &why);
    if (why.p)
        epc_why(r->why, "line %zu: %.*s", number, (int)strcspn(why.p, "\n"), why.p);
    epc_buf_free(&why);
}

/* One object at the beginning of @p s, which may go over several lines. @return its octets */
static size_t read_object(struct reader *r, struct epc_str s, size_t number)
{
    json_error_t err;
    if (s.n > 8 * EPC_MSG_MAX_OCTETS)
        s.n = 8 * EPC_MSG_MAX_OCTETS;
    json_t *o = json_loadb(s.p, s.n, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &err);
    size_t n = o ? (size_t)err.position : 0;
    if (json_is_object(o))
        take_object(r, o, (struct epc_str){s.p, n}, number);
    else {
        epc_why(r->why, "line %zu: no JSON object: %s", number + (o || err.line < 1 ? 0 : (size_t)err.line - 1),
                o ? "another value" : err.text);
        r->e = EPC_EPROTO;
    }
    json_decref(o);
    return n;
}

static void read_comment(struct reader *r, struct epc_str line)
{
    if (r->x->title || r->x->n)
        return;
    r->x->title = epc_str_dup(epc_str_trim((struct epc_str){line.p + 1, line.n - 1}));
    if (!r->x->title)
        r->e = EPC_ENOMEM;
}

static void read_lines(struct reader *r, struct epc_str s)
{
    for (size_t number = 1; s.n && r->e == EPC_OK;) {
        struct epc_str rest = s, line = epc_str_cut(&rest, '\n');
        struct epc_str text = epc_str_trim(line);
        size_t used = line.n + (rest.p != NULL);
        if (text.n && text.p[0] == '#')
            read_comment(r, text);
        else if (text.n)
            used = (size_t)(text.p - s.p) + read_object(r, (struct epc_str){text.p, s.n - (size_t)(text.p - s.p)}, number);
        for (size_t i = 0; i < used; i++)
            number += s.p[i] == '\n';
        s = (struct epc_str){s.p + used, s.n - used};
    }
}

enum epc_err epc_exchange_read(struct epc_exchange *out, const struct epc_dict *d, struct epc_str content,
                               struct epc_buf *why)
{
    struct reader r = {.x = out, .d = d, .why = why};
    if (!out || !d)
        return EPC_EINVAL;
    if (!epc_is_pcap(content)) {
        read_lines(&r, content);
        return r.e;
    }
    enum epc_err e = epc_pcap_read(content, &(struct epc_pcap_sink){on_message, &r}, why);
    return e ? e : r.e;
}

void epc_exchange_free(struct epc_exchange *x)
{
    for (size_t i = 0; i < x->n; i++) {
        epc_msg_destroy(x->msg[i].msg);
        free(x->msg[i].raw);
        free(x->msg[i].fault);
    }
    free(x->msg);
    free(x->title);
    *x = (struct epc_exchange){0};
}

/* ---- writing ---------------------------------------------------------------------------------------------- */

/* Names of peers and faults are plain text; anything else would break the line. */
static void add_plain(struct epc_buf *out, const char *name, const char *text)
{
    epc_buf_printf(out, ",\"%s\":\"", name);
    for (const char *c = text; *c; c++)
        epc_buf_add(out, *c < 0x20 || *c == 0x7f || *c == '"' || *c == '\\' || (*c & 0x80) ? " " : c, 1);
    epc_buf_adds(out, "\"");
}

void epc_recorded_write(struct epc_buf *out, uint64_t t_us, bool sent, const char *peer, const struct epc_msg *m,
                        struct epc_str raw, const char *fault)
{
    epc_buf_printf(out, "{\"t_us\":%llu,\"dir\":\"%s\"", (unsigned long long)t_us, sent ? "out" : "in");
    add_plain(out, "peer", peer);
    epc_buf_adds(out, ",");
    if (m)
        epc_msg_to_json(m, out);
    else {
        epc_buf_adds(out, "\"raw\":\"0x");
        for (size_t i = 0; i < raw.n; i++)
            epc_buf_printf(out, "%02x", (unsigned)(uint8_t)raw.p[i]);
        epc_buf_adds(out, "\"");
        if (fault)
            add_plain(out, "fault", fault);
    }
    epc_buf_adds(out, "}\n");
}
