/* dict_sink.fdx: a node of the Rx application that has no rules of its own. It answers every request that
 * reaches it with success, so what a peer gets instead is the dictionary's verdict. Its argument is the
 * address to listen on.
 *
 * An AAR whose AF-Application-Identifier is "ask CODE" makes it send a request of that command code to the
 * sender of the AAR. What becomes of the answer it tells its standard output:
 *     sink: answer CODE accepted          sink: answer CODE refused: REASON */
#include "fdx.h"

#include <freeDiameter/extension.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RX 16777236u
#define TGPP 10415u

static struct dict_object *app; /* set at entry */
static struct fd_hook_hdl *hook;

static struct avp *child(struct msg *m, uint32_t vendor, uint32_t code)
{
    msg_or_avp *a = NULL;
    struct avp_hdr *h;
    for (int rc = fd_msg_browse(m, MSG_BRW_FIRST_CHILD, &a, NULL); rc == 0 && a;
         rc = fd_msg_browse(a, MSG_BRW_NEXT, &a, NULL))
        if (fd_msg_avp_hdr(a, &h) == 0 && h->avp_code == code && h->avp_vendor == vendor)
            return a;
    return NULL;
}

static void copy_text(struct msg *m, uint32_t vendor, uint32_t code, char *out, size_t cap)
{
    struct avp *a = child(m, vendor, code);
    struct avp_hdr *h;
    out[0] = 0;
    if (a && fd_msg_avp_hdr(a, &h) == 0 && h->avp_value)
        snprintf(out, cap, "%.*s", (int)h->avp_value->os.len, (const char *)h->avp_value->os.data);
}

static void put(struct msg *m, uint32_t vendor, const char *name, union avp_value v)
{
    struct dict_avp_request what = {.avp_vendor = vendor, .avp_name = (char *)(uintptr_t)name};
    struct dict_object *model = NULL;
    struct avp *a = NULL;
    if (fd_dict_search(fd_g_config->cnf_dict, DICT_AVP, AVP_BY_NAME_AND_VENDOR, &what, &model, ENOENT) ||
        fd_msg_avp_new(model, 0, &a) || fd_msg_avp_setvalue(a, &v) ||
        fd_msg_avp_add(m, MSG_BRW_LAST_CHILD, a))
        fd_log(FD_LOG_ERROR, "sink: cannot add %s", name);
}

static union avp_value text(const char *s)
{
    return (union avp_value){.os = {(uint8_t *)(uintptr_t)s, strlen(s)}};
}

static void on_answer(void *arg, struct msg **m)
{
    struct msg_hdr *h;
    (void)arg;
    if (*m && fd_msg_hdr(*m, &h) == 0) {
        printf("sink: answer %u accepted\n", h->msg_code);
        fflush(stdout);
    }
    fd_msg_free(*m);
    *m = NULL;
}

static void on_fault(enum fd_hook_type type, struct msg *m, struct peer_hdr *peer, void *other,
                     struct fd_hook_permsgdata *pmd, void *arg)
{
    struct msg_hdr *h;
    (void)type, (void)peer, (void)pmd, (void)arg;
    if (m && fd_msg_hdr(m, &h) == 0 && !(h->msg_flags & CMD_FLAG_REQUEST)) {
        printf("sink: answer %u refused: %s\n", h->msg_code, other ? (const char *)other : "?");
        fflush(stdout);
    }
}

static void ask(uint32_t code, const char *host, const char *realm)
{
    struct dict_object *model = NULL;
    struct msg *m = NULL;
    command_code_t cc = code;
    if (fd_dict_search(fd_g_config->cnf_dict, DICT_COMMAND, CMD_BY_CODE_R, &cc, &model, ENOENT) ||
        fd_msg_new(model, MSGFL_ALLOC_ETEID, &m) || fd_msg_new_session(m, NULL, 0)) {
        fd_log(FD_LOG_ERROR, "sink: no command %u", code);
        return;
    }
    struct msg_hdr *h;
    if (fd_msg_hdr(m, &h) == 0)
        h->msg_appl = RX;
    put(m, 0, "Auth-Application-Id", (union avp_value){.u32 = RX});
    if (fd_msg_add_origin(m, 0))
        fd_log(FD_LOG_ERROR, "sink: no origin");
    put(m, 0, "Destination-Realm", text(realm));
    put(m, 0, "Destination-Host", text(host));
    if (code == 258)
        put(m, TGPP, "Specific-Action", (union avp_value){.i32 = 2});
    if (code == 274)
        put(m, TGPP, "Abort-Cause", (union avp_value){.i32 = 0});
    if (code == 275)
        put(m, 0, "Termination-Cause", (union avp_value){.i32 = 1});
    if (fd_msg_send(&m, on_answer, NULL)) {
        fd_log(FD_LOG_ERROR, "sink: cannot send %u", code);
        fd_msg_free(m);
    }
}

static int on_request(struct msg **m, struct avp *avp, struct session *sess, void *arg, enum disp_action *act)
{
    char host[200], realm[200], id[200];
    struct msg_hdr *h;
    (void)avp, (void)sess, (void)arg;
    *act = DISP_ACT_CONT;
    if (fd_msg_hdr(*m, &h) || !(h->msg_flags & CMD_FLAG_REQUEST))
        return 0;
    copy_text(*m, 0, 264, host, sizeof host);
    copy_text(*m, 0, 296, realm, sizeof realm);
    copy_text(*m, TGPP, 504, id, sizeof id);
    int rc = fd_msg_new_answer_from_req(fd_g_config->cnf_dict, m, 0);
    if (!rc)
        rc = fd_msg_rescode_set(*m, (char *)(uintptr_t)"DIAMETER_SUCCESS", NULL, NULL, 1);
    if (!rc)
        rc = fd_msg_send(m, NULL, NULL);
    if (strncmp(id, "ask ", 4) == 0)
        ask((uint32_t)strtoul(id + 4, NULL, 10), host, realm);
    return rc;
}

static int sink_entry(char *conffile)
{
    struct sockaddr_in sa = {.sin_family = AF_INET};
    struct dict_object *vendor = NULL;
    struct disp_hdl *handle;
    application_id_t app_id = RX;
    vendor_id_t vendor_id = TGPP;
    if (!conffile || inet_pton(AF_INET, conffile, &sa.sin_addr) != 1)
        return EINVAL;
    int rc = fd_ep_add_merge(&fd_g_config->cnf_endpoints, (struct sockaddr *)&sa, sizeof sa,
                             EP_FL_CONF | EP_ACCEPTALL);
    if (!rc)
        rc = fd_dict_search(fd_g_config->cnf_dict, DICT_APPLICATION, APPLICATION_BY_ID, &app_id, &app, ENOENT);
    if (!rc)
        rc = fd_dict_search(fd_g_config->cnf_dict, DICT_VENDOR, VENDOR_BY_ID, &vendor_id, &vendor, ENOENT);
    if (!rc)
        rc = fd_disp_app_support(app, vendor, 1, 0);
    struct disp_when when = {.app = app};
    if (!rc)
        rc = fd_disp_register(on_request, DISP_HOW_APPID, &when, NULL, &handle);
    if (!rc)
        rc = fd_hook_register(HOOK_MASK(HOOK_MESSAGE_PARSING_ERROR), on_fault, NULL, NULL, &hook);
    return rc;
}

void fd_ext_fini(void)
{
    if (hook)
        fd_hook_unregister(hook);
}

EXTENSION_ENTRY("dict_sink", sink_entry, "dict_rx")
