/* The page's files: a fixed list, read once at start. No path of a request ever reaches the disk. */
#include "wwsf/wwsf_priv.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_OCTETS_MAX = 8 * 1024 * 1024 };

static const struct epc_file list[] = {
    {.path = "/", .name = "index.html", .type = "text/html; charset=utf-8"},
    {.path = "/app.js", .name = "app.js", .type = "text/javascript; charset=utf-8"},
    {.path = "/style.css", .name = "style.css", .type = "text/css; charset=utf-8"},
    {.path = "/icon.svg", .name = "icon.svg", .type = "image/svg+xml"},
    {.path = "/licences.txt", .name = "licences.txt", .type = "text/plain; charset=utf-8"},
};

struct epc_page {
    struct epc_file files[EPC_ARRAY_LEN(list)];
};

static bool read_all(struct epc_file *f, FILE *in)
{
    struct epc_buf b = {0};
    char chunk[16384];
    size_t n;
    while (b.n <= FILE_OCTETS_MAX && (n = fread(chunk, 1, sizeof chunk, in)) > 0)
        epc_buf_add(&b, chunk, n);
    if (ferror(in) || b.failed || b.n == 0 || b.n > FILE_OCTETS_MAX) {
        epc_buf_free(&b);
        return false;
    }
    f->p = epc_buf_take(&b, &f->n);
    return true;
}

static bool make_etag(struct epc_file *f)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (EVP_Digest(f->p, f->n, digest, NULL, EVP_sha256(), NULL) != 1)
        return false;
    f->etag[0] = '"';
    for (size_t i = 0; i < 16; i++)
        snprintf(f->etag + 1 + 2 * i, 3, "%02x", digest[i]);
    f->etag[33] = '"'; /* snprintf's NUL was there */
    f->etag[34] = 0;
    return true;
}

static enum epc_err load_file(struct epc_file *f, const char *folder)
{
    struct epc_buf path = {0};
    epc_buf_printf(&path, "%s/%s", folder, f->name);
    if (path.failed) {
        epc_buf_free(&path);
        return EPC_ENOMEM;
    }
    errno = 0;
    FILE *in = fopen(path.p, "re");
    if (!in || !read_all(f, in) || !make_etag(f))
        epc_log(EPC_LOG_WARN, "wwsf", "event=page-file-missing file=%s why=\"%s\" do=\"build the page, or set wwsf.page_dir\"",
                path.p, errno ? strerror(errno) : "empty or too big");
    if (in)
        fclose(in);
    epc_buf_free(&path);
    return EPC_OK;
}

enum epc_err epc_page_load(struct epc_page **out, const char *folder)
{
    struct epc_page *p = calloc(1, sizeof *p);
    if (!p)
        return EPC_ENOMEM;
    memcpy(p->files, list, sizeof list);
    for (size_t i = 0; i < EPC_ARRAY_LEN(list); i++) {
        enum epc_err err = load_file(&p->files[i], folder ? folder : ".");
        if (err != EPC_OK) {
            epc_page_free(p);
            return err;
        }
    }
    *out = p;
    return EPC_OK;
}

void epc_page_free(struct epc_page *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < EPC_ARRAY_LEN(p->files); i++)
        free(p->files[i].p);
    free(p);
}

const struct epc_file *epc_page_find(const struct epc_page *p, struct epc_str path)
{
    for (size_t i = 0; i < EPC_ARRAY_LEN(p->files); i++)
        if (epc_str_eqc(path, p->files[i].path))
            return &p->files[i];
    return NULL;
}
