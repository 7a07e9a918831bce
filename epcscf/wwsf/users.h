/* Private to wwsf/: passwords, and users as they stand in files. No network, no database. */
#ifndef EPC_WWSF_USERS_H
#define EPC_WWSF_USERS_H

#include "base/base.h"

#include <sys/stat.h>

/* ---- password.c ---------------------------------------------------------------------------------- */

enum { EPC_SALT_OCTETS = 16, EPC_HASH_OCTETS = 32 };
struct epc_password {
    uint64_t n, r, p; /* scrypt's cost, RFC 7914 2 */
    unsigned char salt[EPC_SALT_OCTETS], hash[EPC_HASH_OCTETS];
};
/** "scrypt$N$r$p$salt$hash". @return EPC_OK, EPC_EPROTO (not one, or costs out of bounds) */
enum epc_err epc_password_parse(struct epc_password *out, const char *text) EPC_MUST_CHECK;
bool epc_password_is(const struct epc_password *p, struct epc_str password); /**< slow on purpose */
/** Nobody's: costs as much as a new one, and no password is right. */
struct epc_password epc_password_stand_in(void);

/* ---- users.c ------------------------------------------------------------------------------------- */

struct epc_user {
    struct epc_hnode node;
    char *name;
    char *impi;         /* NULL in a file or with the tool: takes one of the pool */
    char *display_name; /* NULL: none */
    char *hash;         /* password: "scrypt$..." */
    char **impus;
    size_t n_impus;
    bool pool, guest;   /* impi is lent; nobody knows whom to */
};
struct epc_users {
    struct epc_hash by_name;
    struct epc_user *v;
    size_t n;
    struct stat seen; /* of the file that was read */
};
void epc_user_clear(struct epc_user *u); /**< frees what it holds */
/** NULL when @p u may be added, else what is wrong and what to do. */
const char *epc_user_fault(const struct epc_user *u);
bool epc_user_impi_ok(const char *impi);
bool epc_user_impu_ok(const char *impu);

/** @return EPC_OK, EPC_EIO (cannot read), EPC_EPROTO (a fault), EPC_ENOMEM; logged with the place */
enum epc_err epc_users_load(struct epc_users **out, const char *file) EPC_MUST_CHECK;
/** The same for a file of the pool: users with one IMPU, whose name is the IMPI. */
enum epc_err epc_users_load_pool(struct epc_users **out, const char *file) EPC_MUST_CHECK;
bool epc_users_file_changed(const char *file, const struct stat *seen, struct stat *now);
void epc_users_free(struct epc_users *u); /**< NULL-safe */
const struct epc_user *epc_users_find(const struct epc_users *u, struct epc_str name);

#endif
