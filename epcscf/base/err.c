#include "base/base.h"

const char *epc_err_name(enum epc_err e)
{
    switch (e) {
    case EPC_OK:
        return "ok";
    case EPC_EINVAL:
        return "invalid argument";
    case EPC_ENOMEM:
        return "out of memory";
    case EPC_EPROTO:
        return "protocol error";
    case EPC_EAUTH:
        return "not authenticated";
    case EPC_EPOLICY:
        return "refused by policy";
    case EPC_EAGAIN:
        return "try again";
    case EPC_ETIMEDOUT:
        return "timed out";
    case EPC_ENOENT:
        return "not found";
    case EPC_EIO:
        return "input/output error";
    case EPC_ELIMIT:
        return "limit reached";
    case EPC_EEXIST:
        return "exists already";
    }
    return "unknown error";
}

void epc_cause_set(struct epc_cause *c, int sip_status, const char *spec, const char *fmt, ...)
{
    if (!c)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->reason, sizeof c->reason, fmt, ap);
    va_end(ap);
    c->sip_status = sip_status;
    c->spec = spec;
    c->retry_after_s = 0;
    c->min_se_s = 0;
    c->warning = NULL;
    c->unsupported = NULL;
}
