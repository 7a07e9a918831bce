#include "loading.h"

#include <stdlib.h>
#include <string.h>

static void keep(void *arg, const char *line)
{
    struct loading *l = arg;
    char **p = realloc(l->faults, (l->n_faults + 1) * sizeof *p);
    if (!p)
        abort();
    l->faults = p;
    l->faults[l->n_faults] = epc_str_dup(epc_str_c(line));
    if (!l->faults[l->n_faults++])
        abort();
}

void loading_text(struct loading *l, const char *file, const char *text, bool check_files)
{
    *l = (struct loading){0};
    l->err = epc_config_load_text(&l->cfg, file, text, strlen(text), check_files, keep, l);
}

void loading_file(struct loading *l, const char *file)
{
    *l = (struct loading){0};
    l->err = epc_config_load(&l->cfg, file, keep, l);
}

void loading_clear(struct loading *l)
{
    for (size_t i = 0; i < l->n_faults; i++)
        free(l->faults[i]);
    free(l->faults);
    epc_config_free(l->cfg);
    *l = (struct loading){0};
}

bool loading_has(const struct loading *l, const char *file, size_t line, const char *key, const char *say)
{
    char head[256];
    snprintf(head, sizeof head, "%s:%zu: %s: ", file, line, key);
    for (size_t i = 0; i < l->n_faults; i++)
        if (strncmp(l->faults[i], head, strlen(head)) == 0 && strstr(l->faults[i], say))
            return true;
    return false;
}

void loading_print(const struct loading *l)
{
    for (size_t i = 0; i < l->n_faults; i++)
        fprintf(stderr, "  %s\n", l->faults[i]);
}
