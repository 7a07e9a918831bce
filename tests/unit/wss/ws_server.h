/* A shard with a listener whose handler writes down what happens. */
#ifndef WS_SERVER_H
#define WS_SERVER_H

#include "wss/wss.h"

#include <pthread.h>

struct server {
    struct epc_shard *sh;
    struct epc_wss *wss;
    struct epc_cfg_wss cfg;
    struct epc_addr addr;
    struct epc_cfg_origin origins[2];
    char *paths[2];
    enum epc_err create_result;
    uint16_t port;
    pthread_mutex_t m;
    pthread_cond_t c;
    /* under m */
    int opened, messages, closed, commands;
    int superseded; /* of the messages */
    uint64_t flow_id;
    const struct epc_cfg_origin *origin;
    char last[70000];
    size_t last_n;
    enum epc_flow_end why;
    bool in_message, closed_inside;
    bool over; /* freed: no thread is left that counts */
    struct server *peer; /* on "move" the flow is handed over to it */
    enum epc_err move_result;
};

/* Make certificate and key files in a fresh folder; returns false when openssl(1) is missing. */
bool server_make_certificate(void);
/* Another certificate into the same files; @p good false: no certificate at all. */
bool server_renew_certificate(bool good);
void server_remove_certificate(void);
void server_defaults(struct server *s);
/* Only the shard; for several servers at once, as all shards are created before the first starts. */
void server_create(struct server *s, unsigned index);
void server_start(struct server *s, unsigned index);
void server_stop(struct server *s);
/* The two halves of it, where another shard may still post to this one. */
void server_halt(struct server *s);
void server_free(struct server *s);
/* Run fn(server, flow or NULL) on the shard and wait for it. */
void server_do(struct server *s, void (*fn)(struct server *s, struct epc_flow *f));
int server_count(struct server *s, const int *counter); /* what it says now */
/* Wait until *counter >= at_least; false after 20 s. */
bool server_wait(struct server *s, const int *counter, int at_least);

#endif
