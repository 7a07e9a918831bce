/* Private to wwsf/: work that takes long, on threads of its own, for one shard. */
#ifndef EPC_WWSF_JOBS_H
#define EPC_WWSF_JOBS_H

#include "base/base.h"
#include "shard/shard.h"

struct epc_jobs;
struct epc_job { /* embedded in what it works on; untouched by others between push and done */
    struct epc_job *next;
    void (*run)(void *ctx, struct epc_job *j); /* on a worker thread */
    void (*done)(struct epc_job *j);           /* after it, on the shard's thread */
    bool ran;                                  /* false in done: the shard is going down */
};
/** @param ctx for run; with one thread, that thread's own. @param max jobs that may wait */
enum epc_err epc_jobs_create(struct epc_jobs **out, struct epc_shard *sh, const char *label, unsigned threads,
                             size_t max, void *ctx) EPC_MUST_CHECK;
/** The shard's thread. @return EPC_OK: done will run, later; EPC_ELIMIT: too many wait */
enum epc_err epc_jobs_push(struct epc_jobs *js, struct epc_job *j) EPC_MUST_CHECK;
/** Waits for the jobs that run; those that wait are not run. All are done when it returns. NULL-safe. */
void epc_jobs_destroy(struct epc_jobs *js);

#endif
