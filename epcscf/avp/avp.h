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

/* ---- messages ------------------------------------------------------------------------------------ */

/* What a reader takes at most: more is refused with EPC_ELIMIT, never cut. */
enum {
    EPC_MSG_MAX_OCTETS = 256 * 1024,
    EPC_MSG_MAX_AVPS = 4096, /**< of one message, all levels */
    EPC_MSG_MAX_DEPTH = 12,  /**< groups in groups */
};

/** One AVP of a message. Lives as long as its message. */
struct epc_avp {
    uint32_t code, vendor;          /**< vendor 0 while V is clear */
    uint8_t flags;                  /**< EPC_AVP_..., reserved bits as they came */
    const struct epc_dict_avp *dict; /**< NULL: the dictionary does not know it */
    bool group;                     /**< `child` is its content, not `data` */
    const uint8_t *data;
    size_t n;
    const char *variable;           /**< "$name" in the place of a value; data is empty then */
    size_t offset;                  /**< in the message that was decoded; 0 when it came from JSON */
    struct epc_avp *child, *next;
};

/** A Diameter message as a tree (RFC 6733 3, 4). Owned by whoever made it; one thread at a time. */
struct epc_msg {
    uint8_t version, flags; /**< EPC_CMD_... */
    uint32_t command, application, hop_by_hop, end_to_end;
    const struct epc_dict_command *dict; /**< NULL: not known */
    struct epc_avp *avp;
    struct epc_msg_block *blocks; /* memory of all the above */
    size_t n_avps;
};
void epc_msg_destroy(struct epc_msg *m); /**< NULL-safe */

/** Octets to tree. What the dictionary does not know stays octets; so does a value whose length does not
 *  fit its type, and the content of a group that is no list of AVPs (epc_msg_check() tells of both).
 *  @param why a sentence with the offset when it fails; NULL allowed. @param[out] out gives.
 *  @return EPC_OK, EPC_EPROTO (not Diameter, a length that is wrong), EPC_ELIMIT, EPC_ENOMEM */
enum epc_err epc_msg_decode(struct epc_msg **out, const struct epc_dict *d, const void *p, size_t n,
                            struct epc_buf *why) EPC_MUST_CHECK;

/** Values of variables: what an expected message let open and a real one filled. Zero-initialise. */
struct epc_vars {
    struct epc_var *first;
    size_t n;
};
void epc_vars_free(struct epc_vars *v);
/** @param name with its "$". @return EPC_OK, EPC_ENOMEM, EPC_ELIMIT (1000 of them) */
enum epc_err epc_vars_set(struct epc_vars *v, const char *name, const void *p, size_t n) EPC_MUST_CHECK;
bool epc_vars_get(const struct epc_vars *v, const char *name, struct epc_str *out);

/** Tree to octets, appended to @p out. @param vars values for variables, may be NULL.
 *  @return EPC_OK, EPC_ENOENT (a variable without value: @p why names it), EPC_ELIMIT, EPC_ENOMEM */
enum epc_err epc_msg_encode(const struct epc_msg *m, const struct epc_vars *vars, struct epc_buf *out,
                            struct epc_buf *why) EPC_MUST_CHECK;

/** The members of a JSON object, without its braces, on one line:
 *  `"command":"AAR","flags":"RP","application":16777236,"hop_by_hop":1,"end_to_end":2,"avps":[...]`.
 *  Each AVP is an object with one member, its name (or `"9001/32473"`), and its value: text, number, name
 *  of the enumerated value, list of AVPs; octets that are no text are "0x...". Flags other than those
 *  that the dictionary asks for stand in a second member. Nothing is lost: reading it gives the message
 *  again, octet for octet, but for the padding of AVPs. */
void epc_msg_to_json(const struct epc_msg *m, struct epc_buf *out);
/** @param line one JSON object; members that are not of the message are left alone. Header members may
 *  be missing: flags come from the dictionary, the application from the command, ids are 0.
 *  @return EPC_OK, EPC_EPROTO (@p why says what and where), EPC_ELIMIT, EPC_ENOMEM */
enum epc_err epc_msg_from_json(struct epc_msg **out, const struct epc_dict *d, struct epc_str line,
                               struct epc_buf *why) EPC_MUST_CHECK;

/** "AAR" or "Command 999 request". @p out at least EPC_MSG_NAME. */
#define EPC_MSG_NAME 40
const char *epc_msg_name(const struct epc_msg *m, char out[EPC_MSG_NAME]);
/** An indented tree for people, one line per AVP. */
void epc_msg_print(const struct epc_msg *m, struct epc_buf *out);
/** "Media-Component-Description" or "9001/32473", and a value as epc_msg_print() writes it. */
void epc_avp_print_name(const struct epc_avp *a, struct epc_buf *out);
void epc_avp_print_value(const struct epc_avp *a, struct epc_buf *out);
/** First AVP of that code at the top of @p m or in a group; NULL: none. */
struct epc_avp *epc_msg_find(const struct epc_msg *m, uint32_t code, uint32_t vendor);
struct epc_avp *epc_avp_find(const struct epc_avp *group, uint32_t code, uint32_t vendor);
/** @return false: it has not four octets */
bool epc_avp_u32(const struct epc_avp *a, uint32_t *out);
/** Put text in the place of the first such AVP's value, or of nothing. @return EPC_OK (also when there is
 *  none), EPC_ENOMEM */
enum epc_err epc_msg_set(struct epc_msg *m, uint32_t code, uint32_t vendor, struct epc_str value) EPC_MUST_CHECK;

/** Hold a message against the dictionary: what is missing, there too often, in the wrong place, flags,
 *  lengths and values. One sentence a line. @return how many */
size_t epc_msg_check(const struct epc_dict *d, const struct epc_msg *m, struct epc_buf *out);

/** AVPs that a difference leaves out, at any level. Zero-initialise. */
struct epc_msg_ignore {
    const struct epc_dict_avp *avp[64];
    size_t n;
};
/** Session-Id, the names of the nodes and of the way between them, Origin-State-Id, error texts, times,
 *  the charging identifier: what differs between two runs of the same exchange. */
void epc_msg_ignore_usual(struct epc_msg_ignore *i, const struct epc_dict *d);
/** @param name of an AVP. @return EPC_OK, EPC_ENOENT, EPC_ELIMIT */
enum epc_err epc_msg_ignore_add(struct epc_msg_ignore *i, const struct epc_dict *d, const char *name) EPC_MUST_CHECK;

/** What is otherwise than expected, AVP by AVP; one line each: "Media-Component-Description[1] /
 *  Flow-Status: expected ENABLED, got DISABLED". The order of AVPs does not matter; groups that repeat
 *  are told apart by what numbers them (Media-Component-Number, Flow-Number...). A variable in
 *  @p expected takes the value that it meets first and must meet the same later; "$_" meets any.
 *  @param vars NULL: variables meet anything. @return how many lines, 0: the same */
size_t epc_msg_diff(const struct epc_msg *expected, const struct epc_msg *got,
                    const struct epc_msg_ignore *ignore, struct epc_vars *vars, struct epc_buf *out);

/* ---- recorded exchanges ---------------------------------------------------------------------------- */

/** One message as it was recorded. */
struct epc_recorded {
    uint64_t t_us;      /**< since 1970 */
    bool out;           /**< sent by the node that recorded; of a capture: see `from` */
    char peer[256];     /**< the other side's name; "" when the record has none */
    char from[64], to[64]; /**< of a capture: addresses with ports */
    struct epc_msg *msg; /**< NULL: it could not be read; `raw` and `fault` have the rest */
    uint8_t *raw;       /**< the octets where they are known and no message came of them */
    size_t n_raw;
    char *fault;
    size_t line;        /**< in the file, from 1; of a capture: its number among the messages */
};
struct epc_exchange {
    struct epc_recorded *msg;
    size_t n;
    char *title;        /**< the first line of a leading comment; NULL: none */
};
enum { EPC_EXCHANGE_MAX = 100000 };

/** A file's content: JSON objects as `epcscfctl record` writes them, one a line; an object may also go over
 *  several lines. Blank lines, lines that begin with #, and objects without "command" or "raw" are left
 *  alone. Or a capture in pcap or pcapng form with
 *  Diameter over TCP on any port.
 *  @param[out] out zeroed before; freed with epc_exchange_free() whatever is returned.
 *  @param why what could not be read, a sentence a line; also after EPC_OK (a capture with holes).
 *  @return EPC_OK, EPC_EPROTO, EPC_ELIMIT, EPC_ENOMEM */
enum epc_err epc_exchange_read(struct epc_exchange *out, const struct epc_dict *d, struct epc_str content,
                               struct epc_buf *why) EPC_MUST_CHECK;
void epc_exchange_free(struct epc_exchange *x);
/** One line of a record with its line feed, appended. @p m NULL: @p raw as octets, with @p fault. */
void epc_recorded_write(struct epc_buf *out, uint64_t t_us, bool sent, const char *peer,
                        const struct epc_msg *m, struct epc_str raw, const char *fault);

#endif
