/* Inside config/: the schema table and the loader that walks a YAML document along it.
 *
 *   yaml.c       text -> document -> keys, each with its line
 *   schema.c     the table: every key, its type, range, default, help and place in the struct
 *   value.c      one scalar or list -> the struct, by type; uri.c: the forms with a grammar
 *   relations.c  what several keys say together, and defaults that follow from other keys
 *   pools.c      the identities of all pools in one index
 *   files.c      does what a path names exist?
 *   faults.c     collects what is wrong, sorted by line
 *   reference.c  the table as Markdown */
#ifndef EPC_CONFIG_PRIV_H
#define EPC_CONFIG_PRIV_H

#include <yaml.h>

#include "config/config.h"

enum {
    CFG_MAX_OCTETS = 1 << 20,
    CFG_MAX_NODES = 50000,  /* visits: aliases may make a small file big */
    CFG_MAX_FAULTS = 100,
    CFG_MAX_KEYS = 240,     /* of the main table */
    CFG_MAX_ITEM_KEYS = 24, /* of a table for list elements */
};

/* ---- schema --------------------------------------------------------------------------------- */

enum cfg_type {
    CFG_BOOL,
    CFG_U32,
    CFG_PORT,       /* uint16_t, 1..65535 */
    CFG_ENUM,       /* int-sized enum by `names` */
    CFG_STRING,     /* char *: any text without control characters */
    CFG_CHOICE,     /* char *: one of `names` */
    CFG_TOKEN,      /* char *: RFC 3261 token */
    CFG_HOST,       /* char *: name or literal address */
    CFG_IP,         /* char *: literal address */
    CFG_ORIGIN,     /* char *: RFC 6454 serialised origin, made canonical */
    CFG_HTTPS_ORIGIN,
    CFG_HTTPS_URI,
    CFG_HTTP_URL,   /* https, or http to a loopback literal */
    CFG_WSS_URL,
    CFG_SIP_URI,    /* char *: sip: URI with a literal address */
    CFG_PLMN,
    CFG_H248_LISTEN, /* char *: tcp: or udp:, then address and port */
    CFG_PATH,       /* char *: path part of a URL */
    CFG_FILE_READ,  /* char *: must be there and readable */
    CFG_FILE_MADE,  /* char *: read if it is there, else its folder must be */
    CFG_FILE_WRITE, /* char *: its folder must be there */
    CFG_DIR,        /* char *: a folder that must be there */
    CFG_SOCKET,     /* char *: path that fits a Unix socket address */
    CFG_ADDR,       /* struct epc_addr: address:port */
    CFG_MODES,      /* unsigned: list of `names`, or-ed */
    CFG_ADDRS,      /* list of CFG_ADDR */
    CFG_LIST,       /* list of strings, each of type `elem` */
    CFG_MAPS,       /* list of maps, see `items` */
};

/* When a key must be given. */
enum cfg_need { CFG_NEED_NOT, CFG_NEED_ALWAYS, CFG_NEED_TOKENS, CFG_NEED_POLICY, CFG_NEED_WWSF };

struct cfg_key {
    const char *path;
    enum cfg_type type, elem;
    enum cfg_need need;
    size_t at, count_at;       /* offsetof the value and, for lists, of its count */
    uint32_t min, max;         /* CFG_U32 */
    const char *unit;
    const char *def;           /* as one would write it; lists: words with blanks between */
    const char *def_note;      /* where the default is not a fixed text */
    const char *const *names;  /* CFG_ENUM, CFG_CHOICE, CFG_MODES: NULL-terminated */
    const int *values;         /* for names; NULL: 0, 1, 2 ... */
    const struct cfg_table *items;
    const char *help;
};

struct cfg_table {
    const struct cfg_key *keys;
    size_t n_keys, size;       /* size of the struct that it fills */
};
extern const struct cfg_table cfg_main_table;
const struct cfg_key *cfg_find(const struct cfg_table *t, const char *path, size_t *index);
const char *cfg_need_text(enum cfg_need need);
/* Is the value (or each element) a path in the file system? */
bool cfg_is_file(enum cfg_type t);

/* ---- one run of the loader -------------------------------------------------------------------- */

struct cfg_fault {
    size_t line, order;
    char *text;
};

/* Where the keys of one list element stand; 0: not given. */
struct cfg_item {
    const struct cfg_key *list;
    size_t index, line;
    size_t key_line[CFG_MAX_ITEM_KEYS];
    bool key_bad[CFG_MAX_ITEM_KEYS];
};

struct cfg_loader {
    const char *file;
    char *dir;                 /* of the file: relative paths start here; "" = none */
    bool check_files;
    struct epc_config *cfg;
    yaml_document_t *doc;
    size_t visits;
    bool no_memory;
    size_t key_line[CFG_MAX_KEYS];
    bool key_bad[CFG_MAX_KEYS];
    struct { char path[64]; size_t line; } section[32]; /* for the line of what is missing */
    size_t n_sections;
    struct cfg_item *items;
    size_t n_items, cap_items;
    struct cfg_fault *faults;
    size_t n_faults, cap_faults;
    size_t more_faults;
};

/** Load from memory. @p file names the text in faults, and its folder is where relative paths start.
 *  @param check_files false: do not look into the file system (fuzzing, tests) */
enum epc_err epc_config_load_text(const struct epc_config **out, const char *file, const char *text,
                                  size_t n, bool check_files,
                                  void (*report)(void *arg, const char *line), void *arg)
    EPC_MUST_CHECK;

/* faults.c; @p fmt: "what is wrong; what to do" */
void cfg_fault(struct cfg_loader *ld, size_t line, const char *key, const char *fmt, ...)
    EPC_PRINTF(4, 5);
void cfg_faults_report(struct cfg_loader *ld, void (*report)(void *arg, const char *line), void *arg);
/* The value as it may stand in a fault: printable, at most some 60 characters. */
#define CFG_SHOWN_LEN 80
const char *cfg_shown(const char *text, char out[CFG_SHOWN_LEN]);

/* yaml.c */
enum epc_err cfg_read_yaml(struct cfg_loader *ld, const char *text, size_t n);
size_t cfg_line(const yaml_node_t *n);
const yaml_node_t *cfg_node(struct cfg_loader *ld, int id); /* NULL once the visits are used up */

/* value.c: false when a fault was reported; @p base: the struct that the key's table fills */
bool cfg_set_node(struct cfg_loader *ld, const struct cfg_key *k, const char *shown_path, char *base,
                  const yaml_node_t *n);
void cfg_set_default(struct cfg_loader *ld, const struct cfg_key *k, char *base);
void cfg_clear(const struct cfg_table *t, char *base);
/* Replaces the string at @p slot. */
void cfg_put_string(struct cfg_loader *ld, char **slot, const char *text);
size_t cfg_get_count(const struct cfg_key *k, const char *base);
char *cfg_get_ptr(const struct cfg_key *k, const char *base);

/* uri.c: NULL when @p text is well-formed, else what is wrong and what to do. */
const char *cfg_check_text(enum cfg_type t, const char *text);
/* Canonical origin (gives) of a checked one: lower case, no default port. */
char *cfg_canonical_origin(const char *text);
/* Literal address of a checked sip: URI. */
bool cfg_sip_uri_addr(const char *text, struct epc_addr *a);

/* relations.c */
void cfg_derive(struct cfg_loader *ld);
void cfg_check_needs(struct cfg_loader *ld);
void cfg_check_relations(struct cfg_loader *ld);
void cfg_check_policy(struct cfg_loader *ld); /* policy.c */
void cfg_check_iq(struct cfg_loader *ld);     /* iq.c */
void cfg_derive_h248(struct cfg_loader *ld);  /* h248.c */
void cfg_check_h248(struct cfg_loader *ld);
void cfg_check_calls(struct cfg_loader *ld);
/** Where a key stands, or its section, or line 1. */
size_t cfg_line_of(const struct cfg_loader *ld, const char *path);
/** Line of element @p i of a list, or of its @p key when that is given. */
size_t cfg_item_line(const struct cfg_loader *ld, const char *list, size_t i, const char *key);
/* Also makes the index of the pools. After cfg_check_files(). */
void cfg_check_pools(struct cfg_loader *ld);

/* files.c */
void cfg_check_files(struct cfg_loader *ld);

#endif
