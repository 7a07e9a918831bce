/* epcscfctl dict check: of dictionary files, and of messages. */
#include "admin/ctl_dict.h"

#include <errno.h>
#include <string.h>

static int check_files(const struct ctl_dict_ask *a)
{
    struct epc_buf faults = {0}, remarks = {0};
    struct epc_dict *d = NULL;
    bool delivered = a->add || a->n_words == 0;
    enum epc_err e = epc_dict_load_files(&d, delivered, a->dir, a->webrtc_vendor,
                                         (const char *const *)a->word, (size_t)a->n_words, &faults);
    if (faults.p)
        fputs(faults.p, stdout);
    if (e == EPC_OK) {
        size_t avps = 0, commands = 0, n = epc_dict_remarks(d, &remarks);
        while (epc_dict_avp_at(d, avps))
            avps++;
        while (epc_dict_command_at(d, commands))
            commands++;
        if (remarks.p)
            fputs(remarks.p, stdout);
        printf("no faults, %zu remarks: %zu AVPs, %zu commands\n", n, avps, commands);
    } else if (e != EPC_EPROTO)
        fprintf(stderr, "epcscfctl dict: %s\n", epc_err_name(e));
    epc_buf_free(&faults);
    epc_buf_free(&remarks);
    epc_dict_destroy(d);
    return e == EPC_OK ? 0 : e == EPC_EPROTO ? 1 : 2;
}

/* ---- messages ------------------------------------------------------------------------------------------ */

static bool slurp(const char *path, struct epc_buf *out)
{
    char part[8192];
    FILE *f = fopen(path, "rb");
    size_t n;
    while (f && (n = fread(part, 1, sizeof part, f)) > 0)
        epc_buf_add(out, part, n);
    bool ok = f && !ferror(f) && !out->failed;
    if (!ok)
        fprintf(stderr, "epcscfctl dict: %s: %s\n", path, out->failed ? "too large" : strerror(errno));
    if (f)
        fclose(f);
    return ok;
}

/* @return how many faults the message has; each is told under its name. */
static size_t check_message(const struct epc_dict *d, const char *path, const struct epc_recorded *r)
{
    char name[EPC_MSG_NAME];
    struct epc_buf faults = {0};
    size_t n = 1;
    if (r->msg)
        n = epc_msg_check(d, r->msg, &faults);
    if (n)
        printf("%s:%zu: %s\n", path, r->line, r->msg ? epc_msg_name(r->msg, name) : "not a message");
    struct epc_str left = r->msg ? (struct epc_str){faults.p, faults.n} : epc_str_c(r->fault);
    while (n && left.n) {
        struct epc_str line = epc_str_cut(&left, '\n');
        if (line.n)
            printf("  %.*s\n", EPC_STR_ARG(line));
    }
    epc_buf_free(&faults);
    return n;
}

static int check_messages(const struct ctl_dict_ask *a)
{
    size_t messages = 0, wrong = 0;
    int rc = 0;
    for (int i = 0; i < a->n_words && rc < 2; i++) {
        struct epc_buf content = {0}, why = {0};
        struct epc_exchange x = {0};
        if (!slurp(a->word[i], &content))
            rc = 2;
        else if (epc_exchange_read(&x, a->dict, (struct epc_str){content.p, content.n}, &why))
            rc = 1;
        if (why.p)
            printf("%s: %s\n", a->word[i], why.p);
        for (size_t k = 0; k < x.n; k++)
            wrong += check_message(a->dict, a->word[i], &x.msg[k]) > 0;
        messages += x.n;
        epc_exchange_free(&x);
        epc_buf_free(&content);
        epc_buf_free(&why);
    }
    if (rc < 2)
        printf("%zu messages, %zu with faults\n", messages, wrong);
    return rc ? rc : wrong > 0;
}

int ctl_dict_check(const struct ctl_dict_ask *a)
{
    return a->message ? check_messages(a) : check_files(a);
}
