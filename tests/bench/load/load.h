/* The load: many WICs in one process, told what to do by lines on standard input.
 *   main.c      options and commands
 *   load.c      the loop: who does what next, and when
 *   tally.c     what came of it
 *   wic.c       a connection
 *   user.c      what a WIC says in SIP
 *   call.c      INVITE, ACK, BYE and requests inside a call
 *   called.c    the same from the other side
 *   token.c     access tokens as a WWSF signs them */
#ifndef LOAD_H
#define LOAD_H

#include "histogram.h"
#include "wic.h"

enum work {
    WORK_NONE,
    WORK_CONNECT,
    WORK_CHURN,    /* connect, upgrade, close */
    WORK_REGISTER,
    WORK_CALL,     /* INVITE, ACK, BYE */
    WORK_CALLED,   /* the core calls: INVITE, ACK, BYE the other way */
    WORK_HOLD,     /* INVITE, ACK; the call stays */
    WORK_DIALOG,   /* INFO in a call that stays */
    WORK_HANGUP,   /* BYE of a call that stays */
    WORK_SOS,      /* an emergency call, as WORK_CALL */
    WORK_MIX,      /* REGISTER, among them DIALOG and SOS; then AFTER */
    WORK_AFTER,    /* REGISTER when the load of a mix has gone down again */
    N_WORK
};

struct user {
    struct wic wic;
    enum work doing;         /* WORK_NONE: free */
    bool registered, held;
    char *token;
    uint64_t sent_ns, took_ns; /* when it was asked; until the call was answered */
    unsigned cseq, call, call_cseq, expected; /* CSeq of the response that ends what is done */
    unsigned given_up;       /* REGISTERs that nobody waits for any more, and that have no answer yet */
    char *to;                /* of the call, with tag */
    char *routes, *target;   /* lines of its Route; the Request-URI of requests in the dialog */
};

/* Of one kind of operation in one run. */
struct tally {
    unsigned long done, failed, refused; /* refused: 503 */
    unsigned long retry_after;           /* of the refused, those told when to come again */
    unsigned long late;                  /* of the refused, those told when they had given up */
    unsigned long silent;                /* given up; if nothing comes, they have failed */
    unsigned long lost;                  /* due, but every user who could have was still waiting */
    uint64_t last_bad_ns;                /* when the last began that failed, was refused or slow; 0: none */
    struct histogram latency;            /* of those done */
};

struct load {
    struct wic_net net;
    struct user *users;
    unsigned n_users;
    const char *domain, *called, *sos;
    char *sdp;
    int core_fd;             /* takes "CALL 7"; -1: there is no core to tell */
    size_t padding;          /* octets of extra header in each request */
    struct token_key *key;
    bool fresh;              /* a new token in each REGISTER */
    enum work work;
    bool timed;              /* until `until_ns`; else `left` times */
    double rate;             /* open loop: so many a second; 0: closed */
    double dialogs, soses;   /* of WORK_MIX: so many a second */
    double after_rate;       /* of WORK_MIX, from `after_ns` on */
    uint64_t after_ns;
    uint64_t began_ns, until_ns, due_ns, patience_ns; /* patience: with a REGISTER */
    unsigned cursor[N_WORK], running, limit, left;
    bool exhausted[N_WORK];  /* no user can do it until another is free */
    unsigned long started;
    struct tally tally[N_WORK];
    char first_fault[512];
};

uint64_t now_ns(void);

/** Runs l->work to its end and prints the result. */
void load_run(struct load *l);
/** One round of events. */
void load_turn(struct load *l, int wait_ms);
void load_init(struct load *l);
/** Is it a REGISTER? */
bool work_registers(enum work work);

/** What @p u was doing has ended; @p latency_ns of its first answer. */
void load_done(struct load *l, struct user *u, uint64_t latency_ns);
/** @p why: the response, or a word. */
void load_failed(struct load *l, struct user *u, struct span why);

void tally_clear(struct load *l);
void tally_done(struct load *l, const struct user *u, uint64_t latency_ns);
void tally_failed(struct load *l, const struct user *u, struct span why);
/** Nobody waits for the REGISTER any more. */
void tally_given_up(struct load *l, struct user *u);
/** Its answer has come. */
void tally_late(struct load *l, struct user *u, struct span response);
unsigned long tally_ended(const struct load *l);
/** One line of JSON: the sum, and each kind of operation that took place. */
void tally_print(const struct load *l, double seconds);

void user_register(struct load *l, struct user *u);
/** A message that came. */
void user_text(struct load *l, struct user *u, struct span message);
/** Request line, Via, Max-Forwards, padding into @p out. @p kind sets branches apart. */
void user_head(const struct load *l, const struct user *u, struct text *out, const char *method, const char *uri,
               char kind, unsigned cseq);

void call_begin(struct load *l, struct user *u, const char *to);
/** A request of the call's dialog, which then waits for its answer. */
void call_request(struct load *l, struct user *u, const char *method);
/** A response other than to REGISTER. */
void call_response(struct load *l, struct user *u, int status, struct span m);
void call_forget(struct user *u);

/** Tells the core to call @p u. */
void called_begin(struct load *l, struct user *u);
/** A request that came; answers it. */
void called_request(struct load *l, struct user *u, struct span m);

struct token_key *token_key(const char *pem_file, const char *kid, const char *issuer, const char *audience,
                            const char *wwsf);
/** A JWT (ES256) for user @p index that is good for an hour; gives. */
char *token_make(struct token_key *k, unsigned index, const char *domain);

#endif
