/* Which identities a registered user may assert (TS 24.229 5.2.6.3, TS 23.003 13.4A). */
#include "registration/registration.h"

#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

/** Longest wildcard that is looked at, and most copies that its intervals may ask for: the pattern is
 *  the core's, but matching must not take long whatever it is. */
enum { WILDCARD_MAX = 128, INTERVAL_MAX = 256 };

/* "+15550001" of a tel URI, or of the sip form of a number in that domain (RFC 3261 19.1.6). */
static struct epc_str number_of(const char *canonical, struct epc_str home)
{
    struct epc_str rest = epc_str_c(canonical);
    if (epc_str_starts(rest, "tel:+"))
        return (struct epc_str){rest.p + 4, rest.n - 4};
    if (!epc_str_starts(rest, "sip:+"))
        return EPC_STR_NULL;
    rest = (struct epc_str){rest.p + 4, rest.n - 4};
    struct epc_str user = epc_str_cut(&rest, '@');
    for (size_t i = 1; i < user.n; i++) {
        if (!isdigit((unsigned char)user.p[i]))
            return EPC_STR_NULL;
    }
    return user.n > 1 && rest.p && epc_str_ieq(rest, home) ? user : EPC_STR_NULL;
}

static bool companions(const char *a, const char *b, struct epc_str home)
{
    struct epc_str na = number_of(a, home), nb = number_of(b, home);
    return na.p && nb.p && epc_str_eq(na, nb);
}

/* An extended regular expression that cannot take the engine long: bounded intervals, no references. */
static bool harmless(struct epc_str ere)
{
    unsigned long copies = 1;
    for (size_t i = 0; i < ere.n; i++) {
        if (ere.p[i] == '\\' && i + 1 < ere.n && isalnum((unsigned char)ere.p[i + 1]))
            return false;
        if (ere.p[i] != '{')
            continue;
        unsigned long most = 1, number = 0;
        while (++i < ere.n && ere.p[i] != '}') {
            if (ere.p[i] == ',')
                number = 0;
            else if (!isdigit((unsigned char)ere.p[i]) || number > INTERVAL_MAX)
                return false;
            else
                number = number * 10 + (unsigned long)(ere.p[i] - '0');
            most = number > most ? number : most;
        }
        copies *= most;
        if (copies > INTERVAL_MAX)
            return false;
    }
    return true;
}

/* The outermost pair of exclamation marks encloses the expression; what stands around it is text. */
static bool split_wildcard(struct epc_str impu, struct epc_str *before, struct epc_str *ere,
                           struct epc_str *after)
{
    const char *open = impu.n ? memchr(impu.p, '!', impu.n) : NULL;
    if (!open)
        return false;
    const char *close = impu.p + impu.n - 1;
    while (close > open && *close != '!')
        close--;
    *before = (struct epc_str){impu.p, (size_t)(open - impu.p)};
    *ere = (struct epc_str){open + 1, close > open ? (size_t)(close - open - 1) : 0};
    *after = (struct epc_str){close + 1, (size_t)(impu.p + impu.n - close - 1)};
    return ere->n > 0;
}

bool epc_reg_is_wildcard(struct epc_str impu)
{
    struct epc_str before, ere, after;
    return split_wildcard(impu, &before, &ere, &after);
}

static bool ends_with(struct epc_str s, struct epc_str end)
{
    return s.n >= end.n && epc_str_ieq((struct epc_str){s.p + s.n - end.n, end.n}, end);
}

static bool fits_wildcard(const char *impu, const char *uri)
{
    struct epc_str before, ere, after, u = epc_str_c(uri);
    struct epc_buf pattern = {0};
    regex_t re;
    if (!split_wildcard(epc_str_c(impu), &before, &ere, &after) || strlen(impu) > WILDCARD_MAX ||
        !harmless(ere) || u.n < before.n + after.n || !ends_with(u, after) ||
        !epc_str_eq((struct epc_str){u.p, before.n}, before))
        return false;
    struct epc_buf part = {0};
    epc_buf_addstr(&part, (struct epc_str){u.p + before.n, u.n - before.n - after.n});
    epc_buf_printf(&pattern, "^(%.*s)$", EPC_STR_ARG(ere));
    bool fits = !pattern.failed && part.p && regcomp(&re, pattern.p, REG_EXTENDED | REG_NOSUB) == 0;
    if (fits) {
        fits = regexec(&re, part.p, 0, NULL, 0) == 0;
        regfree(&re);
    }
    epc_buf_free(&pattern);
    epc_buf_free(&part);
    return fits;
}

bool epc_reg_may_assert(const struct epc_binding *b, struct epc_str uri, char **asserted)
{
    char *wish = epc_auth_canonical_impu(uri);
    const char *realm = b->impi ? strchr(b->impi, '@') : NULL;
    struct epc_str home = epc_str_c(realm ? realm + 1 : NULL);
    const char *as = NULL;
    for (size_t i = 0; wish && !as && i < b->n_impus; i++) {
        if (epc_reg_is_wildcard(epc_str_c(b->impus[i])))
            continue;
        char *have = epc_auth_canonical_impu(epc_str_c(b->impus[i]));
        if (have && (strcmp(have, wish) == 0 || companions(have, wish, home)))
            as = b->impus[i];
        free(have);
    }
    for (size_t i = 0; wish && !as && i < b->n_impus; i++) {
        if (fits_wildcard(b->impus[i], wish))
            as = wish;
    }
    bool may = as != NULL;
    if (may && asserted) {
        char *copy = epc_str_dup(epc_str_c(as));
        may = copy != NULL;
        if (copy)
            *asserted = copy;
    }
    free(wish);
    return may;
}
