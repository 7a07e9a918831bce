/* bench_pcrf.fdx: a PCRF that grants everything at once and remembers nothing, so that it costs no more
 * than freeDiameter does. Its argument is the loopback address on which the node listens. At the end it prints how many
 * requests it has met. */
#include "fdx.h"

#include <freeDiameter/extension.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define RX_APP 16777236u
#define VENDOR_3GPP 10415u

enum { AA_REQUEST = 265 };
static atomic_ulong aars, strs;

/* freeDiameter's callbacks have no other place for it. Written at entry, before any message. */
static struct {
    struct dict_object *auth_application_id, *result_code;
} avp;

static int put_u32(struct msg *m, struct dict_object *model, uint32_t v)
{
    struct avp *a;
    union avp_value value = {.u32 = v};
    int rc = fd_msg_avp_new(model, 0, &a);
    if (!rc)
        rc = fd_msg_avp_setvalue(a, &value);
    return rc ? rc : fd_msg_avp_add(m, MSG_BRW_LAST_CHILD, a);
}

static int grant(struct msg **m, struct avp *a, struct session *s, void *arg, enum disp_action *act)
{
    (void)a, (void)s, (void)arg;
    struct msg_hdr *head;
    if (fd_msg_hdr(*m, &head) == 0)
        atomic_fetch_add(head->msg_code == AA_REQUEST ? &aars : &strs, 1);
    int rc = fd_msg_new_answer_from_req(fd_g_config->cnf_dict, m, 0);
    *act = DISP_ACT_SEND;
    if (!rc)
        rc = put_u32(*m, avp.auth_application_id, RX_APP);
    if (!rc)
        rc = fd_msg_add_origin(*m, 0);
    return rc ? rc : put_u32(*m, avp.result_code, 2001);
}

static int serve(struct dict_object *app, const char *command)
{
    struct disp_when when = {.app = app};
    struct disp_hdl *handle;
    int rc = fd_dict_search(fd_g_config->cnf_dict, DICT_COMMAND, CMD_BY_NAME, command, &when.command, ENOENT);
    return rc ? rc : fd_disp_register(grant, DISP_HOW_CC, &when, NULL, &handle);
}

static int listen_on(const char *address)
{
    struct sockaddr_in sa = {.sin_family = AF_INET};
    if (!address || inet_pton(AF_INET, address, &sa.sin_addr) != 1) {
        fd_log(FD_LOG_ERROR, "bench_pcrf: its argument must be the IPv4 address to listen on");
        return EINVAL;
    }
    return fd_ep_add_merge(&fd_g_config->cnf_endpoints, (struct sockaddr *)&sa, sizeof sa,
                           EP_FL_CONF | EP_ACCEPTALL);
}

static int bench_entry(char *address)
{
    struct dictionary *d = fd_g_config->cnf_dict;
    struct dict_object *app, *vendor;
    application_id_t app_id = RX_APP;
    vendor_id_t vendor_id = VENDOR_3GPP;
    int rc = listen_on(address);
    if (!rc)
        rc = fd_dict_search(d, DICT_AVP, AVP_BY_NAME, "Auth-Application-Id", &avp.auth_application_id, ENOENT);
    if (!rc)
        rc = fd_dict_search(d, DICT_AVP, AVP_BY_NAME, "Result-Code", &avp.result_code, ENOENT);
    if (!rc)
        rc = fd_dict_search(d, DICT_APPLICATION, APPLICATION_BY_ID, &app_id, &app, ENOENT);
    if (!rc)
        rc = fd_dict_search(d, DICT_VENDOR, VENDOR_BY_ID, &vendor_id, &vendor, ENOENT);
    if (!rc)
        rc = fd_disp_app_support(app, vendor, 1, 0);
    if (!rc)
        rc = serve(app, "AA-Request");
    return rc ? rc : serve(app, "Session-Termination-Request");
}

EXTENSION_ENTRY("bench_pcrf", bench_entry, "dict_rx")

void fd_ext_fini(void)
{
    fprintf(stderr, "\n{\"AAR\": %lu, \"STR\": %lu}\n", atomic_load(&aars), atomic_load(&strs));
}
