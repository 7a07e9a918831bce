/* Shards with clients of one hub, driven from the test's thread. */
#ifndef GATEWAY_H248_DESK_H
#define GATEWAY_H248_DESK_H

#include <pthread.h>

#include "gateway/h248/h248_priv.h"
#include "mg.h"

enum { DESK_MAX = 64, DESK_SHARDS = 2 };

struct desk_result {
    enum epc_err err;
    unsigned mg, error, n_actions;
    uint32_t context; /* of the first action */
    char mg_name[H248_MG_NAME_LEN];
    int tag;
};
struct desk_asked {
    struct desk *d;
    int tag;
};
struct desk_event {
    enum { DESK_NOTIFY, DESK_CHANGE, DESK_GONE, DESK_LOST } kind;
    unsigned mg;
    uint32_t context;
    size_t shard;
};
struct desk {
    struct epc_cfg_media cfg;
    struct epc_cfg_h248_gateway gateway[4];
    char *listen[2];
    char listen_text[2][32], mid[32], profile[16];
    char host[20]; /* where it listens, both transports */
    struct epc_gw_hub *hub;
    size_t n_shards;
    struct epc_shard *sh[DESK_SHARDS];
    struct h248_client *client[DESK_SHARDS];
    bool started, blocked;
    pthread_t stopper;
    bool emergency; /* of the requests from here on */
    unsigned notify_code; /* what clients answer */
    int64_t before[EPC_C_COUNT];
    struct desk_asked asked[DESK_MAX]; /* for results that may never come */
    size_t n_asked;
    pthread_mutex_t m;
    struct desk_result result[DESK_MAX];
    int n_results;
    struct desk_event event[DESK_MAX];
    int n_events;
};

/** Free ports, timers short enough for tests; a gateway may come from anywhere on loopback. */
void desk_init(struct desk *d, size_t n_shards);
void desk_start(struct desk *d);
void desk_stop(struct desk *d);
/** The same in two steps: in between the gateways can be heard. */
void desk_stop_begin(struct desk *d);
void desk_stop_end(struct desk *d);
/** A client's request; @p actions as text. @return the handle */
uint64_t desk_request(struct desk *d, size_t shard, unsigned mg, const char *actions, int tag);
void desk_forget(struct desk *d, size_t shard, uint64_t handle);
void desk_context_ended(struct desk *d, size_t shard, unsigned mg, uint32_t context);
/** Nothing runs on that shard before desk_unblock(). */
void desk_block(struct desk *d, size_t shard);
void desk_unblock(struct desk *d);
/** Wait for the n-th result, or event. @return a copy */
struct desk_result desk_result_at(struct desk *d, int n);
struct desk_event desk_event_at(struct desk *d, int n);
int desk_n_results(struct desk *d);
int desk_n_events(struct desk *d);
int64_t desk_count(const struct desk *d, enum epc_counter c);
void desk_wait_count(struct desk *d, enum epc_counter c, int64_t n);
/** The fact line of gateway @p mg; "" if there is none. */
void desk_facts(struct desk *d, unsigned mg, char *out, size_t n);
/** Wait until it holds @p part. @p serve: a gateway whose audits are answered meanwhile, or NULL */
void desk_wait_fact(struct desk *d, unsigned mg, const char *part, struct mg *serve);

#endif
