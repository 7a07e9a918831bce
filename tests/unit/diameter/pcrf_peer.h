/* A stock freeDiameterd with lab_pcrf.fdx, started by a test in a directory of its own. */
#ifndef PCRF_PEER_H
#define PCRF_PEER_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

struct pcrf_peer {
    pid_t pid;
    char dir[64];       /* everything of this test; removed by pcrf_peer_end() */
    char address[32];   /* a loopback address that no other test uses */
    char node_conf[128]; /* freeDiameter configuration for the node under test */
};

/** Certificates, configurations; no process yet. @p other_dictionaries: the node loads dict_nasreq and
 *  dict_dcca_3gpp too. @return false with a message on stderr. */
bool pcrf_peer_prepare(struct pcrf_peer *p, bool other_dictionaries);
bool pcrf_peer_start(struct pcrf_peer *p); /**< returns when it listens */
void pcrf_peer_kill(struct pcrf_peer *p);  /**< at once, as a crash would */
void pcrf_peer_stop(struct pcrf_peer *p);
void pcrf_peer_end(struct pcrf_peer *p);   /**< stop and clean up */

/** Replace the rules; {"rules": [...]} with single quotes for double ones. */
void pcrf_peer_rules(struct pcrf_peer *p, const char *json);
/** All messages recorded so far. Gives. */
json_t *pcrf_peer_record(struct pcrf_peer *p);
/** Sessions that the PCRF holds; -1 when unknown. */
int pcrf_peer_sessions(struct pcrf_peer *p);

/** AVP of that name among @p avps; NULL when there is none. */
json_t *avp_named(const json_t *avps, const char *name);
json_int_t avp_int(const json_t *avps, const char *name);
const char *avp_str(const json_t *avps, const char *name);

#endif
