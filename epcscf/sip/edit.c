/* Header editing by name, for headers that sofia-sip has a class for and for those it does not. */
#include "sip/sip_priv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

msg_header_t **epc_sip_list(const msg_t *msg, const char *name, bool *unknown)
{
    const msg_mclass_t *mc = msg_mclass(msg);
    char with_colon[80];
    if (snprintf(with_colon, sizeof with_colon, "%s:", name) >= (int)sizeof with_colon)
        return NULL;
    isize_t end = 0;
    const msg_href_t *hr = msg_find_hclass(mc, with_colon, &end);
    if (!hr || end == 0)
        return NULL;
    *unknown = hr == mc->mc_unknown;
    return msg_hclass_offset(mc, epc_pub(epc_sip_of(msg)), hr->hr_class);
}

msg_header_t *epc_sip_find_from(msg_header_t *h, const char *name, bool unknown)
{
    while (h && unknown && (!h->sh_unknown->un_name || strcasecmp(h->sh_unknown->un_name, name) != 0))
        h = h->sh_next;
    return h;
}

static bool has_line_end(const char *s, size_t n)
{
    return memchr(s, '\r', n) || memchr(s, '\n', n);
}

/* sofia-sip files a header that it cannot read under sip_error. */
static unsigned count_errors(const sip_t *sip)
{
    unsigned n = 0;
    for (const sip_error_t *e = sip->sip_error; e; e = e->er_next)
        n++;
    return n;
}

static void drop_last_error(msg_t *msg)
{
    sip_error_t *e = epc_sip_of(msg)->sip_error;
    while (e && e->er_next)
        e = e->er_next;
    if (e)
        msg_header_remove(msg, epc_pub(epc_sip_of(msg)), epc_hdr(e));
}

enum epc_err epc_sip_add(msg_t *msg, const char *name, const char *fmt, ...)
{
    struct epc_buf line = {0};
    enum epc_err err = EPC_OK;
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *text = n >= 0 ? malloc((size_t)n + 1) : NULL;
    if (text)
        vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    if (!text)
        return EPC_ENOMEM;
    if (has_line_end(text, (size_t)n) || has_line_end(name, strlen(name))) {
        err = EPC_EINVAL; /* a value from outside must not smuggle in a header */
        goto out;
    }
    epc_buf_printf(&line, "%s: %s\r\n", name, text);
    if (line.failed) {
        err = EPC_ENOMEM;
        goto out;
    }
    sip_t *sip = epc_sip_of(msg);
    unsigned errors = count_errors(sip);
    int flags = sip->sip_flags;
    if (msg_header_add_str(msg, epc_pub(sip), line.p) < 0)
        err = EPC_EPROTO;
    if (count_errors(sip) > errors) {
        drop_last_error(msg);
        sip->sip_flags = flags;
        err = EPC_EPROTO;
    }
out:
    free(text);
    epc_buf_free(&line);
    return err;
}

unsigned epc_sip_remove(msg_t *msg, const char *name)
{
    bool unknown;
    unsigned n = 0;
    msg_header_t **list = epc_sip_list(msg, name, &unknown);
    if (!list)
        return 0;
    for (msg_header_t *h = epc_sip_find_from(*list, name, unknown), *next; h; h = next) {
        next = epc_sip_find_from(h->sh_next, name, unknown);
        if (msg_header_remove(msg, epc_pub(epc_sip_of(msg)), h) == 0)
            n++;
    }
    return n;
}

struct epc_str epc_sip_get(msg_t *msg, const char *name, unsigned i)
{
    bool unknown;
    msg_header_t **list = epc_sip_list(msg, name, &unknown);
    if (!list)
        return EPC_STR_NULL;
    msg_header_t *h = epc_sip_find_from(*list, name, unknown);
    for (; h && i; i--)
        h = epc_sip_find_from(h->sh_next, name, unknown);
    if (!h)
        return EPC_STR_NULL;
    if (unknown)
        return (struct epc_str){h->sh_unknown->un_value ? h->sh_unknown->un_value : "",
                                h->sh_unknown->un_value ? strlen(h->sh_unknown->un_value) : 0};
    issize_t n = msg_header_field_e(NULL, 0, h, 0);
    if (n < 0)
        return EPC_STR_NULL;
    char *text = su_alloc(msg_home(msg), (isize_t)(n + 1));
    if (!text || msg_header_field_e(text, (isize_t)(n + 1), h, 0) != n)
        return EPC_STR_NULL;
    text[n] = 0;
    return (struct epc_str){text, (size_t)n};
}

struct epc_str epc_sip_in_get(const struct epc_sip_in *in, const char *name, unsigned i)
{
    return in->req ? epc_sip_get(in->req, name, i) : EPC_STR_NULL;
}

enum epc_err epc_sip_set_routes(msg_t *msg, const char *const *routes)
{
    sip_t *sip = epc_sip_of(msg);
    sip_route_t *first = NULL, **end = &first;
    for (; routes && *routes; routes++) {
        /* Without brackets sofia-sip would take URI parameters for header parameters. */
        bool bare = !strchr(*routes, '<');
        if (has_line_end(*routes, strlen(*routes)) || (bare && strchr(*routes, '>')))
            return EPC_EINVAL;
        sip_route_t *r = sip_route_format(msg_home(msg), bare ? "<%s>" : "%s", *routes);
        if (!r)
            return EPC_EPROTO;
        *end = r;
        while (*end)
            end = &(*end)->r_next;
    }
    epc_sip_remove(msg, "Route");
    if (first && msg_header_insert(msg, epc_pub(sip), epc_hdr(first)) < 0)
        return EPC_ENOMEM;
    return EPC_OK;
}

bool epc_sip_max_forwards(msg_t *msg)
{
    sip_t *sip = epc_sip_of(msg);
    sip_max_forwards_t *mf = sip->sip_max_forwards;
    if (!mf)
        return epc_sip_add(msg, "Max-Forwards", "%u", 70u) == EPC_OK;
    if (mf->mf_count == 0)
        return false;
    mf->mf_count--;
    msg_fragment_clear(mf->mf_common);
    return true;
}
