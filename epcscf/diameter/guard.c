/* What must not reach the library's parser: on an answer that breaks the dictionary it asserts that a
 * Result-Code has a value, which one of a wrong size never gets (fd_msg_parse_or_error, 1.2.1). */
#include "diameter_priv.h"

#include <freeDiameter/extension.h>

enum { RESULT_CODE = 268, RESULT_CODE_OCTETS = 12 };

static struct fd_hook_hdl *guard_hook;

static bool is_broken_result(struct avp *a)
{
    struct avp_hdr *h;
    return fd_msg_avp_hdr(a, &h) == 0 && h->avp_code == RESULT_CODE && !(h->avp_flags & AVP_FLAG_VENDOR) &&
           h->avp_len != RESULT_CODE_OCTETS;
}

/* The message is a list of AVPs by now, and none of them is parsed. Without its Result-Code it is an answer
 * without a result, which whoever asked can tell. */
static void on_received(enum fd_hook_type type, struct msg *m, struct peer_hdr *peer, void *other,
                        struct fd_hook_permsgdata *pmd, void *regdata)
{
    (void)type, (void)other, (void)pmd, (void)regdata;
    struct msg_hdr *h;
    struct avp *a = NULL, *next = NULL;
    if (!m || fd_msg_hdr(m, &h) || (h->msg_flags & CMD_FLAG_REQUEST) ||
        fd_msg_browse(m, MSG_BRW_FIRST_CHILD, &a, NULL))
        return;
    for (; a; a = next) {
        if (fd_msg_browse(a, MSG_BRW_NEXT, &next, NULL))
            next = NULL;
        if (!is_broken_result(a))
            continue;
        epc_log(EPC_LOG_WARN, "diameter", "event=result-code-of-wrong-size peer=%s command=%u",
                peer ? peer->info.pi_diamid : "-", h->msg_code);
        (void)fd_msg_free(a);
    }
}

void epc_fdguard_hook(void)
{
    if (fd_hook_register(HOOK_MASK(HOOK_MESSAGE_RECEIVED), on_received, NULL, NULL, &guard_hook))
        epc_log(EPC_LOG_WARN, "diameter", "event=no-hooks");
}
