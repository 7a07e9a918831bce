/* Reading reginfo with expat. Entities cannot be declared: a document with a DTD is refused. */
#include "registration/reginfo.h"

#include <expat.h>
#include <stdlib.h>
#include <string.h>

#define NS "urn:ietf:params:xml:ns:reginfo"
enum { SEPARATOR = ' ' };

static const char *const event_names[REGINFO_EVENTS] = {
#define X(id, name) name,
    REGINFO_EVENTS_LIST(X)
#undef X
};

enum place { AT_NOTHING, AT_URI, AT_INSTANCE, AT_REG_ID };

struct reader {
    XML_Parser parser;
    struct reginfo *info;
    unsigned depth, skip; /* skip: depth of the unknown element that is being left out; 0 = none */
    enum place place;
    struct epc_buf text;
    bool in_registration, in_contact;
    size_t n_contacts;
    enum epc_err err;
    const char *why;
};

const char *reginfo_event_name(enum reginfo_event ev)
{
    return (unsigned)ev < REGINFO_EVENTS ? event_names[ev] : "?";
}

static void stop(struct reader *r, enum epc_err err, const char *why)
{
    if (r->err == EPC_OK) {
        r->err = err;
        r->why = why;
        XML_StopParser(r->parser, XML_FALSE);
    }
}

static const char *attribute(const XML_Char **atts, const char *name)
{
    for (size_t i = 0; atts[i]; i += 2) {
        if (strcmp(atts[i], name) == 0)
            return atts[i + 1];
    }
    return NULL;
}

static bool number(const XML_Char **atts, const char *name, uint64_t *out)
{
    const char *text = attribute(atts, name);
    return text && epc_str_u64(epc_str_trim(epc_str_c(text)), UINT32_MAX, out) == EPC_OK;
}

static bool read_state(const char *text, enum reginfo_state *out)
{
    static const char *const names[] = {"init", "active", "terminated"};
    for (size_t i = 0; text && i < EPC_ARRAY_LEN(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum reginfo_state)i;
            return true;
        }
    }
    return false;
}

static bool read_event(const char *text, enum reginfo_event *out)
{
    for (size_t i = 0; text && i < REGINFO_EVENTS; i++) {
        if (strcmp(text, event_names[i]) == 0) {
            *out = (enum reginfo_event)i;
            return true;
        }
    }
    return false;
}

/* ---- elements ------------------------------------------------------------------------------- */

static void start_document(struct reader *r, const XML_Char **atts)
{
    const char *state = attribute(atts, "state");
    bool full = state && strcmp(state, "full") == 0;
    if (!number(atts, "version", &r->info->version))
        stop(r, EPC_EPROTO, "no version");
    else if (!full && (!state || strcmp(state, "partial") != 0))
        stop(r, EPC_EPROTO, "neither full nor partial");
    r->info->full = full;
}

static struct reginfo_registration *last_registration(struct reader *r)
{
    return &r->info->registrations[r->info->n_registrations - 1];
}

static void start_registration(struct reader *r, const XML_Char **atts)
{
    struct reginfo *info = r->info;
    struct reginfo_registration one = {0};
    const char *aor = attribute(atts, "aor");
    if (!aor || !read_state(attribute(atts, "state"), &one.state)) {
        stop(r, EPC_EPROTO, "registration without aor or state");
        return;
    }
    if (info->n_registrations == REGINFO_REGISTRATIONS_MAX || strlen(aor) > REGINFO_TEXT_MAX) {
        stop(r, EPC_ELIMIT, "too many registrations");
        return;
    }
    struct reginfo_registration *grown =
        realloc(info->registrations, (info->n_registrations + 1) * sizeof *grown);
    if (grown)
        info->registrations = grown;
    one.aor = epc_str_dup(epc_str_trim(epc_str_c(aor)));
    if (!grown || !one.aor) {
        free(one.aor);
        stop(r, EPC_ENOMEM, "out of memory");
        return;
    }
    grown[info->n_registrations++] = one;
    r->in_registration = true;
}

static void start_contact(struct reader *r, const XML_Char **atts)
{
    struct reginfo_registration *reg = last_registration(r);
    struct reginfo_contact one = {0};
    if (!read_state(attribute(atts, "state"), &one.state) || one.state == REGINFO_INIT ||
        !read_event(attribute(atts, "event"), &one.event)) {
        stop(r, EPC_EPROTO, "contact without state or event");
        return;
    }
    one.has_expires = number(atts, "expires", &one.expires_s);
    if (!number(atts, "retry-after", &one.retry_after_s))
        one.retry_after_s = 0;
    if (r->n_contacts == REGINFO_CONTACTS_MAX) {
        stop(r, EPC_ELIMIT, "too many contacts");
        return;
    }
    struct reginfo_contact *grown = realloc(reg->contacts, (reg->n_contacts + 1) * sizeof *grown);
    if (!grown) {
        stop(r, EPC_ENOMEM, "out of memory");
        return;
    }
    reg->contacts = grown;
    grown[reg->n_contacts++] = one;
    r->n_contacts++;
    r->in_contact = true;
}

/* Contact parameters that have no element of their own: RFC 3680 5.3.3. */
static void start_param(struct reader *r, const XML_Char **atts)
{
    const char *name = attribute(atts, "name");
    if (name && strcmp(name, "+sip.instance") == 0)
        r->place = AT_INSTANCE;
    else if (name && strcmp(name, "reg-id") == 0)
        r->place = AT_REG_ID;
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **atts)
{
    struct reader *r = arg;
    const char *local = strrchr(name, SEPARATOR);
    bool known = false;
    if (r->err != EPC_OK)
        return;
    if (++r->depth > REGINFO_DEPTH_MAX) {
        stop(r, EPC_ELIMIT, "nested too deeply");
        return;
    }
    if (r->skip)
        return;
    bool ours = local && (size_t)(local - name) == strlen(NS) && strncmp(name, NS, strlen(NS)) == 0;
    local = local ? local + 1 : name;
    if (r->depth == 1 && (!ours || strcmp(local, "reginfo") != 0)) {
        stop(r, EPC_EPROTO, "not reginfo");
        return;
    }
    if (r->depth == 1) {
        start_document(r, atts);
        known = true;
    } else if (ours && r->depth == 2 && strcmp(local, "registration") == 0) {
        start_registration(r, atts);
        known = true;
    } else if (ours && r->depth == 3 && r->in_registration && strcmp(local, "contact") == 0) {
        start_contact(r, atts);
        known = true;
    } else if (ours && r->depth == 4 && r->in_contact && strcmp(local, "uri") == 0) {
        r->place = AT_URI;
        known = true;
    } else if (ours && r->depth == 4 && r->in_contact && strcmp(local, "unknown-param") == 0) {
        start_param(r, atts);
        known = true;
    }
    if (!known)
        r->skip = r->depth;
}

/* Quotes and angle brackets around an instance differ from core to core. */
static struct epc_str bare(struct epc_str s)
{
    s = epc_str_trim(s);
    while (s.n >= 2 && ((s.p[0] == '"' && s.p[s.n - 1] == '"') || (s.p[0] == '<' && s.p[s.n - 1] == '>')))
        s = (struct epc_str){s.p + 1, s.n - 2};
    return s;
}

static void end_text(struct reader *r)
{
    struct reginfo_registration *reg = last_registration(r);
    struct reginfo_contact *c = &reg->contacts[reg->n_contacts - 1];
    char **at = r->place == AT_URI ? &c->uri : r->place == AT_INSTANCE ? &c->instance : &c->reg_id;
    r->place = AT_NOTHING;
    if (r->text.failed) {
        stop(r, EPC_ENOMEM, "out of memory");
        return;
    }
    char *value = epc_str_dup(bare((struct epc_str){r->text.p ? r->text.p : "", r->text.n}));
    epc_buf_free(&r->text);
    if (!value) {
        stop(r, EPC_ENOMEM, "out of memory");
        return;
    }
    free(*at);
    *at = value;
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
    struct reader *r = arg;
    (void)name;
    unsigned depth = r->depth--;
    if (r->err != EPC_OK)
        return;
    if (r->skip) {
        if (r->skip == depth)
            r->skip = 0;
        return;
    }
    if (depth == 4 && r->place != AT_NOTHING) {
        end_text(r);
    } else if (depth == 3 && r->in_contact) {
        const struct reginfo_registration *reg = last_registration(r);
        const char *uri = reg->contacts[reg->n_contacts - 1].uri;
        r->in_contact = false;
        if (!uri || !*uri)
            stop(r, EPC_EPROTO, "contact without uri");
    } else if (depth == 2) {
        r->in_registration = false;
    }
}

static void XMLCALL on_text(void *arg, const XML_Char *s, int len)
{
    struct reader *r = arg;
    if (r->place == AT_NOTHING || r->skip || r->err != EPC_OK)
        return;
    if (r->text.n + (size_t)len > REGINFO_TEXT_MAX)
        stop(r, EPC_ELIMIT, "text too long");
    else
        epc_buf_add(&r->text, s, (size_t)len);
}

static void XMLCALL on_doctype(void *arg, const XML_Char *name, const XML_Char *sysid,
                               const XML_Char *pubid, int internal)
{
    (void)name;
    (void)sysid;
    (void)pubid;
    (void)internal;
    stop(arg, EPC_EPROTO, "document type not allowed");
}

/* ---- whole ---------------------------------------------------------------------------------- */

void reginfo_free(struct reginfo *info)
{
    if (!info)
        return;
    for (size_t i = 0; i < info->n_registrations; i++) {
        struct reginfo_registration *reg = &info->registrations[i];
        for (size_t k = 0; k < reg->n_contacts; k++) {
            free(reg->contacts[k].uri);
            free(reg->contacts[k].instance);
            free(reg->contacts[k].reg_id);
        }
        free(reg->contacts);
        free(reg->aor);
    }
    free(info->registrations);
    free(info);
}

enum epc_err reginfo_parse(struct reginfo **out, const char *p, size_t n, const char **why)
{
    struct reader r = {.info = calloc(1, sizeof *r.info)};
    *why = NULL;
    if (n > REGINFO_OCTETS_MAX) {
        r.err = EPC_ELIMIT;
        r.why = "document too long";
    } else if (!r.info || !(r.parser = XML_ParserCreateNS(NULL, SEPARATOR))) {
        r.err = EPC_ENOMEM;
        r.why = "out of memory";
    } else {
        XML_SetUserData(r.parser, &r);
        XML_SetElementHandler(r.parser, on_start, on_end);
        XML_SetCharacterDataHandler(r.parser, on_text);
        XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
        XML_SetParamEntityParsing(r.parser, XML_PARAM_ENTITY_PARSING_NEVER);
        bool ok = XML_Parse(r.parser, p, (int)n, XML_TRUE) == XML_STATUS_OK;
        if (!ok && r.err == EPC_OK) {
            bool memory = XML_GetErrorCode(r.parser) == XML_ERROR_NO_MEMORY;
            r.err = memory ? EPC_ENOMEM : EPC_EPROTO;
            r.why = XML_ErrorString(XML_GetErrorCode(r.parser));
        }
    }
    if (r.parser)
        XML_ParserFree(r.parser);
    epc_buf_free(&r.text);
    if (r.err == EPC_OK) {
        *out = r.info;
        return EPC_OK;
    }
    *why = r.why;
    reginfo_free(r.info);
    return r.err;
}
