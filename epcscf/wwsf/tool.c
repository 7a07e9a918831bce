/* epcscf --config FILE --wwsf COMMAND...: users, pool and keys from the command line. Works beside a running
 * epcscf, which sees changes at once, or within seconds for keys. */
#include "wwsf/wwsf_priv.h"

#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { OK = 0, REFUSED = 1, NOT_UNDERSTOOD = 64, ARGS_MAX = 24, PASSWORD_MAX = 512 };

static const char help[] =
    "epcscf --config FILE --wwsf COMMAND..., on wwsf.database:\n"
    "  user list\n"
    "  user add NAME [impi=USER@REALM impu=URI...] [display=TEXT]\n"
    "                     reads the password from standard input; without impi and impu the user\n"
    "                     borrows an identity of the pool at each log-in\n"
    "  user passwd NAME   reads the new password from standard input; ends the user's log-ins\n"
    "  user remove NAME\n"
    "  user import FILE   a JSON file as wwsf.users_file\n"
    "  pool list\n"
    "  pool add IMPI IMPU\n"
    "  pool remove IMPI   whoever has it keeps it until the lease ends\n"
    "  pool import FILE   IMPI and IMPU on each line, as in wwsf.pool_file\n"
    "  key list\n"
    "  key rotate         make a key, which takes over wwsf.key_publish_s after it was published\n"
    "  key withdraw KID   refuse tokens of that key from now on\n";

struct tool {
    const struct epc_cfg_wwsf *cfg;
    struct epc_store *s;
    const char *const *arg; /* after the two words of the command */
    size_t n;
    const char *what;       /* the two words */
};

/* Fault, place, remedy. */
static int say(const struct tool *t, const char *about, const char *why, const char *remedy)
{
    fprintf(stderr, "epcscf --wwsf %s%s%s: %s; %s\n", t->what, *about ? " " : "", about, why, remedy);
    return REFUSED;
}

static int outcome(const struct tool *t, enum epc_err err, const char *about)
{
    switch (err) {
    case EPC_OK:
        return OK;
    case EPC_ENOENT:
        return say(t, about, "there is none of that name", "see the names with `user list`, `pool list` or `key list`");
    case EPC_EEXIST:
        return say(t, about, "the name or an identity is in use, by a user or by the pool",
                   "see them with `user list` and `pool list`, and remove the other one first");
    case EPC_EAGAIN:
        return say(t, about, "the database stayed locked by another process", "try again");
    case EPC_EPOLICY:
        return say(t, about, "no other key could sign tokens", "make one with `key rotate` and wait until it signs");
    default:
        return say(t, about, epc_err_name(err), "the line above has the reason");
    }
}

/* ---- passwords ---------------------------------------------------------------------------------- */

/* One line of standard input, without showing it. */
static bool read_line(char *line, size_t size)
{
    struct termios before, quiet;
    bool tty = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
    if (tty) {
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        fputs("Password: ", stderr);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    bool got = fgets(line, (int)size, stdin) != NULL;
    if (tty) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    return got;
}

/* @return gives; NULL: said */
static char *read_hash(const struct tool *t, const char *name)
{
    char line[PASSWORD_MAX + 2];
    char *hash = NULL;
    if (!read_line(line, sizeof line) || line[0] == '\n' || line[0] == '\r') {
        say(t, name, "no password on standard input", "type it, or give it as one line: echo ... | epcscf ...");
        return NULL;
    }
    size_t n = strcspn(line, "\r\n");
    if (!line[n] && n > PASSWORD_MAX) {
        say(t, name, "the password is too long", "use at most 512 octets");
    } else {
        line[n] = 0;
        hash = epc_wwsf_hash_password(line);
        if (!hash)
            say(t, name, "the password could not be hashed: out of memory", "try again with more memory");
    }
    explicit_bzero(line, sizeof line);
    return hash;
}

/* ---- users -------------------------------------------------------------------------------------- */

static int user_list(struct tool *t)
{
    struct epc_sql q;
    enum epc_err err = epc_sql_open(&q, t->s,
        "SELECT name, source, coalesce(impi, '(pool)'), coalesce((SELECT group_concat(impu, ' ') FROM"
        " (SELECT impu FROM user_impus WHERE user = users.id ORDER BY place)), '') FROM users ORDER BY name", "");
    while (err == EPC_OK && epc_sql_row(&q))
        printf("%s\t%s\t%s\t%s\n", epc_sql_text(&q, 0), epc_sql_text(&q, 1), epc_sql_text(&q, 2),
               epc_sql_text(&q, 3));
    return outcome(t, epc_sql_close(&q), "");
}

static const char *read_options(struct tool *t, struct epc_user *u, char *impus[ARGS_MAX])
{
    for (size_t i = 1; i < t->n; i++) {
        const char *a = t->arg[i];
        char **slot = strncmp(a, "impi=", 5) == 0 ? &u->impi
                      : strncmp(a, "display=", 8) == 0 ? &u->display_name
                      : strncmp(a, "impu=", 5) == 0 ? &impus[u->n_impus++] : NULL;
        if (!slot)
            return a;
        free(*slot);
        *slot = strdup(strchr(a, '=') + 1);
    }
    return NULL;
}

static int add(const struct tool *t, struct epc_user *u)
{
    u->name = strdup(t->arg[0]);
    u->hash = read_hash(t, t->arg[0]);
    if (!u->hash)
        return REFUSED;
    const char *why = epc_user_fault(u);
    if (why)
        return say(t, t->arg[0], why, "see `--wwsf help`");
    return outcome(t, epc_store_add_user(t->s, u, "tool", epc_wall_s()), t->arg[0]);
}

static int user_add(struct tool *t)
{
    char *impus[ARGS_MAX] = {NULL};
    struct epc_user u = {.impus = impus};
    const char *unknown = read_options(t, &u, impus);
    int status = unknown ? say(t, unknown, "is no option", "write impi=..., impu=... or display=...") : add(t, &u);
    for (size_t i = 0; i < u.n_impus; i++)
        free(impus[i]);
    u.impus = NULL;
    u.n_impus = 0;
    epc_user_clear(&u);
    return status;
}

static int user_passwd(struct tool *t)
{
    char *hash = read_hash(t, t->arg[0]);
    if (!hash)
        return REFUSED;
    int status = outcome(t, epc_store_set_password(t->s, t->arg[0], hash, epc_wall_s()), t->arg[0]);
    free(hash);
    return status;
}

static int user_remove(struct tool *t)
{
    return outcome(t, epc_store_remove_user(t->s, t->arg[0]), t->arg[0]);
}

static int report(const struct tool *t, enum epc_err err, size_t added, size_t there)
{
    if (err != EPC_OK)
        return outcome(t, err, t->arg[0]);
    printf("%zu added, %zu left out because the name or an identity is in use\n", added, there);
    return OK;
}

static int user_import(struct tool *t)
{
    struct epc_users *list = NULL;
    size_t added = 0, there = 0;
    enum epc_err err = epc_users_load(&list, t->arg[0]);
    for (size_t i = 0; err == EPC_OK && i < list->n; i++) {
        err = epc_store_add_user(t->s, &list->v[i], "tool", epc_wall_s());
        *(err == EPC_OK ? &added : &there) += err == EPC_OK || err == EPC_EEXIST;
        if (err == EPC_EEXIST)
            err = EPC_OK;
    }
    epc_users_free(list);
    return report(t, err, added, there);
}

/* ---- pool --------------------------------------------------------------------------------------- */

static int pool_list(struct tool *t)
{
    struct epc_sql q;
    int64_t now = (int64_t)epc_wall_s();
    enum epc_err err = epc_sql_open(&q, t->s,
        "SELECT p.impi, p.impu, p.source, CASE WHEN a.id IS NOT NULL THEN 'lent until ' || datetime(a.lease_end_s,"
        " 'unixepoch') || 'Z' WHEN p.retired THEN 'removed' WHEN p.free_from_s > ?1 THEN 'rests until ' ||"
        " datetime(p.free_from_s, 'unixepoch') || 'Z' ELSE 'free' END FROM pool p LEFT JOIN assignments a"
        " ON a.impi = p.impi AND a.ended_s IS NULL AND a.lease_end_s > ?1 ORDER BY p.impi", "i", now);
    while (err == EPC_OK && epc_sql_row(&q))
        printf("%s\t%s\t%s\t%s\n", epc_sql_text(&q, 0), epc_sql_text(&q, 1), epc_sql_text(&q, 2),
               epc_sql_text(&q, 3));
    return outcome(t, epc_sql_close(&q), "");
}

static int pool_add(struct tool *t)
{
    if (!epc_user_impi_ok(t->arg[0]))
        return say(t, t->arg[0], "is no IMPI", "write user@realm");
    if (!epc_user_impu_ok(t->arg[1]))
        return say(t, t->arg[1], "is no IMPU", "write sip:user@domain or tel:number");
    return outcome(t, epc_store_add_pool(t->s, t->arg[0], t->arg[1], "tool"), t->arg[0]);
}

static int pool_remove(struct tool *t)
{
    return outcome(t, epc_store_remove_pool(t->s, t->arg[0]), t->arg[0]);
}

static int pool_import(struct tool *t)
{
    struct epc_users *list = NULL;
    size_t added = 0, there = 0;
    enum epc_err err = epc_users_load_pool(&list, t->arg[0]);
    for (size_t i = 0; err == EPC_OK && i < list->n; i++) {
        err = epc_store_add_pool(t->s, list->v[i].impi, list->v[i].impus[0], "tool");
        *(err == EPC_OK ? &added : &there) += err == EPC_OK || err == EPC_EEXIST;
        if (err == EPC_EEXIST)
            err = EPC_OK;
    }
    epc_users_free(list);
    return report(t, err, added, there);
}

/* ---- keys --------------------------------------------------------------------------------------- */

static int key_list(struct tool *t)
{
    struct epc_sql q;
    int64_t now = (int64_t)epc_wall_s();
    enum epc_err err = epc_sql_open(&q, t->s,
        "SELECT kid, datetime(made_s, 'unixepoch') || 'Z', CASE WHEN pem IS NULL THEN 'withdrawn'"
        " WHEN signs_from_s IS NULL THEN 'not yet published' WHEN signs_from_s > ?1 THEN 'published, signs from '"
        " || datetime(signs_from_s, 'unixepoch') || 'Z' WHEN signs_from_s = (SELECT max(signs_from_s) FROM keys"
        " WHERE pem IS NOT NULL AND signs_from_s <= ?1) THEN 'signs' ELSE 'verifies older tokens' END"
        " FROM keys ORDER BY made_s, rowid", "i", now);
    while (err == EPC_OK && epc_sql_row(&q))
        printf("%s\t%s\t%s\n", epc_sql_text(&q, 0), epc_sql_text(&q, 1), epc_sql_text(&q, 2));
    return outcome(t, epc_sql_close(&q), "");
}

static int key_rotate(struct tool *t)
{
    struct epc_ring_times times = epc_ring_times(t->cfg, epc_wall_s());
    return outcome(t, epc_ring_rotate(t->s, &times), "");
}

static int key_withdraw(struct tool *t)
{
    return outcome(t, epc_ring_withdraw(t->s, t->arg[0], epc_wall_s()), t->arg[0]);
}

/* ---- commands ----------------------------------------------------------------------------------- */

static const struct command {
    const char *words;
    size_t least, most; /* arguments */
    int (*run)(struct tool *t);
} commands[] = {
    {"user list", 0, 0, user_list},         {"user add", 1, ARGS_MAX, user_add},
    {"user passwd", 1, 1, user_passwd},     {"user remove", 1, 1, user_remove},
    {"user import", 1, 1, user_import},     {"pool list", 0, 0, pool_list},
    {"pool add", 2, 2, pool_add},           {"pool remove", 1, 1, pool_remove},
    {"pool import", 1, 1, pool_import},     {"key list", 0, 0, key_list},
    {"key rotate", 0, 0, key_rotate},       {"key withdraw", 1, 1, key_withdraw},
};

static const struct command *find(const char *const *argv, size_t argc)
{
    char words[64];
    if (argc < 2)
        return NULL;
    snprintf(words, sizeof words, "%s %s", argv[0], argv[1]);
    for (size_t i = 0; i < EPC_ARRAY_LEN(commands); i++)
        if (strcmp(words, commands[i].words) == 0 && argc - 2 >= commands[i].least && argc - 2 <= commands[i].most)
            return &commands[i];
    return NULL;
}

int epc_wwsf_tool(const struct epc_cfg_wwsf *cfg, const char *const *argv, size_t argc)
{
    const struct command *c = find(argv, argc);
    if (argc == 1 && strcmp(argv[0], "help") == 0)
        return fputs(help, stdout) < 0;
    if (!c) {
        fprintf(stderr, "epcscf --wwsf: no such command, or a wrong number of words\n%s", help);
        return NOT_UNDERSTOOD;
    }
    struct tool t = {.cfg = cfg, .arg = argv + 2, .n = argc - 2, .what = c->words};
    if (!cfg->database)
        return say(&t, "", "the configuration names no database", "set wwsf.database, or wwsf.jwks_file beside which it is made");
    enum epc_err err = epc_store_open(&t.s, cfg->database);
    if (err != EPC_OK)
        return outcome(&t, err, cfg->database);
    int status = c->run(&t);
    epc_store_close(t.s);
    return status;
}
