/* The messages of a flight, and sending them. Only the sender's thread is here. See rx_flight.h. */
#include "rx_flight.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void limit_of(const struct rx_flight *f, struct timespec *t)
{
    uint64_t now = epc_now_ms(), ms = f->give_up > now ? f->give_up - now : 1;
    clock_gettime(CLOCK_REALTIME, t);
    t->tv_sec += (time_t)(ms / 1000);
    t->tv_nsec += (long)(ms % 1000) * 1000000;
    if (t->tv_nsec >= 1000000000) {
        t->tv_sec++;
        t->tv_nsec -= 1000000000;
    }
}

/* Would a message to @p host block freeDiameter's routing thread? */
static bool full(const char *host)
{
    struct peer_hdr *p = NULL;
    int waiting = 0, limit = 0, routing = 0, routing_limit = 0;
    if (fd_peer_getbyid((DiamId_t)host, strlen(host), 0, &p) || !p ||
        fd_stat_getstats(STAT_P_TOSEND, p, &waiting, &limit, NULL, NULL, NULL, NULL, NULL) ||
        fd_stat_getstats(STAT_G_OUTGOING, NULL, &routing, &routing_limit, NULL, NULL, NULL, NULL, NULL))
        return false;
    return (limit > 0 && waiting + routing >= limit) ||
           (routing_limit > 0 && routing >= routing_limit - 1);
}

bool rx_peer_full(const char *host)
{
    for (int i = 0; i < 50; i++) {
        if (!full(host))
            return false;
        sched_yield();
    }
    return true;
}

static struct avp *find_avp(struct msg *m, uint32_t code)
{
    struct avp *a = NULL, *next = NULL;
    struct avp_hdr *h;
    if (fd_msg_browse(m, MSG_BRW_FIRST_CHILD, &a, NULL))
        return NULL;
    for (; a; a = next) {
        if (fd_msg_avp_hdr(a, &h) == 0 && h->avp_code == code && !(h->avp_flags & AVP_FLAG_VENDOR))
            return a;
        next = NULL;
        if (fd_msg_browse(a, MSG_BRW_NEXT, &next, NULL))
            break;
    }
    return NULL;
}

enum { CODE_DESTINATION_REALM = 283, CODE_DESTINATION_HOST = 293 };

static bool set_value(struct avp *a, const char *text)
{
    union avp_value v = {.os = {(uint8_t *)(uintptr_t)text, strlen(text)}};
    return fd_msg_avp_setvalue(a, &v) == 0;
}

static bool readdress(struct msg *m, const char *realm, const char *host)
{
    struct avp *r = find_avp(m, CODE_DESTINATION_REALM), *h = find_avp(m, CODE_DESTINATION_HOST);
    bool ok = r && set_value(r, realm);
    if (h && host[0])
        return ok && set_value(h, host);
    if (h)
        return ok && fd_msg_free(h) == 0;
    if (host[0])
        rx_put_text(m, RX_DESTINATION_HOST, host, &ok);
    return ok;
}

static struct msg *from_wire(const struct rx_flight *f)
{
    struct msg *m = NULL;
    struct msg_hdr *h;
    uint8_t *copy = malloc(f->wire_n);
    if (!copy)
        return NULL;
    memcpy(copy, f->wire, f->wire_n);
    if (fd_msg_parse_buffer(&copy, f->wire_n, &m)) {
        free(copy);
        return NULL;
    }
    if (fd_msg_parse_dict(m, fd_g_config->cnf_dict, NULL) || fd_msg_hdr(m, &h)) {
        fd_msg_free(m);
        return NULL;
    }
    h->msg_flags |= CMD_FLAG_RETRANSMIT;
    return m;
}

/* The message of the attempt that begins now. With the lock: it reads the flight. */
static struct msg *message_of(struct rx_flight *f, const struct rx_attempt *a)
{
    struct msg *m = f->first ? f->first : f->wire ? from_wire(f) : NULL;
    bool again = !f->first;
    const char *realm = a->with_host && !a->our_realm && f->host[0] ? f->realm : rx_peer_realm(a->hop);
    f->first = NULL;
    if (!m)
        return NULL;
    if (readdress(m, realm, a->with_host ? f->host : "")) {
        if (again)
            rx_trace(true, m, NULL);
        return m;
    }
    fd_msg_free(m);
    return NULL;
}

/* A copy is only worth its time when there is somebody else to send it to, or another way. */
static void keep_copy(struct rx_flight *f)
{
    bool other_realm = f->host[0] && strcasecmp(f->realm, rx_peer_realm(f->next_try.hop)) != 0;
    if (f->wire || !f->first || (rx_peer_count_open() < 2 && !f->next_try.hop->relay && !other_realm))
        return;
    if (fd_msg_bufferize(f->first, &f->wire, &f->wire_n))
        f->wire = NULL;
}

/* Begin the attempt f->next_try. With the lock, which it gives up while it sends. */
void rx_fly(struct rx_flight *f, struct rx_list *to)
{
    struct rx_attempt *a = &f->attempt[f->n];
    struct timespec limit;
    keep_copy(f);
    *a = f->next_try;
    struct msg *m = message_of(f, a);
    if (!m) {
        epc_log(EPC_LOG_ERROR, "rx", "event=not-sent session=%s reason=\"out of memory\"", f->sid);
        rx_flight_check(f, to);
        return;
    }
    void *data = rx_flight_cookie(f, f->n);
    f->n++;
    a->out = true;
    a->sent_ms = epc_now_ms();
    a->hop->outstanding++;
    a->hop->asked++;
    if (f->n > 1) {
        epc_count(EPC_C_RX_FAILOVER);
        f->attempt[f->n - 2].hop->failed_over++;
        epc_log(EPC_LOG_DEBUG, "rx", "event=sent-again session=%s from=%s to=%s", f->sid,
                f->attempt[f->n - 2].hop->host, a->hop->host);
        rx_flight_report(f, to);
    }
    if (f->opens)
        rx_held_add(epc_str_c(f->sid), a->hop->host, rx_peer_realm(a->hop), a->hop->relay);
    uint64_t retry = a->sent_ms + rx_failover_ms();
    rx_flight_due(f, retry < f->give_up ? retry : f->give_up);
    limit_of(f, &limit);
    bool journal = f->opens;
    rx_unlock();
    if (journal)
        rx_held_flush(); /* before the PCRF can hold it */
    bool sent = fd_msg_send_timeout(&m, rx_flight_on_answer, data, rx_flight_on_expiry, &limit) == 0;
    if (!sent && m)
        fd_msg_free(m);
    rx_lock();
    if (!sent && (a = rx_flight_attempt(data, &f)) && a->out) {
        rx_attempt_over(f, a);
        rx_attempt_failed(f, a, FAIL_LINK, NULL, to);
    }
}

/* Where the first attempt goes, now that it is its turn. */
static bool choose_first(struct rx_flight *f, const char *hop)
{
    struct rx_peer *p = rx_peer_find(epc_str_c(hop));
    bool with_host = f->host[0] != '\0';
    if (p && rx_peer_usable(p) && !(rx_peer_held(p) && f->opens)) {
        f->next_try = (struct rx_attempt){.hop = p, .with_host = with_host};
        /* A bound session whose PCRF is silent: ask another at once, 5002 opens a new session there. */
        if (!f->bound || f->command == RX_CC_ST || !rx_peer_held(p))
            return true;
    }
    if (f->bound && with_host) {
        struct rx_peer *relay = p && p->open ? NULL : rx_peer_relay(NULL, 0);
        if (relay) {
            f->next_try = (struct rx_attempt){.hop = relay, .with_host = true};
            return true;
        }
        if (f->command == RX_CC_ST)
            return false;
    }
    const char *profile = p ? p->profile : NULL;
    struct rx_peer *best = rx_peer_best(NULL, 0, profile, p == NULL, f->bound ? f->host : "");
    if (best)
        f->next_try = (struct rx_attempt){.hop = best, .with_host = with_host && !f->bound && !best->configured};
    return f->next_try.hop != NULL;
}

static bool read_text(struct msg *m, uint32_t code, char *out, size_t cap)
{
    struct avp *a = find_avp(m, code);
    struct avp_hdr *h;
    if (!a || fd_msg_avp_hdr(a, &h) || !h->avp_value || h->avp_value->os.len >= cap)
        return false;
    memcpy(out, h->avp_value->os.data, h->avp_value->os.len);
    out[h->avp_value->os.len] = '\0';
    return true;
}

/* A request of a shard takes off. With the lock. */
void rx_fly_begin(struct rx_tx *tx, struct rx_list *to)
{
    struct rx_flight *f = rx_flight_new(tx->command);
    if (!f || !read_text(tx->msg, 263, f->sid, sizeof f->sid)) {
        if (f)
            rx_flight_free(f);
        fd_msg_free(tx->msg);
        tx->msg = NULL;
        tx->event = RX_EV_UNDELIVERED;
        rx_list_push(to, tx);
        return;
    }
    (void)read_text(tx->msg, CODE_DESTINATION_HOST, f->host, sizeof f->host);
    (void)read_text(tx->msg, CODE_DESTINATION_REALM, f->realm, sizeof f->realm);
    f->first = tx->msg;
    tx->msg = NULL;
    f->tx = tx;
    f->opens = tx->opens;
    f->bound = tx->bound;
    if (choose_first(f, tx->hop))
        rx_flight_queue(f);
    else if (!rx_flight_elsewhere(f, to))
        rx_flight_check(f, to);
}

enum epc_err rx_send_closing(struct epc_str sid, struct rx_peer *hop, const char *host, const char *realm)
{
    struct msg *m = NULL;
    struct msg_hdr *hdr;
    bool ok = true;
    if (sid.n >= sizeof((struct rx_flight *)NULL)->sid || rx_flights_count() >= RX_MAX_FLIGHTS)
        return EPC_ELIMIT;
    if (fd_msg_new(rx_command(RX_CC_ST), MSGFL_ALLOC_ETEID, &m) || fd_msg_hdr(m, &hdr))
        return EPC_ENOMEM;
    hdr->msg_appl = RX_APP_ID;
    hdr->msg_flags |= CMD_FLAG_PROXIABLE;
    rx_put_octets(m, RX_SESSION_ID, sid.p, sid.n, &ok);
    rx_put_u32(m, RX_AUTH_APPLICATION_ID, RX_APP_ID, &ok);
    if (fd_msg_add_origin(m, 1))
        ok = false;
    rx_put_text(m, RX_DESTINATION_REALM, realm, &ok);
    if (host[0])
        rx_put_text(m, RX_DESTINATION_HOST, host, &ok);
    rx_put_i32(m, RX_TERMINATION_CAUSE, 1 /* DIAMETER_LOGOUT */, &ok);
    struct rx_flight *f = ok ? rx_flight_new(RX_CC_ST) : NULL;
    if (!f) {
        fd_msg_free(m);
        return EPC_ENOMEM;
    }
    memcpy(f->sid, sid.p, sid.n);
    snprintf(f->host, sizeof f->host, "%s", host);
    snprintf(f->realm, sizeof f->realm, "%s", realm);
    f->first = m;
    f->closing = f->bound = true;
    f->next_try = (struct rx_attempt){.hop = hop, .with_host = host[0] != '\0'};
    epc_count(EPC_C_RX_STR);
    rx_flight_queue(f);
    return EPC_OK;
}

/* An answer of ours: to the peer that asked, if that one takes anything. Without the lock. */
void rx_fly_answer(struct rx_tx *tx)
{
    struct msg *m = tx->msg, *question = NULL;
    DiamId_t from = NULL;
    size_t n;
    tx->msg = NULL;
    if (fd_msg_answ_getq(m, &question) == 0 && question && fd_msg_source_get(question, &from, &n) == 0 &&
        from && rx_peer_full(from)) {
        epc_count(EPC_C_RX_STALLED);
        epc_log(EPC_LOG_WARN, "rx", "event=answer-dropped peer=%s reason=\"its send queue is full\"", from);
        fd_msg_free(m);
    } else if (fd_msg_send(&m, NULL, NULL) && m)
        fd_msg_free(m);
    rx_tx_free(tx);
}
