/* epcscfctl dict: the command line. */
#include "admin/ctl_dict.h"
#include "admin/ctl.h"

#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: epcscfctl dict SUBCOMMAND [OPTION...]\n"
    "  show NAME|CODE[@VENDOR]    one AVP or command: flags, type, values, content, where it may appear\n"
    "  list [--vendor N] [--command NAME]\n"
    "                             AVPs, of one vendor, or of one command with its groups\n"
    "  tree COMMAND               a command's ABNF with all groups unfolded\n"
    "  check [--add] [FILE...]    faults and remarks of the delivered files, or of those named;\n"
    "                             --add: of those named after the delivered ones\n"
    "  check --message FILE...    hold messages against the dictionaries: records (lines of JSON), captures\n"
    "  export wireshark [--vendor N]\n"
    "                             XML for Wireshark: a dictionary of its own, or the AVPs of one vendor\n"
    "                             as a fragment for Wireshark's Custom.xml\n"
    "  export markdown            the reference page\n"
    "options: --dir DIR           where base.json, rx.json and webrtc.json are\n"
    "         --webrtc-vendor N   enterprise number of the WebRTC AVPs (32473)\n"
    "         --json              show, list and tree as JSON\n"
    "exit status: 0 done, 1 not found or faults, 2 wrong usage or files that cannot be read\n";

static int wrong(const char *fault, const char *what)
{
    fprintf(stderr, "epcscfctl dict: %s%s\nepcscfctl dict --help tells how it is used\n", fault,
            what ? what : "");
    return 2;
}

/* ---- the command line -------------------------------------------------------------------------------- */

static const struct subcommand {
    const char *name;
    int (*run)(const struct ctl_dict_ask *a);
    int min_words, max_words;
    bool takes_vendor, takes_command, takes_json, checks;
} subcommands[] = {
    {.name = "show", .run = ctl_dict_show, .min_words = 1, .max_words = 1, .takes_json = true},
    {.name = "list", .run = ctl_dict_list, .takes_vendor = true, .takes_command = true, .takes_json = true},
    {.name = "tree", .run = ctl_dict_tree, .min_words = 1, .max_words = 1, .takes_json = true},
    {.name = "check", .run = ctl_dict_check, .max_words = 1000, .checks = true},
    {.name = "export", .run = ctl_dict_export, .min_words = 1, .max_words = 1, .takes_vendor = true},
};

static bool take_number(const char *text, uint32_t *out)
{
    uint64_t n;
    if (epc_str_u64(epc_str_c(text), UINT32_MAX, &n))
        return false;
    *out = (uint32_t)n;
    return true;
}

/* One option at argv[*i], with its value. 0, or the exit status. */
static int take_option(struct ctl_dict_ask *a, const struct subcommand *s, int argc, char **argv, int *i)
{
    const char *name = argv[*i], *value = *i + 1 < argc ? argv[*i + 1] : NULL;
    if (strcmp(name, "--json") == 0 && s->takes_json) {
        a->json = true;
        return 0;
    }
    if (s->checks && (strcmp(name, "--add") == 0 || strcmp(name, "--message") == 0)) {
        *(strcmp(name, "--add") == 0 ? &a->add : &a->message) = true;
        return 0;
    }
    bool number = (strcmp(name, "--vendor") == 0 && s->takes_vendor) || strcmp(name, "--webrtc-vendor") == 0;
    bool text = strcmp(name, "--dir") == 0 || (strcmp(name, "--command") == 0 && s->takes_command);
    if (!number && !text)
        return wrong("there is no such option here: ", name);
    if (!value)
        return wrong("a value is missing after ", name);
    (*i)++;
    if (text) {
        *(strcmp(name, "--dir") == 0 ? &a->dir : &a->command) = value;
        return 0;
    }
    uint32_t n;
    if (!take_number(value, &n))
        return wrong("a number is expected, not ", value);
    if (strcmp(name, "--vendor") == 0) {
        a->vendor = n;
        a->has_vendor = true;
    } else
        a->webrtc_vendor = n;
    return 0;
}

static int run(const struct subcommand *s, struct ctl_dict_ask *a)
{
    if (s->checks && !a->message)
        return s->run(a); /* faulty files are what it is about */
    struct epc_buf faults = {0};
    struct epc_dict *d = NULL;
    int rc = 2;
    enum epc_err e = epc_dict_load(&d, a->dir, a->webrtc_vendor, &faults);
    if (e) {
        fprintf(stderr, "epcscfctl dict: the dictionaries cannot be read (--dir says where they are): %s\n%s",
                epc_err_name(e), faults.p ? faults.p : "");
    } else {
        a->dict = d;
        rc = s->run(a);
    }
    epc_buf_free(&faults);
    epc_dict_destroy(d);
    return rc;
}

int ctl_dict(int argc, char **argv)
{
    struct ctl_dict_ask a = {0};
    const struct subcommand *s = NULL;
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
        fputs(help, stdout);
        return 0;
    }
    for (size_t i = 0; argc > 1 && i < EPC_ARRAY_LEN(subcommands); i++)
        if (strcmp(argv[1], subcommands[i].name) == 0)
            s = &subcommands[i];
    if (!s)
        return argc > 1 ? wrong("there is no subcommand ", argv[1]) : wrong("a subcommand is missing", NULL);
    a.word = argv + 2;
    for (int i = 2; i < argc; i++) {
        if (argv[i][0] != '-') {
            a.word[a.n_words++] = argv[i];
            continue;
        }
        int rc = take_option(&a, s, argc, argv, &i);
        if (rc)
            return rc;
    }
    if (a.message && (a.add || !a.n_words))
        return wrong(a.add ? "--add is for dictionaries, not with --message" : "a file is missing after --message", NULL);
    if (a.n_words < s->min_words)
        return wrong("a name is missing after ", s->name);
    if (a.n_words > s->max_words)
        return wrong("one word too many: ", a.word[s->max_words]);
    return run(s, &a);
}
