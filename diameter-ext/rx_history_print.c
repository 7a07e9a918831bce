/* The history told: as text for people, or as JSON, an object a line for each session. */
#include "rx_history.h"

#include "diameter/diameter.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- pieces ------------------------------------------------------------------------------------------ */

static void put_time(struct epc_buf *b, uint64_t wall_ms)
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
    put_time(b, wall_ms);
    epc_buf_adds(b, "\"");
}

/* Lines of @p text, each behind @p indent. */
static void put_lines(struct epc_buf *b, const char *indent, const char *text)
{
    struct epc_str rest = epc_str_c(text);
    while (rest.n) {
        struct epc_str line = epc_str_cut(&rest, '\n');
        epc_buf_printf(b, "%s%.*s\n", indent, EPC_STR_ARG(line));
    }
}

static const char *or_dash(const char *text)
{
    return text && text[0] ? text : "-";
}

/* ---- messages ------------------------------------------------------------------------------------------ */

static struct msg *decode(const uint8_t *wire, size_t n)
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

/* One AVP of a message, for both forms. */
struct item {
    struct avp *avp;
    struct avp_hdr *hdr;
    struct dict_object *model;
    struct dict_avp_data data;
    bool grouped;
};

static bool first_item(msg_or_avp *parent, struct item *it)
{
    struct avp *a = NULL;
    if (fd_msg_browse(parent, MSG_BRW_FIRST_CHILD, &a, NULL))
        return false;
    it->avp = a;
    return a != NULL;
}

static bool next_item(struct item *it)
{
    struct avp *a = NULL;
    if (fd_msg_browse(it->avp, MSG_BRW_NEXT, &a, NULL))
        return false;
    it->avp = a;
    return a != NULL;
}

static bool read_item(struct item *it)
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
static bool put_sdp(struct epc_buf *b, const struct item *it, const char *indent)
{
    const union avp_value *v = it->hdr->avp_value;
    if (it->hdr->avp_code != 524 || !v || !memchr(v->os.data, '\n', v->os.len))
        return false;
    struct epc_buf text = {0};
    epc_buf_add(&text, v->os.data, v->os.len);
    epc_buf_adds(b, "\n");
    if (text.p)
        put_lines(b, indent, text.p);
    epc_buf_free(&text);
    return true;
}

static void put_tree(struct epc_buf *b, msg_or_avp *parent, unsigned depth)
{
    struct item it;
    char indent[64];
    for (bool more = first_item(parent, &it); more && read_item(&it); more = next_item(&it)) {
        snprintf(indent, sizeof indent, "%*s", (int)(depth < 20 ? 2 * depth : 40), "");
        epc_buf_adds(b, indent);
        rx_avp_name(b, it.hdr, &it.data);
        if (it.grouped) {
            epc_buf_adds(b, "\n");
            put_tree(b, it.avp, depth + 1);
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
    struct item it;
    epc_buf_adds(b, "[");
    bool first = true;
    for (bool more = first_item(parent, &it); more && read_item(&it); more = next_item(&it)) {
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
    struct msg *m = decode(wire, n);
    struct epc_buf text = {0};
    if (!m) {
        epc_buf_adds(b, json ? "null" : "    (not kept)\n");
        return;
    }
    if (json)
        put_json_tree(&text, m);
    else
        put_tree(&text, m, 2);
    if (text.p)
        epc_mask_secrets(b, text.p, text.n);
    epc_buf_free(&text);
    fd_msg_free(m);
}

/* ---- one session ------------------------------------------------------------------------------------------ */

static const char *state_of(const struct rx_record *r)
{
    const struct rx_assoc *a = r->assoc;
    return a ? rx_state_name(a->state) : r->session_id ? "Ended" : "Not-Sent";
}

static const char *pcrf_of(const struct rx_record *r)
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
                   or_dash(r->session_id), or_dash(r->call_id), or_dash(r->impu), or_dash(r->ue),
                   r->signalling ? " signalling" : "", state_of(r), or_dash(pcrf_of(r)), age_s(r),
                   or_dash(r->last));
}

static void put_json_head(struct epc_buf *b, const struct rx_record *r)
{
    epc_buf_printf(b, "{\"live\":%s", r->ended_ms ? "false" : "true");
    put_member(b, "session_id", r->session_id);
    put_member(b, "call_id", r->call_id);
    put_member(b, "impu", r->impu);
    put_member(b, "ue", r->ue[0] ? r->ue : NULL);
    put_member(b, "state", state_of(r));
    put_member(b, "pcrf", pcrf_of(r));
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
    put_time(b, x->wall_ms);
    epc_buf_printf(b, " %s", kind_name(x));
    if (x->kind == RX_REMARK || x->kind == RX_SIP) {
        epc_buf_printf(b, "%s%s\n", x->result ? " " : "", x->result ? x->result : "");
        put_lines(b, "    ", or_dash(x->words));
        return;
    }
    bool ours = x->kind == RX_SENT;
    epc_buf_printf(b, " %s %s", ours ? "to" : "from", or_dash(x->peer));
    put_duration(b, x);
    epc_buf_printf(b, " %s\n", x->result ? x->result : "(no answer yet)");
    if (x->tried)
        put_lines(b, "  ", x->tried);
    epc_buf_printf(b, "  %s:\n", ours ? "sent" : "received");
    put_message(b, false, x->request, x->request_n);
    if (ours && x->answer) {
        epc_buf_printf(b, "  %s:\n", "came back");
        put_message(b, false, x->answer, x->answer_n);
    } else if (!ours)
        epc_buf_printf(b, "  answered: %s\n", or_dash(x->result));
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

/* ---- explain ------------------------------------------------------------------------------------------------ */

static void explain_aar(struct epc_buf *b, const struct rx_exchange *x)
{
    epc_buf_printf(b, "%s went to %s", x->initial ? "AAR that opens the session" : "AAR that updates it",
                   or_dash(x->peer));
    if (x->why) {
        epc_buf_adds(b, "; its content came from:\n");
        put_lines(b, "    ", x->why);
    } else
        epc_buf_adds(b, ".\n");
}

static void explain_request(struct epc_buf *b, const struct rx_exchange *x)
{
    if (x->command == RX_CC_AA)
        explain_aar(b, x);
    else
        epc_buf_printf(b, "STR, which ends the session at the PCRF, went to %s.\n", or_dash(x->peer));
    if (x->tried) {
        epc_buf_adds(b, "  It was tried at:\n");
        put_lines(b, "    ", x->tried);
    }
    if (!x->result)
        epc_buf_adds(b, "  No answer yet.\n");
    else
        epc_buf_printf(b, "  Result after %" PRIu64 " ms: %s\n", x->done_ms - x->at_ms, x->result);
    if (x->late)
        epc_buf_adds(b, "  The answer came too late: SIP had gone on without it.\n");
    if (x->words)
        put_lines(b, "    ", x->words);
}

/* What a RAR is about: the AVPs beside those that every message has. */
static void put_push_content(struct epc_buf *b, const struct rx_exchange *x)
{
    static const uint32_t common[] = {263, 264, 296, 283, 293, 258, 278, 282, 284};
    struct msg *m = decode(x->request, x->request_n);
    struct item it;
    if (!m)
        return;
    for (bool more = first_item(m, &it); more && read_item(&it); more = next_item(&it)) {
        bool plain = !(it.hdr->avp_flags & AVP_FLAG_VENDOR), skip = false;
        for (size_t i = 0; plain && i < EPC_ARRAY_LEN(common); i++)
            skip = skip || common[i] == it.hdr->avp_code;
        if (skip)
            continue;
        epc_buf_adds(b, "    ");
        rx_avp_name(b, it.hdr, &it.data);
        if (it.grouped) {
            epc_buf_adds(b, "\n");
            put_tree(b, it.avp, 3);
            continue;
        }
        epc_buf_adds(b, " = ");
        rx_avp_value(b, it.avp, it.model, it.data.avp_basetype);
        epc_buf_adds(b, "\n");
    }
    fd_msg_free(m);
}

static void explain_exchange(struct epc_buf *b, const struct rx_exchange *x)
{
    put_time(b, x->wall_ms);
    epc_buf_adds(b, "  ");
    switch (x->kind) {
    case RX_SENT:
        explain_request(b, x);
        return;
    case RX_PUSHED:
        epc_buf_printf(b, "%s came from %s and was answered %s.\n",
                       x->command == RX_CC_AS ? "ASR, by which the PCRF ends the session," : "RAR",
                       or_dash(x->peer), or_dash(x->result));
        put_push_content(b, x);
        return;
    case RX_SIP:
        epc_buf_printf(b, "SIP: %s\n", or_dash(x->words));
        return;
    case RX_REMARK:
        epc_buf_printf(b, "%s\n", x->result ? x->result : "");
        put_lines(b, "    ", or_dash(x->words));
        return;
    }
}

static void explain(struct epc_buf *b, const struct rx_record *r)
{
    epc_buf_printf(b, "%s %s of %s", r->signalling ? "AF signalling session" : "Call", or_dash(r->call_id),
                   or_dash(r->impu));
    epc_buf_printf(b, ", UE at %s\n", or_dash(r->ue));
    if (r->session_id)
        epc_buf_printf(b, "Rx session %s with PCRF %s: %s\n", r->session_id, or_dash(pcrf_of(r)), state_of(r));
    else
        epc_buf_adds(b, "No Rx session: nothing was sent.\n");
    size_t i = 0;
    for (const struct rx_exchange *x = r->exchange; x; x = x->next) {
        explain_exchange(b, x);
        if (++i == 1 && r->dropped)
            epc_buf_printf(b, "(%zu steps after it are not kept)\n", r->dropped);
    }
    if (!r->exchange && r->dropped)
        epc_buf_printf(b, "(%zu steps are not kept: too many live sessions for policy.history_sessions)\n",
                       r->dropped);
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
        (ask->what == EPC_RX_SHOW ? show : explain)(out, r);
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
