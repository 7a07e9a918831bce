/* What a WIC may send: parse, read, cross the edge in every direction, change the body, print. */
#include "sip/sip_priv.h"

#include <ctype.h>
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

static bool same_but_case(const char *a, const char *b, size_t n)
{
    size_t i = 0;
    while (i < n && tolower((unsigned char)a[i]) == tolower((unsigned char)b[i]))
        i++;
    return i == n;
}

/* The text that epc_sip_text() makes of @p a, and what sofia-sip makes of @p b; both are given up. */
static void same_text(msg_t *a, msg_t *b, bool exactly)
{
    size_t an = 0, bn = 0;
    char *at = a ? epc_sip_text(a, &an) : NULL, *bt = NULL;
    if (b && epc_sip_finish(b) == EPC_OK)
        bt = msg_as_string(NULL, b, NULL, 0, &bn);
    must(!at == !bt && an == bn && (!at || (exactly ? memcmp(at, bt, an) == 0 : same_but_case(at, bt, an))));
    free(at);
    free(bt);
    msg_destroy(a);
    msg_destroy(b);
}

/* Parsing, copying and printing of ours give what sofia-sip's own ways give. */
static void as_sofia_does(const char *text, size_t n)
{
    msg_t *ours = epc_sip_parse(text, n);
    if (!ours)
        return;
    msg_t *theirs = msg_make(sip_default_mclass(), 0, text, (ssize_t)n);
    must(theirs != NULL);
    must(!epc_sip_of(ours)->sip_error == !epc_sip_of(theirs)->sip_error);
    must(epc_sip_of(ours)->sip_flags == epc_sip_of(theirs)->sip_flags);
    same_text(epc_sip_copy(ours), msg_dup(theirs), false); /* that writes schemes in lower case */
    same_text(ours, theirs, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 65536)
        return 0;
    as_sofia_does((const char *)data, size);
    for (int dir = 0; dir < 4; dir++)
        cross((const char *)data, size, (enum epc_sip_dir)dir);
    return 0;
}
