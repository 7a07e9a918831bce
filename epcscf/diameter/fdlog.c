/* freeDiameter's log and its peer events, as lines of our log. */
#include "diameter_priv.h"

#include <string.h>

static enum epc_log_level level_of(int fd_level)
{
    if (fd_level >= FD_LOG_ERROR)
        return EPC_LOG_ERROR;
    /* NOTICE is its start-up chatter: a dump of the whole configuration. */
    return EPC_LOG_DEBUG;
}

static void on_log(int fd_level, const char *format, va_list ap)
{
    char text[1024];
    enum epc_log_level level = level_of(fd_level);
    if (!epc_log_on(level))
        return;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the format is the library's */
    vsnprintf(text, sizeof text, format, ap);
#pragma GCC diagnostic pop
    for (char *p = text; *p; p++)
        if (*p == '\n' || *p == '\r' || *p == '\t' || *p == '"')
            *p = ' ';
    epc_log(level, "diameter", "event=freediameter text=\"%s\"", text);
}

static struct fd_hook_hdl *hook; /* one libfdcore per process, hence one of these */

static void on_peer(enum fd_hook_type type, struct msg *m, struct peer_hdr *peer, void *other,
                    struct fd_hook_permsgdata *pmd, void *regdata)
{
    (void)m, (void)pmd, (void)regdata;
    const char *name = peer ? peer->info.pi_diamid : "?";
    if (type == HOOK_PEER_CONNECT_SUCCESS)
        epc_log(EPC_LOG_INFO, "diameter", "event=peer-up peer=%s", name);
    else
        epc_log(EPC_LOG_WARN, "diameter", "event=peer-down peer=%s reason=\"%.200s\"", name,
                other ? (const char *)other : "");
}

void epc_fdlog_install(void)
{
    (void)fd_log_handler_register(on_log);
}

void epc_fdlog_hooks(void)
{
    if (fd_hook_register(HOOK_MASK(HOOK_PEER_CONNECT_SUCCESS, HOOK_PEER_CONNECT_FAILED), on_peer,
                         NULL, NULL, &hook))
        hook = NULL;
}

void epc_fdlog_remove(void)
{
    (void)fd_log_handler_unregister();
}
