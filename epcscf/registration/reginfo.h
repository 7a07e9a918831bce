/* application/reginfo+xml (RFC 3680 5): what the core knows of one user's registrations. */
#ifndef EPC_REGISTRATION_REGINFO_H
#define EPC_REGISTRATION_REGINFO_H

#include "base/base.h"

/** More of these in one document is refused. */
#define REGINFO_REGISTRATIONS_MAX 256
#define REGINFO_CONTACTS_MAX      512
#define REGINFO_TEXT_MAX          1024 /**< octets of one URI or parameter */
#define REGINFO_OCTETS_MAX        65536
#define REGINFO_DEPTH_MAX         16

enum reginfo_state { REGINFO_INIT, REGINFO_ACTIVE, REGINFO_TERMINATED };

#define REGINFO_EVENTS_LIST(X)                                                                     \
    X(REGISTERED, "registered")                                                                    \
    X(CREATED, "created")                                                                          \
    X(REFRESHED, "refreshed")                                                                      \
    X(SHORTENED, "shortened")                                                                      \
    X(EXPIRED, "expired")                                                                          \
    X(DEACTIVATED, "deactivated")                                                                  \
    X(PROBATION, "probation")                                                                      \
    X(UNREGISTERED, "unregistered")                                                                \
    X(REJECTED, "rejected")
enum reginfo_event {
#define X(id, name) REGINFO_EV_##id,
    REGINFO_EVENTS_LIST(X)
#undef X
        REGINFO_EVENTS
};

struct reginfo_contact {
    enum reginfo_state state; /**< active or terminated */
    enum reginfo_event event;
    bool has_expires;
    uint64_t expires_s;
    uint64_t retry_after_s;   /**< 0: not said */
    char *uri;
    char *instance;           /**< without quotes and angle brackets; NULL: not said */
    char *reg_id;             /**< NULL: not said */
};
struct reginfo_registration {
    enum reginfo_state state;
    char *aor;
    struct reginfo_contact *contacts;
    size_t n_contacts;
};
struct reginfo {
    uint64_t version;
    bool full;
    struct reginfo_registration *registrations;
    size_t n_registrations;
};

/** Parse a document. Unknown elements and attributes are skipped; a DTD, deeper nesting or more than the
 *  limits above is refused. Pure, any thread.
 *  @param[out] out gives: reginfo_free(); untouched on error. @param[out] why static, on error
 *  @return EPC_OK, EPC_ENOMEM, EPC_EPROTO (not well-formed, not reginfo, or a required part missing),
 *          EPC_ELIMIT */
enum epc_err reginfo_parse(struct reginfo **out, const char *p, size_t n, const char **why) EPC_MUST_CHECK;
void reginfo_free(struct reginfo *info); /**< NULL-safe */
const char *reginfo_event_name(enum reginfo_event ev);

#endif
