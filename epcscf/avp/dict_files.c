/* The delivered files, and where they are. */
#include "avp/avp.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* base.json first: the others name what it defines. */
static const char *const files[] = {"base.json", "rx.json", "webrtc.json"};

static enum epc_err slurp(const char *path, struct epc_buf *out, struct epc_buf *faults)
{
    char part[4096];
    FILE *f = fopen(path, "rb");
    int why = f ? 0 : errno;
    size_t n;
    while (f && (n = fread(part, 1, sizeof part, f)) > 0)
        epc_buf_add(out, part, n);
    if (f && ferror(f))
        why = errno ? errno : EIO;
    if (f)
        fclose(f);
    if (why && faults)
        epc_buf_printf(faults, "%s: %s\n", path, strerror(why));
    return why ? EPC_EIO : out->failed ? EPC_ENOMEM : EPC_OK;
}

static bool has_files(const char *dir)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", dir, files[0]);
    return n > 0 && (size_t)n < sizeof path && access(path, R_OK) == 0;
}

static const char *default_dir(char *out, size_t cap)
{
    static const char *const beside[] = {"/../share/epcscf", "/../../fdx", "/../fdx"};
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n > 0) {
        exe[n] = 0;
        char *slash = strrchr(exe, '/');
        if (slash)
            *slash = 0;
        for (size_t i = 0; i < EPC_ARRAY_LEN(beside); i++) {
            int len = snprintf(out, cap, "%s%s", exe, beside[i]);
            if (len > 0 && (size_t)len < cap && has_files(out))
                return out;
        }
    }
    return EPC_DICT_DIR;
}

static enum epc_err read_all(struct epc_dict_source *source, struct epc_buf *json, size_t n_delivered,
                             const char *dir, uint32_t webrtc_vendor, const char *const *file, size_t n,
                             struct epc_buf *faults)
{
    for (size_t i = 0; i < n_delivered + n; i++) {
        char path[PATH_MAX];
        const char *from = i < n_delivered ? path : file[i - n_delivered];
        if (i < n_delivered && (size_t)snprintf(path, sizeof path, "%s/%s", dir, files[i]) >= sizeof path)
            return EPC_EINVAL;
        enum epc_err e = slurp(from, &json[i], faults);
        if (e)
            return e;
        source[i] = (struct epc_dict_source){.name = i < n_delivered ? files[i] : from,
                                             .json = {json[i].p, json[i].n},
                                             .vendor_from = webrtc_vendor ? EPC_DICT_WEBRTC_VENDOR : 0,
                                             .vendor_to = webrtc_vendor};
    }
    return EPC_OK;
}

enum epc_err epc_dict_load_files(struct epc_dict **out, bool delivered, const char *dir,
                                 uint32_t webrtc_vendor, const char *const *file, size_t n_files,
                                 struct epc_buf *faults)
{
    char found[PATH_MAX];
    size_t n_delivered = delivered ? EPC_ARRAY_LEN(files) : 0, n = n_delivered + n_files;
    struct epc_buf *json = calloc(n + 1, sizeof *json);
    struct epc_dict_source *source = calloc(n + 1, sizeof *source);
    enum epc_err e = json && source ? EPC_OK : EPC_ENOMEM;
    if (!e)
        e = read_all(source, json, n_delivered, dir ? dir : default_dir(found, sizeof found), webrtc_vendor,
                     file, n_files, faults);
    if (!e)
        e = epc_dict_create(out, source, n, faults);
    for (size_t i = 0; json && i < n; i++)
        epc_buf_free(&json[i]);
    free(json);
    free(source);
    return e;
}

enum epc_err epc_dict_load(struct epc_dict **out, const char *dir, uint32_t webrtc_vendor,
                           struct epc_buf *faults)
{
    return epc_dict_load_files(out, true, dir, webrtc_vendor, NULL, 0, faults);
}
