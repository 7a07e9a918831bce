/* Inside wwsf/: the table of networks and the health of the eP-CSCFs in it. All on the service shard. */
#ifndef EPC_WWSF_CHOICE_H
#define EPC_WWSF_CHOICE_H

#include "fetch/fetch.h"
#include "config/config.h"
#include "shard/shard.h"

#include <jansson.h>

/** What a UE tells of its networks. */
struct epc_plmn_ask {
    struct epc_plmn serving, home;
    bool malformed;           /**< what it told was not understood, and the WWSF is lenient */
};

struct epc_choice;
struct epc_target {           /**< one eP-CSCF, however many rows name it */
    struct epc_choice *choice;
    const struct epc_cfg_plmn *row;
    bool down;                /**< after health_fall failures; up again after health_rise answers */
    unsigned streak;          /**< probes in a row that speak against `down` */
    struct epc_endpoint *endpoint;
    struct epc_request *probe;
    struct epc_timer timer;
};
struct epc_entry {            /**< one row */
    const struct epc_cfg_plmn *row;
    struct epc_plmn_range range;
    struct epc_target *target;
};
struct epc_choice {
    const struct epc_cfg_wwsf *cfg;
    struct epc_shard *sh;     /**< NULL: nothing is probed */
    struct epc_target *targets;
    struct epc_entry *entries;
    size_t n_targets, n_entries;
};

/** @p cfg borrowed for as long as it lives. @return EPC_OK, EPC_ENOMEM, EPC_EINVAL (a row that config/
 *  would have refused) */
enum epc_err epc_choice_create(struct epc_choice **out, const struct epc_cfg_wwsf *cfg) EPC_MUST_CHECK;
void epc_choice_destroy(struct epc_choice *c); /**< NULL-safe; stops the probes */
/** Put epcscf, known, reason, network and ttl_s into @p body (PLMN.md). epcscf is empty when there is no
 *  row for the network and no default. @return 0, or -1: out of memory */
int epc_choice_fill(const struct epc_choice *c, const struct epc_plmn_ask *ask, json_t *body);

/* ---- health.c ---- */

/** Probe each eP-CSCF from now on, if cfg->health_interval_s says so. @return EPC_OK, EPC_ENOMEM, EPC_EIO
 *  (a CA file, logged) */
enum epc_err epc_health_start(struct epc_choice *c, struct epc_shard *sh) EPC_MUST_CHECK;
void epc_health_stop(struct epc_choice *c);
/** One probe's outcome. @p why for the log, when it failed. */
void epc_health_note(struct epc_target *t, bool alive, const char *why);

#endif
