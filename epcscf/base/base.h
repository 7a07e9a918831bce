/* Door of base/: error codes, slices, growable text, hash table, logging, counters, trace.
 * Used by every room; depends on nothing but libc (and OpenSSL for random octets). */
#ifndef EPC_BASE_H
#define EPC_BASE_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define EPC_MUST_CHECK __attribute__((warn_unused_result))
#define EPC_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define EPC_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define EPC_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/** What a function that can fail returns: 0 or one of the negative codes. */
enum epc_err {
    EPC_OK = 0,
    EPC_EINVAL = -1,    /**< an argument is wrong: a bug of the caller */
    EPC_ENOMEM = -2,    /**< out of memory */
    EPC_EPROTO = -3,    /**< a peer sent what the protocol does not allow */
    EPC_EAUTH = -4,     /**< credentials missing, wrong or expired */
    EPC_EPOLICY = -5,   /**< refused by policy (ours or the PCRF's) */
    EPC_EAGAIN = -6,    /**< not now; nothing was changed, try later */
    EPC_ETIMEDOUT = -7, /**< the peer did not answer in time */
    EPC_ENOENT = -8,    /**< no such object */
    EPC_EIO = -9,       /**< the operating system or a library refused; the log has more */
    EPC_ELIMIT = -10,   /**< a configured or built-in limit was reached */
    EPC_EEXIST = -11,   /**< exists already */
};

/** Short English name of @p e ("out of memory"). Never NULL. Any thread. */
const char *epc_err_name(enum epc_err e);

/** Why a request is refused, so that the SIP answer and the log agree. */
struct epc_cause {
    int sip_status;     /**< 400..699, or 0 when nothing is wrong */
    char reason[128];   /**< for the reason phrase and the log; holds no secret */
    const char *spec;   /**< static text: the clause behind it, e.g. "RFC 8898 2.2"; may be NULL */
    unsigned retry_after_s; /**< Retry-After to send, 0 = none */
    unsigned min_se_s;  /**< Min-SE to send with 422, 0 = none */
    const char *warning; /**< static text: "305 host \"text\"" to send with 488; may be NULL */
    const char *unsupported; /**< static text: option tag to send with 420; may be NULL */
};

/** Fill @p c (NULL allowed: then nothing happens). Any thread. */
void epc_cause_set(struct epc_cause *c, int sip_status, const char *spec, const char *fmt, ...)
    EPC_PRINTF(4, 5);

/* ---- slices: text off the wire is never NUL-terminated ---------------------------------- */

struct epc_str {
    const char *p;
    size_t n;
};
#define EPC_STR(lit) ((struct epc_str){"" lit, sizeof(lit) - 1})
#define EPC_STR_NULL ((struct epc_str){NULL, 0})
/** printf("%.*s", EPC_STR_ARG(s)) */
#define EPC_STR_ARG(s) (int)(s).n, ((s).p ? (s).p : "")

/* Inline, so that the length of a literal is no work. */
/** Borrowed; NULL gives the empty slice. */
static inline struct epc_str epc_str_c(const char *cstr)
{
    return (struct epc_str){cstr, cstr ? strlen(cstr) : 0};
}
static inline bool epc_str_eq(struct epc_str a, struct epc_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
/** ASCII case-insensitive. */
static inline bool epc_str_ieq(struct epc_str a, struct epc_str b)
{
    return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}
static inline bool epc_str_eqc(struct epc_str a, const char *cstr)
{
    return epc_str_eq(a, epc_str_c(cstr));
}
static inline bool epc_str_ieqc(struct epc_str a, const char *cstr)
{
    return epc_str_ieq(a, epc_str_c(cstr));
}
static inline bool epc_str_starts(struct epc_str s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && (n == 0 || memcmp(s.p, prefix, n) == 0);
}
struct epc_str epc_str_trim(struct epc_str s); /**< blanks, tabs, CR and LF off both ends */
/** Cut @p s at the first @p sep: returns the part before, @p s keeps the part after (empty slice
 *  with p == NULL when there was no separator). */
struct epc_str epc_str_cut(struct epc_str *s, char sep);
/** Decimal number, digits only, no sign, at most @p max. EPC_EPROTO when it is not one. */
enum epc_err epc_str_u64(struct epc_str s, uint64_t max, uint64_t *out) EPC_MUST_CHECK;
/** malloc'd NUL-terminated copy (gives); NULL when out of memory. */
char *epc_str_dup(struct epc_str s);

/* ---- growable text ------------------------------------------------------------------------ */

/** Zero-initialise, then append. An append that fails sets `failed`; later ones do nothing, so one
 *  check at the end is enough. `p` is NUL-terminated whenever it is not NULL. */
struct epc_buf {
    char *p;
    size_t n, cap;
    bool failed;
};
void epc_buf_add(struct epc_buf *b, const void *p, size_t n);
void epc_buf_adds(struct epc_buf *b, const char *cstr);
void epc_buf_addu(struct epc_buf *b, uint64_t v); /**< decimal */
void epc_buf_addstr(struct epc_buf *b, struct epc_str s);
void epc_buf_printf(struct epc_buf *b, const char *fmt, ...) EPC_PRINTF(2, 3);
void epc_buf_free(struct epc_buf *b);
/** Gives the text and empties @p b; NULL if an append had failed. Caller frees with free(). */
char *epc_buf_take(struct epc_buf *b, size_t *n);

/* ---- arena: memory that lives and dies together ----------------------------------------------- */

struct epc_arena_chunk;
struct epc_arena { /**< calloc'd, alone or as the first member of a larger struct */
    struct epc_arena_chunk *head;
    struct epc_str text; /**< for the owner: its own copy of what was parsed; slices point into it */
};
/** Zeroed memory for @p n items of @p size octets; NULL when out of memory. n == 0 gives NULL too, so callers
 *  check `n && !p`. One thread at a time. */
void *epc_arena_get(struct epc_arena *a, size_t n, size_t size);
/** To a new arena: so much will probably be asked for. Saves blocks, promises nothing. */
void epc_arena_expect(struct epc_arena *a, size_t octets);
void epc_arena_free(struct epc_arena *a); /**< all of it, and the arena itself; NULL-safe */

/* ---- hash table: intrusive, grows a bucket at a time (no long stall) ------------------------ */

struct epc_hnode {
    struct epc_hnode *next;
    uint64_t hash;
};
/** Must say whether @p node carries @p key. */
typedef bool epc_hash_eq_fn(const struct epc_hnode *node, const void *key);

struct epc_hash {
    struct epc_hnode ***slot; /**< in segments, so that growth never copies or clears a large table; NULL: not made */
    size_t room;              /**< for segments */
    size_t n_slots, n_items; /**< n_items may be read by anyone on the owning thread */
    size_t split;            /**< linear hashing: next bucket to split */
    size_t base;             /**< bucket count at the start of this round */
    epc_hash_eq_fn *eq;
};
enum epc_err epc_hash_init(struct epc_hash *h, epc_hash_eq_fn *eq) EPC_MUST_CHECK;
void epc_hash_free(struct epc_hash *h); /**< the table only, never the items */
uint64_t epc_hash_bytes(const void *p, size_t n); /**< seeded per process: peers cannot aim */
uint64_t epc_hash_u64(uint64_t v);
/** Insert; @p node is borrowed until removed. Never fails: growth is skipped when out of memory. */
void epc_hash_add(struct epc_hash *h, struct epc_hnode *node, uint64_t hash);
struct epc_hnode *epc_hash_find(const struct epc_hash *h, uint64_t hash, const void *key);
void epc_hash_del(struct epc_hash *h, struct epc_hnode *node); /**< must be in the table */
/** Calls @p fn for each item; @p fn may remove the item that it is given, and no other. */
void epc_hash_each(struct epc_hash *h, void (*fn)(struct epc_hnode *node, void *arg), void *arg);

/* ---- time and random ------------------------------------------------------------------------ */

uint64_t epc_now_ms(void);     /**< monotonic, ms */
uint64_t epc_wall_s(void);     /**< seconds since 1970 (tokens, logs) */
/** Cryptographic random octets. Ends the process if the system has none (never from peer input). */
void epc_random(void *p, size_t n);
/** Writes 2*n lower-case hex digits and a NUL: @p out holds 2*n+1. */
void epc_random_hex(char *out, size_t n);

/* ---- log ------------------------------------------------------------------------------------ */

enum epc_log_level { EPC_LOG_ERROR, EPC_LOG_WARN, EPC_LOG_INFO, EPC_LOG_DEBUG };

/** True when a line of that level would be written. */
bool epc_log_on(enum epc_log_level level);
/** One line: time, level, area, shard, then the text as `key=value` pairs. Any thread; never
 *  blocks longer than one write(2). Rules: no token, password, key or Authorization value; a public
 *  identity only through epc_log_id(). @p area: the room's name. */
void epc_log(enum epc_log_level level, const char *area, const char *fmt, ...) EPC_PRINTF(3, 4);
void epc_logv(enum epc_log_level level, const char *area, const char *fmt, va_list ap)
    EPC_PRINTF(3, 0);
/** What a line shows is only worked out when it is written. */
#define epc_log(level, ...) (epc_log_on(level) ? epc_log(level, __VA_ARGS__) : (void)0)
/** Set threshold and sink (a file descriptor, not owned). At start-up and from the control socket. */
void epc_log_setup(enum epc_log_level level, int fd);
/** Label of the calling thread in log lines ("shard0"); copied, at most 15 octets. */
void epc_log_thread(const char *label);
/** A short keyed hash of an identity ("u:3f9a1c20"), the same all through one process's log.
 *  @param out at least EPC_LOG_ID_LEN. Returns @p out. With log.identities = true, the plain text. */
#define EPC_LOG_ID_LEN 96
const char *epc_log_id(struct epc_str identity, char out[EPC_LOG_ID_LEN]);
void epc_log_plain_ids(bool plain);

/* ---- counters ------------------------------------------------------------------------------- */

/** Every counter and gauge of the product, in one table: name, unit, help (counters.def). */
enum epc_counter {
#define EPC_COUNTER(id, kind, name, help) EPC_C_##id,
#include "base/counters.def"
#undef EPC_COUNTER
    EPC_C_COUNT
};
enum epc_counter_kind { EPC_KIND_COUNTER, EPC_KIND_GAUGE };
struct epc_counter_info {
    const char *name; /**< OpenMetrics name without prefix "epcscf_" and suffix "_total" */
    enum epc_counter_kind kind;
    const char *help;
};
const struct epc_counter_info *epc_counter_info(enum epc_counter c);
/** Add @p n (negative for gauges) to the calling thread's cell. Wait-free. Any thread. */
void epc_count_add(enum epc_counter c, int64_t n);
static inline void epc_count(enum epc_counter c)
{
    epc_count_add(c, 1);
}
/** Sum over all threads that ever counted. Any thread. */
int64_t epc_counter_read(enum epc_counter c);

/* ---- trace: what crossed a reference point, for ladders and for support ---------------------- */

enum epc_trace_point { EPC_TRACE_GM, EPC_TRACE_MW, EPC_TRACE_RX, EPC_TRACE_IQ };

/** Record one message as a line of JSON {t_us, point, dir, shard, peer, key, text}. Does nothing
 *  when tracing is off. Secrets are masked here, whatever the caller passes: values of
 *  Authorization, Proxy-Authorization, a=ice-pwd, a=crypto, and JSON members "ice-pwd".
 *  @param out true: we sent it. @param peer address or peer name, may be NULL.
 *  @param key Call-ID or Session-Id that ties the lines of one call together, may be NULL.
 *  Any thread. */
void epc_trace(enum epc_trace_point point, bool out, const char *peer, const char *key,
               const char *text, size_t n);
bool epc_trace_on(void);
/** @p fd borrowed; -1 turns tracing off. */
void epc_trace_setup(int fd);
/** The masking of epc_trace(), for any other place that shows messages to people.
 *  Appends the masked text to @p out. */
void epc_mask_secrets(struct epc_buf *out, const char *text, size_t n);

/* ---- addresses ------------------------------------------------------------------------------ */

struct epc_addr {
    struct sockaddr_storage ss;
    socklen_t len;
};
/** @p host a literal IPv4 or IPv6 address (no DNS). EPC_EPROTO if it is none. */
enum epc_err epc_addr_parse(struct epc_addr *a, const char *host, uint16_t port) EPC_MUST_CHECK;
uint16_t epc_addr_port(const struct epc_addr *a);
/** Address without port; @p out at least EPC_ADDR_LEN; returns @p out. */
#define EPC_ADDR_LEN 64
const char *epc_addr_ip(const struct epc_addr *a, char out[EPC_ADDR_LEN]);
/** "1.2.3.4:5060" or "[::1]:5060". */
const char *epc_addr_text(const struct epc_addr *a, char out[EPC_ADDR_LEN]);
bool epc_addr_same_ip(const struct epc_addr *a, const struct epc_addr *b);

/* ---- identities (TS 23.003 13) --------------------------------------------------------------- */

/** Canonical form of a public identity for comparisons: `sip:user@host` (host lower case, no
 *  parameters, no port) or `tel:+digits`. malloc'd (gives); NULL if it is neither. */
char *epc_canonical_impu(struct epc_str uri);
/** A private identity user@realm with the realm in lower case. malloc'd (gives); NULL if it is none, or
 *  holds what could not stand in a quoted string. */
char *epc_canonical_impi(struct epc_str impi);

#endif
