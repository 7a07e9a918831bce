/* The load: many WICs in one process, told what to do by lines on standard input.
 *   load.c      the loop and the commands
 *   wic.c       a connection
 *   user.c      what a WIC says in SIP: REGISTER, INVITE, ACK, BYE
 *   token.c     access tokens as a WWSF signs them */
#ifndef LOAD_H
#define LOAD_H

#include "histogram.h"
#include "wic.h"

enum work { WORK_NONE, WORK_CONNECT, WORK_CHURN, WORK_REGISTER, WORK_CALL };

struct user {
    struct wic wic;
    char *token;
    uint64_t sent_ns, began_ns;
    unsigned cseq, call, call_cseq;
    bool busy, registered;
    char *to;                /* of the call, with tag */
    char *routes, *target;   /* lines of its Route; the Request-URI of requests in the dialog */
};

struct load {
    struct wic_net net;
    struct user *users;
    unsigned n_users;
    const char *domain, *called, *sdp;
    size_t padding;          /* octets of extra header in each request */
    struct token_key *key;
    bool fresh;              /* a new token in each REGISTER */
    enum work work;
    bool timed;              /* closed loop until `until_ns`; else every user once */
    double rate;             /* open loop: so many a second; 0: closed */
    uint64_t until_ns, due_ns;
    unsigned next, running, limit, left;
    struct histogram latency;
    unsigned long done, failed, refused, lost;
    char first_fault[512];
};

uint64_t now_ns(void);
/** One operation of @p u ended. */
void load_done(struct load *l, struct user *u);
void load_failed(struct load *l, struct user *u, struct span why);

void user_register(struct load *l, struct user *u);
void user_call(struct load *l, struct user *u);
void user_text(struct load *l, struct user *u, struct span message);
void user_forget_call(struct user *u);

struct token_key *token_key(const char *pem_file, const char *kid, const char *issuer, const char *audience,
                            const char *wwsf);
/** A JWT (ES256) for user @p index that is good for an hour; gives. */
char *token_make(struct token_key *k, unsigned index, const char *domain);

#endif
