/* Between the files of the dictionary part of avp/. */
#ifndef EPC_AVP_DICT_PRIV_H
#define EPC_AVP_DICT_PRIV_H

#include "avp/avp.h"

#include <jansson.h>

struct epc_dict_named {
    uint32_t id;
    const char *name;
};

/* Text lives in the documents; all else is owned here. */
struct epc_dict {
    json_t **doc;
    size_t n_docs;
    struct epc_dict_named *vendor, *application;
    size_t n_vendors, n_applications;
    struct epc_dict_avp *avp; /* by vendor and code */
    const struct epc_dict_avp **by_name;
    size_t n_avps;
    struct epc_dict_command *command; /* by code, requests first */
    size_t n_commands;
};

#endif
