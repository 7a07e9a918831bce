/* Diameter messages as trees: octets in, octets out (RFC 6733 3 and 4.1). */
#include "avp/msg_priv.h"

#include <stdlib.h>
#include <string.h>

/* ---- memory: blocks that end together --------------------------------------------------------------- */

struct epc_msg_block {
    struct epc_msg_block *next;
    size_t used, size;
    max_align_t at[];
};
enum { BLOCK = 4000 };

void *epc_msg_alloc(struct epc_msg *m, size_t n)
{
    const size_t step = sizeof(max_align_t);
    n = (n + step - 1) / step * step;
    struct epc_msg_block *b = m->blocks;
    if (!b || b->size - b->used < n) {
        size_t size = n > BLOCK ? n : BLOCK;
        b = malloc(sizeof *b + size);
        if (!b)
            return NULL;
        *b = (struct epc_msg_block){.next = m->blocks, .size = size};
        m->blocks = b;
    }
    void *p = (char *)b->at + b->used;
    b->used += n;
    return memset(p, 0, n);
}

struct epc_msg *epc_msg_new(void)
{
    struct epc_msg *m = calloc(1, sizeof *m);
    if (m)
        m->version = 1;
    return m;
}

void epc_msg_destroy(struct epc_msg *m)
{
    if (!m)
        return;
    while (m->blocks) {
        struct epc_msg_block *next = m->blocks->next;
        free(m->blocks);
        m->blocks = next;
    }
    free(m);
}

enum epc_err epc_msg_add(struct epc_msg *m, struct epc_avp ***tail, struct epc_avp **out)
{
    if (m->n_avps >= EPC_MSG_MAX_AVPS)
        return EPC_ELIMIT;
    struct epc_avp *a = epc_msg_alloc(m, sizeof *a);
    if (!a)
        return EPC_ENOMEM;
    m->n_avps++;
    **tail = a;
    *tail = &a->next;
    *out = a;
    return EPC_OK;
}

void epc_why(struct epc_buf *why, const char *fmt, ...)
{
    if (!why)
        return;
    char line[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    epc_buf_printf(why, "%s\n", line);
}

/* ---- octets to tree ------------------------------------------------------------------------------------ */

struct decoder {
    struct epc_msg *m;
    const struct epc_dict *d;
    const uint8_t *start;
    struct epc_buf *why;
};

static enum epc_err decode_list(struct decoder *de, const uint8_t *p, size_t n, unsigned depth,
                                struct epc_avp **out, struct epc_buf *why);

/* The header of the AVP at p; *length without its padding. */
static enum epc_err decode_header(const struct decoder *de, const uint8_t *p, size_t n, struct epc_avp *a,
                                  size_t *length, size_t *head, struct epc_buf *why)
{
    size_t at = (size_t)(p - de->start);
    if (n < 8) {
        epc_why(why, "offset %zu: %zu octets are left, an AVP has 8 at least", at, n);
        return EPC_EPROTO;
    }
    a->code = epc_be32(p);
    a->flags = p[4];
    *length = epc_be24(p + 5);
    *head = a->flags & EPC_AVP_V ? 12 : 8;
    if (*length < *head || *length > n) {
        epc_why(why, "offset %zu: AVP %u says that it has %zu octets, its header has %zu and %zu are left", at,
                a->code, *length, *head, n);
        return EPC_EPROTO;
    }
    a->vendor = *head == 12 ? epc_be32(p + 8) : 0;
    a->dict = epc_dict_avp(de->d, a->code, a->vendor);
    a->offset = at;
    return EPC_OK;
}

static enum epc_err decode_content(struct decoder *de, struct epc_avp *a, const uint8_t *p, size_t n,
                                   unsigned depth)
{
    if (a->dict && a->dict->type == EPC_AVP_GROUPED) {
        struct epc_avp *child = NULL;
        enum epc_err e = decode_list(de, p, n, depth + 1, &child, NULL);
        if (e == EPC_OK) {
            a->group = true;
            a->child = child;
            return EPC_OK;
        }
        if (e != EPC_EPROTO)
            return e;
    }
    uint8_t *copy = epc_msg_alloc(de->m, n ? n : 1);
    if (!copy)
        return EPC_ENOMEM;
    if (n)
        memcpy(copy, p, n);
    a->data = copy;
    a->n = n;
    return EPC_OK;
}

static enum epc_err decode_list(struct decoder *de, const uint8_t *p, size_t n, unsigned depth,
                                struct epc_avp **out, struct epc_buf *why)
{
    struct epc_avp *first = NULL, **tail = &first;
    if (depth > EPC_MSG_MAX_DEPTH) {
        epc_why(de->why, "offset %zu: more than %d groups in each other", (size_t)(p - de->start),
                EPC_MSG_MAX_DEPTH);
        return EPC_ELIMIT;
    }
    while (n > 0) {
        struct epc_avp head = {0}, *a;
        size_t length, head_length;
        enum epc_err e = decode_header(de, p, n, &head, &length, &head_length, why);
        if (e)
            return e;
        size_t padded = (length + 3) / 4 * 4;
        if (padded > n) {
            epc_why(why, "offset %zu: AVP %u has no room for its padding", head.offset, head.code);
            return EPC_EPROTO;
        }
        e = epc_msg_add(de->m, &tail, &a);
        if (e) {
            epc_why(de->why, "offset %zu: %s", head.offset,
                    e == EPC_ELIMIT ? "too many AVPs" : epc_err_name(e));
            return e;
        }
        *a = head;
        e = decode_content(de, a, p + head_length, length - head_length, depth);
        if (e)
            return e;
        p += padded;
        n -= padded;
    }
    *out = first;
    return EPC_OK;
}

static enum epc_err check_header(const uint8_t *p, size_t n, struct epc_buf *why)
{
    if (n < 20) {
        epc_why(why, "offset 0: %zu octets, a Diameter message has 20 at least", n);
        return EPC_EPROTO;
    }
    if (p[0] != 1) {
        epc_why(why, "offset 0: version %u, only 1 exists", p[0]);
        return EPC_EPROTO;
    }
    if (epc_be24(p + 1) != n || n % 4) {
        epc_why(why, "offset 1: the message says that it has %u octets, here are %zu%s", epc_be24(p + 1), n,
                n % 4 ? ", which is no multiple of 4" : "");
        return EPC_EPROTO;
    }
    if (n > EPC_MSG_MAX_OCTETS) {
        epc_why(why, "offset 1: %zu octets, more than %d are not read", n, EPC_MSG_MAX_OCTETS);
        return EPC_ELIMIT;
    }
    return EPC_OK;
}

enum epc_err epc_msg_decode(struct epc_msg **out, const struct epc_dict *d, const void *octets, size_t n,
                            struct epc_buf *why)
{
    const uint8_t *p = octets;
    if (!out || !d || !p)
        return EPC_EINVAL;
    enum epc_err e = check_header(p, n, why);
    if (e)
        return e;
    struct epc_msg *m = epc_msg_new();
    if (!m)
        return EPC_ENOMEM;
    struct decoder de = {.m = m, .d = d, .start = p, .why = why};
    m->flags = p[4];
    m->command = epc_be24(p + 5);
    m->application = epc_be32(p + 8);
    m->hop_by_hop = epc_be32(p + 12);
    m->end_to_end = epc_be32(p + 16);
    m->dict = epc_dict_command(d, m->command, m->flags & EPC_CMD_R);
    e = decode_list(&de, p + 20, n - 20, 0, &m->avp, why);
    if (e) {
        epc_msg_destroy(m);
        return e;
    }
    *out = m;
    return EPC_OK;
}

/* ---- tree to octets ------------------------------------------------------------------------------------- */

static void put32(struct epc_buf *b, uint32_t v)
{
    uint8_t o[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    epc_buf_add(b, o, 4);
}

/* Flags or version in the first octet, a length in the other three; the length comes later. */
static void set24(struct epc_buf *b, size_t at, size_t v)
{
    if (b->failed)
        return;
    b->p[at] = (char)(v >> 16 & 255);
    b->p[at + 1] = (char)(v >> 8 & 255);
    b->p[at + 2] = (char)(v & 255);
}

static enum epc_err encode_list(const struct epc_avp *a, const struct epc_vars *vars, struct epc_buf *out,
                                struct epc_buf *why)
{
    for (; a; a = a->next) {
        size_t start = out->n;
        put32(out, a->code);
        put32(out, (uint32_t)a->flags << 24);
        if (a->flags & EPC_AVP_V)
            put32(out, a->vendor);
        struct epc_str value = {(const char *)a->data, a->n};
        if (a->variable && !epc_vars_get(vars, a->variable, &value)) {
            epc_why(why, "%s has no value yet", a->variable);
            return EPC_ENOENT;
        }
        if (a->group) {
            enum epc_err e = encode_list(a->child, vars, out, why);
            if (e)
                return e;
        } else
            epc_buf_addstr(out, value);
        if (out->n - start > 0xffffff)
            return EPC_ELIMIT;
        set24(out, start + 5, out->n - start);
        if ((out->n - start) % 4)
            epc_buf_add(out, "\0\0\0", 4 - (out->n - start) % 4);
        if (out->failed)
            return EPC_ENOMEM;
    }
    return EPC_OK;
}

enum epc_err epc_msg_encode(const struct epc_msg *m, const struct epc_vars *vars, struct epc_buf *out,
                            struct epc_buf *why)
{
    size_t start = out->n;
    put32(out, (uint32_t)m->version << 24);
    put32(out, (uint32_t)m->flags << 24 | m->command);
    put32(out, m->application);
    put32(out, m->hop_by_hop);
    put32(out, m->end_to_end);
    enum epc_err e = encode_list(m->avp, vars, out, why);
    if (e)
        return e;
    if (out->failed)
        return EPC_ENOMEM;
    if (out->n - start > EPC_MSG_MAX_OCTETS)
        return EPC_ELIMIT;
    set24(out, start + 1, out->n - start);
    return EPC_OK;
}

/* ---- looking into it -------------------------------------------------------------------------------------- */

static struct epc_avp *find(struct epc_avp *a, uint32_t code, uint32_t vendor)
{
    while (a && (a->code != code || a->vendor != vendor))
        a = a->next;
    return a;
}

struct epc_avp *epc_msg_find(const struct epc_msg *m, uint32_t code, uint32_t vendor)
{
    return find(m->avp, code, vendor);
}

struct epc_avp *epc_avp_find(const struct epc_avp *group, uint32_t code, uint32_t vendor)
{
    return find(group->child, code, vendor);
}

bool epc_avp_u32(const struct epc_avp *a, uint32_t *out)
{
    if (!a || a->group || a->variable || a->n != 4)
        return false;
    *out = epc_be32(a->data);
    return true;
}

enum epc_err epc_msg_set(struct epc_msg *m, uint32_t code, uint32_t vendor, struct epc_str value)
{
    struct epc_avp *a = epc_msg_find(m, code, vendor);
    if (!a)
        return EPC_OK;
    uint8_t *copy = epc_msg_alloc(m, value.n ? value.n : 1);
    if (!copy)
        return EPC_ENOMEM;
    if (value.n)
        memcpy(copy, value.p, value.n);
    a->variable = NULL;
    a->group = false;
    a->child = NULL;
    a->data = copy;
    a->n = value.n;
    return EPC_OK;
}

/* ---- variables --------------------------------------------------------------------------------------------- */

struct epc_var {
    struct epc_var *next;
    char *name;
    struct epc_str value;
};

void epc_vars_free(struct epc_vars *v)
{
    while (v->first) {
        struct epc_var *next = v->first->next;
        free(v->first->name);
        free((char *)(uintptr_t)v->first->value.p);
        free(v->first);
        v->first = next;
    }
    v->n = 0;
}

enum epc_err epc_vars_set(struct epc_vars *v, const char *name, const void *p, size_t n)
{
    struct epc_var *x = v->first;
    char *copy = epc_str_dup((struct epc_str){p, n});
    if (!copy)
        return EPC_ENOMEM;
    while (x && strcmp(x->name, name) != 0)
        x = x->next;
    if (!x) {
        if (v->n >= 1000 || !(x = calloc(1, sizeof *x)) || !(x->name = strdup(name))) {
            enum epc_err e = v->n >= 1000 ? EPC_ELIMIT : EPC_ENOMEM;
            if (e == EPC_ENOMEM)
                free(x);
            free(copy);
            return e;
        }
        x->next = v->first;
        v->first = x;
        v->n++;
    }
    free((char *)(uintptr_t)x->value.p);
    x->value = (struct epc_str){copy, n};
    return EPC_OK;
}

bool epc_vars_get(const struct epc_vars *v, const char *name, struct epc_str *out)
{
    for (const struct epc_var *x = v ? v->first : NULL; x; x = x->next)
        if (strcmp(x->name, name) == 0) {
            *out = x->value;
            return true;
        }
    return false;
}
