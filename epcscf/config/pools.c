/* The pools of subscriptions (TS 33.203 X.4) as one index over all of them: whose is this identity, and
 * is this the provisioned pair? Single subscriptions are hashed, number ranges are computed. Whether an
 * identity belongs to a pool is asked without regard to case, so that no spelling slips past a pool; a
 * pair must be right to the letter. */
#include "config/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ID_MAX = 1024, RANGE_MAX = 1000000, ENTRIES_MAX = 4000000, WIDTH_MAX = 15, LINE_MAX_OCTETS = 4096 };

struct entry {
    struct epc_hnode by_impi, by_impu;
    uint32_t pool;
    char *impi, *impu;
};
/* prefix, a number of `width` digits from `low` on, suffix */
struct range {
    char *prefix, *suffix;
    unsigned width;
    uint64_t low, n;
};
struct pool {
    struct entry **entries;
    size_t n, cap;
    struct range impi, impu; /* n == 0: none */
};
struct epc_pools {
    struct epc_hash by_impi, by_impu;
    struct pool *pools;
    size_t n_pools, n_entries;
};

/* ---- look-up ----------------------------------------------------------------------------------------- */

static bool impi_eq(const struct epc_hnode *node, const void *key)
{
    return strcasecmp(EPC_CONTAINER(node, const struct entry, by_impi)->impi, key) == 0;
}

static bool impu_eq(const struct epc_hnode *node, const void *key)
{
    return strcasecmp(EPC_CONTAINER(node, const struct entry, by_impu)->impu, key) == 0;
}

static uint64_t hash_of(const char *id)
{
    char low[ID_MAX];
    size_t n = 0;
    for (; id[n] && n < sizeof low; n++)
        low[n] = (char)tolower((unsigned char)id[n]);
    return epc_hash_bytes(low, n);
}

/* Is @p id in the range, and at which place? */
static bool in_range(const struct range *r, const char *id, bool to_the_letter, uint64_t *at)
{
    size_t n = strlen(id), pre = r->n ? strlen(r->prefix) : 0, post = r->n ? strlen(r->suffix) : 0;
    uint64_t v;
    if (r->n == 0 || n != pre + r->width + post)
        return false;
    if (to_the_letter ? memcmp(id, r->prefix, pre) != 0 || strcmp(id + pre + r->width, r->suffix) != 0
                      : strncasecmp(id, r->prefix, pre) != 0 ||
                            strcasecmp(id + pre + r->width, r->suffix) != 0)
        return false;
    if (epc_str_u64((struct epc_str){id + pre, r->width}, UINT64_MAX, &v) != EPC_OK || v < r->low ||
        v - r->low >= r->n)
        return false;
    *at = v - r->low;
    return true;
}

static const struct entry *find_impi(const struct epc_pools *p, const char *impi)
{
    struct epc_hnode *node = epc_hash_find(&p->by_impi, hash_of(impi), impi);
    return node ? EPC_CONTAINER(node, const struct entry, by_impi) : NULL;
}

size_t epc_pool_of_impi(const struct epc_pools *p, const char *impi)
{
    uint64_t at;
    const struct entry *e = p ? find_impi(p, impi) : NULL;
    if (e)
        return e->pool;
    for (size_t i = 0; p && i < p->n_pools; i++) {
        if (in_range(&p->pools[i].impi, impi, false, &at))
            return i;
    }
    return EPC_POOL_NONE;
}

size_t epc_pool_of_impu(const struct epc_pools *p, const char *impu)
{
    uint64_t at;
    struct epc_hnode *node = p ? epc_hash_find(&p->by_impu, hash_of(impu), impu) : NULL;
    if (node)
        return EPC_CONTAINER(node, const struct entry, by_impu)->pool;
    for (size_t i = 0; p && i < p->n_pools; i++) {
        if (in_range(&p->pools[i].impu, impu, false, &at))
            return i;
    }
    return EPC_POOL_NONE;
}

bool epc_pool_has_pair(const struct epc_pools *p, size_t pool, const char *impi, const char *impu)
{
    uint64_t a, b;
    if (!p || pool >= p->n_pools)
        return false;
    const struct entry *e = find_impi(p, impi);
    if (e)
        return e->pool == pool && strcmp(e->impi, impi) == 0 && strcmp(e->impu, impu) == 0;
    return in_range(&p->pools[pool].impi, impi, true, &a) &&
           in_range(&p->pools[pool].impu, impu, true, &b) && a == b;
}

size_t epc_pool_size(const struct epc_pools *p, size_t pool)
{
    return p && pool < p->n_pools ? p->pools[pool].n + (size_t)p->pools[pool].impi.n : 0;
}

static char *range_text(const struct range *r, uint64_t at)
{
    struct epc_buf b = {0};
    epc_buf_printf(&b, "%s%0*llu%s", r->prefix, (int)r->width, (unsigned long long)(r->low + at), r->suffix);
    return epc_buf_take(&b, NULL);
}

enum epc_err epc_pool_pair(const struct epc_pools *p, size_t pool, size_t i, char **impi, char **impu)
{
    if (i >= epc_pool_size(p, pool))
        return EPC_ENOENT;
    const struct pool *q = &p->pools[pool];
    char *a = i < q->n ? epc_str_dup(epc_str_c(q->entries[i]->impi)) : range_text(&q->impi, i - q->n);
    char *b = i < q->n ? epc_str_dup(epc_str_c(q->entries[i]->impu)) : range_text(&q->impu, i - q->n);
    if (!a || !b) {
        free(a);
        free(b);
        return EPC_ENOMEM;
    }
    *impi = a;
    *impu = b;
    return EPC_OK;
}

/* ---- building ------------------------------------------------------------------------------------------ */

struct build {
    struct epc_pools *p;
    const struct epc_cfg_tokens *t;
    epc_pools_fault_fn *fault;
    void *arg;
    size_t pool;
    const char *key, *place; /* of what is being added */
    size_t line;
    bool no_memory;
};

static void fault(struct build *b, const char *shown, const char *wrong)
{
    struct epc_buf text = {0};
    if (b->place)
        epc_buf_printf(&text, "%s line %zu: ", b->place, b->line);
    epc_buf_printf(&text, "'%.60s' %s", shown, wrong);
    if (text.failed)
        b->no_memory = true;
    else
        b->fault(b->arg, b->pool, b->key, text.p);
    epc_buf_free(&text);
}

static bool push(struct build *b, struct entry *e)
{
    struct pool *q = &b->p->pools[b->pool];
    if (q->n == q->cap) {
        size_t cap = q->cap ? q->cap * 2 : 16;
        struct entry **v = realloc(q->entries, cap * sizeof(struct entry *));
        if (!v)
            return false;
        q->entries = v;
        q->cap = cap;
    }
    q->entries[q->n++] = e;
    b->p->n_entries++;
    epc_hash_add(&b->p->by_impi, &e->by_impi, hash_of(e->impi));
    epc_hash_add(&b->p->by_impu, &e->by_impu, hash_of(e->impu));
    return true;
}

/* "impi impu" */
static void add_pair(struct build *b, struct epc_str text)
{
    char shown[ID_MAX];
    snprintf(shown, sizeof shown, "%.*s", EPC_STR_ARG(text));
    struct epc_str rest = text, first = epc_str_cut(&rest, ' ');
    struct entry *e = calloc(1, sizeof *e);
    if (!e) {
        b->no_memory = true;
        return;
    }
    e->pool = (uint32_t)b->pool;
    e->impi = epc_canonical_impi(first);
    e->impu = epc_canonical_impu(epc_str_trim(rest));
    const char *wrong = NULL;
    if (!e->impi || !e->impu)
        wrong = "is no subscription; write IMPI, a blank and IMPU: user@realm sip:user@domain";
    else if (epc_pool_of_impi(b->p, e->impi) != EPC_POOL_NONE ||
             epc_pool_of_impu(b->p, e->impu) != EPC_POOL_NONE)
        wrong = "is in the pools already; an identity belongs to one subscription of one pool: remove one";
    else if (b->p->n_entries >= ENTRIES_MAX)
        wrong = "is one too many for the pools together; use ranges";
    else if (push(b, e))
        return;
    else
        b->no_memory = true;
    if (wrong)
        fault(b, shown, wrong);
    free(e->impi);
    free(e->impu);
    free(e);
}

static void add_file(struct build *b, const char *file)
{
    char line[LINE_MAX_OCTETS];
    FILE *f = fopen(file, "rbe");
    if (!f) {
        fault(b, file, strerror(errno));
        return;
    }
    b->place = file;
    for (b->line = 1; fgets(line, sizeof line, f) && !b->no_memory; b->line++) {
        for (char *c = line; *c; c++) {
            if (*c == '\t')
                *c = ' ';
        }
        struct epc_str text = epc_str_trim(epc_str_c(line));
        if (text.n > 0 && text.p[0] != '#')
            add_pair(b, text);
    }
    b->place = NULL;
    fclose(f);
}

static const char *read_range(struct range *r, const char *text, char *canonical(struct epc_str))
{
    static const char form[] = "is no range; write one range of numbers of the same length in braces, "
                               "as in guest{0000-9999}@ims.test";
    const char *open = strchr(text, '{'), *dash = open ? strchr(open, '-') : NULL,
               *close = dash ? strchr(dash, '}') : NULL;
    uint64_t high;
    if (!close || strchr(close, '{') || (size_t)(dash - open) != (size_t)(close - dash) ||
        dash - open - 1 > WIDTH_MAX)
        return form;
    r->width = (unsigned)(dash - open - 1);
    if (epc_str_u64((struct epc_str){open + 1, r->width}, UINT64_MAX, &r->low) != EPC_OK ||
        epc_str_u64((struct epc_str){dash + 1, r->width}, UINT64_MAX, &high) != EPC_OK || high < r->low)
        return form;
    if (high - r->low >= RANGE_MAX)
        return "is too long; a range holds up to 1000000 numbers: make several pools";
    r->prefix = epc_str_dup((struct epc_str){text, (size_t)(open - text)});
    r->suffix = epc_str_dup(epc_str_c(close + 1));
    r->n = r->prefix && r->suffix ? high - r->low + 1 : 0;
    char *first = r->n ? range_text(r, 0) : NULL;
    char *same = first ? canonical(epc_str_c(first)) : NULL;
    bool ok = same && strcmp(first, same) == 0;
    free(first);
    free(same);
    return ok ? NULL : "is no range of identities; write the domain in lower case, without parameters or port";
}

static bool ends_alike(const char *a, const char *b, size_t n)
{
    return strncasecmp(a + strlen(a) - n, b + strlen(b) - n, n) == 0;
}

static size_t shorter(const char *a, const char *b)
{
    return strlen(a) < strlen(b) ? strlen(a) : strlen(b);
}

/* Do ranges share a spelling? Numbers are walked through only where the digits stand at different
 * places. */
static bool ranges_meet(const struct range *a, const struct range *b)
{
    uint64_t at;
    if (a->n == 0 || b->n == 0 ||
        strlen(a->prefix) + a->width + strlen(a->suffix) != strlen(b->prefix) + b->width + strlen(b->suffix) ||
        strncasecmp(a->prefix, b->prefix, shorter(a->prefix, b->prefix)) != 0 ||
        !ends_alike(a->suffix, b->suffix, shorter(a->suffix, b->suffix)))
        return false;
    if (strlen(a->prefix) == strlen(b->prefix) && a->width == b->width)
        return a->low < b->low + b->n && b->low < a->low + a->n;
    if (a->n > b->n)
        return ranges_meet(b, a);
    for (uint64_t i = 0; i < a->n; i++) {
        char *text = range_text(a, i);
        bool met = text && in_range(b, text, false, &at);
        free(text);
        if (met)
            return true;
    }
    return false;
}

static void add_ranges(struct build *b, const struct epc_cfg_pool *cfg)
{
    struct pool *q = &b->p->pools[b->pool];
    if (!cfg->impi_range && !cfg->impu_range)
        return;
    b->key = "impi_range";
    if (!cfg->impi_range || !cfg->impu_range) {
        fault(b, cfg->impi_range ? cfg->impi_range : cfg->impu_range,
              "is only one half; give both impi_range and impu_range");
        return;
    }
    const char *wrong = read_range(&q->impi, cfg->impi_range, epc_canonical_impi);
    if (wrong) {
        fault(b, cfg->impi_range, wrong);
    } else if ((wrong = read_range(&q->impu, cfg->impu_range, epc_canonical_impu))) {
        b->key = "impu_range";
        fault(b, cfg->impu_range, wrong);
    } else if (q->impi.n != q->impu.n) {
        b->key = "impu_range";
        fault(b, cfg->impu_range, "holds another count of numbers than impi_range; make them the same");
        wrong = "";
    }
    for (size_t i = 0; !wrong && i < b->pool; i++) {
        if (ranges_meet(&q->impi, &b->p->pools[i].impi) || ranges_meet(&q->impu, &b->p->pools[i].impu)) {
            fault(b, cfg->impi_range,
                  "overlaps the range of another pool; an identity belongs to one pool only");
            wrong = "";
        }
    }
    if (wrong)
        q->impi.n = q->impu.n = 0;
}

static void add_pool(struct build *b, const struct epc_cfg_pool *cfg, bool files)
{
    b->key = "subscriptions";
    for (size_t i = 0; i < cfg->n_subscriptions; i++)
        add_pair(b, epc_str_trim(epc_str_c(cfg->subscriptions[i])));
    b->key = "file";
    if (cfg->file && files)
        add_file(b, cfg->file);
}

enum epc_err epc_pools_build(struct epc_pools **out, const struct epc_cfg_tokens *t, bool files,
                             epc_pools_fault_fn *fault_fn, void *arg)
{
    struct epc_pools *p = calloc(1, sizeof *p);
    struct build b = {.p = p, .t = t, .fault = fault_fn, .arg = arg};
    if (!p)
        return EPC_ENOMEM;
    p->pools = calloc(t->n_pools + 1, sizeof *p->pools);
    p->n_pools = t->n_pools;
    if (!p->pools || epc_hash_init(&p->by_impi, impi_eq) != EPC_OK ||
        epc_hash_init(&p->by_impu, impu_eq) != EPC_OK)
        b.no_memory = true;
    for (b.pool = 0; !b.no_memory && b.pool < t->n_pools; b.pool++)
        add_ranges(&b, &t->pools[b.pool]);
    for (b.pool = 0; !b.no_memory && b.pool < t->n_pools; b.pool++)
        add_pool(&b, &t->pools[b.pool], files);
    if (b.no_memory) {
        epc_pools_free(p);
        return EPC_ENOMEM;
    }
    *out = p;
    return EPC_OK;
}

void epc_pools_free(struct epc_pools *p)
{
    if (!p)
        return;
    for (size_t i = 0; p->pools && i < p->n_pools; i++) {
        struct pool *q = &p->pools[i];
        for (size_t k = 0; k < q->n; k++) {
            free(q->entries[k]->impi);
            free(q->entries[k]->impu);
            free(q->entries[k]);
        }
        free(q->entries);
        free(q->impi.prefix);
        free(q->impi.suffix);
        free(q->impu.prefix);
        free(q->impu.suffix);
    }
    free(p->pools);
    epc_hash_free(&p->by_impi);
    epc_hash_free(&p->by_impu);
    free(p);
}
