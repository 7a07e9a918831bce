#include "rx_history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool rx_history_on(void)
{
    return rx.host->cfg->history_sessions > 0;
}

/* Both point at each other; whoever goes first clears both ends. */
static void on_free(struct rx_record *r)
{
    struct rx_assoc *a = r->assoc;
    struct epc_policy_session *h = r->handle;
    if (a)
        a->record = NULL;
    if (h)
        h->record = NULL;
}

static struct rx_history *history_of(struct rx_shard *rs)
{
    if (!rs->history && rx_history_on())
        rs->history = rx_history_new(rx.host->cfg->history_sessions, on_free);
    return rs->history;
}

static void hand_over(struct epc_policy_session *h, struct rx_record *r)
{
    if (!h || h->record == r)
        return;
    if (h->record)
        h->record->handle = NULL;
    h->record = r;
    r->handle = h;
}

static struct rx_record *open_record(struct rx_shard *rs, const struct rx_assoc *a,
                                     const struct epc_policy_session *h)
{
    struct rx_history *hist = history_of(rs);
    return hist ? rx_record_new(hist, &(struct rx_record_open){
                                          .token = a ? a->token : 0,
                                          .session_id = a ? a->session_id : NULL,
                                          .call_id = h ? h->trace_key : a ? a->trace_key : NULL,
                                          .impu = h ? h->impu : NULL,
                                          .ue = h ? &h->ue : &a->ue,
                                          .signalling = h && h->signalling})
                : NULL;
}

void rx_history_opened(struct rx_assoc *a)
{
    struct rx_record *r = open_record(a->rs, a, a->handle);
    if (!r)
        return;
    a->record = r;
    r->assoc = a;
    hand_over(a->handle, r);
}

static void keep_message(struct rx_history *hist, struct rx_record *r, struct rx_exchange *x, bool answer,
                         struct msg *m)
{
    uint8_t *wire = NULL;
    size_t n = 0;
    if (fd_msg_bufferize(m, &wire, &n) == 0)
        rx_exchange_wire(hist, r, x, answer, wire, n);
}

void rx_history_sent(struct rx_assoc *a, struct msg *m, uint32_t command, const char *hop)
{
    struct rx_history *hist = a->rs->history;
    struct rx_exchange *x = a->record ? rx_exchange_new(hist, a->record, RX_SENT) : NULL;
    if (!x)
        return;
    x->command = command;
    x->seq = a->seq;
    x->initial = command == RX_CC_AA && a->state == RX_PENDING;
    if (hop[0])
        rx_exchange_text(hist, a->record, x, &x->peer, hop);
    if (command == RX_CC_AA && a->telling && a->telling->why)
        rx_exchange_text(hist, a->record, x, &x->why, a->telling->why);
    keep_message(hist, a->record, x, false, m);
}

/* ---- what the sender tells --------------------------------------------------------------------------- */

static const char *failure_text(enum rx_try_end why)
{
    switch (why) {
    case RX_TRY_OPEN: return "no answer yet";
    case RX_TRY_ANSWERED: return "answered";
    case RX_TRY_LINK: return "the connection was lost";
    case RX_TRY_SILENT: return "no answer within policy.failover_ms";
    case RX_TRY_NOT_DELIVERED: return "could not deliver it";
    case RX_TRY_BUSY: return "too busy";
    case RX_TRY_REDIRECT: return "sent us to another host";
    case RX_TRY_EXPIRED: return "no answer at all";
    }
    return "?";
}

static void put_tried(struct rx_history *hist, struct rx_record *r, struct rx_exchange *x,
                      const struct rx_tried *t)
{
    struct epc_buf b = {0};
    for (size_t i = 0; i < t->n; i++) {
        const struct rx_try *one = &t->one[i];
        uint64_t after = one->sent_ms > x->at_ms ? one->sent_ms - x->at_ms : 0;
        epc_buf_printf(&b, "after %" PRIu64 " ms to %s: %s", after, one->hop, failure_text(one->end));
        if (one->code)
            epc_buf_printf(&b, " (%" PRIu32 ")", one->code);
        epc_buf_adds(&b, "\n");
    }
    if (!b.failed && b.p)
        rx_exchange_text(hist, r, x, &x->tried, b.p);
    epc_buf_free(&b);
}

static struct rx_exchange *asked_by(const struct rx_tx *tx, struct rx_record **r)
{
    *r = tx->rs->history ? rx_record_find(tx->rs->history, tx->token) : NULL;
    return *r ? rx_exchange_of(*r, tx->seq) : NULL;
}

void rx_history_tried(const struct rx_tx *tx)
{
    struct rx_record *r;
    struct rx_exchange *x = asked_by(tx, &r);
    if (!x || !tx->tried)
        return;
    put_tried(tx->rs->history, r, x, tx->tried);
    if (tx->tried->n)
        rx_exchange_text(tx->rs->history, r, x, &x->peer, tx->tried->one[tx->tried->n - 1].hop);
}

/* ---- results ------------------------------------------------------------------------------------------ */

static const char *plain_result(enum rx_event ev)
{
    switch (ev) {
    case RX_EV_UNDELIVERED: return "not delivered: no PCRF could be asked";
    case RX_EV_EXPIRED: return "no answer";
    case RX_EV_ELSEWHERE: return "not answered: another PCRF, which takes another form, is asked in a new session";
    default: return "an answer without a result";
    }
}

void rx_history_answered(const struct rx_tx *tx, enum rx_event ev, const struct epc_policy_result *res)
{
    struct rx_record *r;
    struct rx_exchange *x = asked_by(tx, &r);
    struct rx_history *hist = tx->rs->history;
    if (!x)
        return;
    if (tx->tried)
        rx_history_tried(tx);
    struct epc_str from;
    if (tx->msg && rx_get_octets(tx->msg, RX_ORIGIN_HOST, &from)) {
        char host[RX_NAME_MAX];
        snprintf(host, sizeof host, "%.*s", EPC_STR_ARG(from));
        rx_exchange_text(hist, r, x, &x->peer, host);
    }
    if (tx->msg)
        keep_message(hist, r, x, true, tx->msg);
    if (x->result) { /* somebody has been told that there is none */
        x->late = tx->msg != NULL;
        if (tx->msg) {
            char text[192];
            snprintf(text, sizeof text, "%s; late: %s", x->result, rx.host->code_name(res));
            rx_exchange_text(hist, r, x, &x->result, text);
        }
        return;
    }
    if (tx->msg && ev != RX_EV_GRANTED && tx->command == RX_CC_AA)
        r->troubled = true;
    rx_exchange_result(hist, r, x, res->code, tx->msg && res->code ? rx.host->code_name(res) : plain_result(ev));
}

/* What the PCRF may be asked about itself: its words, or ours for it. */
static void explain(struct rx_history *hist, struct rx_record *rec, struct rx_exchange *x,
                    const struct epc_policy_session *h, const struct epc_policy_result *r)
{
    struct epc_buf b = {0};
    rx.host->explain_result(&(struct epc_policy_question){.result = r, .sent = h->asked, .ue = &h->ue,
                                                          .cfg = rx.host->cfg}, &b);
    const char *words = b.failed || !b.p ? NULL : strchr(b.p, '\n'); /* the first line is the result's name */
    if (words && words[1])
        rx_exchange_text(hist, rec, x, &x->words, words + 1);
    epc_buf_free(&b);
}

static struct rx_exchange *newest_aar(const struct rx_record *r)
{
    struct rx_exchange *found = NULL;
    for (struct rx_exchange *x = r->exchange; x; x = x->next)
        if (x->kind == RX_SENT && x->command == RX_CC_AA)
            found = x;
    return found;
}

/* The exchange that a handle's result is about; a remark when no message is. */
static struct rx_exchange *concerned(struct rx_history *hist, struct rx_record *rec,
                                     const struct epc_policy_result *r)
{
    struct rx_exchange *x = newest_aar(rec);
    if (x && !r->held_back && (!x->result || (r->code && x->code == r->code && !x->words)))
        return x;
    return rx_exchange_new(hist, rec, RX_REMARK);
}

/* Also when a profile leaves out everything: `why` tells. */
static void nothing_new(struct rx_history *hist, const struct epc_policy_session *h)
{
    const struct rx_assoc *a = h->record ? h->record->assoc : NULL;
    struct rx_exchange *x = a ? rx_exchange_new(hist, h->record, RX_REMARK) : NULL;
    if (!x)
        return;
    rx_exchange_text(hist, h->record, x, &x->words,
                     "No message was sent: the PCRF knows all of it already, or its profile leaves all of it out.");
    if (a->telling && a->telling->why && !newest_aar(h->record))
        rx_exchange_text(hist, h->record, x, &x->why, a->telling->why);
}

void rx_history_concluded(struct epc_policy_session *h, const struct epc_policy_result *r)
{
    struct rx_history *hist = history_of(h->rs);
    if (!hist)
        return;
    if (r->outcome == EPC_POLICY_GRANTED) {
        if (!r->code)
            nothing_new(hist, h);
        return;
    }
    struct rx_record *rec = h->record;
    bool own = !rec || (rec->ended_ms && r->held_back);
    if (own) { /* no association was made */
        rec = open_record(h->rs, NULL, h);
        if (!rec)
            return;
        hand_over(h, rec);
    }
    rec->troubled = true;
    struct rx_exchange *x = concerned(hist, rec, r);
    if (x) {
        if (!x->result)
            rx_exchange_result(hist, rec, x, r->code, rx.host->code_name(r));
        explain(hist, rec, x, h, r);
    }
    if (own)
        rx_record_end(hist, rec);
}

/* ---- what else happens --------------------------------------------------------------------------------- */

static void say(struct rx_history *hist, struct rx_record *r, enum rx_exchange_kind kind, const char *text)
{
    struct rx_exchange *x = hist && r ? rx_exchange_new(hist, r, kind) : NULL;
    if (x)
        rx_exchange_text(hist, r, x, &x->words, text);
}

void rx_history_remark(struct rx_assoc *a, const char *text)
{
    say(a->rs->history, a->record, RX_REMARK, text);
}

void rx_history_note(struct epc_policy_session *h, const char *text)
{
    say(h->rs->history, h->record, RX_SIP, text);
}

void rx_history_pushed(struct rx_assoc *a, struct msg *m, uint32_t command, uint32_t result)
{
    struct rx_history *hist = a->rs->history;
    struct rx_exchange *x = a->record ? rx_exchange_new(hist, a->record, RX_PUSHED) : NULL;
    struct epc_str from;
    char text[RX_NAME_MAX];
    if (!x)
        return;
    x->command = command;
    if (rx_get_octets(m, RX_ORIGIN_HOST, &from)) {
        snprintf(text, sizeof text, "%.*s", EPC_STR_ARG(from));
        rx_exchange_text(hist, a->record, x, &x->peer, text);
    }
    keep_message(hist, a->record, x, false, m);
    a->record->troubled = a->record->troubled || command == RX_CC_AS;
    const struct epc_policy_result r = {.code = result};
    rx_exchange_result(hist, a->record, x, result, rx.host->code_name(&r));
}

void rx_history_ended(struct rx_assoc *a)
{
    struct rx_record *r = a->record;
    if (!r)
        return;
    a->record = NULL;
    r->assoc = NULL;
    rx_record_end(a->rs->history, r);
}

void rx_history_handle_gone(struct epc_policy_session *h)
{
    if (h->record)
        h->record->handle = NULL;
    h->record = NULL;
}

static void detach(struct rx_record *r)
{
    r->assoc = r->handle = NULL;
}

void rx_history_fini(struct rx_shard *rs)
{
    if (!rs->history)
        return;
    rs->history->on_free = detach; /* handles and associations may be gone already */
    rx_history_free(rs->history);
    rs->history = NULL;
}
