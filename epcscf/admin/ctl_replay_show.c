/* epcscfctl replay without a peer: print, check, tidy, capture. */
#include "admin/ctl_replay.h"

#include <stdlib.h>
#include <string.h>

enum { SESSION_ID = 263 };

bool replay_of_session(const struct epc_msg *m, const char *session)
{
    const struct epc_avp *a = m ? epc_msg_find(m, SESSION_ID, 0) : NULL;
    if (!session)
        return true;
    if (!a)
        return false;
    return a->variable ? strcmp(a->variable, session) == 0
                       : a->n == strlen(session) && memcmp(a->data, session, a->n) == 0;
}

size_t replay_print(const struct epc_dict *d, const char *file, const struct epc_exchange *x, const char *session)
{
    size_t faults = 0;
    (void)d;
    printf("%s%s%s\n", file, x->title ? ": " : "", x->title ? x->title : "");
    for (size_t i = 0; i < x->n; i++) {
        const struct epc_recorded *r = &x->msg[i];
        struct epc_buf text = {0};
        if (!replay_of_session(r->msg, session))
            continue;
        if (r->from[0])
            printf("%zu. %llu.%06llu %s -> %s\n", r->line, (unsigned long long)(r->t_us / 1000000),
                   (unsigned long long)(r->t_us % 1000000), r->from, r->to);
        else
            printf("line %zu. %s %s\n", r->line, r->out ? "out" : "in", r->peer);
        if (r->msg) {
            epc_msg_print(r->msg, &text);
            fputs(text.p ? text.p : "", stdout);
        } else {
            faults++;
            printf("%zu octets that could not be read: %s\n", r->n_raw, r->fault);
        }
        epc_buf_free(&text);
    }
    return faults;
}

/* Octets, JSON, octets. Variables stand for some text. */
static bool loses_nothing(const struct epc_dict *d, const struct epc_msg *m, struct epc_buf *why)
{
    struct epc_buf json = {0}, first = {0}, second = {0};
    struct epc_msg *again = NULL, *third = NULL;
    bool same = false;
    epc_buf_adds(&json, "{");
    epc_msg_to_json(m, &json);
    epc_buf_adds(&json, "}");
    if (epc_msg_from_json(&again, d, (struct epc_str){json.p, json.n}, why) == EPC_OK) {
        same = epc_msg_diff(m, again, NULL, NULL, why) == 0;
        if (epc_msg_encode(m, NULL, &first, NULL) == EPC_OK) /* else it has variables */
            same = same && epc_msg_decode(&third, d, first.p, first.n, why) == EPC_OK &&
                   epc_msg_encode(third, NULL, &second, why) == EPC_OK && first.n == second.n &&
                   memcmp(first.p, second.p, first.n) == 0;
    }
    epc_msg_destroy(again);
    epc_msg_destroy(third);
    epc_buf_free(&json);
    epc_buf_free(&first);
    epc_buf_free(&second);
    return same;
}

size_t replay_check(const struct epc_dict *d, const char *file, const struct epc_exchange *x)
{
    size_t faults = 0;
    for (size_t i = 0; i < x->n; i++) {
        const struct epc_recorded *r = &x->msg[i];
        struct epc_buf text = {0};
        if (!r->msg) {
            faults++;
            printf("%s:%zu: %s\n", file, r->line, r->fault);
            continue;
        }
        faults += epc_msg_check(d, r->msg, &text);
        if (!loses_nothing(d, r->msg, &text)) {
            faults++;
            epc_buf_adds(&text, "it does not come back the same\n");
        }
        for (char *line = text.p, *end; line && *line; line = end + 1) {
            end = strchr(line, '\n');
            *end = 0;
            printf("%s:%zu: %s\n", file, r->line, line);
        }
        epc_buf_free(&text);
    }
    return faults;
}

/* ---- tidy ---------------------------------------------------------------------------------------------- */

/* One AVP of the top level a line. What the reader knows by itself is left out. */
static void tidy_message(const struct epc_dict *d, struct epc_msg *m, const struct epc_msg *bare)
{
    struct epc_buf json = {0}, whole = {0};
    char name[EPC_MSG_NAME];
    (void)d;
    bool usual = m->dict && m->flags == m->dict->must && m->application == bare->application;
    printf("\n{\"command\":\"%s\",", m->dict ? epc_msg_name(m, name) : "");
    if (!usual) {
        epc_msg_to_json(m, &whole);
        const char *flags = strstr(whole.p, "\"flags\""), *end = strstr(whole.p, "\"hop_by_hop\"");
        printf("%.*s", (int)(end - flags), flags);
    }
    printf("\"avps\":[");
    struct epc_avp *all = m->avp;
    for (struct epc_avp *a = all; a; a = a->next) {
        struct epc_avp *next = a->next;
        json.n = 0;
        m->avp = a;
        a->next = NULL;
        epc_msg_to_json(m, &json);
        a->next = next;
        const char *one = strstr(json.p, "\"avps\":[");
        printf("\n %.*s%s", (int)(json.p + json.n - one - 9), one + 8, next ? "," : "");
    }
    m->avp = all;
    printf("]}\n");
    epc_buf_free(&json);
    epc_buf_free(&whole);
}

size_t replay_tidy(const struct epc_dict *d, const char *file, const struct epc_exchange *x, const char *session)
{
    size_t faults = 0;
    printf("# %s\n", x->title ? x->title : file);
    for (size_t i = 0; i < x->n; i++) {
        const struct epc_recorded *r = &x->msg[i];
        bool rx;
        if (!r->msg || !r->msg->dict) {
            faults++;
            fprintf(stderr, "%s:%zu: left out: %s\n", file, r->line, r->fault ? r->fault : "an unknown command");
            continue;
        }
        (void)replay_from_af(r->msg, &rx);
        if (!rx || !replay_of_session(r->msg, session))
            continue;
        struct epc_buf line = {0};
        struct epc_msg *bare = NULL;
        epc_buf_printf(&line, "{\"command\":\"%s\",\"avps\":[]}", r->msg->dict->abbreviation);
        if (epc_msg_from_json(&bare, d, (struct epc_str){line.p, line.n}, NULL) == EPC_OK)
            tidy_message(d, r->msg, bare);
        epc_msg_destroy(bare);
        epc_buf_free(&line);
    }
    return faults;
}

/* ---- capture ------------------------------------------------------------------------------------------- */

static void put(FILE *f, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fputc((int)(v >> 8 * i & 255), f);
}

void replay_pcap_header(FILE *f)
{
    put(f, 0xa1b2c3d4, 4);
    put(f, 2, 2);
    put(f, 4, 2);
    put(f, 0, 8);
    put(f, 262144, 4);
    put(f, 101, 4); /* IP without anything before it */
}

static void put_be(uint8_t *p, uint32_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

/* A TCP segment 10.0.0.1:40000 (the AF) to or from 10.0.0.2:3868. */
static void put_segment(FILE *f, uint64_t t_us, bool from_af, uint32_t seq[2], const char *p, size_t n)
{
    uint8_t h[40] = {0x45, [8] = 64, [9] = 6, [12] = 10, [16] = 10, [32] = 0x50, [33] = 0x18, [34] = 0xff, [35] = 0xff};
    put_be(h + 2, (uint32_t)(40 + n), 2);
    h[15] = from_af ? 1 : 2;
    h[19] = from_af ? 2 : 1;
    put_be(h + 20, from_af ? 40000 : 3868, 2);
    put_be(h + 22, from_af ? 3868 : 40000, 2);
    put_be(h + 24, seq[!from_af], 4);
    put_be(h + 28, seq[from_af], 4);
    put(f, t_us / 1000000, 4);
    put(f, t_us % 1000000, 4);
    put(f, 40 + n, 4);
    put(f, 40 + n, 4);
    fwrite(h, 1, 40, f);
    fwrite(p, 1, n, f);
    seq[!from_af] += (uint32_t)n;
}

/* Variables as their own names. */
static enum epc_err encode_filled(const struct epc_msg *m, struct epc_buf *out)
{
    struct epc_vars vars = {0};
    enum epc_err e;
    for (size_t i = 0; i < 100; i++) {
        struct epc_buf why = {0};
        out->n = 0;
        e = epc_msg_encode(m, &vars, out, &why);
        char *end = why.p ? strchr(why.p, ' ') : NULL;
        if (end)
            *end = 0;
        if (e == EPC_ENOENT && end && epc_vars_set(&vars, why.p, why.p + 1, strlen(why.p) - 1))
            e = EPC_ENOMEM;
        epc_buf_free(&why);
        if (e != EPC_ENOENT)
            break;
    }
    epc_vars_free(&vars);
    return e;
}

size_t replay_pcap(FILE *f, const char *file, const struct epc_exchange *x, uint32_t seq[2])
{
    size_t faults = 0;
    uint32_t last[8] = {0}; /* ids of the last request of each command, where the file has none */
    for (size_t i = 0; i < x->n; i++) {
        const struct epc_recorded *r = &x->msg[i];
        struct epc_buf b = {0};
        bool rx, request = r->msg && (r->msg->flags & EPC_CMD_R), from_af = r->msg && replay_from_af(r->msg, &rx);
        if (r->msg && !r->msg->hop_by_hop) {
            uint32_t *id = &last[r->msg->command % 8];
            if (request)
                *id = seq[0] + seq[1];
            r->msg->hop_by_hop = r->msg->end_to_end = *id;
        }
        if (r->msg ? encode_filled(r->msg, &b) != EPC_OK : (epc_buf_add(&b, r->raw, r->n_raw), b.failed)) {
            faults++;
            fprintf(stderr, "%s:%zu: cannot be written as octets\n", file, r->line);
        } else
            for (size_t at = 0; at < b.n; at += 16000)
                put_segment(f, r->t_us, r->msg ? from_af : r->out, seq, b.p + at, b.n - at < 16000 ? b.n - at : 16000);
        epc_buf_free(&b);
    }
    return faults;
}
