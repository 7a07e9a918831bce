/* Door of shard/: one thread with one libuv loop, one libwebsockets context on that loop, timers, a
 * mailbox, and a *turn* between the loop's waits, at whose end what was batched leaves and what was doomed
 * is deleted.
 *
 * Everything here but epc_shard_post(), epc_shard_start(), epc_shard_stop() and
 * epc_shard_destroy() is for the shard's own thread; debug builds assert it. */
#ifndef EPC_SHARD_H
#define EPC_SHARD_H

#include "base/base.h"

struct epc_shard;
struct uv_loop_s;
struct lws_context;
struct lws_vhost;

struct epc_shard_opts {
    unsigned index;            /**< 0.. ; unique in the process */
    const char *label;         /**< for logs and the thread name, e.g. "shard0" (copied) */
    unsigned max_connections;  /**< connections planned, to warn when RLIMIT_NOFILE is lower;
                                    0 = unknown */
    unsigned mailbox_max;      /**< messages that may wait; 0 = 65536 */
};

/** What runs on a shard's thread: once after start (@p sh is ready), or for each message. */
typedef void epc_shard_fn(struct epc_shard *sh, void *arg);

/** Make the shard's loops and its lws context. No thread yet. Call for one shard after the other
 *  (lws races in its initialisation), and for all of them before the first is started (each new lws
 *  context changes process-wide OpenSSL indices of the earlier ones). Main thread.
 *  @param[out] out gives; untouched on error.
 *  @return EPC_OK, EPC_EINVAL, EPC_ENOMEM, EPC_EIO (a library refused; logged) */
enum epc_err epc_shard_create(struct epc_shard **out, const struct epc_shard_opts *o) EPC_MUST_CHECK;
/** Start the thread; @p on_start runs first on it; returns when on_start has returned.
 *  @return EPC_OK, EPC_EIO */
enum epc_err epc_shard_start(struct epc_shard *sh, epc_shard_fn *on_start, void *arg) EPC_MUST_CHECK;
/** Ask the thread to end; waits for it. On the thread, in this order: the mailbox closes and what it
 *  holds is run; @p on_stop; the loops go on for as long as a room holds the shard (epc_shard_hold),
 *  at most 2 s; lws and libuv end. Idempotent. */
void epc_shard_stop(struct epc_shard *sh, epc_shard_fn *on_stop, void *arg);
void epc_shard_destroy(struct epc_shard *sh); /**< after stop; NULL-safe */

unsigned epc_shard_index(const struct epc_shard *sh);
bool epc_shard_is_owner(const struct epc_shard *sh); /**< is this the shard's thread? Any thread. */
#ifdef EPC_DEBUG
void epc_shard_assert_owner(const struct epc_shard *sh);
#define EPC_ASSERT_OWNER(sh) epc_shard_assert_owner(sh)
#else
#define EPC_ASSERT_OWNER(sh) ((void)(sh))
#endif

/** Run @p fn(sh, arg) on the shard's thread, later. Never blocks. **Any thread.** Messages of one
 *  poster arrive in order. @p arg belongs to @p fn only if EPC_OK is returned.
 *  @return EPC_OK, EPC_ELIMIT (mailbox full), EPC_ENOENT (shard stopping) */
enum epc_err epc_shard_post(struct epc_shard *sh, epc_shard_fn *fn, void *arg) EPC_MUST_CHECK;

/** Destroy @p obj with @p fn at the end of this loop turn, so that an object may end inside its own
 *  callback. Never fails in a way the caller must handle. */
void epc_shard_doom(struct epc_shard *sh, void (*fn)(void *obj), void *obj);

/** A room that has to finish something after on_stop (close frames, last requests) holds the shard
 *  and releases it when done. */
void epc_shard_hold(struct epc_shard *sh);
void epc_shard_release(struct epc_shard *sh);

struct uv_loop_s *epc_shard_uv(struct epc_shard *sh);
struct lws_context *epc_shard_lws(struct epc_shard *sh);
/** From an lws callback: the shard that this context belongs to. */
struct epc_shard *epc_shard_from_lws(struct lws_context *ctx);

/** More is ready than the loop has looked at in this turn. */
bool epc_shard_behind(const struct epc_shard *sh);
/** When the loop last had everything before it that was there to do (on the clock of epc_now_ms()): what is
 *  being done now may have waited since then. */
uint64_t epc_shard_looked_ms(struct epc_shard *sh);

/** Open a listener of this shard's own with SO_REUSEPORT on @p addr and hand each accepted socket
 *  (non-blocking, TCP_NODELAY) to @p vhost. Several shards may listen on one address: the kernel
 *  spreads connections. Closed by epc_shard_stop().
 *  @param accept_fn may refuse a connection (return false: the socket is closed); may be NULL.
 *  @return EPC_OK, EPC_EIO (logged with address and errno text) */
enum epc_err epc_shard_listen(struct epc_shard *sh, const struct epc_addr *addr,
                              struct lws_vhost *vhost,
                              bool (*accept_fn)(void *arg, const struct epc_addr *peer),
                              void *arg) EPC_MUST_CHECK;
/** Close the listeners of @p vhost (before it is destroyed).
 *
 *  lws chooses between the vhosts of one context by Host and SNI, not by listener. So a shard takes
 *  at most one TLS vhost (info.port = CONTEXT_PORT_NO_LISTEN_SERVER) and one plain one
 *  (info.port = CONTEXT_PORT_NO_LISTEN): only then do connections never cross over. */
void epc_shard_unlisten(struct epc_shard *sh, struct lws_vhost *vhost);

/** The same, without lws: @p accepted takes each socket (non-blocking, TCP_NODELAY) and closes it. */
typedef void epc_accepted_fn(void *arg, int fd, const struct epc_addr *peer);
enum epc_err epc_shard_listen_fd(struct epc_shard *sh, const struct epc_addr *addr, epc_accepted_fn *accepted,
                                 void *arg) EPC_MUST_CHECK;
void epc_shard_unlisten_fd(struct epc_shard *sh, void *arg); /**< all that were opened with @p arg */

/* ---- work that may block ------------------------------------------------------------------------- */

struct epc_work;
struct epc_work_fns {
    void (*run)(void *job);     /**< on a thread of its own */
    void (*done)(void *job);    /**< on the shard's, unless cancelled */
    void (*discard)(void *job); /**< last of all, on any thread */
};
/** Slow work (files, name look-ups) that must not hold up the shard; called on its thread.
 *  @param job takes, on EPC_OK. @param[out] out valid until done() or epc_work_cancel().
 *  @return EPC_OK, EPC_ENOMEM, EPC_EIO (no thread to be had) */
enum epc_err epc_work_start(struct epc_work **out, struct epc_shard *sh,
                            const struct epc_work_fns *fns, void *job) EPC_MUST_CHECK;
void epc_work_cancel(struct epc_work *w); /**< done() will not run; NULL-safe */

/* ---- file descriptors ------------------------------------------------------------------------- */

enum { EPC_WATCH_IN = 1, EPC_WATCH_OUT = 2, EPC_WATCH_ERR = 4 };
typedef void epc_watch_fn(void *arg, unsigned events);
/** Embedded in its owner, which sets @p fd (non-blocking) first and closes it after epc_watch_stop(). Zeroed: not
 *  started. */
struct epc_watch {
    int fd;
    uint8_t _events; /* private, as the next two */
    bool _on;        /* started */
    bool _known;     /* to the kernel */
    epc_watch_fn *fn;
    void *arg;
};
/** @p fn is called, level-triggered, for what of @p events is there: it must read or write until less comes
 *  than was asked for, or leave the rest to the next turn. EPC_WATCH_ERR comes alone and unasked: the socket
 *  has an error, which the owner reads away (SO_ERROR, MSG_ERRQUEUE, recv) or stops.
 *  @return EPC_OK, EPC_EIO (not a descriptor that can be watched) */
enum epc_err epc_watch_start(struct epc_shard *sh, struct epc_watch *w, unsigned events, epc_watch_fn *fn,
                             void *arg) EPC_MUST_CHECK;
void epc_watch_set(struct epc_shard *sh, struct epc_watch *w, unsigned events); /**< cheap when unchanged */
/** No callback afterwards, also inside one of them. Harmless when it was not started. */
void epc_watch_stop(struct epc_shard *sh, struct epc_watch *w);

/* ---- timers: embedded in their owner, cost O(1), millisecond resolution ---------------------- */

struct epc_timer;
typedef void epc_timer_fn(void *arg);
struct epc_timer {
    struct epc_timer *_next, **_prev; /* private */
    uint64_t _at_ms;                  /* private */
    epc_timer_fn *fn;
    void *arg;
};
/** (Re)arm: @p fn(arg) runs once, not before @p after_ms. A zeroed struct is an idle timer. The
 *  owner must stop it before freeing it. */
void epc_timer_start(struct epc_shard *sh, struct epc_timer *t, uint64_t after_ms, epc_timer_fn *fn,
                     void *arg);
void epc_timer_stop(struct epc_shard *sh, struct epc_timer *t); /**< idle timers allowed */
bool epc_timer_running(const struct epc_timer *t);

/** Embedded in its owner; zeroed: idle. */
struct epc_turn_end {
    struct epc_turn_end *_next; /* private */
    bool _set;                  /* private */
    epc_timer_fn *fn;
    void *arg;
};
/** Run @p fn(arg) once at the end of this turn, in the order of setting; for what is sent in batches.
 *  Setting it again before it ran changes nothing. What a hook sets runs after it, still before the shard
 *  waits. */
void epc_shard_at_turn_end(struct epc_shard *sh, struct epc_turn_end *h, epc_timer_fn *fn, void *arg);
void epc_shard_not_at_turn_end(struct epc_shard *sh, struct epc_turn_end *h); /**< idle ones allowed */

#endif
