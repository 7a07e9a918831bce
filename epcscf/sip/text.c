/* Text in, text out, and copies: what every message passes through. sofia-sip parses and prints single
 * fields; here is what goes around that without an allocation for each of them. */
#include "sip/sip_priv.h"

#include <stdlib.h>
#include <string.h>

/* The address sanitizer watches single allocations: it keeps them. */
#ifdef __SANITIZE_ADDRESS__
enum { IN_ONE_PIECE = 0 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
enum { IN_ONE_PIECE = 0 };
#else
enum { IN_ONE_PIECE = 1 };
#endif
#else
enum { IN_ONE_PIECE = 1 };
#endif

enum {
    PARSED_OCTETS = 3072,   /* what the fields of a usual message take beside their text */
    ADDED_OCTETS = 1024,    /* what is added to a copy before it is sent */
    PRELOAD_MAX = 32768,    /* sofia-sip's own limit is twice that */
    TEXT_OCTETS = 1536,     /* of a usual message */
    TEXT_MAX = 4 * EPC_SIP_MAX_OCTETS,
};

static void preload(msg_t *msg, size_t n)
{
    if (IN_ONE_PIECE && n <= PRELOAD_MAX)
        su_home_preload(msg_home(msg), 1, (isize_t)n);
}

/* ---- in ------------------------------------------------------------------------------------------ */

/* As msg_make(), with one allocation for the text and the fields. */
static msg_t *make(const char *p, size_t n)
{
    msg_iovec_t at[2];
    msg_t *msg = msg_create(sip_default_mclass(), 0);
    if (!msg)
        return NULL;
    preload(msg, n + PARSED_OCTETS);
    if (msg_recv_iovec(msg, at, 2, (usize_t)n, 1) != 1 || at[0].mv_len != n) {
        msg_destroy(msg);
        return NULL;
    }
    memcpy(at[0].mv_base, p, n);
    msg_recv_commit(msg, (usize_t)n, 1);
    (void)msg_extract(msg); /* what it thinks of the fields is for the checks */
    return msg;
}

msg_t *epc_sip_parse_octets(const char *p, size_t n, size_t head)
{
    /* sofia-sip works on C strings: a NUL inside would hide what follows. */
    if (!p || n == 0 || n > EPC_SIP_MAX_OCTETS || memchr(p, 0, head))
        return NULL;
    msg_t *msg = make(p, n);
    if (!msg)
        return NULL;
    sip_t *sip = epc_sip_of(msg);
    if (!sip || !(sip->sip_request || sip->sip_status)) {
        msg_destroy(msg);
        return NULL;
    }
    return msg;
}

msg_t *epc_sip_parse(const char *p, size_t n)
{
    return epc_sip_parse_octets(p, n, n);
}

/* ---- copies -------------------------------------------------------------------------------------- */

static msg_header_t **first_list(const sip_t *sip)
{
    return (msg_header_t **)(void *)&epc_pub(sip)->msg_request;
}

static msg_header_t **last_list(const sip_t *sip)
{
    return (msg_header_t **)(void *)((char *)epc_pub(sip) + sip->sip_size);
}

/* A field's parameters are an array of its own, for it is edited in place; sofia-sip adds to it in place too, up
 * to the next multiple of MSG_N_PARAMS. */
static size_t params_octets(const msg_header_t *h, size_t *used)
{
    msg_param_t **params = h->sh_class->hc_params ? msg_header_params(epc_common(h)) : NULL;
    size_t n = 0;
    *used = 0;
    if (!params || !*params)
        return 0;
    while ((*params)[n])
        n++;
    *used = (n + 1) * sizeof **params;
    return (n + MSG_N_PARAMS) / MSG_N_PARAMS * MSG_N_PARAMS * sizeof **params;
}

static size_t aligned(size_t n)
{
    return (n + 15) / 16 * 16;
}

static msg_header_t *copy_field(char **room, const msg_header_t *h)
{
    size_t size = h->sh_class->hc_size, used, n = params_octets(h, &used);
    msg_header_t *copy = (msg_header_t *)(void *)*room;
    *room += aligned(size);
    memcpy(copy, h, size);
    copy->sh_succ = NULL;
    copy->sh_prev = NULL;
    copy->sh_next = NULL;
    msg_fragment_clear(epc_common(copy));
    if (n) {
        msg_param_t **params = msg_header_params(epc_common(copy));
        *params = memcpy(*room, *params, used);
        *room += aligned(n);
    }
    return copy;
}

/* The fields are copied, their text is shared: the copy holds on to the original. */
msg_t *epc_sip_copy(msg_t *msg)
{
    const sip_t *from = epc_sip_of(msg);
    size_t n = 0, used;
    if (from->sip_error || from->sip_multipart)
        return msg_dup(msg);
    for (msg_header_t **list = first_list(from); list < last_list(from); list++)
        for (const msg_header_t *h = *list; h; h = h->sh_next)
            n += aligned(h->sh_class->hc_size) + aligned(params_octets(h, &used));
    msg_t *copy = msg_create(msg_mclass(msg), 0);
    if (!copy)
        return NULL;
    preload(copy, n + ADDED_OCTETS);
    char *room = su_alloc(msg_home(copy), (isize_t)n);
    if (!room) {
        msg_destroy(copy);
        return NULL;
    }
    msg_header_t **to = first_list(epc_sip_of(copy));
    for (msg_header_t **list = first_list(from); list < last_list(from); list++, to++) {
        msg_header_t **end = to;
        for (const msg_header_t *h = *list; h; h = h->sh_next) {
            *end = copy_field(&room, h);
            end = &(*end)->sh_next;
        }
    }
    msg_set_parent(copy, msg);
    return copy;
}

/* ---- out ----------------------------------------------------------------------------------------- */

struct printed {
    char *p;
    size_t n, room;
};

static void put(struct printed *out, const char *p, size_t n)
{
    if (out->n + n < out->room)
        memcpy(out->p + out->n, p, n);
    out->n += n;
}

static void put_text(struct printed *out, const char *text)
{
    put(out, text, strlen(text));
}

static void put_number(struct printed *out, unsigned long v)
{
    char digits[20], *p = digits + sizeof digits;
    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    put(out, p, (size_t)(digits + sizeof digits - p));
}

static void put_url(struct printed *out, const url_t *url)
{
    issize_t n = out->n < out->room ? url_e(out->p + out->n, (isize_t)(out->room - out->n), url) : 1;
    out->n += n >= 0 ? (size_t)n : out->room - out->n + 1;
}

/* What stands in every message, and what sofia-sip uses formats for. */
static bool put_known(struct printed *out, const msg_header_t *h)
{
    msg_hclass_t *hc = h->sh_class;
    if (hc == sip_request_class) {
        const sip_request_t *rq = (const sip_request_t *)(const void *)h;
        put_text(out, rq->rq_method_name);
        put(out, " ", 1);
        put_url(out, rq->rq_url);
        put(out, " ", 1);
        put_text(out, rq->rq_version);
        put(out, "\r\n", 2);
    } else if (hc == sip_cseq_class) {
        const sip_cseq_t *cs = (const sip_cseq_t *)(const void *)h;
        put_number(out, cs->cs_seq);
        put(out, " ", 1);
        put_text(out, cs->cs_method_name);
    } else if (hc == sip_max_forwards_class) {
        put_number(out, ((const sip_max_forwards_t *)(const void *)h)->mf_count);
    } else if (hc == sip_content_length_class) {
        put_number(out, ((const sip_content_length_t *)(const void *)h)->l_length);
    } else {
        return false;
    }
    return true;
}

/* The value of @p h as sofia-sip prints it. */
static void put_value(struct printed *out, const msg_header_t *h)
{
    if (put_known(out, h))
        return;
    if (out->n >= out->room) {
        out->n++;
        return;
    }
    issize_t n = h->sh_class->hc_print(out->p + out->n, (isize_t)(out->room - out->n), h, 0);
    out->n += n >= 0 ? (size_t)n : out->room - out->n + 1;
}

/* One line: a field, or fields of one name that are written as a list. Returns what follows. */
static const msg_header_t *put_line(struct printed *out, const msg_header_t *h)
{
    msg_hclass_t *hc = h->sh_class;
    if (hc == sip_unknown_class) {
        const sip_unknown_t *u = h->sh_unknown;
        put(out, u->un_name, strlen(u->un_name));
        put(out, ": ", 2);
        if (u->un_value)
            put(out, u->un_value, strlen(u->un_value));
        put(out, "\r\n", 2);
        return h->sh_succ;
    }
    if (hc->hc_name && hc->hc_name[0]) {
        put(out, hc->hc_name, (size_t)hc->hc_len);
        put(out, ": ", 2);
    }
    put_value(out, h);
    h = h->sh_succ;
    for (; hc->hc_kind == msg_kind_apndlist && hc->hc_name && h && h->sh_class == hc; h = h->sh_succ) {
        put(out, ", ", 2);
        put_value(out, h);
    }
    if (hc->hc_name)
        put(out, "\r\n", 2);
    return h;
}

char *epc_sip_text(msg_t *msg, size_t *n)
{
    struct printed out = {.room = TEXT_OCTETS};
    if (epc_sip_finish(msg) != EPC_OK || !(out.p = malloc(out.room)))
        return NULL;
    for (const msg_header_t *h = *msg_chain_head(msg), *next; h; h = next) {
        size_t before = out.n;
        next = put_line(&out, h);
        if (out.n < out.room)
            continue;
        size_t room = out.n * 2;
        char *p = room <= TEXT_MAX ? realloc(out.p, room) : NULL;
        if (!p) {
            free(out.p);
            return NULL;
        }
        out = (struct printed){p, before, room};
        next = h;
    }
    out.p[out.n] = 0;
    if (n)
        *n = out.n;
    char *fitting = realloc(out.p, out.n + 1); /* answers are kept for a while */
    return fitting ? fitting : out.p;
}
