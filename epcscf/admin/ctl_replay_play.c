/* epcscfctl replay: one exchange played to a live peer. */
#include "admin/ctl_replay.h"

#include <stdlib.h>
#include <string.h>

enum {
    RX = 16777236, AA = 265, ST = 275, RA = 258, AS = 274,
    SESSION_ID = 263, ORIGIN_HOST = 264, RESULT_CODE = 268, ORIGIN_STATE_ID = 278, DESTINATION_REALM = 283,
    DESTINATION_HOST = 293, ORIGIN_REALM = 296,
    MAX_SESSIONS = 4096, MAX_WAITING = 1000,
};

bool replay_from_af(const struct epc_msg *m, bool *rx)
{
    bool request = m->flags & EPC_CMD_R;
    bool af_asks = m->command == AA || m->command == ST;
    *rx = m->application == RX && (af_asks || m->command == RA || m->command == AS);
    return af_asks == request;
}

/* A session of the recording and of this run. */
struct session {
    char *recorded, *live; /* live NULL: not begun yet */
    char peer_host[256];   /* who answered it last */
};
/* What is known of a recorded request once it went over the wire. */
struct step {
    bool met;
    uint32_t hop_by_hop, end_to_end;
    size_t request; /* of an answer: its request's step; SIZE_MAX: not in the recording */
};
struct play {
    struct replay_run *run;
    const char *file;
    const struct epc_exchange *x;
    struct step *step;
    struct session *session;
    size_t n_sessions;
    struct epc_msg *waiting[MAX_WAITING]; /* came before its turn */
    size_t n_waiting;
    struct epc_vars vars;
    bool state_known;
    uint32_t first_state, last_state;
};

/* ---- sessions ------------------------------------------------------------------------------------------ */

static char *session_text(const struct epc_msg *m)
{
    const struct epc_avp *a = epc_msg_find(m, SESSION_ID, 0);
    if (a && a->variable)
        return strdup(a->variable);
    return epc_str_dup(a ? (struct epc_str){(const char *)a->data, a->n} : EPC_STR(""));
}

static struct session *recorded_session(struct play *p, const struct epc_msg *m)
{
    char *text = session_text(m);
    for (size_t i = 0; text && i < p->n_sessions; i++)
        if (strcmp(p->session[i].recorded, text) == 0) {
            free(text);
            return &p->session[i];
        }
    if (!text || p->n_sessions == MAX_SESSIONS) {
        free(text);
        return NULL;
    }
    p->session[p->n_sessions] = (struct session){.recorded = text};
    return &p->session[p->n_sessions++];
}

static bool live_is(const struct session *s, const struct epc_msg *m)
{
    return s->live && replay_of_session(m, s->live);
}

static bool any_live(const struct play *p, const struct epc_msg *m)
{
    for (size_t i = 0; i < p->n_sessions; i++)
        if (live_is(&p->session[i], m))
            return true;
    return false;
}

/* ---- the recording: which answer is whose ----------------------------------------------------------------- */

static bool same_session(const struct epc_msg *a, const struct epc_msg *b)
{
    char *x = session_text(a), *y = session_text(b);
    bool same = x && y && strcmp(x, y) == 0;
    free(x);
    free(y);
    return same;
}

static size_t request_of(const struct play *p, size_t answer)
{
    const struct epc_msg *a = p->x->msg[answer].msg;
    for (size_t i = answer; i-- > 0;) {
        const struct epc_msg *r = p->x->msg[i].msg;
        if (!r || r->command != a->command || !(r->flags & EPC_CMD_R) || !same_session(r, a))
            continue;
        bool answered = false;
        for (size_t k = i + 1; k < answer; k++)
            answered = answered || (p->x->msg[k].msg && p->step[k].request == i);
        if (!answered && (!a->hop_by_hop || (a->hop_by_hop == r->hop_by_hop && a->end_to_end == r->end_to_end)))
            return i;
    }
    return SIZE_MAX;
}

static void link_answers(struct play *p)
{
    for (size_t i = 0; i < p->x->n; i++) {
        const struct epc_msg *m = p->x->msg[i].msg;
        p->step[i].request = m && !(m->flags & EPC_CMD_R) ? request_of(p, i) : SIZE_MAX;
    }
}

/* ---- telling ------------------------------------------------------------------------------------------------ */

static void tell(struct play *p, size_t i, size_t differences, const char *what, struct epc_buf *lines)
{
    char name[EPC_MSG_NAME];
    const struct epc_recorded *r = &p->x->msg[i];
    p->run->differences += differences;
    if (!differences && p->run->o->diff_only)
        return;
    printf("%s:%zu: %s: %s\n", p->file, r->line, r->msg ? epc_msg_name(r->msg, name) : "raw", what);
    for (char *line = lines ? lines->p : NULL, *end; line && *line; line = end + 1) {
        end = strchr(line, '\n');
        *end = 0;
        printf("    %s\n", line);
    }
    fflush(stdout);
}

/* ---- sending ------------------------------------------------------------------------------------------------- */

static enum epc_err put_text(struct epc_msg *m, uint32_t code, const char *text)
{
    return epc_msg_set(m, code, 0, epc_str_c(text));
}

/* It grows as the recorded one grew, so that a recorded restart is one again. */
static enum epc_err put_state(struct play *p, struct epc_msg *m)
{
    uint32_t recorded;
    if (!epc_avp_u32(epc_msg_find(m, ORIGIN_STATE_ID, 0), &recorded))
        return EPC_OK;
    if (!p->state_known) {
        p->state_known = true;
        p->first_state = recorded;
    }
    p->last_state = p->run->state_id + (recorded - p->first_state);
    uint8_t o[4] = {(uint8_t)(p->last_state >> 24), (uint8_t)(p->last_state >> 16), (uint8_t)(p->last_state >> 8),
                    (uint8_t)p->last_state};
    return epc_msg_set(m, ORIGIN_STATE_ID, 0, (struct epc_str){(const char *)o, 4});
}

static enum epc_err new_live_id(struct play *p, struct session *s)
{
    char text[400], random[17];
    epc_random_hex(random, 8);
    snprintf(text, sizeof text, "%s;%llu;%s;replay", p->run->peer->identity, (unsigned long long)epc_wall_s(), random);
    s->live = strdup(text);
    return s->live ? EPC_OK : EPC_ENOMEM;
}

/* The recorded message as one of this run: session, names, ids. */
static enum epc_err adapt(struct play *p, size_t i, struct epc_msg *m, struct session *s)
{
    const struct ctl_peer *peer = p->run->peer;
    const struct step *request = p->step[i].request == SIZE_MAX ? NULL : &p->step[p->step[i].request];
    enum epc_err e = s->live ? EPC_OK : new_live_id(p, s);
    if (e == EPC_OK)
        e = put_text(m, SESSION_ID, s->live);
    if (e == EPC_OK && !p->run->o->exact) {
        e = put_text(m, ORIGIN_HOST, peer->identity);
        if (e == EPC_OK)
            e = put_text(m, ORIGIN_REALM, peer->realm);
        if (e == EPC_OK)
            e = put_text(m, DESTINATION_HOST, s->peer_host[0] ? s->peer_host : peer->peer_host);
        if (e == EPC_OK)
            e = put_text(m, DESTINATION_REALM, peer->peer_realm);
        if (e == EPC_OK)
            e = put_state(p, m);
    }
    m->hop_by_hop = request ? request->hop_by_hop : p->run->peer->next_id;
    m->end_to_end = request ? request->end_to_end : p->run->peer->next_id++;
    return e;
}

static enum epc_err send_raw(struct play *p, size_t i)
{
    const struct epc_recorded *r = &p->x->msg[i];
    tell(p, i, 0, "sent as recorded, octet for octet", NULL);
    return ctl_peer_send(p->run->peer, r->raw, r->n_raw);
}

static enum epc_err send_step(struct play *p, size_t i)
{
    struct epc_msg *m = p->x->msg[i].msg;
    struct session *s = recorded_session(p, m);
    struct epc_buf octets = {0}, why = {0};
    size_t request = p->step[i].request;
    if (!s)
        return EPC_ELIMIT;
    if (!(m->flags & EPC_CMD_R) && (request == SIZE_MAX || !p->step[request].met)) {
        tell(p, i, 1, request == SIZE_MAX ? "not sent: its request is not in the recording"
                                          : "not sent: its request did not come", NULL);
        return EPC_OK;
    }
    enum epc_err e = adapt(p, i, m, s);
    if (e == EPC_OK)
        e = epc_msg_encode(m, &p->vars, &octets, &why);
    if (e == EPC_ENOENT) {
        tell(p, i, 1, "not sent", &why);
        e = EPC_OK;
    } else if (e == EPC_OK) {
        p->step[i].met = true;
        p->step[i].hop_by_hop = m->hop_by_hop;
        p->step[i].end_to_end = m->end_to_end;
        p->run->messages++;
        e = ctl_peer_send(p->run->peer, octets.p, octets.n);
        if (e == EPC_OK)
            tell(p, i, 0, "sent", NULL);
    }
    epc_buf_free(&octets);
    epc_buf_free(&why);
    return e;
}

/* ---- waiting --------------------------------------------------------------------------------------------------- */

static bool fits(struct play *p, size_t i, struct session *s, const struct epc_msg *m)
{
    const struct epc_msg *want = p->x->msg[i].msg;
    if (m->command != want->command || (m->flags & EPC_CMD_R) != (want->flags & EPC_CMD_R))
        return false;
    if (!(want->flags & EPC_CMD_R)) {
        size_t request = p->step[i].request;
        return request != SIZE_MAX && p->step[request].met && p->step[request].hop_by_hop == m->hop_by_hop;
    }
    return s->live ? live_is(s, m) : want->command == AA && !any_live(p, m);
}

static enum epc_err receive(struct play *p, uint64_t deadline)
{
    struct epc_msg *m = NULL;
    if (p->n_waiting == MAX_WAITING)
        return EPC_ELIMIT;
    enum epc_err e = ctl_peer_receive(p->run->peer, deadline, &m);
    if (e == EPC_OK)
        p->waiting[p->n_waiting++] = m;
    return e;
}

static struct epc_msg *take_waiting(struct play *p, size_t k)
{
    struct epc_msg *m = p->waiting[k];
    memmove(&p->waiting[k], &p->waiting[k + 1], (p->n_waiting - k - 1) * sizeof p->waiting[0]);
    p->n_waiting--;
    return m;
}

static void learn(struct play *p, size_t i, struct session *s, const struct epc_msg *m)
{
    const struct epc_avp *host = epc_msg_find(m, ORIGIN_HOST, 0);
    if (!s->live)
        s->live = session_text(m);
    if (host && !host->group)
        snprintf(s->peer_host, sizeof s->peer_host, "%.*s", (int)host->n, (const char *)host->data);
    p->step[i].met = true;
    p->step[i].hop_by_hop = m->hop_by_hop;
    p->step[i].end_to_end = m->end_to_end;
    p->run->messages++;
}

static void tell_missing(struct play *p, size_t i)
{
    struct epc_buf there = {0};
    char name[EPC_MSG_NAME];
    for (size_t k = 0; k < p->n_waiting; k++) {
        char *session = session_text(p->waiting[k]);
        epc_buf_printf(&there, "but there is: %s of session %s\n", epc_msg_name(p->waiting[k], name),
                       session ? session : "?");
        free(session);
    }
    if (!p->n_waiting)
        epc_buf_printf(&there, "nothing came for %u s\n", p->run->o->wait_s);
    tell(p, i, 1, "expected, did not come", &there);
    epc_buf_free(&there);
}

static enum epc_err expect_step(struct play *p, size_t i)
{
    struct session *s = recorded_session(p, p->x->msg[i].msg);
    uint64_t deadline = epc_now_ms() + p->run->o->wait_s * UINT64_C(1000);
    size_t looked = 0, request = p->step[i].request;
    bool answer = !(p->x->msg[i].msg->flags & EPC_CMD_R);
    if (!s)
        return EPC_ELIMIT;
    if (answer && (request == SIZE_MAX || !p->step[request].met)) {
        tell(p, i, 1, "not waited for: its request was not sent", NULL);
        return EPC_OK;
    }
    for (;;) {
        for (; looked < p->n_waiting; looked++)
            if (fits(p, i, s, p->waiting[looked])) {
                struct epc_buf lines = {0};
                struct epc_msg *m = take_waiting(p, looked);
                learn(p, i, s, m);
                size_t n = epc_msg_diff(p->x->msg[i].msg, m, &p->run->o->ignore, &p->vars, &lines);
                tell(p, i, n, n ? "otherwise than recorded" : "as recorded", &lines);
                epc_buf_free(&lines);
                epc_msg_destroy(m);
                return EPC_OK;
            }
        enum epc_err e = receive(p, deadline);
        if (e == EPC_ETIMEDOUT) {
            tell_missing(p, i);
            return EPC_OK;
        }
        if (e == EPC_EIO)
            tell_missing(p, i);
        if (e)
            return e;
    }
}

/* The recorded pause; what comes meanwhile waits. */
static enum epc_err pause_before(struct play *p, size_t i)
{
    uint64_t before = i ? p->x->msg[i - 1].t_us : 0, t = p->x->msg[i].t_us;
    if (!p->run->o->real_time || !i || t <= before)
        return EPC_OK;
    uint64_t ms = (t - before) / 1000, until = epc_now_ms() + (ms < 3600000 ? ms : 3600000);
    for (enum epc_err e = EPC_OK;; e = receive(p, until))
        if (e)
            return e == EPC_ETIMEDOUT ? EPC_OK : e;
}

/* ---- what the recording does not have --------------------------------------------------------------------------- */

/* So that the other side does not hang on it. */
static void refuse(struct play *p, const struct epc_msg *m)
{
    struct epc_buf json = {0}, octets = {0};
    struct epc_msg *a = NULL;
    const struct epc_dict_command *c = epc_dict_command(p->run->dict, m->command, false);
    char *session = session_text(m);
    epc_buf_printf(&json, "{\"command\":\"%s\",\"avps\":[{\"Session-Id\":\"\"},{\"Auth-Application-Id\":16777236},"
                   "{\"Origin-Host\":\"%s\"},{\"Origin-Realm\":\"%s\"},{\"Result-Code\":\"DIAMETER_UNABLE_TO_COMPLY\"}]}",
                   c ? c->abbreviation : "", p->run->peer->identity, p->run->peer->realm);
    if (c && session && epc_msg_from_json(&a, p->run->dict, (struct epc_str){json.p, json.n}, NULL) == EPC_OK &&
        put_text(a, SESSION_ID, session) == EPC_OK) {
        a->hop_by_hop = m->hop_by_hop;
        a->end_to_end = m->end_to_end;
        if (epc_msg_encode(a, NULL, &octets, NULL) == EPC_OK)
            (void)!ctl_peer_send(p->run->peer, octets.p, octets.n);
    }
    epc_msg_destroy(a);
    free(session);
    epc_buf_free(&json);
    epc_buf_free(&octets);
}

static void tell_surplus(struct play *p)
{
    char name[EPC_MSG_NAME];
    while (p->n_waiting) {
        struct epc_msg *m = take_waiting(p, 0);
        struct epc_buf text = {0};
        epc_msg_print(m, &text);
        p->run->differences++;
        printf("%s: %s came, which the recording does not have\n%s", p->file, epc_msg_name(m, name), text.p ? text.p : "");
        if (m->flags & EPC_CMD_R)
            refuse(p, m);
        epc_buf_free(&text);
        epc_msg_destroy(m);
    }
}

/* ---- all of it ------------------------------------------------------------------------------------------------- */

static enum epc_err one_step(struct play *p, size_t i)
{
    const struct epc_recorded *r = &p->x->msg[i];
    const struct replay_options *o = p->run->o;
    bool rx = true, from_af = r->msg ? replay_from_af(r->msg, &rx) : r->out;
    if (!rx || (r->msg && !replay_of_session(r->msg, o->session)) || (!r->msg && o->session))
        return EPC_OK;
    enum epc_err e = pause_before(p, i);
    if (e)
        return e;
    if (from_af == o->as_af)
        return r->msg ? send_step(p, i) : send_raw(p, i);
    if (r->msg)
        return expect_step(p, i);
    tell(p, i, 1, r->fault, NULL);
    return EPC_OK;
}

enum epc_err replay_play(struct replay_run *r, const char *file, const struct epc_exchange *x)
{
    struct play *p = calloc(1, sizeof *p);
    enum epc_err e = EPC_ENOMEM;
    if (p) {
        *p = (struct play){.run = r, .file = file, .x = x, .last_state = r->state_id};
        p->step = calloc(x->n + 1, sizeof *p->step);
        p->session = calloc(MAX_SESSIONS, sizeof *p->session);
    }
    if (p && p->step && p->session) {
        e = EPC_OK;
        link_answers(p);
        for (size_t i = 0; i < x->n && e == EPC_OK; i++)
            e = one_step(p, i);
        tell_surplus(p);
        if (p->last_state > r->state_id)
            r->state_id = p->last_state;
    }
    for (size_t i = 0; p && i < p->n_sessions; i++) {
        free(p->session[i].recorded);
        free(p->session[i].live);
    }
    if (p) {
        epc_vars_free(&p->vars);
        free(p->session);
        free(p->step);
    }
    free(p);
    return e;
}
