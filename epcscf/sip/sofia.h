/* The one place of sip/ that includes sofia-sip and holds the casts that its C dialect needs. */
#ifndef EPC_SIP_SOFIA_H
#define EPC_SIP_SOFIA_H

#include "base/base.h"

#include <sofia-sip/msg_addr.h>
#include <sofia-sip/msg_header.h>
#include <sofia-sip/msg_mclass.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_tag.h>
#include <sofia-sip/sip_util.h>

/** The generic view of any header structure (its first member is the common part). */
static inline msg_header_t *epc_hdr(const void *h)
{
    return (msg_header_t *)(uintptr_t)h;
}
static inline msg_common_t *epc_common(const void *h)
{
    return (msg_common_t *)(uintptr_t)h;
}
static inline sip_t *epc_sip_of(const msg_t *msg)
{
    return (sip_t *)(void *)msg_object(msg);
}
static inline msg_pub_t *epc_pub(const sip_t *sip)
{
    return (msg_pub_t *)(uintptr_t)sip;
}
static inline url_string_t *epc_url_string(const char *s)
{
    return (url_string_t *)(uintptr_t)s;
}
/** The list that a header name lives in; *unknown says that it is the list of unknown headers, in
 *  which the name must still be compared. NULL when the message class has no room for it. */
msg_header_t **epc_sip_list(const msg_t *msg, const char *name, bool *unknown);
/** First header of that name at or after @p h. */
msg_header_t *epc_sip_find_from(msg_header_t *h, const char *name, bool unknown);
/** As epc_sip_add(), the value as it is. */
enum epc_err epc_sip_add_value(msg_t *msg, const char *name, const char *value);
/** "Name: value\r\n..." field by field; NULL adds nothing. */
enum epc_err epc_sip_add_lines(msg_t *msg, const char *lines);

#endif
