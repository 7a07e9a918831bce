#include "gateway/rtpengine/bencode.h"

#include <string.h>

enum { MAX_DEPTH = 32 };

/* ---- writing ------------------------------------------------------------------------------------------ */

static void put_string(struct epc_buf *out, const char *p, size_t n)
{
    epc_buf_addu(out, n);
    epc_buf_add(out, ":", 1);
    epc_buf_add(out, p, n);
}

static void put_integer(struct epc_buf *out, json_int_t n)
{
    epc_buf_adds(out, n < 0 ? "i-" : "i");
    epc_buf_addu(out, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
    epc_buf_add(out, "e", 1);
}

void epc_bencode_put(struct epc_buf *out, const json_t *v)
{
    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_STRING:
        put_string(out, json_string_value(v), json_string_length(v));
        return;
    case JSON_INTEGER:
        put_integer(out, json_integer_value(v));
        return;
    case JSON_TRUE:
    case JSON_FALSE:
        put_integer(out, json_is_true(v));
        return;
    case JSON_ARRAY:
        epc_buf_add(out, "l", 1);
        for (size_t i = 0; i < json_array_size(v); i++)
            epc_bencode_put(out, json_array_get(v, i));
        epc_buf_add(out, "e", 1);
        return;
    case JSON_OBJECT: {
        const char *key;
        json_t *value, *object = (json_t *)(uintptr_t)v; /* jansson iterates over nothing const */
        epc_buf_add(out, "d", 1);
        json_object_foreach (object, key, value) {
            put_string(out, key, strlen(key));
            epc_bencode_put(out, value);
        }
        epc_buf_add(out, "e", 1);
        return;
    }
    case JSON_REAL:
    case JSON_NULL:
    default:
        out->failed = true;
    }
}

/* ---- reading ------------------------------------------------------------------------------------------ */

static json_t *get(struct epc_str *s, unsigned depth);

static bool at_end(struct epc_str *s)
{
    if (s->n == 0 || s->p[0] != 'e')
        return false;
    s->p++;
    s->n--;
    return true;
}

static bool get_string(struct epc_str *s, struct epc_str *out)
{
    uint64_t n;
    const char *colon = s->n ? memchr(s->p, ':', s->n < 8 ? s->n : 8) : NULL;
    if (!colon || epc_str_u64((struct epc_str){s->p, (size_t)(colon - s->p)}, SIZE_MAX, &n) != EPC_OK)
        return false;
    size_t head = (size_t)(colon - s->p) + 1;
    if (n > s->n - head || memchr(colon + 1, 0, n))
        return false;
    *out = (struct epc_str){colon + 1, n};
    s->p += head + n;
    s->n -= head + n;
    return true;
}

static json_t *get_integer(struct epc_str *s)
{
    struct epc_str rest = *s, digits = epc_str_cut(&rest, 'e');
    uint64_t n;
    bool minus = digits.n && digits.p[0] == '-';
    if (minus) {
        digits.p++;
        digits.n--;
    }
    if (!rest.p || epc_str_u64(digits, INT64_MAX, &n) != EPC_OK)
        return NULL;
    *s = rest;
    return json_integer(minus ? -(json_int_t)n : (json_int_t)n);
}

static json_t *get_list(struct epc_str *s, unsigned depth)
{
    json_t *list = json_array();
    while (list && !at_end(s))
        if (json_array_append_new(list, get(s, depth + 1)) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *get_dictionary(struct epc_str *s, unsigned depth)
{
    json_t *d = json_object();
    char name[128];
    while (d && !at_end(s)) {
        struct epc_str key;
        bool ok = get_string(s, &key) && key.n < sizeof name;
        if (ok) {
            memcpy(name, key.p, key.n);
            name[key.n] = 0;
        }
        if (!ok || json_object_get(d, name) || json_object_set_new_nocheck(d, name, get(s, depth + 1)) != 0) {
            json_decref(d);
            return NULL;
        }
    }
    return d;
}

static json_t *get(struct epc_str *s, unsigned depth)
{
    struct epc_str text;
    if (s->n == 0 || depth > MAX_DEPTH)
        return NULL;
    char kind = s->p[0];
    if (kind >= '0' && kind <= '9')
        return get_string(s, &text) ? json_stringn_nocheck(text.p, text.n) : NULL;
    s->p++;
    s->n--;
    return kind == 'i' ? get_integer(s) : kind == 'l' ? get_list(s, depth) : kind == 'd' ? get_dictionary(s, depth) : NULL;
}

json_t *epc_bencode_get(struct epc_str text)
{
    json_t *v = get(&text, 0);
    if (v && text.n == 0)
        return v;
    json_decref(v);
    return NULL;
}
