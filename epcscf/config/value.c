/* One value of the document, or a default, into its place in the struct. */
#include "config/config_priv.h"

#include <stdlib.h>
#include <string.h>

size_t cfg_get_count(const struct cfg_key *k, const char *base)
{
    size_t n;
    memcpy(&n, base + k->count_at, sizeof n);
    return n;
}

char *cfg_get_ptr(const struct cfg_key *k, const char *base)
{
    char *p;
    memcpy(&p, base + k->at, sizeof p);
    return p;
}

static void put_ptr(const struct cfg_key *k, char *base, void *p)
{
    memcpy(base + k->at, &p, sizeof p);
}

void cfg_put_string(struct cfg_loader *ld, char **slot, const char *text)
{
    char *copy = epc_str_dup(epc_str_c(text));
    if (!copy) {
        ld->no_memory = true;
        return;
    }
    free(*slot);
    *slot = copy;
}

/* ---- numbers and names --------------------------------------------------------------------------- */

/* Each setter returns NULL, or what is wrong and what to do, in @p why or static. */
#define WHY_LEN 256

static const char *unit_of(const struct cfg_key *k)
{
    return k->unit ? k->unit : "";
}

static const char *set_number(const struct cfg_key *k, char *base, const char *text, char why[WHY_LEN])
{
    uint64_t v;
    uint64_t min = k->type == CFG_PORT ? 1 : k->min, max = k->type == CFG_PORT ? 65535 : k->max;
    if (!*text || text[strspn(text, "0123456789")])
        snprintf(why, WHY_LEN, "is no number; write digits only, %llu to %llu%s%s",
                 (unsigned long long)min, (unsigned long long)max, k->unit ? " " : "", unit_of(k));
    else if (epc_str_u64(epc_str_c(text), max, &v) != EPC_OK || v < min)
        snprintf(why, WHY_LEN, "is out of range; write %llu to %llu%s%s", (unsigned long long)min,
                 (unsigned long long)max, k->unit ? " " : "", unit_of(k));
    else {
        uint32_t v32 = (uint32_t)v;
        uint16_t v16 = (uint16_t)v;
        if (k->type == CFG_PORT)
            memcpy(base + k->at, &v16, sizeof v16);
        else
            memcpy(base + k->at, &v32, sizeof v32);
        return NULL;
    }
    return why;
}

static const char *not_a_choice(const struct cfg_key *k, char why[WHY_LEN])
{
    size_t n = (size_t)snprintf(why, WHY_LEN, "is not allowed; write ");
    for (size_t i = 0; k->names[i] && n < WHY_LEN; i++)
        n += (size_t)snprintf(why + n, WHY_LEN - n, "%s%s", i ? " or " : "", k->names[i]);
    return why;
}

static int find_name(const struct cfg_key *k, const char *text)
{
    for (int i = 0; k->names[i]; i++)
        if (strcmp(k->names[i], text) == 0)
            return i;
    return -1;
}

static const char *set_enum(const struct cfg_key *k, char *base, const char *text, char why[WHY_LEN])
{
    int i = find_name(k, text);
    if (i < 0)
        return not_a_choice(k, why);
    int v = k->values ? k->values[i] : i;
    memcpy(base + k->at, &v, sizeof v);
    return NULL;
}

static const char *set_bool(const struct cfg_key *k, char *base, const char *text)
{
    bool v = strcmp(text, "true") == 0;
    if (!v && strcmp(text, "false") != 0)
        return "is not allowed; write true or false";
    memcpy(base + k->at, &v, sizeof v);
    return NULL;
}

/* ---- addresses ------------------------------------------------------------------------------------- */

static const char *parse_addr(const char *text, struct epc_addr *a)
{
    static const char form[] = "is no address with port; write 192.0.2.1:8443 or [2001:db8::1]:8443";
    char host[EPC_ADDR_LEN];
    uint64_t port;
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host)
        return form;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = 0;
    if (strchr(host, ':') && host[0] != '[')
        return form;
    if (epc_str_u64(epc_str_c(colon + 1), 65535, &port) != EPC_OK || port == 0)
        return form;
    return epc_addr_parse(a, host, (uint16_t)port) == EPC_OK ? NULL : form;
}

static const char *set_addr(const struct cfg_key *k, char *base, const char *text)
{
    struct epc_addr a;
    const char *wrong = parse_addr(text, &a);
    if (!wrong)
        memcpy(base + k->at, &a, sizeof a);
    return wrong;
}

/* ---- texts --------------------------------------------------------------------------------------------- */

static bool may_be_empty(const struct cfg_key *k)
{
    return strcmp(k->path, "scope") == 0 || strcmp(k->path, "media.h248.profile") == 0 || (k->def && !*k->def);
}

static const char *check_text(const struct cfg_key *k, enum cfg_type t, const char *text,
                              char why[WHY_LEN])
{
    if (t == CFG_CHOICE)
        return find_name(k, text) < 0 ? not_a_choice(k, why) : NULL;
    if (!*text)
        return may_be_empty(k) ? NULL : "is empty; give a value or remove the line";
    return cfg_check_text(t, text);
}

/* What is stored: origins canonical, relative paths joined to the file's folder. */
static char *stored_text(const struct cfg_loader *ld, enum cfg_type t, const char *text)
{
    if (t == CFG_ORIGIN || t == CFG_HTTPS_ORIGIN)
        return cfg_canonical_origin(text);
    if (cfg_is_file(t) && text[0] != '/' && ld->dir && *ld->dir) {
        struct epc_buf b = {0};
        epc_buf_printf(&b, "%s/%s", ld->dir, text);
        return epc_buf_take(&b, NULL);
    }
    return epc_str_dup(epc_str_c(text));
}

static const char *set_text(struct cfg_loader *ld, const struct cfg_key *k, char *base, const char *text,
                            char why[WHY_LEN])
{
    const char *wrong = check_text(k, k->type, text, why);
    if (wrong)
        return wrong;
    char *s = stored_text(ld, k->type, text);
    if (!s) {
        ld->no_memory = true;
        return NULL;
    }
    if (cfg_is_file(k->type) && (wrong = cfg_check_text(k->type, s))) {
        free(s);
        return wrong;
    }
    free(cfg_get_ptr(k, base));
    put_ptr(k, base, s);
    return NULL;
}

static const char *set_scalar(struct cfg_loader *ld, const struct cfg_key *k, char *base,
                              const char *text, char why[WHY_LEN])
{
    switch (k->type) {
    case CFG_BOOL:
        return set_bool(k, base, text);
    case CFG_U32:
    case CFG_PORT:
        return set_number(k, base, text, why);
    case CFG_ENUM:
        return set_enum(k, base, text, why);
    case CFG_ADDR:
        return set_addr(k, base, text);
    default:
        return set_text(ld, k, base, text, why);
    }
}

/* ---- lists --------------------------------------------------------------------------------------------- */

/* Reads one element into @p element. */
static const char *set_element(struct cfg_loader *ld, const struct cfg_key *k, void *element,
                               const char *text, char why[WHY_LEN])
{
    if (k->type == CFG_ADDRS)
        return parse_addr(text, element);
    const char *wrong = check_text(k, k->elem, text, why);
    if (wrong)
        return wrong;
    char *s = stored_text(ld, k->elem, text);
    if (!s)
        ld->no_memory = true;
    else
        memcpy(element, &s, sizeof s);
    return NULL;
}

static size_t element_size(const struct cfg_key *k)
{
    return k->type == CFG_ADDRS ? sizeof(struct epc_addr) : sizeof(char *);
}

static bool is_list(enum cfg_type t)
{
    return t == CFG_ADDRS || t == CFG_LIST || t == CFG_MODES;
}

static void clear_value(const struct cfg_key *k, char *base)
{
    size_t n = 0;
    char *p;
    switch (k->type) {
    case CFG_BOOL:
    case CFG_U32:
    case CFG_PORT:
    case CFG_ENUM:
    case CFG_ADDR:
    case CFG_MODES:
        return;
    case CFG_LIST:
    case CFG_MAPS:
    case CFG_ADDRS:
        p = cfg_get_ptr(k, base);
        for (size_t i = 0; p && i < cfg_get_count(k, base); i++) {
            char *s;
            if (k->type == CFG_MAPS)
                cfg_clear(k->items, p + i * k->items->size);
            else if (k->type == CFG_LIST) {
                memcpy(&s, p + i * sizeof s, sizeof s);
                free(s);
            }
        }
        memcpy(base + k->count_at, &n, sizeof n);
        break;
    default:
        p = cfg_get_ptr(k, base);
        break;
    }
    free(p);
    put_ptr(k, base, NULL);
}

void cfg_clear(const struct cfg_table *t, char *base)
{
    for (size_t i = 0; i < t->n_keys; i++)
        clear_value(&t->keys[i], base);
}

static bool wrong_scalar(struct cfg_loader *ld, size_t line, const char *path, const char *text,
                         const char *wrong)
{
    char shown[CFG_SHOWN_LEN];
    if (wrong)
        cfg_fault(ld, line, path, "'%s' %s", cfg_shown(text, shown), wrong);
    return wrong == NULL;
}

/* An embedded NUL would hide the rest of the value. */
static const char *scalar_text(const yaml_node_t *n)
{
    const char *text = (const char *)n->data.scalar.value;
    return strlen(text) == n->data.scalar.length ? text : NULL;
}

static bool set_modes(struct cfg_loader *ld, const struct cfg_key *k, const char *path, char *base,
                      const yaml_node_t *list)
{
    unsigned modes = 0;
    char why[WHY_LEN];
    bool ok = true;
    for (const int *id = list->data.sequence.items.start; id < list->data.sequence.items.top; id++) {
        const yaml_node_t *e = cfg_node(ld, *id);
        if (!e)
            return false;
        const char *text = e->type == YAML_SCALAR_NODE ? scalar_text(e) : NULL;
        int i = text ? find_name(k, text) : -1;
        if (i < 0)
            ok = wrong_scalar(ld, cfg_line(e), path, text ? text : "", not_a_choice(k, why));
        else
            modes |= (unsigned)k->values[i];
    }
    if (ok)
        memcpy(base + k->at, &modes, sizeof modes);
    return ok;
}

static bool set_list(struct cfg_loader *ld, const struct cfg_key *k, const char *path, char *base,
                     const yaml_node_t *list)
{
    size_t n = (size_t)(list->data.sequence.items.top - list->data.sequence.items.start), used = 0;
    size_t size = element_size(k);
    char *elements = calloc(n ? n : 1, size), why[WHY_LEN];
    bool ok = true;
    if (!elements) {
        ld->no_memory = true;
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const yaml_node_t *e = cfg_node(ld, list->data.sequence.items.start[i]);
        if (!e) {
            ok = false;
            break;
        }
        const char *text = e->type == YAML_SCALAR_NODE ? scalar_text(e) : NULL;
        const char *wrong = text ? set_element(ld, k, elements + used * size, text, why)
                                 : "is no plain value; write a list of plain values";
        if (!wrong_scalar(ld, cfg_line(e), path, text ? text : "", wrong))
            ok = false;
        else if (!ld->no_memory)
            used++;
    }
    clear_value(k, base);
    put_ptr(k, base, elements);
    memcpy(base + k->count_at, &used, sizeof used);
    return ok;
}

/* ---- entry points -------------------------------------------------------------------------------------- */

bool cfg_set_node(struct cfg_loader *ld, const struct cfg_key *k, const char *path, char *base,
                  const yaml_node_t *n)
{
    char why[WHY_LEN];
    if (is_list(k->type)) {
        if (n->type != YAML_SEQUENCE_NODE) {
            cfg_fault(ld, cfg_line(n), path, "must be a list; write [a, b]");
            return false;
        }
        if (n->data.sequence.items.top == n->data.sequence.items.start) {
            if (!k->def_note) {
                cfg_fault(ld, cfg_line(n), path, "is an empty list; name at least one, or remove the line");
                return false;
            }
        }
        return k->type == CFG_MODES ? set_modes(ld, k, path, base, n) : set_list(ld, k, path, base, n);
    }
    if (n->type != YAML_SCALAR_NODE) {
        cfg_fault(ld, cfg_line(n), path, "must be a plain value, not a list or map; write one value");
        return false;
    }
    const char *text = scalar_text(n);
    if (!text) {
        cfg_fault(ld, cfg_line(n), path, "holds a NUL character; remove it");
        return false;
    }
    if (n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
        (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0)) {
        cfg_fault(ld, cfg_line(n), path, "has no value; give one or remove the line");
        return false;
    }
    return wrong_scalar(ld, cfg_line(n), path, text, set_scalar(ld, k, base, text, why));
}

static void set_default_modes(const struct cfg_key *k, char *base)
{
    struct epc_str rest = epc_str_c(k->def);
    unsigned modes = 0;
    while (rest.p) {
        struct epc_str word = epc_str_cut(&rest, ' ');
        for (int i = 0; k->names[i]; i++)
            if (epc_str_eqc(word, k->names[i]))
                modes |= (unsigned)k->values[i];
    }
    memcpy(base + k->at, &modes, sizeof modes);
}

static void set_default_list(struct cfg_loader *ld, const struct cfg_key *k, char *base)
{
    struct epc_str rest = epc_str_c(k->def), all = rest;
    size_t n = 1, used = 0, size = element_size(k);
    char why[WHY_LEN];
    for (size_t i = 0; i < all.n; i++)
        n += all.p[i] == ' ';
    char *elements = calloc(n, size);
    if (!elements) {
        ld->no_memory = true;
        return;
    }
    while (rest.p && used < n) {
        char word[64];
        struct epc_str cut = epc_str_cut(&rest, ' ');
        snprintf(word, sizeof word, "%.*s", EPC_STR_ARG(cut));
        if (!set_element(ld, k, elements + used * size, word, why) && !ld->no_memory)
            used++;
    }
    put_ptr(k, base, elements);
    memcpy(base + k->count_at, &used, sizeof used);
}

void cfg_set_default(struct cfg_loader *ld, const struct cfg_key *k, char *base)
{
    char why[WHY_LEN];
    if (!k->def)
        return;
    if (k->type == CFG_MODES) {
        set_default_modes(k, base);
    } else if (is_list(k->type))
        set_default_list(ld, k, base);
    else if (set_scalar(ld, k, base, k->def, why))
        cfg_fault(ld, 0, k->path, "default '%s' is not allowed; this is a bug", k->def);
}
