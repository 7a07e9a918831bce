/* What is asked of gateways on Iq: which elements an operator can name, and what the keys say together. */
#include "config/config_priv.h"

#include <string.h>

/* In the order of enum iq_name (gateway/h248). */
const char *const epc_iq_elements[] = {
    "realm", "address_filter", "port_filter", "police", "rate", "burst", "dscp", "rtcp", "latch", "latch_mode",
    "cause", "cause_text", "heartbeat", "heartbeat_time", "inactivity", "inactivity_time", "inactivity_dir",
    "ice_check", "ice_result", "ice_result_value", "ice_result_good", "new_peer", "new_peer_address",
    "new_peer_port", "stun_server", "consent", "dtls_failure_text", "ice_failure_text", "consent_failure_text",
    NULL};

static void check_termination(struct cfg_loader *ld, const char *key, const char *id)
{
    char shown[CFG_SHOWN_LEN];
    if (id && (!strchr(id, '$') || strlen(id) > 48 || strpbrk(id, " \t\"{}();,=*")))
        cfg_fault(ld, cfg_line_of(ld, key), key,
                  "'%s' asks for no termination; write a name with a $ for the gateway's part, such as "
                  "ip/1/access/$", cfg_shown(id, shown));
}

static void check_text(struct cfg_loader *ld, const char *key, const char *text)
{
    if (text && (strpbrk(text, "\"\\") || strlen(text) > 63))
        cfg_fault(ld, cfg_line_of(ld, key), key, "cannot stand in a quoted string of Iq; leave out \" and \\");
}

void cfg_check_iq(struct cfg_loader *ld)
{
    static const char list[] = "media.h248.names";
    const struct epc_cfg_iq *q = &ld->cfg->media.iq;
    check_text(ld, "media.h248.access_realm", q->access_realm);
    check_text(ld, "media.h248.core_realm", q->core_realm);
    check_termination(ld, "media.h248.access_termination", q->access_termination);
    check_termination(ld, "media.h248.core_termination", q->core_termination);
    for (size_t i = 0; i < q->n_names; i++) {
        const struct epc_cfg_iq_name *n = &q->names[i];
        if (n->name && (strpbrk(n->name, "\"\\{}") || strlen(n->name) > 63))
            cfg_fault(ld, cfg_item_line(ld, list, i, "name"), list,
                      "element %zu: name is longer than 63 characters or holds quotes, braces or backslashes; write "
                      "package/name", i);
        for (size_t k = 0; k < i && n->element; k++)
            if (q->names[k].element && strcmp(q->names[k].element, n->element) == 0) {
                cfg_fault(ld, cfg_item_line(ld, list, i, "element"), list, "%s stands twice; remove one",
                          n->element);
                break;
            }
    }
}
