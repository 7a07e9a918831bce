/* The YAML side: a document's keys are looked up in the schema table, each with its line. */
#include "config/config_priv.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_LEN = 160 };

size_t cfg_line(const yaml_node_t *n)
{
    return n->start_mark.line + 1;
}

/* Anchors let a node stand in many places: the visits are limited, not the nodes. */
const yaml_node_t *cfg_node(struct cfg_loader *ld, int id)
{
    if (++ld->visits > CFG_MAX_NODES) {
        if (ld->visits == CFG_MAX_NODES + 1)
            cfg_fault(ld, 1, "file", "more than %d nodes; write less, or use fewer aliases",
                      (int)CFG_MAX_NODES);
        return NULL;
    }
    return yaml_document_get_node(ld->doc, id);
}

/* ---- unknown keys ------------------------------------------------------------------------------ */

static size_t distance(const char *a, const char *b)
{
    enum { MAX = 64 };
    size_t row[MAX + 1], na = strlen(a), nb = strlen(b);
    if (na > MAX || nb > MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t best = diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[nb];
}

static const char *leaf(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

/* The known key that was probably meant, or NULL. A right name in a wrong section counts as near. */
static const char *nearest(const struct cfg_table *t, const char *path)
{
    const char *best = NULL;
    size_t best_d = 1 + strlen(leaf(path)) / 3;
    for (size_t i = 0; i < t->n_keys; i++) {
        const char *p = t->keys[i].path;
        size_t d = distance(path, p);
        if (strcmp(leaf(path), leaf(p)) == 0)
            d = d > 0;
        if (d <= best_d && (!best || d < best_d)) {
            best = p;
            best_d = d;
        }
    }
    return best;
}

static void fault_unknown(struct cfg_loader *ld, const struct cfg_table *t, size_t line,
                          const char *prefix, const char *path)
{
    const char *near = nearest(t, path);
    char shown[CFG_SHOWN_LEN], full[2 * PATH_LEN];
    snprintf(full, sizeof full, "%s%s", prefix, cfg_shown(path, shown));
    if (near)
        cfg_fault(ld, line, full, "unknown key; did you mean %s%s?", prefix, near);
    else
        cfg_fault(ld, line, full, "unknown key; remove it (epcscf --config-reference lists all keys)");
}

/* ---- the walk ----------------------------------------------------------------------------------- */

/* What is needed to walk one map: the table, the struct, and where lines are noted. */
struct walk {
    const struct cfg_table *t;
    char *base;
    const char *shown; /* prefix of paths in faults: "" or "wss.origins[0]." */
    size_t *key_line;
    bool *key_bad;
};

static void walk_items(struct cfg_loader *ld, const struct walk *w, size_t k, const yaml_node_t *list);

static void walk_value(struct cfg_loader *ld, const struct walk *w, size_t k, size_t line,
                       const yaml_node_t *value)
{
    const struct cfg_key *key = &w->t->keys[k];
    char path[2 * PATH_LEN];
    snprintf(path, sizeof path, "%s%s", w->shown, key->path);
    if (w->key_line[k]) {
        cfg_fault(ld, line, path, "given twice; remove this one or that of line %zu", w->key_line[k]);
        return;
    }
    w->key_line[k] = line;
    if (key->type == CFG_MAPS)
        walk_items(ld, w, k, value);
    else if (!cfg_set_node(ld, key, path, w->base, value))
        w->key_bad[k] = true;
}

static bool is_section(const struct cfg_table *t, const char *path)
{
    size_t n = strlen(path);
    for (size_t i = 0; i < t->n_keys; i++)
        if (strncmp(t->keys[i].path, path, n) == 0 && t->keys[i].path[n] == '.')
            return true;
    return false;
}

static void walk_map(struct cfg_loader *ld, const struct walk *w, const char *section,
                     const yaml_node_t *map);

static void walk_section(struct cfg_loader *ld, const struct walk *w, const char *path, size_t line,
                         const yaml_node_t *value)
{
    for (size_t i = 0; i < ld->n_sections; i++) {
        if (strcmp(ld->section[i].path, path) == 0) {
            cfg_fault(ld, line, path, "section given twice; put its keys under line %zu",
                      ld->section[i].line);
            return;
        }
    }
    if (ld->n_sections < EPC_ARRAY_LEN(ld->section)) {
        snprintf(ld->section[ld->n_sections].path, sizeof ld->section[0].path, "%.63s", path);
        ld->section[ld->n_sections++].line = line;
    }
    if (value->type != YAML_MAPPING_NODE)
        cfg_fault(ld, line, path, "is a section; write its keys below, indented");
    else
        walk_map(ld, w, path, value);
}

static void walk_pair(struct cfg_loader *ld, const struct walk *w, const char *section,
                      const yaml_node_t *name, const yaml_node_t *value)
{
    char path[PATH_LEN];
    size_t k, line = cfg_line(name);
    if (name->type != YAML_SCALAR_NODE) {
        cfg_fault(ld, line, *section ? section : "file", "a list or map cannot be a key; write a name");
        return;
    }
    snprintf(path, sizeof path, "%s%s%s", section, *section ? "." : "",
             (const char *)name->data.scalar.value);
    if (cfg_find(w->t, path, &k))
        walk_value(ld, w, k, line, value);
    else if (!*w->shown && is_section(w->t, path))
        walk_section(ld, w, path, line, value);
    else
        fault_unknown(ld, w->t, line, w->shown, path);
}

static void walk_map(struct cfg_loader *ld, const struct walk *w, const char *section,
                     const yaml_node_t *map)
{
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *name = cfg_node(ld, p->key), *value = cfg_node(ld, p->value);
        if (!name || !value)
            return;
        walk_pair(ld, w, section, name, value);
    }
}

/* ---- lists of maps ------------------------------------------------------------------------------ */

static struct cfg_item *add_item(struct cfg_loader *ld)
{
    if (ld->n_items == ld->cap_items) {
        size_t cap = ld->cap_items ? 2 * ld->cap_items : 8;
        struct cfg_item *p = realloc(ld->items, cap * sizeof *p);
        if (!p) {
            ld->no_memory = true;
            return NULL;
        }
        ld->items = p;
        ld->cap_items = cap;
    }
    struct cfg_item *it = &ld->items[ld->n_items++];
    *it = (struct cfg_item){0};
    return it;
}

static void walk_item(struct cfg_loader *ld, const struct cfg_key *key, size_t index, char *base,
                      const yaml_node_t *node)
{
    char shown[PATH_LEN];
    struct cfg_item *it = add_item(ld);
    if (!it)
        return;
    it->list = key;
    it->index = index;
    it->line = cfg_line(node);
    for (size_t i = 0; i < key->items->n_keys; i++)
        cfg_set_default(ld, &key->items->keys[i], base);
    snprintf(shown, sizeof shown, "%s[%zu].", key->path, index);
    struct walk w = {key->items, base, shown, it->key_line, it->key_bad};
    walk_map(ld, &w, "", node);
    for (size_t i = 0; i < key->items->n_keys; i++) {
        const struct cfg_key *k = &key->items->keys[i];
        char path[2 * PATH_LEN];
        snprintf(path, sizeof path, "%s%s", shown, k->path);
        if (k->need == CFG_NEED_ALWAYS && !it->key_line[i])
            cfg_fault(ld, it->line, path, "missing; give it: %s", k->help);
    }
}

static void walk_items(struct cfg_loader *ld, const struct walk *w, size_t k, const yaml_node_t *list)
{
    const struct cfg_key *key = &w->t->keys[k];
    char path[PATH_LEN];
    if (list->type != YAML_SEQUENCE_NODE) {
        cfg_fault(ld, w->key_line[k], key->path,
                  "must be a list of maps; begin each with `- %s:`", key->items->keys[0].path);
        w->key_bad[k] = true;
        return;
    }
    size_t n = (size_t)(list->data.sequence.items.top - list->data.sequence.items.start), used = 0;
    char *elements = calloc(n ? n : 1, key->items->size);
    if (!elements) {
        ld->no_memory = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const yaml_node_t *node = cfg_node(ld, list->data.sequence.items.start[i]);
        if (!node)
            break;
        if (node->type == YAML_MAPPING_NODE) {
            walk_item(ld, key, i, elements + used++ * key->items->size, node);
            continue;
        }
        snprintf(path, sizeof path, "%s[%zu]", key->path, i);
        cfg_fault(ld, cfg_line(node), path, "must be a map; write `- %s: ...`",
                  key->items->keys[0].path);
        w->key_bad[k] = true;
    }
    memcpy(w->base + key->at, &elements, sizeof elements);
    memcpy(w->base + key->count_at, &used, sizeof used);
}

/* ---- the document --------------------------------------------------------------------------------- */

static void walk_document(struct cfg_loader *ld)
{
    const yaml_node_t *root = yaml_document_get_root_node(ld->doc);
    struct walk w = {&cfg_main_table, (char *)ld->cfg, "", ld->key_line, ld->key_bad};
    if (!root)
        cfg_fault(ld, 1, "file", "holds no configuration; begin with conf/epcscf.yaml");
    else if (root->type != YAML_MAPPING_NODE)
        cfg_fault(ld, cfg_line(root), "file", "must be a map; write `key: value` lines");
    else
        walk_map(ld, &w, "", root);
}

static void fault_syntax(struct cfg_loader *ld, const yaml_parser_t *p)
{
    size_t line = p->problem_mark.line + 1;
    if (p->error == YAML_MEMORY_ERROR)
        ld->no_memory = true;
    else if (p->error == YAML_READER_ERROR)
        cfg_fault(ld, p->mark.line + 1, "file", "%s at octet %zu; write UTF-8 text",
                  p->problem ? p->problem : "unreadable", p->problem_offset);
    else
        cfg_fault(ld, line, "file", "not YAML: %s%s%s; check indentation, colons and quotes",
                  p->context ? p->context : "", p->context ? ": " : "",
                  p->problem ? p->problem : "syntax error");
}

enum epc_err cfg_read_yaml(struct cfg_loader *ld, const char *text, size_t n)
{
    yaml_parser_t parser;
    yaml_document_t doc, more;
    if (!yaml_parser_initialize(&parser))
        return EPC_ENOMEM;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    if (!yaml_parser_load(&parser, &doc)) {
        fault_syntax(ld, &parser);
        yaml_parser_delete(&parser);
        return EPC_EPROTO;
    }
    ld->doc = &doc;
    walk_document(ld);
    ld->doc = NULL;
    bool had_root = yaml_document_get_root_node(&doc);
    yaml_document_delete(&doc);
    if (had_root) {
        if (!yaml_parser_load(&parser, &more))
            fault_syntax(ld, &parser);
        else {
            const yaml_node_t *root = yaml_document_get_root_node(&more);
            if (root)
                cfg_fault(ld, cfg_line(root), "file", "a second document; remove the `---` line");
            yaml_document_delete(&more);
        }
    }
    yaml_parser_delete(&parser);
    return EPC_OK;
}
