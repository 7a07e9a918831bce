/* Where Rx requests go. Spec: TS 29.213 7.3, RFC 6733 6.1. */
#include "rx_priv.h"

#include <string.h>

static void copy_name(char to[RX_NAME_MAX], const char *from)
{
    snprintf(to, RX_NAME_MAX, "%s", from ? from : "");
}

void rx_route(const struct rx_assoc *a, struct rx_route *out)
{
    const struct epc_cfg_policy *cfg = rx.host->cfg;
    *out = (struct rx_route){0};
    copy_name(out->realm, a->peer_realm            ? a->peer_realm
                          : cfg->destination_realm ? cfg->destination_realm
                                                   : fd_g_config->cnf_diamrlm);
    copy_name(out->host, a->peer_host ? a->peer_host : cfg->destination_host);
}

void rx_peer_answered(struct rx_assoc *a, struct msg *m)
{
    (void)a, (void)m;
}

void rx_journal_closed(const struct rx_assoc *a)
{
    (void)a;
}
