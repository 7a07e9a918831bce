/* The SDP body of a message, alone or as one part of a multipart (RFC 2046 5.1, RFC 5621). */
#include "sip/sip_priv.h"

#include <string.h>
#include <strings.h>

/* One part of a multipart body, all slices into the payload. `whole` begins with the delimiter line
 * and ends before the line end that belongs to the next delimiter. */
struct part {
    struct epc_str whole, headers, body;
};

static struct epc_str payload_of(const sip_t *sip)
{
    if (!sip || !sip->sip_payload || !sip->sip_payload->pl_data || sip->sip_payload->pl_next)
        return EPC_STR_NULL;
    return (struct epc_str){sip->sip_payload->pl_data, sip->sip_payload->pl_len};
}

static bool type_is(const char *type, size_t n, const char *want)
{
    return n == strlen(want) && strncasecmp(type, want, n) == 0;
}

static bool is_plain_sdp(const sip_t *sip)
{
    const sip_content_type_t *ct = sip->sip_content_type;
    return ct && ct->c_type && type_is(ct->c_type, strlen(ct->c_type), "application/sdp");
}

/* The delimiter "--boundary"; false when this is no multipart. */
static bool delimiter(const sip_t *sip, char *out, size_t n)
{
    const sip_content_type_t *ct = sip->sip_content_type;
    if (!ct || !ct->c_type || strncasecmp(ct->c_type, "multipart/", 10) != 0)
        return false;
    const char *b = msg_params_find(ct->c_params, "boundary=");
    if (!b || !*b)
        return false;
    struct epc_str s = epc_str_c(b);
    if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"') {
        s.p++;
        s.n -= 2;
    }
    if (s.n == 0 || s.n > 70)
        return false; /* RFC 2046 5.1.1: at most 70 characters */
    return snprintf(out, n, "--%.*s", EPC_STR_ARG(s)) < (int)n;
}

/* The next line that starts with @p delim at or after @p from; p == NULL when there is none. */
static const char *find_delimiter(struct epc_str body, size_t from, const char *delim)
{
    size_t m = strlen(delim);
    for (size_t i = from; i + m <= body.n; i++) {
        if (i && body.p[i - 1] != '\n') {
            const char *nl = memchr(body.p + i, '\n', body.n - i);
            if (!nl)
                return NULL;
            i = (size_t)(nl - body.p);
            continue;
        }
        if (memcmp(body.p + i, delim, m) != 0)
            continue;
        char after = i + m < body.n ? body.p[i + m] : '\n';
        if (after == '\r' || after == '\n' || after == '-' || after == ' ' || after == '\t')
            return body.p + i;
    }
    return NULL;
}

static void split_headers(struct part *part, struct epc_str text)
{
    part->headers = (struct epc_str){text.p, 0};
    size_t i = 0;
    while (i < text.n) {
        const char *nl = memchr(text.p + i, '\n', text.n - i);
        size_t end = nl ? (size_t)(nl - text.p) + 1 : text.n;
        if (epc_str_trim((struct epc_str){text.p + i, end - i}).n == 0) {
            part->headers.n = i;
            part->body = (struct epc_str){text.p + end, text.n - end};
            return;
        }
        i = end;
    }
    part->headers.n = text.n;
    part->body = (struct epc_str){text.p + text.n, 0};
}

/* The part that starts at or after @p *at, which then stands behind it. */
static bool next_part(struct epc_str body, const char *delim, size_t *at, struct part *part)
{
    const char *start = find_delimiter(body, *at, delim);
    if (!start)
        return false;
    size_t m = strlen(delim), begin = (size_t)(start - body.p);
    if (begin + m + 2 <= body.n && memcmp(start + m, "--", 2) == 0)
        return false;
    const char *nl = memchr(start, '\n', body.n - begin);
    if (!nl)
        return false;
    size_t text = (size_t)(nl - body.p) + 1;
    const char *stop = find_delimiter(body, text, delim);
    size_t end = stop ? (size_t)(stop - body.p) : body.n;
    *at = end;
    /* The line end before a delimiter belongs to the delimiter. */
    if (stop && end > text && body.p[end - 1] == '\n')
        end--;
    if (stop && end > text && body.p[end - 1] == '\r')
        end--;
    part->whole = (struct epc_str){body.p + begin, end - begin};
    split_headers(part, (struct epc_str){body.p + text, end - text});
    return true;
}

static bool part_is_sdp(const struct part *part)
{
    struct epc_str rest = part->headers;
    while (rest.p && rest.n) {
        struct epc_str line = epc_str_cut(&rest, '\n');
        struct epc_str name = epc_str_trim(epc_str_cut(&line, ':'));
        if (!line.p || !(epc_str_ieqc(name, "Content-Type") || epc_str_ieqc(name, "c")))
            continue;
        struct epc_str type = epc_str_trim(epc_str_cut(&line, ';'));
        return epc_str_ieqc(type, "application/sdp");
    }
    return false;
}

static bool find_sdp_part(const sip_t *sip, struct part *part)
{
    char delim[80];
    struct epc_str body = payload_of(sip);
    if (!body.p || !delimiter(sip, delim, sizeof delim))
        return false;
    for (size_t at = 0; next_part(body, delim, &at, part);)
        if (part_is_sdp(part))
            return true;
    return false;
}

static bool is_encoded(const sip_t *sip)
{
    const sip_content_encoding_t *e = sip->sip_content_encoding;
    return e && e->k_items && e->k_items[0] && strcasecmp(e->k_items[0], "identity") != 0;
}

struct epc_str epc_sip_sdp(const sip_t *sip)
{
    struct part part;
    struct epc_str body = payload_of(sip);
    if (!body.p || body.n == 0 || is_encoded(sip))
        return EPC_STR_NULL;
    if (is_plain_sdp(sip))
        return body;
    return find_sdp_part(sip, &part) && part.body.n ? part.body : EPC_STR_NULL;
}

static enum epc_err replace_payload(msg_t *msg, const char *p, size_t n)
{
    sip_t *sip = epc_sip_of(msg);
    sip_payload_t *pl = NULL;
    if (n && !(pl = sip_payload_create(msg_home(msg), p, (isize_t)n)))
        return EPC_ENOMEM;
    sip_content_length_t *cl = sip_content_length_create(msg_home(msg), (uint32_t)n);
    if (!cl)
        return EPC_ENOMEM;
    while (sip->sip_payload)
        if (msg_header_remove(msg, epc_pub(sip), epc_hdr(sip->sip_payload)) != 0)
            break;
    if (sip->sip_content_length)
        msg_header_remove(msg, epc_pub(sip), epc_hdr(sip->sip_content_length));
    if (msg_header_insert(msg, epc_pub(sip), epc_hdr(cl)) < 0)
        return EPC_ENOMEM;
    /* sofia-sip keeps the body behind the separator only if there is one already. */
    if (!sip->sip_separator) {
        sip_separator_t *sep = sip_separator_create(msg_home(msg));
        if (!sep || msg_header_insert(msg, epc_pub(sip), epc_hdr(sep)) < 0)
            return EPC_ENOMEM;
    }
    if (pl && msg_header_insert(msg, epc_pub(sip), epc_hdr(pl)) < 0)
        return EPC_ENOMEM;
    return EPC_OK;
}

enum epc_err epc_sip_set_sdp(msg_t *msg, struct epc_str sdp)
{
    sip_t *sip = epc_sip_of(msg);
    struct part part;
    if (!is_encoded(sip) && find_sdp_part(sip, &part)) {
        struct epc_str body = payload_of(sip);
        struct epc_buf b = {0};
        size_t from = (size_t)(part.body.p - body.p), to = from + part.body.n;
        epc_buf_add(&b, body.p, from);
        epc_buf_addstr(&b, sdp);
        epc_buf_add(&b, body.p + to, body.n - to);
        enum epc_err err = b.failed ? EPC_ENOMEM : replace_payload(msg, b.p, b.n);
        epc_buf_free(&b);
        return err;
    }
    if (!is_plain_sdp(sip) || is_encoded(sip)) {
        epc_sip_remove(msg, "Content-Type");
        epc_sip_remove(msg, "Content-Encoding");
        enum epc_err err = epc_sip_add(msg, "Content-Type", "application/sdp");
        if (err)
            return err;
    }
    return replace_payload(msg, sdp.p, sdp.n);
}

bool epc_sip_sdp_encoded(const sip_t *sip)
{
    char delim[80];
    return payload_of(sip).n && is_encoded(sip) && (is_plain_sdp(sip) || delimiter(sip, delim, sizeof delim));
}

static enum epc_err remove_all(msg_t *msg)
{
    static const char *const entity[] = {"Content-Type", "Content-Encoding", "Content-Language",
                                         "Content-Disposition", "MIME-Version"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(entity); i++)
        epc_sip_remove(msg, entity[i]);
    return replace_payload(msg, NULL, 0);
}

enum epc_err epc_sip_set_body(msg_t *msg, const char *type, struct epc_str body)
{
    enum epc_err err = remove_all(msg);
    if (err == EPC_OK)
        err = epc_sip_add(msg, "Content-Type", "%s", type);
    return err == EPC_OK ? replace_payload(msg, body.p, body.n) : err;
}

enum epc_err epc_sip_remove_sdp(msg_t *msg)
{
    sip_t *sip = epc_sip_of(msg);
    struct part part, other;
    char delim[80];
    struct epc_str body = payload_of(sip);
    if (is_plain_sdp(sip))
        return remove_all(msg);
    if (!find_sdp_part(sip, &part) || !delimiter(sip, delim, sizeof delim))
        return EPC_OK;
    unsigned parts = 0;
    for (size_t at = 0; next_part(body, delim, &at, &other);)
        parts++;
    if (parts <= 1)
        return remove_all(msg);
    size_t from = (size_t)(part.whole.p - body.p), to = from + part.whole.n;
    while (to < body.n && (body.p[to] == '\r' || body.p[to] == '\n'))
        to++;
    struct epc_buf b = {0};
    epc_buf_add(&b, body.p, from);
    epc_buf_add(&b, body.p + to, body.n - to);
    enum epc_err err = b.failed ? EPC_ENOMEM : replace_payload(msg, b.p, b.n);
    epc_buf_free(&b);
    return err;
}
