/* Entry of lab_pcrf.fdx and the handling of AAR and STR. */
#include "pcrf.h"
#include "fdx.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char *rules_file; /* set at entry, read by the callbacks; see pcrf_record.c on globals */

static uint32_t later(const struct pcrf_rule *r, int64_t after_ms)
{
    return (r->push_early ? 0 : r->delay_ms) + (uint32_t)after_ms;
}

static int on_request(struct msg **m, struct avp *avp, struct session *sess, void *arg,
                      enum disp_action *act)
{
    (void)avp, (void)sess, (void)arg;
    struct msg_hdr *h;
    *act = DISP_ACT_CONT;
    if (fd_msg_hdr(*m, &h))
        return 0;
    uint32_t command = h->msg_code;
    char *sid = pcrf_text(*m, "Session-Id"), *host = pcrf_text(*m, "Origin-Host"),
         *realm = pcrf_text(*m, "Origin-Realm");
    struct pcrf_rule r;
    pcrf_record(false, *m);
    pcrf_rule_for(rules_file, *m, command, &r);

    union avp_value *type = pcrf_value(pcrf_child(*m, PCRF_VENDOR, 533, NULL));
    bool known = pcrf_session_find(sid, NULL, NULL);
    if (!r.result && !known && (command == CC_ST || (type && type->i32 == 1)))
        r.result = 5002; /* DIAMETER_UNKNOWN_SESSION_ID */
    bool ok = !r.drop && (r.result == 0 || r.result / 1000 == 2);
    if (command == CC_ST || (r.result == 5002 && !r.experimental))
        pcrf_session_close(sid);
    else if ((ok || r.keep) && !known) /* one that an STR closes meanwhile stays closed */
        pcrf_session_open(sid, host, realm);
    pcrf_answer(m, &r, command);
    for (unsigned i = 0; command == CC_AA && ok && i < r.push_times; i++) {
        if (r.abort_after_ms >= 0)
            pcrf_request_later(CC_AS, sid, &r, later(&r, r.abort_after_ms));
        if (r.rar_after_ms >= 0)
            pcrf_request_later(CC_RA, sid, &r, later(&r, r.rar_after_ms));
    }
    pcrf_rule_free(&r);
    free(sid);
    free(host);
    free(realm);
    return 0;
}

static int serve(const char *command, struct dict_object *app)
{
    struct disp_when when = {.app = app};
    struct disp_hdl *handle;
    int rc = fd_dict_search(fd_g_config->cnf_dict, DICT_COMMAND, CMD_BY_NAME, command,
                            &when.command, ENOENT);
    return rc ? rc : fd_disp_register(on_request, DISP_HOW_CC, &when, NULL, &handle);
}

/* The configuration's ListenOn ignores loopback addresses, and without any other address the node
 * does not start. An extension may add one. */
static int listen_on(const char *address)
{
    struct sockaddr_in sa = {.sin_family = AF_INET};
    if (!address)
        return 0;
    if (inet_pton(AF_INET, address, &sa.sin_addr) != 1)
        return EINVAL;
    return fd_ep_add_merge(&fd_g_config->cnf_endpoints, (struct sockaddr *)&sa, sizeof sa,
                           EP_FL_CONF | EP_ACCEPTALL);
}

static const char *text(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static int pcrf_entry(char *conffile)
{
    json_error_t err;
    json_t *conf = conffile ? json_load_file(conffile, 0, &err) : json_object();
    struct dict_object *app = NULL, *vendor = NULL;
    application_id_t app_id = PCRF_APP;
    vendor_id_t vendor_id = PCRF_VENDOR;
    if (!conf) {
        fd_log(FD_LOG_ERROR, "lab_pcrf: %s:%d: %s", conffile, err.line, err.text);
        return EINVAL;
    }
    if (text(conf, "rules"))
        rules_file = strdup(text(conf, "rules"));
    if (json_is_integer(json_object_get(conf, "origin_state_id")))
        fd_g_config->cnf_orstateid =
            (uint32_t)json_integer_value(json_object_get(conf, "origin_state_id"));
    int rc = listen_on(text(conf, "listen"));
    if (json_is_true(json_object_get(conf, "agent"))) { /* a relay: just a place to listen */
        json_decref(conf);
        return rc;
    }
    if (!rc)
        rc = pcrf_record_open(text(conf, "record"), text(conf, "state"));
    if (!rc)
        rc = fd_dict_search(fd_g_config->cnf_dict, DICT_APPLICATION, APPLICATION_BY_ID, &app_id,
                            &app, ENOENT);
    if (!rc)
        rc = fd_dict_search(fd_g_config->cnf_dict, DICT_VENDOR, VENDOR_BY_ID, &vendor_id, &vendor,
                            ENOENT);
    if (!rc)
        rc = fd_disp_app_support(app, vendor, 1, 0);
    if (!rc)
        rc = serve("AA-Request", app);
    if (!rc)
        rc = serve("Session-Termination-Request", app);
    if (!rc)
        rc = pcrf_send_init();
    json_decref(conf);
    return rc;
}

void fd_ext_fini(void)
{
    pcrf_send_fini();
    pcrf_record_close();
    free(rules_file);
    rules_file = NULL;
}

EXTENSION_ENTRY("lab_pcrf", pcrf_entry, "dict_rx")
