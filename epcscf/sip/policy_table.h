/* The trust-domain header table as data; read by policy.c and by its test. */
#ifndef EPC_SIP_POLICY_TABLE_H
#define EPC_SIP_POLICY_TABLE_H

#include "sip/sip.h"

enum epc_policy_act {
    ACT_PASS,
    ACT_REMOVE,
    ACT_USED,          /**< removed here; a room reads it before */
    ACT_NO_NP,         /**< items with network-provided or np removed */
    ACT_PRIVACY_ID,    /**< removed when Privacy asks for it; cpc, oli and iotl removed from URIs */
    ACT_PRIVACY_HIST,  /**< as that, and when an entry of its own asks for it */
    ACT_NO_BEARER,     /**< Bearer credentials removed; a Digest loses integrity-protected */
    ACT_NO_KEYS,       /**< ik and ck of an AKA challenge removed */
    ACT_REG_200,       /**< passes in a 2xx to REGISTER only */
    ACT_PEM_SUPPORTED, /**< only the value "supported" passes */
    ACT_BYE_CANCEL,    /**< passes in BYE and CANCEL only */
    ACT_NO_PSAP,       /**< the value psap-callback removed */
    ACT_NO_SEC_AGREE,  /**< option tag sec-agree removed */
    ACT_NO_PRECOND,    /**< option tags sec-agree and precondition removed */
    ACT_NO_URI_PARAMS, /**< cpc, oli and iotl removed from the URI */
};

struct epc_policy_row {
    const char *name; /**< rows are sorted by it, without regard to case */
    size_t list;      /**< where sip_t keeps it; 0: sofia-sip has no class for it */
    enum epc_policy_act act[4]; /**< indexed by enum epc_sip_dir */
    const char *clause, *note;
};

const struct epc_policy_row *epc_sip_policy_table(size_t *n);
const char *epc_sip_policy_act_name(enum epc_policy_act act);

#endif
