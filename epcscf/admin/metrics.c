#include "admin/admin_priv.h"

/* OpenMetrics 1.0 text: counters carry _total, the whole ends with # EOF. */
void admin_metrics(struct epc_buf *out)
{
    for (int i = 0; i < EPC_C_COUNT; i++) {
        const struct epc_counter_info *c = epc_counter_info((enum epc_counter)i);
        bool counter = c->kind == EPC_KIND_COUNTER;
        epc_buf_printf(out, "# TYPE epcscf_%s %s\n# HELP epcscf_%s %s\nepcscf_%s%s %lld\n", c->name,
                       counter ? "counter" : "gauge", c->name, c->help, c->name, counter ? "_total" : "",
                       (long long)epc_counter_read((enum epc_counter)i));
    }
    epc_buf_adds(out, "# EOF\n");
}
