/* Between the files of `epcscfctl dict`. */
#ifndef EPC_ADMIN_CTL_DICT_H
#define EPC_ADMIN_CTL_DICT_H

#include "avp/avp.h"

/** What the command line says. */
struct ctl_dict_ask {
    const struct epc_dict *dict;
    bool json, add, message;
    const char *dir, *command;
    uint32_t webrtc_vendor; /**< 0: as delivered */
    uint32_t vendor;        /**< of --vendor */
    bool has_vendor;
    char **word; /**< what follows the subcommand */
    int n_words;
};

/* Each prints to standard output, complaints to standard error, and returns the exit status. */
int ctl_dict_show(const struct ctl_dict_ask *a);
int ctl_dict_list(const struct ctl_dict_ask *a);
int ctl_dict_tree(const struct ctl_dict_ask *a);
int ctl_dict_export(const struct ctl_dict_ask *a);
/** Of dictionaries; `dict` is then not set. Of messages, with --message. */
int ctl_dict_check(const struct ctl_dict_ask *a);

/** The command named, or a complaint and NULL. */
const struct epc_dict_command *ctl_dict_command(const struct epc_dict *d, const char *name);
/** "0..1", "1..*". */
const char *ctl_dict_count(const struct epc_dict_rule *r, char out[32]);
/** "V M" of bits; "-" when there are none. */
const char *ctl_dict_flags(uint8_t bits, char out[8]);

#endif
