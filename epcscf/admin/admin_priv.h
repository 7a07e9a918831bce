/* Inside admin/. admin.c: life; http.c: /metrics and /health; metrics.c: OpenMetrics text; control.c:
 * the control socket; builtin.c: commands that need no other room. */
#ifndef EPC_ADMIN_PRIV_H
#define EPC_ADMIN_PRIV_H

#include "admin/admin.h"

/* Control protocol, over a Unix stream socket: the client sends a line of words separated by one
 * space; the answer is "ok N\n" or "error N\n" and N octets. One command at a time a connection. */
enum { EPC_CONTROL_MAX_LINE = 4096, EPC_CONTROL_MAX_WORDS = 64 };

struct command {
    struct command *next;
    char *name, *help;
    epc_admin_fn *fn;
    void *arg;
};

struct control;
struct lws_protocols;

struct epc_admin {
    struct epc_shard *sh;
    const struct epc_cfg_admin *cfg;
    struct lws_vhost *vhost;
    struct lws_protocols *protocols;
    struct control *control;
    struct command *commands;
    const char *(*health)(void *arg);
    void *health_arg;
};

enum epc_err admin_http_open(struct epc_admin *a);
void admin_http_close(struct epc_admin *a);
enum epc_err admin_control_open(struct epc_admin *a);
void admin_control_close(struct epc_admin *a);
enum epc_err admin_builtin(struct epc_admin *a);
void admin_metrics(struct epc_buf *out);

#endif
