/* freeDiameter's log and its peer events, as lines of our log. */
#include "diameter_priv.h"

#include <string.h>

static enum epc_log_level level_of(int fd_level, const char *format)
{
    /* It calls an ordered shutdown fatal. */
    bool shutdown = strncmp(format, "Initiating", sizeof "Initiating" - 1) == 0;
    if (fd_level >= FD_LOG_ERROR && !shutdown)
        return EPC_LOG_ERROR;
    /* NOTICE is its start-up chatter: a dump of the whole configuration. */
    return EPC_LOG_DEBUG;
}

static void on_log(int fd_level, const char *format, va_list ap)
{
    char text[1024];
    enum epc_log_level level = level_of(fd_level, format);
    if (!epc_log_on(level))
        return;
    /* A dump of a message: it holds identities, and its lines say nothing one by one. */
    if (format[0] == ' ' || format[0] == '\t')
        return;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the format is the library's */
    vsnprintf(text, sizeof text, format, ap);
#pragma GCC diagnostic pop
    if (text[0] == ' ' || strstr(text, "AVP: '"))
        return;
    for (char *p = text; *p; p++)
        if (*p == '\n' || *p == '\r' || *p == '\t' || *p == '"')
            *p = ' ';
    epc_log(level, "diameter", "event=freediameter text=\"%s\"", text);
}

static struct fd_hook_hdl *hook; /* one libfdcore per process */

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

/* In the place of the library's own lines, which print whole messages with all identities. */
static void on_trouble(enum fd_hook_type type, struct msg *m, struct peer_hdr *peer, void *other,
                       struct fd_hook_permsgdata *pmd, void *regdata)
{
    (void)pmd, (void)regdata;
    struct msg_hdr *h;
    const char *what = type == HOOK_MESSAGE_ROUTING_ERROR ? "message-not-routed"
                       : type == HOOK_MESSAGE_DROPPED     ? "message-dropped"
                                                          : "message-not-understood";
    bool header = m && fd_msg_hdr(m, &h) == 0;
    /* Without a message, `other` is no text but what was received. */
    epc_log(EPC_LOG_WARN, "diameter", "event=%s peer=%s command=%u request=%d reason=\"%.200s\"", what,
            peer ? peer->info.pi_diamid : "-", header ? h->msg_code : 0,
            header && (h->msg_flags & CMD_FLAG_REQUEST), m && other ? (const char *)other : "");
}

/* One hook for all: the library takes five, and each has its price. */
static void on_event(enum fd_hook_type type, struct msg *m, struct peer_hdr *peer, void *other,
                     struct fd_hook_permsgdata *pmd, void *regdata)
{
    switch (type) {
    case HOOK_PEER_CONNECT_SUCCESS:
    case HOOK_PEER_CONNECT_FAILED:
        on_peer(type, m, peer, other, pmd, regdata);
        break;
    case HOOK_MESSAGE_PARSING_ERROR:
    case HOOK_MESSAGE_ROUTING_ERROR:
    case HOOK_MESSAGE_DROPPED:
        on_trouble(type, m, peer, other, pmd, regdata);
        break;
    default:
        /* A message on its way. Without a hook the library writes each one out as text, under one lock,
         * before it finds that nobody logs at that level: a fifth of the processor time of a request. */
        break;
    }
}

void epc_fdlog_install(void)
{
    (void)fd_log_handler_register(on_log);
}

void epc_fdlog_hooks(void)
{
    if (fd_hook_register(HOOK_MASK(HOOK_PEER_CONNECT_SUCCESS, HOOK_PEER_CONNECT_FAILED,
                                   HOOK_MESSAGE_PARSING_ERROR, HOOK_MESSAGE_ROUTING_ERROR,
                                   HOOK_MESSAGE_DROPPED, HOOK_MESSAGE_RECEIVED, HOOK_MESSAGE_LOCAL,
                                   HOOK_MESSAGE_SENDING, HOOK_MESSAGE_SENT, HOOK_MESSAGE_ROUTING_FORWARD,
                                   HOOK_MESSAGE_ROUTING_LOCAL),
                         on_event, NULL, NULL, &hook))
        epc_log(EPC_LOG_WARN, "diameter", "event=no-hooks");
}

void epc_fdlog_remove(void)
{
    (void)fd_log_handler_unregister();
}
