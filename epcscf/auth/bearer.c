#include "auth/auth_priv.h"

#include <string.h>

enum { TOKEN68 = 1, TOKEN = 2 };

/* What a character may be part of: RFC 6750 2.1 b64token (RFC 7235 token68) without the padding, and RFC
 * 3261 25.1 token. */
static const unsigned char classes[256] = {
#define BOTH TOKEN68 | TOKEN
    ['0'] = BOTH, ['1'] = BOTH, ['2'] = BOTH, ['3'] = BOTH, ['4'] = BOTH, ['5'] = BOTH, ['6'] = BOTH, ['7'] = BOTH,
    ['8'] = BOTH, ['9'] = BOTH, ['A'] = BOTH, ['B'] = BOTH, ['C'] = BOTH, ['D'] = BOTH, ['E'] = BOTH, ['F'] = BOTH,
    ['G'] = BOTH, ['H'] = BOTH, ['I'] = BOTH, ['J'] = BOTH, ['K'] = BOTH, ['L'] = BOTH, ['M'] = BOTH, ['N'] = BOTH,
    ['O'] = BOTH, ['P'] = BOTH, ['Q'] = BOTH, ['R'] = BOTH, ['S'] = BOTH, ['T'] = BOTH, ['U'] = BOTH, ['V'] = BOTH,
    ['W'] = BOTH, ['X'] = BOTH, ['Y'] = BOTH, ['Z'] = BOTH, ['a'] = BOTH, ['b'] = BOTH, ['c'] = BOTH, ['d'] = BOTH,
    ['e'] = BOTH, ['f'] = BOTH, ['g'] = BOTH, ['h'] = BOTH, ['i'] = BOTH, ['j'] = BOTH, ['k'] = BOTH, ['l'] = BOTH,
    ['m'] = BOTH, ['n'] = BOTH, ['o'] = BOTH, ['p'] = BOTH, ['q'] = BOTH, ['r'] = BOTH, ['s'] = BOTH, ['t'] = BOTH,
    ['u'] = BOTH, ['v'] = BOTH, ['w'] = BOTH, ['x'] = BOTH, ['y'] = BOTH, ['z'] = BOTH, ['-'] = BOTH, ['.'] = BOTH,
    ['_'] = BOTH, ['~'] = BOTH, ['+'] = BOTH, ['/'] = TOKEN68, ['!'] = TOKEN, ['%'] = TOKEN, ['*'] = TOKEN,
    ['`'] = TOKEN, ['\''] = TOKEN,
#undef BOTH
};

static bool is_token68_char(char c)
{
    return classes[(unsigned char)c] & TOKEN68;
}

static bool is_token68(struct epc_str s)
{
    size_t i = 0;
    while (i < s.n && is_token68_char(s.p[i]))
        i++;
    if (i == 0)
        return false;
    while (i < s.n && s.p[i] == '=')
        i++;
    return i == s.n;
}

static bool is_token_char(char c)
{
    return classes[(unsigned char)c] & TOKEN;
}

static bool is_lws(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Cut one auth-param off the front of *s: name, value without quotes. False: no grammar. */
static bool next_param(struct epc_str *s, struct epc_str *name, struct epc_str *value)
{
    size_t i = 0;
    while (i < s->n && is_token_char(s->p[i]))
        i++;
    *name = (struct epc_str){s->p, i};
    while (i < s->n && is_lws(s->p[i]))
        i++;
    if (name->n == 0 || i == s->n || s->p[i] != '=')
        return false;
    i++;
    while (i < s->n && is_lws(s->p[i]))
        i++;
    size_t start = i;
    if (i < s->n && s->p[i] == '"') {
        for (i++; i < s->n && s->p[i] != '"'; i++) {
            if (s->p[i] == '\\')
                i++;
        }
        if (i >= s->n)
            return false;
        *value = (struct epc_str){s->p + start + 1, i - start - 1};
        i++;
    } else {
        while (i < s->n && is_token_char(s->p[i]))
            i++;
        if (i == start)
            return false;
        *value = (struct epc_str){s->p + start, i - start};
    }
    while (i < s->n && is_lws(s->p[i]))
        i++;
    if (i < s->n && s->p[i] != ',')
        return false;
    size_t used = i < s->n ? i + 1 : i;
    *s = epc_str_trim((struct epc_str){s->p + used, s->n - used});
    return i == used || s->n > 0; /* a comma must be followed by a parameter */
}

/* What follows the scheme: the token itself, or auth-params with access_token among them
 * (TS 24.371 A.3.2). */
static bool bearer_token(struct epc_str s, struct epc_str *token)
{
    if (is_token68(s)) {
        *token = s;
        return true;
    }
    struct epc_str found = EPC_STR_NULL;
    while (s.n > 0) {
        struct epc_str name, value;
        if (!next_param(&s, &name, &value))
            return false;
        if (!epc_str_ieqc(name, "access_token"))
            continue;
        if (found.p || !is_token68(value))
            return false;
        found = value;
    }
    *token = found;
    return found.p != NULL;
}

enum epc_err epc_auth_find_bearer(const struct epc_str *values, size_t n, struct epc_str *token,
                                  struct epc_cause *cause)
{
    unsigned bearers = 0, others = 0;
    struct epc_str found = EPC_STR_NULL;
    for (size_t i = 0; i < n; i++) {
        struct epc_str rest = epc_str_trim(values[i]);
        size_t k = 0;
        while (k < rest.n && is_token_char(rest.p[k]))
            k++;
        struct epc_str scheme = {rest.p, k};
        if (!epc_str_ieqc(scheme, "Bearer")) {
            others++;
            continue;
        }
        bearers++;
        rest = (struct epc_str){rest.p + k, rest.n - k};
        if (rest.n == 0 || !is_lws(rest.p[0]) || !bearer_token(epc_str_trim(rest), &found)) {
            epc_cause_set(cause, 400, "RFC 6750 2.1", "Malformed Bearer Credentials");
            return EPC_EPROTO;
        }
    }
    if (bearers == 0)
        return EPC_ENOENT;
    if (bearers > 1 || others > 0) {
        epc_cause_set(cause, 400, "RFC 6750 3.1", "More Than One Credential");
        return EPC_EPROTO;
    }
    *token = found;
    return EPC_OK;
}
