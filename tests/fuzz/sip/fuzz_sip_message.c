/* What a WIC may send: parse, read, cross the edge in every direction, change the body, print. */
#include "sip/sip.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void cross(const char *text, size_t n, enum epc_sip_dir dir)
{
    static const char sdp[] = "v=0\r\ns=new\r\n";
    msg_t *m = epc_sip_parse(text, n);
    if (!m)
        return;
    epc_sip_policy_apply(m, dir);
    /* A second time there is nothing left to take. */
    must(epc_sip_policy_apply(m, dir) == 0);
    must(epc_sip_get(m, "P-Charging-Vector", 0).p == NULL);
    epc_sip_get(m, "Via", 0);
    epc_sip_get(m, "Contact", 1);
    epc_sip_get(m, "Authorization", 0);
    const sip_t *sip = (const sip_t *)(void *)msg_object(m);
    struct epc_str old = epc_sip_sdp(sip);
    if (dir == EPC_DIR_WIC_REQ && epc_sip_set_sdp(m, epc_str_c(sdp)) == EPC_OK) {
        struct epc_str now = epc_sip_sdp(sip);
        must(!old.p || (now.p && epc_str_eqc(now, sdp)));
    }
    if (dir == EPC_DIR_CORE_REQ)
        must(epc_sip_remove_sdp(m) != EPC_EINVAL);
    epc_sip_max_forwards(m);
    size_t len;
    char *out = epc_sip_text(m, &len);
    free(out);
    msg_destroy(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 65536)
        return 0;
    for (int dir = 0; dir < 4; dir++)
        cross((const char *)data, size, (enum epc_sip_dir)dir);
    return 0;
}
