/* What is wrong with a configuration, collected and told in the order of the lines. */
#include "config/config_priv.h"

#include <stdlib.h>
#include <string.h>

void cfg_fault(struct cfg_loader *ld, size_t line, const char *key, const char *fmt, ...)
{
    struct epc_buf b = {0};
    if (ld->n_faults >= CFG_MAX_FAULTS) {
        ld->more_faults++;
        return;
    }
    if (ld->n_faults == ld->cap_faults) {
        size_t cap = ld->cap_faults ? 2 * ld->cap_faults : 8;
        struct cfg_fault *p = realloc(ld->faults, cap * sizeof *p);
        if (!p) {
            ld->no_memory = true;
            return;
        }
        ld->faults = p;
        ld->cap_faults = cap;
    }
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    epc_buf_printf(&b, "%s:%zu: %s: %s", ld->file, line, key, text);
    char *p = epc_buf_take(&b, NULL);
    if (!p) {
        ld->no_memory = true;
        return;
    }
    ld->faults[ld->n_faults] = (struct cfg_fault){line, ld->n_faults, p};
    ld->n_faults++;
}

static int by_line(const void *pa, const void *pb)
{
    const struct cfg_fault *a = pa, *b = pb;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

void cfg_faults_report(struct cfg_loader *ld, void (*report)(void *arg, const char *line), void *arg)
{
    if (ld->n_faults)
        qsort(ld->faults, ld->n_faults, sizeof *ld->faults, by_line);
    for (size_t i = 0; report && i < ld->n_faults; i++)
        report(arg, ld->faults[i].text);
    if (report && ld->more_faults) {
        struct epc_buf b = {0};
        epc_buf_printf(&b, "%s: %zu more faults are not shown", ld->file, ld->more_faults);
        if (!b.failed)
            report(arg, b.p);
        epc_buf_free(&b);
    }
}

const char *cfg_shown(const char *text, char out[CFG_SHOWN_LEN])
{
    size_t n = 0;
    for (; *text && n < CFG_SHOWN_LEN - 4; text++)
        out[n++] = (*text >= ' ' && *text <= '~') ? *text : '?';
    out[n] = 0;
    if (*text)
        memcpy(out + n, "...", 4);
    return out;
}
