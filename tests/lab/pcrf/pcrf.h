/* lab_pcrf.fdx: a PCRF for tests, on stock freeDiameterd. See README. */
#ifndef LAB_PCRF_H
#define LAB_PCRF_H

#include <freeDiameter/extension.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define PCRF_VENDOR 10415
#define PCRF_APP 16777236u
enum { CC_AA = 265, CC_RA = 258, CC_ST = 275, CC_AS = 274 };

/* pcrf_record.c: everything that passes, as lines of JSON; and the list of open sessions. */

/** All may be NULL: then nothing is written. */
int pcrf_record_open(const char *record_file, const char *state_file);
void pcrf_record_close(void);
void pcrf_record(bool out, struct msg *m);
/** Text of a top-level AVP; "" when it is absent or not text. Caller frees. */
char *pcrf_text(struct msg *m, const char *avp_name);
/** First AVP of that code below @p parent, or NULL. */
struct avp *pcrf_child(msg_or_avp *parent, uint32_t vendor, uint32_t code, struct avp *after);
union avp_value *pcrf_value(struct avp *a);
void pcrf_session_open(const char *sid, const char *host, const char *realm);
/** @return false: there was none. */
bool pcrf_session_close(const char *sid);
/** Is there a session other than @p sid? */
bool pcrf_session_others(const char *sid);
/** @param[out] host, realm of the AF, malloc'd; @return false: no such session. */
bool pcrf_session_find(const char *sid, char **host, char **realm);

/* pcrf_rules.c: what to do with a request. */

struct pcrf_rule {
    uint32_t result;       /* 0 = 2001 */
    bool experimental;
    bool error_bit;
    bool drop;
    bool keep;             /* the session is opened whatever the answer */
    uint32_t delay_ms;
    int64_t retry_interval_s; /* -1 = none */
    int64_t abort_after_ms, rar_after_ms; /* -1 = no */
    int32_t abort_cause;
    int32_t specific_action[8];
    size_t n_specific_actions;
    uint32_t lost[16];     /* Media-Component-Numbers for the RAR's Flows */
    size_t n_lost;
    struct {
        uint32_t component; /* 0: for the session */
        int64_t ul, dl;
    } acceptable[16];
    size_t n_acceptable;
    bool no_result;        /* neither Result-Code nor Experimental-Result */
    json_t *answer_avps, *push_avps, *push_omit; /* borrowed from `doc`; NULL = none */
    bool push_early;       /* counted from the AAR, not from the AAA */
    unsigned push_times;   /* how often RAR or ASR is sent */
    json_t *doc;           /* counted */
    char origin_realm[128]; /* "" = our own */
    char redirect[4][256]; /* Redirect-Host */
    size_t n_redirect;
    int64_t redirect_usage, redirect_cache_s; /* -1 = not sent */
};
struct pcrf_rule pcrf_rule_copy(const struct pcrf_rule *r);
void pcrf_rule_free(struct pcrf_rule *r);
/** The first rule of @p file (read anew) that matches; the default when none does. */
void pcrf_rule_for(const char *file, struct msg *request, uint32_t command, struct pcrf_rule *out);

/* pcrf_avps.c: AVPs written down as JSON; see README. */

void pcrf_put_json(msg_or_avp *parent, const json_t *avps);
/** Is @p name among the texts of @p list? */
bool pcrf_names(const json_t *list, const char *name);

/* pcrf_send.c: answers, and requests of its own. */

int pcrf_send_init(void); /* looks the dictionary up, starts the thread that sends later */
void pcrf_send_fini(void);
/** Takes the request (nulled) and answers it as the rule says. */
void pcrf_answer(struct msg **request, const struct pcrf_rule *r, uint32_t command);
void pcrf_request_later(uint32_t command, const char *sid, const struct pcrf_rule *r,
                        uint32_t after_ms);

#endif
