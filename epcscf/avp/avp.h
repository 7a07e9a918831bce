/* Door of avp/: Diameter as data, without freeDiameter. First the dictionary: what the JSON files of dict/ say of AVPs
 * and commands, to look up and to read; then messages.
 *
 * Used offline (epcscfctl dict, epcscfctl replay) and by whatever shows messages to people. The daemon's
 * own Diameter node has the same files in freeDiameter's dictionary, through dict_rx.fdx. */
#ifndef EPC_AVP_H
#define EPC_AVP_H

#include "base/base.h"

/* ---- dictionary -------------------------------------------------------------------------------- */

/** What was loaded. Never changes after its creation: any thread may read it, and what the lookups give
 *  is borrowed and lives as long as it. */
struct epc_dict;

enum epc_avp_type {
    EPC_AVP_OCTETSTRING,
    EPC_AVP_INTEGER32,
    EPC_AVP_INTEGER64,
    EPC_AVP_UNSIGNED32,
    EPC_AVP_UNSIGNED64,
    EPC_AVP_FLOAT32,
    EPC_AVP_FLOAT64,
    EPC_AVP_GROUPED,
    EPC_AVP_ENUMERATED, /**< four octets, signed */
    EPC_AVP_ADDRESS,    /**< family (2 octets, 1 IPv4, 2 IPv6), then the address */
    EPC_AVP_TIME,       /**< seconds since 1900, 4 octets */
    EPC_AVP_UTF8STRING,
    EPC_AVP_IDENTITY,   /**< DiameterIdentity */
    EPC_AVP_URI,        /**< DiameterURI */
    EPC_AVP_IPFILTERRULE,
};
/** "Unsigned32" and so on, as RFC 6733 4.2 and 4.3 spell them. */
const char *epc_avp_type_name(enum epc_avp_type t);

/* Bits of the flags octets, as on the wire. */
#define EPC_AVP_V 0x80u
#define EPC_AVP_M 0x40u
#define EPC_AVP_P 0x20u
#define EPC_CMD_R 0x80u
#define EPC_CMD_P 0x40u
#define EPC_CMD_E 0x20u
#define EPC_CMD_T 0x10u

struct epc_dict_avp;
struct epc_dict_command;

struct epc_dict_enum {
    int64_t value;
    const char *name;
};

#define EPC_DICT_MANY UINT32_MAX
/** One line of an ABNF: `*{ Specific-Action }` is min 1, max EPC_DICT_MANY. */
struct epc_dict_rule {
    const struct epc_dict_avp *avp;
    uint32_t min, max;
    bool first; /**< order-fixed: `< Session-Id >` */
};

/** The content of a command or of a grouped AVP, in the order of its ABNF. All of ours end in
 *  `*[ AVP ]`: what no rule names is allowed. */
struct epc_dict_rules {
    const struct epc_dict_rule *rule;
    size_t n;
    const char *spec, *note; /**< as of epc_dict_avp */
};

/** One place where an AVP may appear: in a command or in a grouped AVP; the other is NULL. */
struct epc_dict_place {
    const struct epc_dict_command *command;
    const struct epc_dict_avp *group;
    const struct epc_dict_rule *rule;
};

struct epc_dict_avp {
    uint32_t code, vendor; /**< vendor 0: none, the V bit is clear */
    const char *name;
    enum epc_avp_type type;
    const char *type_name;   /**< as the file has it; a derived type's own name */
    uint8_t must, must_not;  /**< EPC_AVP_V, EPC_AVP_M, EPC_AVP_P; in neither: either is right */
    const struct epc_dict_enum *values; /**< in the order of the file */
    size_t n_values;
    struct epc_dict_rules content;      /**< of a grouped AVP; n 0: anything goes */
    const struct epc_dict_place *places;
    size_t n_places;
    const char *spec; /**< "TS 29.214 5.3.16"; the document alone when the clause is not certain; or NULL */
    const char *note; /**< what else to know, e.g. "type unconfirmed"; or NULL */
    const char *file; /**< name of the source that defined it */
};

struct epc_dict_command {
    uint32_t code;
    bool request;
    const char *name;      /**< "AA-Request" */
    char abbreviation[12]; /**< "AAR" */
    uint8_t must, must_not; /**< EPC_CMD_... */
    struct epc_dict_rules content;
    const char *spec, *note, *file;
};

/** One JSON text. Schema: dict/README.md. */
struct epc_dict_source {
    const char *name;    /**< for faults; borrowed for the life of the dictionary */
    struct epc_str json; /**< borrowed during the call */
    /** Another number for a vendor: wherever the text says vendor_from, read vendor_to. 0: none. */
    uint32_t vendor_from, vendor_to;
};

/** Read @p n sources into one dictionary. Later ones may name what earlier ones define.
 *  @param[out] out gives (epc_dict_destroy()). @param faults one line per fault, all of them, NULL allowed.
 *  @return EPC_OK, EPC_EPROTO (faults in the texts: not JSON, not the schema, an unknown name, a code or
 *          name given twice, contradicting flags, wrong counts...), EPC_ENOMEM, EPC_EINVAL */
enum epc_err epc_dict_create(struct epc_dict **out, const struct epc_dict_source *source, size_t n,
                             struct epc_buf *faults) EPC_MUST_CHECK;

/** The enterprise number of dict/webrtc.json as it is delivered (RFC 5612: for documentation). */
#define EPC_DICT_WEBRTC_VENDOR 32473u
/** The delivered files base.json, rx.json and webrtc.json.
 *  @param dir where they are; NULL: beside the program (../share/epcscf, or the build's fdx/), else where
 *             they are installed. @param webrtc_vendor 0 for EPC_DICT_WEBRTC_VENDOR.
 *  @return as epc_dict_create(), and EPC_EIO (a file cannot be read; @p faults says which and why) */
enum epc_err epc_dict_load(struct epc_dict **out, const char *dir, uint32_t webrtc_vendor,
                           struct epc_buf *faults) EPC_MUST_CHECK;
/** The same with other files: @p delivered says whether base.json, rx.json and webrtc.json come first.
 *  @param file @p n_files paths, borrowed for the life of the dictionary */
enum epc_err epc_dict_load_files(struct epc_dict **out, bool delivered, const char *dir,
                                 uint32_t webrtc_vendor, const char *const *file, size_t n_files,
                                 struct epc_buf *faults) EPC_MUST_CHECK;
void epc_dict_destroy(struct epc_dict *d);

/* Lookups. NULL: not known. */
const struct epc_dict_avp *epc_dict_avp(const struct epc_dict *d, uint32_t code, uint32_t vendor);
const struct epc_dict_avp *epc_dict_avp_named(const struct epc_dict *d, struct epc_str name);
const struct epc_dict_command *epc_dict_command(const struct epc_dict *d, uint32_t code, bool request);
/** By full name or abbreviation, letters in any case. */
const struct epc_dict_command *epc_dict_command_named(const struct epc_dict *d, struct epc_str name);
const char *epc_dict_vendor_name(const struct epc_dict *d, uint32_t vendor);
const char *epc_dict_application_name(const struct epc_dict *d, uint32_t application);
/** Name of an enumerated value. */
const char *epc_dict_value_name(const struct epc_dict_avp *a, int64_t value);
/** EPC_ENOENT: no value of that name. */
enum epc_err epc_dict_value(const struct epc_dict_avp *a, struct epc_str name, int64_t *out) EPC_MUST_CHECK;
/** The rule about @p a in @p r. */
const struct epc_dict_rule *epc_dict_rule(const struct epc_dict_rules *r, const struct epc_dict_avp *a);

/* Walks: AVPs by vendor and code, commands by code, requests first. @p i past the end gives NULL. */
const struct epc_dict_avp *epc_dict_avp_at(const struct epc_dict *d, size_t i);
const struct epc_dict_command *epc_dict_command_at(const struct epc_dict *d, size_t i);
/** @param[out] id may be NULL. @return the name */
const char *epc_dict_vendor_at(const struct epc_dict *d, size_t i, uint32_t *id);
const char *epc_dict_application_at(const struct epc_dict *d, size_t i, uint32_t *id);

/** What is legal but looks unfinished: Enumerated without values, Grouped without content, an AVP that
 *  appears nowhere, a command without content, no clause. One line each. @return how many */
size_t epc_dict_remarks(const struct epc_dict *d, struct epc_buf *out);

#endif
