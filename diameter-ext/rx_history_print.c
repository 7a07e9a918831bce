/* The history told: as text for people, or as JSON, an object a line for each session. */
#include "rx_history_tell.h"

#include "diameter/diameter.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- pieces ------------------------------------------------------------------------------------------ */

void rx_tell_time(struct epc_buf *b, uint64_t wall_ms)
{
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm;
    char text[32];
    if (gmtime_r(&s, &tm) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm))
        epc_buf_printf(b, "%s.%03uZ", text, (unsigned)(wall_ms % 1000));
}

static void put_json(struct epc_buf *b, const char *p, size_t n)
{
    epc_buf_adds(b, "\"");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if (c == '"' || c == '\\')
            epc_buf_printf(b, "\\%c", c);
        else if (c == '\n')
            epc_buf_adds(b, "\\n");
        else if (c < 0x20 || c >= 0x7f)
            epc_buf_printf(b, "\\u%04x", c);
        else
            epc_buf_add(b, &p[i], 1);
    }
    epc_buf_adds(b, "\"");
}

/* "name":"text", with a comma before it; NULL gives null. */
static void put_member(struct epc_buf *b, const char *name, const char *text)
{
    epc_buf_printf(b, ",\"%s\":", name);
    if (text)
        put_json(b, text, strlen(text));
    else
        epc_buf_adds(b, "null");
}

static void put_time_member(struct epc_buf *b, const char *name, uint64_t wall_ms)
{
    epc_buf_printf(b, ",\"%s\":\"", name);
    rx_tell_time(b, wall_ms);
    epc_buf_adds(b, "\"");
}

/* Lines of @p text, each behind @p indent. */
void rx_tell_lines(struct epc_buf *b, const char *indent, const char *text)
{
    struct epc_str rest = epc_str_c(text);
    while (rest.n) {
        struct epc_str line = epc_str_cut(&rest, '\n');
        epc_buf_printf(b, "%s%.*s\n", indent, EPC_STR_ARG(line));
    }
}

const char *rx_or_dash(const char *text)
{
    return text && text[0] ? text : "-";
}

/* ---- messages ------------------------------------------------------------------------------------------ */

struct msg *rx_decode(const uint8_t *wire, size_t n)
{
    struct msg *m = NULL;
    uint8_t *copy = wire ? malloc(n) : NULL;
    if (!copy)
        return NULL;
    memcpy(copy, wire, n);
    if (fd_msg_parse_buffer(&copy, n, &m)) {
        free(copy);
        return NULL;
    }
    (void)fd_msg_parse_dict(m, fd_g_config->cnf_dict, NULL); /* what it does not know shows by number */
    return m;
}

bool rx_first_item(msg_or_avp *parent, struct rx_item *it)
{
    struct avp *a = NULL;
    if (fd_msg_browse(parent, MSG_BRW_FIRST_CHILD, &a, NULL))
        return false;
    it->avp = a;
    return a != NULL;
}

bool rx_next_item(struct rx_item *it)
{
    struct avp *a = NULL;
    if (fd_msg_browse(it->avp, MSG_BRW_NEXT, &a, NULL))
        return false;
    it->avp = a;
    return a != NULL;
}

bool rx_read_item(struct rx_item *it)
{
    it->model = NULL;
    it->data = (struct dict_avp_data){.avp_basetype = AVP_TYPE_OCTETSTRING};
    if (fd_msg_avp_hdr(it->avp, &it->hdr))
        return false;
    if (fd_msg_model(it->avp, &it->model) == 0 && it->model)
        (void)fd_dict_getval(it->model, &it->data);
    it->grouped = it->data.avp_basetype == AVP_TYPE_GROUPED;
    return true;
}

/* Codec-Data is lines of SDP: shown as such. */
static bool put_sdp(struct epc_buf *b, const struct rx_item *it, const char *indent)
{
    const union avp_value *v = it->hdr->avp_value;
    if (it->hdr->avp_code != 524 || !v || !memchr(v->os.data, '\n', v->os.len))
        return false;
    struct epc_buf text = {0};
    epc_buf_add(&text, v->os.data, v->os.len);
    epc_buf_adds(b, "\n");
    if (text.p)
        rx_tell_lines(b, indent, text.p);
    epc_buf_free(&text);
    return true;
}

void rx_tell_tree(struct epc_buf *b, msg_or_avp *parent, unsigned depth)
{
    struct rx_item it;
    char indent[64];
    for (bool more = rx_first_item(parent, &it); more && rx_read_item(&it); more = rx_next_item(&it)) {
        snprintf(indent, sizeof indent, "%*s", (int)(depth < 20 ? 2 * depth : 40), "");
        epc_buf_adds(b, indent);
        rx_avp_name(b, it.hdr, &it.data);
        if (it.grouped) {
            epc_buf_adds(b, "\n");
            rx_tell_tree(b, it.avp, depth + 1);
            continue;
        }
        epc_buf_adds(b, it.hdr->avp_value ? " = " : " (not decoded)");
        snprintf(indent, sizeof indent, "%*s| ", (int)(depth < 20 ? 2 * depth + 2 : 42), "");
        if (put_sdp(b, &it, indent))
            continue;
        rx_avp_value(b, it.avp, it.model, it.data.avp_basetype);
        epc_buf_adds(b, "\n");
    }
}

/* [{"name":..., "code":..., "vendor":..., "value": text or array}] */
static void put_json_tree(struct epc_buf *b, msg_or_avp *parent)
{
    struct rx_item it;
    epc_buf_adds(b, "[");
    bool first = true;
    for (bool more = rx_first_item(parent, &it); more && rx_read_item(&it); more = rx_next_item(&it)) {
        struct epc_buf text = {0};
        rx_avp_name(&text, it.hdr, &it.data);
        epc_buf_printf(b, "%s{\"name\":", first ? "" : ",");
        first = false;
        put_json(b, text.p ? text.p : "", text.n);
        epc_buf_printf(b, ",\"code\":%" PRIu32 ",\"vendor\":%" PRIu32 ",\"value\":", it.hdr->avp_code,
                       it.hdr->avp_flags & AVP_FLAG_VENDOR ? it.hdr->avp_vendor : 0);
        text.n = 0;
        if (it.grouped)
            put_json_tree(b, it.avp);
        else {
            rx_avp_value(&text, it.avp, it.model, it.data.avp_basetype);
            put_json(b, text.p ? text.p : "", text.n);
        }
        epc_buf_free(&text);
        epc_buf_adds(b, "}");
    }
    epc_buf_adds(b, "]");
}

static void put_message(struct epc_buf *b, bool json, const uint8_t *wire, size_t n)
{
    struct msg *m = rx_decode(wire, n);
    struct epc_buf text = {0};
    if (!m) {
        epc_buf_adds(b, json ? "null" : "    (not kept)\n");
        return;
    }
    if (json)
        put_json_tree(&text, m);
    else
        rx_tell_tree(&text, m, 2);
    if (text.p)
        epc_mask_secrets(b, text.p, text.n);
    epc_buf_free(&text);
    fd_msg_free(m);
}

/* ---- one session ------------------------------------------------------------------------------------------ */

const char *rx_record_state(const struct rx_record *r)
{
    const struct rx_assoc *a = r->assoc;
    return a ? rx_state_name(a->state) : r->session_id ? "Ended" : "Not-Sent";
}

const char *rx_record_pcrf(const struct rx_record *r)
{
    const struct rx_assoc *a = r->assoc;
    if (a && a->peer_host)
        return a->peer_host;
    const char *peer = NULL;
    for (const struct rx_exchange *x = r->exchange; x; x = x->next)
        if (x->peer)
            peer = x->peer;
    return peer;
}

static uint64_t age_s(const struct rx_record *r)
{
    return (epc_now_ms() - r->opened_ms) / 1000;
}

static void put_line(struct epc_buf *b, const struct rx_record *r)
{
    epc_buf_printf(b, "session=%s call=%s impu=%s ue=%s%s state=%s pcrf=%s age_s=%" PRIu64 " last=\"%s\"\n",
                   rx_or_dash(r->session_id), rx_or_dash(r->call_id), rx_or_dash(r->impu), rx_or_dash(r->ue),
                   r->signalling ? " signalling" : "", rx_record_state(r), rx_or_dash(rx_record_pcrf(r)), age_s(r),
                   rx_or_dash(r->last));
}

static void put_json_head(struct epc_buf *b, const struct rx_record *r)
{
    epc_buf_printf(b, "{\"live\":%s", r->ended_ms ? "false" : "true");
    put_member(b, "session_id", r->session_id);
    put_member(b, "call_id", r->call_id);
    put_member(b, "impu", r->impu);
    put_member(b, "ue", r->ue[0] ? r->ue : NULL);
    put_member(b, "state", rx_record_state(r));
    put_member(b, "pcrf", rx_record_pcrf(r));
    put_member(b, "last", r->last);
    epc_buf_printf(b, ",\"signalling\":%s,\"age_s\":%" PRIu64, r->signalling ? "true" : "false", age_s(r));
    put_time_member(b, "opened", r->opened_wall_ms);
}

/* ---- show ------------------------------------------------------------------------------------------------- */

static const char *kind_name(const struct rx_exchange *x)
{
    return x->kind == RX_REMARK ? "remark" : x->kind == RX_SIP ? "sip" : rx_command_name(x->command, true);
}

static void put_duration(struct epc_buf *b, const struct rx_exchange *x)
{
    if (x->done_ms)
        epc_buf_printf(b, " %" PRIu64 " ms", x->done_ms - x->at_ms);
}

static void show_exchange(struct epc_buf *b, const struct rx_exchange *x, size_t i)
{
    epc_buf_printf(b, "%zu. ", i);
    rx_tell_time(b, x->wall_ms);
    epc_buf_printf(b, " %s", kind_name(x));
    if (x->kind == RX_REMARK || x->kind == RX_SIP) {
        epc_buf_printf(b, "%s%s\n", x->result ? " " : "", x->result ? x->result : "");
        rx_tell_lines(b, "    ", rx_or_dash(x->words));
        return;
    }
    bool ours = x->kind == RX_SENT;
    epc_buf_printf(b, " %s %s", ours ? "to" : "from", rx_or_dash(x->peer));
    put_duration(b, x);
    epc_buf_printf(b, " %s\n", x->result ? x->result : "(no answer yet)");
    if (x->tried)
        rx_tell_lines(b, "  ", x->tried);
    epc_buf_printf(b, "  %s:\n", ours ? "sent" : "received");
    put_message(b, false, x->request, x->request_n);
    if (ours && x->answer) {
        epc_buf_printf(b, "  %s:\n", "came back");
        put_message(b, false, x->answer, x->answer_n);
    } else if (!ours)
        epc_buf_printf(b, "  answered: %s\n", rx_or_dash(x->result));
}

static void show(struct epc_buf *b, const struct rx_record *r)
{
    size_t i = 0;
    put_line(b, r);
    for (const struct rx_exchange *x = r->exchange; x; x = x->next) {
        show_exchange(b, x, ++i);
        if (i == 1 && r->dropped)
            epc_buf_printf(b, "(%zu exchanges after it are not kept)\n", r->dropped);
    }
    if (!r->exchange && r->dropped)
        epc_buf_printf(b, "(%zu exchanges are not kept)\n", r->dropped);
}

static void json_exchange(struct epc_buf *b, const struct rx_exchange *x)
{
    epc_buf_adds(b, "{\"kind\":");
    put_json(b, kind_name(x), strlen(kind_name(x)));
    put_time_member(b, "at", x->wall_ms);
    epc_buf_printf(b, ",\"ours\":%s", x->kind == RX_SENT ? "true" : "false");
    if (x->kind == RX_SENT)
        epc_buf_printf(b, ",\"initial\":%s", x->initial ? "true" : "false");
    put_member(b, "peer", x->peer);
    if (x->done_ms)
        epc_buf_printf(b, ",\"took_ms\":%" PRIu64, x->done_ms - x->at_ms);
    put_member(b, "result", x->result);
    epc_buf_printf(b, ",\"code\":%" PRIu32 ",\"late\":%s", x->code, x->late ? "true" : "false");
    put_member(b, "tried", x->tried);
    put_member(b, "why", x->why);
    put_member(b, "words", x->words);
    if (x->kind == RX_SENT || x->kind == RX_PUSHED) {
        epc_buf_adds(b, ",\"request\":");
        put_message(b, true, x->request, x->request_n);
        epc_buf_adds(b, ",\"answer\":");
        put_message(b, true, x->answer, x->answer_n);
    }
    epc_buf_adds(b, "}");
}

static void json_session(struct epc_buf *b, const struct rx_record *r)
{
    put_json_head(b, r);
    epc_buf_printf(b, ",\"not_kept\":%zu,\"exchanges\":[", r->dropped);
    for (const struct rx_exchange *x = r->exchange; x; x = x->next) {
        json_exchange(b, x);
        if (x->next)
            epc_buf_adds(b, ",");
    }
    epc_buf_adds(b, "]}\n");
}

/* ---- who is meant ------------------------------------------------------------------------------------------- */

struct query {
    const struct epc_rx_ask *ask;
    char *impu; /* the identity in its canonical form, or NULL */
};

static bool is(const char *have, const char *want)
{
    return have && want && strcmp(have, want) == 0;
}

static bool same_impu(const char *have, const struct query *q)
{
    if (!have || !q->impu)
        return false;
    char *canonical = epc_canonical_impu(epc_str_c(have));
    bool same = is(canonical, q->impu);
    free(canonical);
    return same;
}

static bool wanted(const struct query *q, const struct rx_record *r)
{
    if (q->ask->what == EPC_RX_LIST)
        return r->ended_ms ? q->ask->ended : q->ask->live;
    return is(r->session_id, q->ask->id) || is(r->call_id, q->ask->id) || is(r->impu, q->ask->id) ||
           same_impu(r->impu, q);
}

static void tell_one(const struct query *q, const struct rx_record *r, struct epc_rx_found *found,
                     struct epc_buf *out)
{
    const struct epc_rx_ask *ask = q->ask;
    if (!wanted(q, r))
        return;
    if (ask->what == EPC_RX_LIST && ask->json) {
        put_json_head(out, r);
        epc_buf_adds(out, "}\n");
    } else if (ask->what == EPC_RX_LIST)
        put_line(out, r);
    else if (ask->json)
        json_session(out, r);
    else {
        if (found->told)
            epc_buf_adds(out, "\n");
        (ask->what == EPC_RX_SHOW ? show : rx_tell_explanation)(out, r);
    }
    found->told++;
}

static int by_age(const void *a, const void *b)
{
    const struct rx_record *x = *(const struct rx_record *const *)a, *y = *(const struct rx_record *const *)b;
    if (x->opened_ms != y->opened_ms)
        return x->opened_ms < y->opened_ms ? -1 : 1;
    return x->seq < y->seq ? -1 : 1;
}

void rx_history_tell(struct epc_shard *sh, const struct epc_rx_ask *ask, struct epc_rx_found *found,
                     struct epc_buf *out)
{
    unsigned i = rx.host->shard_index(sh);
    struct rx_shard *rs = i < RX_MAX_SHARDS ? atomic_load(&rx.shard[i]) : NULL;
    struct rx_history *h = rs ? rs->history : NULL;
    struct query q = {.ask = ask};
    size_t n = 0, k = 0;
    if (!h)
        return;
    found->live += h->n[RX_LIVE] + h->n[RX_BARE];
    found->ended += h->n[RX_PLAIN] + h->n[RX_TROUBLED];
    found->forgotten += h->forgotten;
    for (size_t l = 0; l < RX_LISTS; l++)
        n += h->n[l];
    struct rx_record **all = n ? calloc(n, sizeof *all) : NULL;
    if (!all) {
        out->failed = out->failed || n;
        return;
    }
    for (size_t l = 0; l < RX_LISTS; l++)
        for (struct rx_record *r = h->head[l]; r; r = r->next)
            all[k++] = r;
    qsort(all, k, sizeof *all, by_age);
    if (ask->id)
        q.impu = epc_canonical_impu(epc_str_c(ask->id));
    for (size_t r = 0; r < k; r++)
        tell_one(&q, all[r], found, out);
    free(q.impu);
    free(all);
}
