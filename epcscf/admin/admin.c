#include "admin/admin_priv.h"

#include <stdlib.h>
#include <string.h>

enum epc_err epc_admin_create(struct epc_admin **out, struct epc_shard *service,
                              const struct epc_cfg_admin *cfg)
{
    struct epc_admin *a = calloc(1, sizeof *a);
    if (!a)
        return EPC_ENOMEM;
    a->sh = service;
    a->cfg = cfg;
    enum epc_err err = admin_builtin(a);
    if (err == EPC_OK && cfg->metrics_listen.len)
        err = admin_http_open(a);
    if (err == EPC_OK && cfg->control_socket)
        err = admin_control_open(a);
    if (err != EPC_OK) {
        epc_admin_destroy(a);
        return err;
    }
    *out = a;
    return EPC_OK;
}

void epc_admin_destroy(struct epc_admin *a)
{
    if (!a)
        return;
    admin_control_close(a);
    admin_http_close(a);
    while (a->commands) {
        struct command *c = a->commands;
        a->commands = c->next;
        free(c->name);
        free(c->help);
        free(c);
    }
    free(a);
}

enum epc_err epc_admin_command(struct epc_admin *a, const char *name, const char *help, epc_admin_fn *fn,
                               void *arg)
{
    struct command *c = calloc(1, sizeof *c), **at = &a->commands;
    if (!c)
        return EPC_ENOMEM;
    *c = (struct command){.name = strdup(name), .help = strdup(help), .fn = fn, .arg = arg};
    if (!c->name || !c->help) {
        free(c->name);
        free(c->help);
        free(c);
        return EPC_ENOMEM;
    }
    while (*at && strcmp((*at)->name, name) < 0)
        at = &(*at)->next;
    c->next = *at;
    *at = c;
    return EPC_OK;
}

void epc_admin_health(struct epc_admin *a, const char *(*fn)(void *arg), void *arg)
{
    a->health = fn;
    a->health_arg = arg;
}
