#include "admin/admin_priv.h"

static void finish(struct epc_admin_reply *reply, struct epc_buf *text)
{
    if (text->failed)
        epc_admin_answer(reply, false, "out of memory\n", 14);
    else
        epc_admin_answer(reply, true, text->p ? text->p : "", text->n);
    epc_buf_free(text);
}

static void cmd_help(void *arg, const char *const *argv, size_t argc, struct epc_admin_reply *reply)
{
    const struct epc_admin *a = arg;
    struct epc_buf text = {0};
    (void)argv;
    (void)argc;
    for (const struct command *c = a->commands; c; c = c->next)
        epc_buf_printf(&text, "%-16s %s\n", c->name, c->help);
    finish(reply, &text);
}

static void cmd_version(void *arg, const char *const *argv, size_t argc, struct epc_admin_reply *reply)
{
    struct epc_buf text = {0};
    (void)arg;
    (void)argv;
    (void)argc;
    epc_buf_adds(&text, "epcscf " EPC_VERSION "\n");
    finish(reply, &text);
}

static void cmd_counters(void *arg, const char *const *argv, size_t argc, struct epc_admin_reply *reply)
{
    struct epc_buf text = {0};
    (void)arg;
    (void)argv;
    (void)argc;
    for (int i = 0; i < EPC_C_COUNT; i++) {
        const struct epc_counter_info *c = epc_counter_info((enum epc_counter)i);
        epc_buf_printf(&text, "%-34s %12lld  %s\n", c->name,
                       (long long)epc_counter_read((enum epc_counter)i), c->help);
    }
    finish(reply, &text);
}

enum epc_err admin_builtin(struct epc_admin *a)
{
    enum epc_err err = epc_admin_command(a, "help", "this list", cmd_help, a);
    if (err == EPC_OK)
        err = epc_admin_command(a, "version", "version of the running daemon", cmd_version, a);
    if (err == EPC_OK)
        err = epc_admin_command(a, "counters", "every counter and gauge with its meaning", cmd_counters, a);
    return err;
}
