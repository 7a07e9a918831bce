/* dict_rx.fdx: the dictionary of Rx (TS 29.214), and of our AVPs about WebRTC, for any freeDiameter node.
 *
 *     LoadExtension = "dict_rx.fdx";                      # rx.json and webrtc.json beside this file
 *     LoadExtension = "dict_rx.fdx" : "webrtc_vendor=12345; check=off";
 *
 * README.md has the words of its argument. It may stand before or after other dictionaries. */
#include "dict_load.h"
#include "fdx.h"

#include <freeDiameter/extension.h>

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RX_APPLICATION 16777236u
#define WEBRTC_VENDOR 32473u

/* freeDiameter gives the entry point no object of ours, and its callbacks may come from any thread. */
static struct {
    char rx[4096], webrtc[4096]; /* paths; webrtc may be empty */
    uint32_t webrtc_vendor;
    bool check_off;
    json_t *doc[2];
    size_t n;
    struct rx_check *check;
    struct disp_hdl *dispatch;
    struct fd_hook_hdl *hook;
    pthread_once_t finished;
} dict = {.finished = PTHREAD_ONCE_INIT};

/* ---- files ------------------------------------------------------------------------------------------- */

static int slurp(const char *path, char **out, size_t *n)
{
    FILE *f = fopen(path, "rb");
    int rc = f ? 0 : errno;
    char *text = NULL;
    long size = 0;
    if (!rc && (fseek(f, 0, SEEK_END) || (size = ftell(f)) < 0 || fseek(f, 0, SEEK_SET)))
        rc = EIO;
    if (!rc && !(text = malloc((size_t)size + 1)))
        rc = ENOMEM;
    if (!rc && fread(text, 1, (size_t)size, f) != (size_t)size)
        rc = EIO;
    if (f)
        fclose(f);
    if (rc) {
        free(text);
        return rc;
    }
    *out = text;
    *n = (size_t)size;
    return 0;
}

/* A file beside this library, else where it is installed. */
static void default_path(char *out, size_t cap, const char *name)
{
    /* An address inside this library. It must be static: extensions see each other's symbols. */
    static const char here = 0;
    Dl_info me;
    if (dladdr(&here, &me) && me.dli_fname) {
        const char *slash = strrchr(me.dli_fname, '/');
        int dir = slash ? (int)(slash - me.dli_fname) + 1 : 0;
        int n = snprintf(out, cap, "%.*s%s", dir, me.dli_fname, name);
        FILE *f = n > 0 && (size_t)n < cap ? fopen(out, "rb") : NULL;
        if (f) {
            fclose(f);
            return;
        }
    }
    snprintf(out, cap, "%s/%s", RX_DICT_INSTALL_DIR, name);
}

static int load(const char *path, uint32_t from, uint32_t to)
{
    char *text = NULL;
    size_t n = 0;
    json_t *doc = NULL;
    int rc = slurp(path, &text, &n);
    if (rc) {
        fd_log(FD_LOG_ERROR, "dict_rx: cannot read %s: %s", path, strerror(rc));
        return rc;
    }
    rc = rx_dict_parse(text, n, path, &doc);
    free(text);
    if (rc)
        return rc;
    if (from != to)
        rx_dict_renumber(doc, from, to);
    dict.doc[dict.n++] = doc;
    rc = rx_dict_define(fd_g_config->cnf_dict, doc);
    if (rc)
        fd_log(FD_LOG_ERROR, "dict_rx: %s was not loaded: %s", path, strerror(rc));
    else
        fd_log(FD_LOG_NOTICE, "dict_rx: loaded %s", path);
    return rc;
}

/* ---- the argument -------------------------------------------------------------------------------------- */

static int vendor_number(const char *value)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(value, &end, 10);
    if (*value < '0' || *value > '9' || *end || errno || n == 0 || n > 16777215) {
        fd_log(FD_LOG_ERROR, "dict_rx: webrtc_vendor is an enterprise number (1 to 16777215), not '%s'", value);
        return EINVAL;
    }
    if (n == 10415 || n == 13019) {
        fd_log(FD_LOG_ERROR, "dict_rx: webrtc_vendor %lu has AVPs of its own; take your enterprise's number", n);
        return EINVAL;
    }
    dict.webrtc_vendor = (uint32_t)n;
    return 0;
}

static int setting(char *word)
{
    char *value = strchr(word, '=');
    if (!value) { /* the path alone, as this extension once took it */
        snprintf(dict.rx, sizeof dict.rx, "%s", word);
        return 0;
    }
    *value++ = 0;
    if (strcmp(word, "rx") == 0)
        snprintf(dict.rx, sizeof dict.rx, "%s", value);
    else if (strcmp(word, "webrtc") == 0)
        snprintf(dict.webrtc, sizeof dict.webrtc, "%s", strcmp(value, "off") == 0 ? "" : value);
    else if (strcmp(word, "webrtc_vendor") == 0)
        return vendor_number(value);
    else if (strcmp(word, "check") == 0 && (strcmp(value, "on") == 0 || strcmp(value, "off") == 0))
        dict.check_off = strcmp(value, "off") == 0;
    else {
        fd_log(FD_LOG_ERROR, "dict_rx: '%s=%s' is none of rx=FILE, webrtc=FILE|off, webrtc_vendor=NUMBER, "
                             "check=on|off", word, value);
        return EINVAL;
    }
    return 0;
}

static int settings(const char *conffile)
{
    char *copy = strdup(conffile), *rest = copy, *word;
    int rc = copy ? 0 : ENOMEM;
    while (!rc && (word = strsep(&rest, ";"))) {
        word += strspn(word, " \t");
        for (size_t n = strlen(word); n && (word[n - 1] == ' ' || word[n - 1] == '\t'); n--)
            word[n - 1] = 0;
        if (*word)
            rc = setting(word);
    }
    free(copy);
    return rc;
}

/* ---- when every dictionary is there ----------------------------------------------------------------------- */

static void finish(void)
{
    int rc = 0;
    for (size_t i = 0; i < dict.n && !rc; i++)
        rc = rx_dict_rules(fd_g_config->cnf_dict, dict.doc[i]);
    if (!rc)
        rc = rx_dict_relax(fd_g_config->cnf_dict);
    if (rc)
        fd_log(FD_LOG_ERROR, "dict_rx: the rules of Rx are not in force: %s", strerror(rc));
}

/* Dictionaries may be loaded after this one. The first octets from a peer come when all of them are. */
static void on_data(enum fd_hook_type type, struct msg *m, struct peer_hdr *peer, void *other,
                    struct fd_hook_permsgdata *pmd, void *arg)
{
    (void)type, (void)m, (void)peer, (void)other, (void)pmd, (void)arg;
    pthread_once(&dict.finished, finish);
}

static int refuse(struct msg **m, const struct fd_pei *wrong)
{
    int rc = fd_msg_new_answer_from_req(fd_g_config->cnf_dict, m, 0);
    if (!rc)
        rc = fd_msg_rescode_set(*m, wrong->pei_errcode, NULL, wrong->pei_avp, 1);
    return rc;
}

/* Before any application sees a request: what the rules of the shared commands cannot say. */
static int on_message(struct msg **m, struct avp *avp, struct session *sess, void *arg, enum disp_action *act)
{
    struct msg_hdr *h;
    struct fd_pei wrong;
    (void)avp, (void)sess, (void)arg;
    *act = DISP_ACT_CONT;
    if (fd_msg_hdr(*m, &h) || h->msg_appl != RX_APPLICATION || !(h->msg_flags & CMD_FLAG_REQUEST) ||
        rx_check_message(dict.check, *m, &wrong) != EBADMSG)
        return 0;
    fd_log(FD_LOG_NOTICE, "dict_rx: request %u refused: %s", h->msg_code, wrong.pei_errcode);
    *act = DISP_ACT_SEND;
    int rc = refuse(m, &wrong);
    if (wrong.pei_avp_free)
        fd_msg_free(wrong.pei_avp);
    return rc;
}

static int dict_rx_entry(char *conffile)
{
    struct disp_when any = {0};
    default_path(dict.rx, sizeof dict.rx, "rx.json");
    default_path(dict.webrtc, sizeof dict.webrtc, "webrtc.json");
    dict.webrtc_vendor = WEBRTC_VENDOR;
    int rc = conffile ? settings(conffile) : 0;
    if (!rc)
        rc = load(dict.rx, 0, 0);
    if (!rc && dict.webrtc[0])
        rc = load(dict.webrtc, WEBRTC_VENDOR, dict.webrtc_vendor);
    if (!rc)
        rc = rx_check_new(&dict.check, fd_g_config->cnf_dict, dict.doc, dict.n);
    if (!rc)
        rc = fd_hook_register(HOOK_MASK(HOOK_DATA_RECEIVED), on_data, NULL, NULL, &dict.hook);
    if (!rc && !dict.check_off)
        rc = fd_disp_register(on_message, DISP_HOW_ANY, &any, NULL, &dict.dispatch);
    return rc;
}

void fd_ext_fini(void)
{
    if (dict.hook)
        fd_hook_unregister(dict.hook);
    if (dict.dispatch)
        fd_disp_unregister(&dict.dispatch, NULL);
    rx_check_free(dict.check);
    for (size_t i = 0; i < dict.n; i++)
        json_decref(dict.doc[i]);
    memset(dict.doc, 0, sizeof dict.doc);
    dict.n = 0;
    dict.check = NULL;
    dict.hook = NULL;
}

EXTENSION_ENTRY("dict_rx", dict_rx_entry)
