/* Between the files of epcscfctl replay. */
#ifndef EPC_ADMIN_CTL_REPLAY_H
#define EPC_ADMIN_CTL_REPLAY_H

#include "admin/ctl_peer.h"

struct replay_options {
    enum { REPLAY_PLAY, REPLAY_PRINT, REPLAY_CHECK, REPLAY_TIDY, REPLAY_PCAP } what;
    bool as_af, diff_only, real_time, exact;
    const char *identity, *realm, *session, *pcap;
    struct epc_addr listen, connect;
    bool has_listen, has_connect;
    unsigned wait_s;
    struct epc_msg_ignore ignore;
    char *const *file;
    int n_files;
};

/** Is it a message from the AF to the PCRF (AAR, STR, RAA, ASA)? false with *rx true: the other way;
 *  *rx false: of another application. */
bool replay_from_af(const struct epc_msg *m, bool *rx);

/** What files had in common during one run: Origin-State-Id only grows. */
struct replay_run {
    const struct replay_options *o;
    const struct epc_dict *dict;
    struct ctl_peer *peer;
    uint32_t state_id;
    size_t differences, messages;
};
/** Play one exchange; prints what differs. @return EPC_OK (differences counted in @p r), else why it
 *  could not go on. */
enum epc_err replay_play(struct replay_run *r, const char *file, const struct epc_exchange *x) EPC_MUST_CHECK;

/** ctl_replay_show.c: print, check, tidy; pcap. @return how many faults */
size_t replay_print(const struct epc_dict *d, const char *file, const struct epc_exchange *x, const char *session);
size_t replay_check(const struct epc_dict *d, const char *file, const struct epc_exchange *x);
size_t replay_tidy(const struct epc_dict *d, const char *file, const struct epc_exchange *x, const char *session);
/** Appends to a capture; @p seq the sequence numbers of both directions. */
size_t replay_pcap(FILE *out, const char *file, const struct epc_exchange *x, uint32_t seq[2]);
void replay_pcap_header(FILE *out);
/** Does the message belong to that session? NULL: all do. */
bool replay_of_session(const struct epc_msg *m, const char *session);

#endif
