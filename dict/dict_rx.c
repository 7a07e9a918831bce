/* dict_rx.fdx: the dictionary of Rx (TS 29.214) for any freeDiameter node.
 *
 *     LoadExtension = "dict_rx.fdx";                      # data from rx.json beside this file
 *     LoadExtension = "dict_rx.fdx" : "/path/to/rx.json";
 *
 * Load it after other dictionaries (dict_nasreq, dict_dcca_3gpp), since their rules on the shared
 * commands must go: see rx_dict_relax(). */
#include "dict_load.h"
#include "fdx.h"

#include <freeDiameter/extension.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RX_JSON "rx.json"

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

/* rx.json beside this library, else where it is installed. */
static void default_path(char *out, size_t cap)
{
    /* An address inside this library. It must be static: extensions see each other's symbols. */
    static const char here = 0;
    Dl_info me;
    if (dladdr(&here, &me) && me.dli_fname) {
        const char *slash = strrchr(me.dli_fname, '/');
        int dir = slash ? (int)(slash - me.dli_fname) + 1 : 0;
        int n = snprintf(out, cap, "%.*s" RX_JSON, dir, me.dli_fname);
        if (n > 0 && (size_t)n < cap) {
            FILE *f = fopen(out, "rb");
            if (f) {
                fclose(f);
                return;
            }
        }
    }
    snprintf(out, cap, "%s", RX_DICT_INSTALL_DIR "/" RX_JSON);
}

static int dict_rx_entry(char *conffile)
{
    char path[4096], *text = NULL;
    size_t n = 0;
    json_t *doc = NULL;
    if (conffile)
        snprintf(path, sizeof path, "%s", conffile);
    else
        default_path(path, sizeof path);
    int rc = slurp(path, &text, &n);
    if (rc) {
        fd_log(FD_LOG_ERROR, "dict_rx: cannot read %s: %s", path, strerror(rc));
        return rc;
    }
    rc = rx_dict_parse(text, n, path, &doc);
    if (!rc)
        rc = rx_dict_apply(fd_g_config->cnf_dict, doc);
    if (!rc)
        rc = rx_dict_relax(fd_g_config->cnf_dict);
    json_decref(doc);
    free(text);
    if (rc)
        fd_log(FD_LOG_ERROR, "dict_rx: %s was not loaded: %s", path, strerror(rc));
    else
        fd_log(FD_LOG_NOTICE, "dict_rx: Rx dictionary loaded from %s", path);
    return rc;
}

EXTENSION_ENTRY("dict_rx", dict_rx_entry)
