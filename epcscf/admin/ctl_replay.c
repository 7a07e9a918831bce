/* epcscfctl replay: the command line. */
#include "admin/ctl_replay.h"
#include "admin/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 256 << 20 };

static const char help[] =
    "usage: epcscfctl replay [OPTION...] FILE...\n"
    "Plays recorded Rx exchanges to a live node, and tells AVP by AVP what comes back otherwise. A FILE is\n"
    "what `epcscfctl record` wrote, or a capture (pcap, pcapng; TCP without TLS, any port).\n"
    "A record holds identities and addresses of users in clear: treat it so.\n"
    "  --as pcrf                 the default: wait for the node's requests, compare them with the recorded\n"
    "                            ones, answer as recorded, send the recorded RAR and ASR at their place\n"
    "  --as af                   send the recorded AAR and STR to a PCRF, compare its answers and pushes\n"
    "  --listen ADDR:PORT        wait there for the peer (default 127.0.0.1:3868 as pcrf)\n"
    "  --connect ADDR:PORT       go there (default 127.0.0.1:3868 as af)\n"
    "  --identity ID --realm R   ours; default: those of the recorded PCRF, or AF\n"
    "  --session SID             only this recorded Session-Id\n"
    "  --timing fast|real        without the recorded pauses (default), or with them\n"
    "  --wait SECONDS            for each expected message (10) and the connection (at least 30)\n"
    "  --ignore AVP              not compared; besides Session-Id, names of nodes, Origin-State-Id, times...\n"
    "  --exact                   send names and state of nodes as recorded, not as of this run\n"
    "  --diff-only               nothing but differences\n"
    "without a peer:\n"
    "  --print                   the messages as trees\n"
    "  --check                   against the dictionary's rules, and that nothing is lost by reading\n"
    "  --tidy                    as a file for a library of exchanges: no times, no ids\n"
    "  --to-pcap OUT             as a capture, for Wireshark\n"
    "  --dir DIR                 where base.json, rx.json and webrtc.json are\n"
    "  --webrtc-vendor N         enterprise number of the WebRTC AVPs (32473)\n"
    "In a file, \"$name\" in the place of a value takes what it meets first and holds later messages to it;\n"
    "\"$_\" meets anything.\n"
    "exit status: 0 all as recorded, 1 differences or faults, 2 wrong usage, unreadable file, no peer\n";

static int wrong(const char *fault, const char *what)
{
    fprintf(stderr, "epcscfctl replay: %s%s\nepcscfctl replay --help tells how it is used\n", fault,
            what ? what : "");
    return 2;
}

/* ---- files --------------------------------------------------------------------------------------------- */

static bool read_file(const char *path, struct epc_buf *out)
{
    char part[65536];
    size_t n;
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
    if (!f) {
        fprintf(stderr, "epcscfctl replay: %s: %s\n", path, strerror(errno));
        return false;
    }
    while ((n = fread(part, 1, sizeof part, f)) > 0 && out->n <= MAX_FILE)
        epc_buf_add(out, part, n);
    bool ok = !ferror(f) && !out->failed && out->n <= MAX_FILE;
    if (!ok)
        fprintf(stderr, "epcscfctl replay: %s: %s\n", path, out->n > MAX_FILE ? "more than 256 MiB" : "cannot be read");
    if (f != stdin)
        fclose(f);
    return ok;
}

static bool read_exchange(const struct epc_dict *d, const char *path, struct epc_exchange *x)
{
    struct epc_buf content = {0}, why = {0};
    enum epc_err e = EPC_EIO;
    if (read_file(path, &content)) {
        e = epc_exchange_read(x, d, (struct epc_str){content.p ? content.p : "", content.n}, &why);
        if (why.p)
            fprintf(stderr, "%s: %s", path, why.p);
        else if (e)
            fprintf(stderr, "%s: %s\n", path, epc_err_name(e));
    }
    epc_buf_free(&content);
    epc_buf_free(&why);
    return e == EPC_OK;
}

/* ---- what is to be done with them ------------------------------------------------------------------------- */

static int show(const struct replay_options *o, const struct epc_dict *d)
{
    size_t faults = 0;
    uint32_t seq[2] = {1, 1};
    FILE *out = o->what == REPLAY_PCAP ? fopen(o->pcap, "wbe") : NULL;
    if (o->what == REPLAY_PCAP && !out)
        return wrong("cannot be written: ", o->pcap);
    if (out)
        replay_pcap_header(out);
    for (int i = 0; i < o->n_files; i++) {
        struct epc_exchange x = {0};
        const char *file = o->file[i];
        bool ok = read_exchange(d, file, &x);
        if (!ok)
            faults++;
        else
            switch (o->what) {
            case REPLAY_CHECK: faults += replay_check(d, file, &x); break;
            case REPLAY_TIDY: faults += replay_tidy(d, file, &x, o->session); break;
            case REPLAY_PCAP: faults += replay_pcap(out, file, &x, seq); break;
            default: faults += replay_print(d, file, &x, o->session); break;
            }
        epc_exchange_free(&x);
    }
    if (out && fclose(out) != 0)
        return wrong("cannot be written: ", o->pcap);
    if (o->what == REPLAY_CHECK)
        printf("%d files, %zu faults\n", o->n_files, faults);
    return faults ? 1 : 0;
}

/* The names that our side has in the recording. */
static const char *recorded_name(const struct epc_exchange *x, bool as_af, uint32_t code, char out[256])
{
    for (size_t i = 0; i < x->n; i++) {
        bool rx, from_af = x->msg[i].msg && replay_from_af(x->msg[i].msg, &rx);
        const struct epc_avp *a = x->msg[i].msg ? epc_msg_find(x->msg[i].msg, code, 0) : NULL;
        if (a && rx && from_af == as_af && !a->variable && a->n && a->n < 256 && !memchr(a->data, '"', a->n) &&
            !memchr(a->data, '\\', a->n)) {
            snprintf(out, 256, "%.*s", (int)a->n, (const char *)a->data);
            return out;
        }
    }
    return "replay.invalid";
}

static enum epc_err meet(const struct replay_options *o, struct ctl_peer *p)
{
    struct epc_addr at;
    unsigned wait_s = o->wait_s > 30 ? o->wait_s : 30;
    if (o->has_listen)
        return ctl_peer_listen(p, &o->listen, wait_s);
    if (o->has_connect)
        return ctl_peer_connect(p, &o->connect, wait_s);
    if (!ctl_peer_address("127.0.0.1:3868", &at))
        return EPC_EINVAL;
    return o->as_af ? ctl_peer_connect(p, &at, wait_s) : ctl_peer_listen(p, &at, wait_s);
}

static int play_all(struct replay_run *r, struct epc_exchange *x)
{
    int rc = 0;
    for (int i = 0; i < r->o->n_files && rc == 0; i++) {
        enum epc_err e = replay_play(r, r->o->file[i], &x[i]);
        if (e) {
            fprintf(stderr, "epcscfctl replay: %s: %s\n", r->o->file[i],
                    e == EPC_EAGAIN ? "interrupted" : e == EPC_EIO ? "the peer is gone" : epc_err_name(e));
            rc = 2;
        }
    }
    printf("%zu messages, %zu differences\n", r->messages, r->differences);
    return rc ? rc : r->differences ? 1 : 0;
}

static int play(const struct replay_options *o, const struct epc_dict *d)
{
    char identity[256], realm[256];
    struct epc_exchange *x = calloc((size_t)o->n_files, sizeof *x);
    int rc = x ? 0 : 2;
    for (int i = 0; rc == 0 && i < o->n_files; i++)
        rc = read_exchange(d, o->file[i], &x[i]) ? 0 : 2;
    if (rc == 0) {
        struct ctl_peer p = {.dict = d, .fd = -1, .interrupt = -1,
                             .identity = o->identity ? o->identity : recorded_name(&x[0], o->as_af, 264, identity),
                             .realm = o->realm ? o->realm : recorded_name(&x[0], o->as_af, 296, realm)};
        struct replay_run r = {.o = o, .dict = d, .peer = &p, .state_id = (uint32_t)epc_wall_s()};
        rc = meet(o, &p) ? 2 : play_all(&r, x);
        ctl_peer_close(&p);
    }
    for (int i = 0; x && i < o->n_files; i++)
        epc_exchange_free(&x[i]);
    free(x);
    return rc;
}

/* ---- the command line -------------------------------------------------------------------------------------- */

struct command_line {
    struct replay_options o;
    const char *dir;
    uint32_t webrtc_vendor;
    const char *ignore[32];
    size_t n_ignore;
};

static bool plain(const char *name)
{
    return *name && strlen(name) < 256 && !strpbrk(name, "\"\\ ");
}

static int take_number(const char *value, uint64_t max, uint32_t *out)
{
    uint64_t n;
    if (epc_str_u64(epc_str_c(value), max, &n))
        return wrong("a number is expected, not ", value);
    *out = (uint32_t)n;
    return 0;
}

/* An option with a value. 0, or the exit status; *known false: there is none of that name. */
static int take_value(struct command_line *c, const char *name, const char *value, bool *known)
{
    struct replay_options *o = &c->o;
    *known = true;
    if (strcmp(name, "--as") == 0) {
        o->as_af = strcmp(value, "af") == 0;
        return o->as_af || strcmp(value, "pcrf") == 0 ? 0 : wrong("--as takes pcrf or af, not ", value);
    }
    if (strcmp(name, "--timing") == 0) {
        o->real_time = strcmp(value, "real") == 0;
        return o->real_time || strcmp(value, "fast") == 0 ? 0 : wrong("--timing takes fast or real, not ", value);
    }
    if (strcmp(name, "--listen") == 0)
        return (o->has_listen = ctl_peer_address(value, &o->listen)) ? 0 : 2;
    if (strcmp(name, "--connect") == 0)
        return (o->has_connect = ctl_peer_address(value, &o->connect)) ? 0 : 2;
    if (strcmp(name, "--wait") == 0)
        return take_number(value, 3600, &o->wait_s);
    if (strcmp(name, "--webrtc-vendor") == 0)
        return take_number(value, UINT32_MAX, &c->webrtc_vendor);
    if (strcmp(name, "--identity") == 0 || strcmp(name, "--realm") == 0) {
        *(name[2] == 'i' ? &o->identity : &o->realm) = value;
        return plain(value) ? 0 : wrong("no Diameter identity: ", value);
    }
    if (strcmp(name, "--ignore") == 0) {
        if (c->n_ignore == EPC_ARRAY_LEN(c->ignore))
            return wrong("too many --ignore", NULL);
        c->ignore[c->n_ignore++] = value;
        return 0;
    }
    if (strcmp(name, "--to-pcap") == 0) {
        o->what = REPLAY_PCAP;
        o->pcap = value;
        return 0;
    }
    if (strcmp(name, "--session") == 0)
        o->session = value;
    else if (strcmp(name, "--dir") == 0)
        c->dir = value;
    else
        *known = false;
    return 0;
}

static bool take_switch(struct replay_options *o, const char *name)
{
    if (strcmp(name, "--diff-only") == 0)
        o->diff_only = true;
    else if (strcmp(name, "--exact") == 0)
        o->exact = true;
    else if (strcmp(name, "--print") == 0)
        o->what = REPLAY_PRINT;
    else if (strcmp(name, "--check") == 0)
        o->what = REPLAY_CHECK;
    else if (strcmp(name, "--tidy") == 0)
        o->what = REPLAY_TIDY;
    else
        return false;
    return true;
}

static int run(struct command_line *c)
{
    struct epc_buf faults = {0};
    struct epc_dict *d = NULL;
    int rc = 0;
    enum epc_err e = epc_dict_load(&d, c->dir, c->webrtc_vendor, &faults);
    if (e) {
        fprintf(stderr, "epcscfctl replay: the dictionaries cannot be read (--dir says where they are): %s\n%s",
                epc_err_name(e), faults.p ? faults.p : "");
        rc = 2;
    }
    if (rc == 0)
        epc_msg_ignore_usual(&c->o.ignore, d);
    for (size_t i = 0; rc == 0 && i < c->n_ignore; i++)
        if (epc_msg_ignore_add(&c->o.ignore, d, c->ignore[i]))
            rc = wrong("no dictionary knows an AVP ", c->ignore[i]);
    if (rc == 0)
        rc = c->o.what == REPLAY_PLAY ? play(&c->o, d) : show(&c->o, d);
    epc_buf_free(&faults);
    epc_dict_destroy(d);
    return rc;
}

int ctl_replay(int argc, char **argv)
{
    struct command_line c = {.o.wait_s = 10};
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
        fputs(help, stdout);
        return 0;
    }
    c.o.file = argv; /* files move to its front */
    for (int i = 1; i < argc; i++) {
        bool known;
        if (argv[i][0] != '-' || !argv[i][1]) {
            argv[c.o.n_files++] = argv[i];
            continue;
        }
        if (take_switch(&c.o, argv[i]))
            continue;
        int rc = take_value(&c, argv[i], i + 1 < argc ? argv[i + 1] : "", &known);
        if (!known)
            return wrong("there is no such option: ", argv[i]);
        if (i + 1 == argc)
            return wrong("a value is missing after ", argv[i]);
        if (rc)
            return rc;
        i++;
    }
    if (c.o.n_files == 0)
        return wrong("a file is missing", NULL);
    if (c.o.has_listen && c.o.has_connect)
        return wrong("either --listen or --connect", NULL);
    return run(&c);
}
