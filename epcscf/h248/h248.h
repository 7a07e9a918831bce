/* Door of h248/: the text encoding of H.248.1 (Annex B), versions 1 to 3, long and short tokens. A message
 * as an object, read from text and written to it; nothing of sockets, transactions or associations.
 *
 * Structure that the protocol itself acts upon (transactions, actions, commands) has types of its own;
 * descriptors are trees of *nodes*, so that packages nobody here knows pass through unharmed.
 * Spec: ITU-T H.248.1 (v2 05/2002, v3 09/2005) Annex B, H.248.8 for error codes. Thread: any, one message
 * at a time; no state. */
#ifndef EPC_H248_H
#define EPC_H248_H

#include "base/base.h"

/** A message fits a TPKT packet (RFC 1006). */
enum { EPC_H248_MAX_OCTETS = 65531, EPC_H248_MAX_VERSION = 3 };

/* ---- nodes ------------------------------------------------------------------------------------------ */

/** What a node is. Keywords have their own; all else is an EPC_H248_ITEM with its name. */
enum epc_h248_kind {
    EPC_H248_ITEM, /**< a package's element ("g/cause"), a parameter ("timerx"), a termination, a value */
    EPC_H248_ADD,
    EPC_H248_AUDIT,
    EPC_H248_AUDIT_CAPABILITY,
    EPC_H248_AUDIT_VALUE,
    EPC_H248_AUTHENTICATION,
    EPC_H248_CONTEXT,
    EPC_H248_CONTEXT_ATTR,
    EPC_H248_CONTEXT_AUDIT,
    EPC_H248_CONTEXT_LIST,
    EPC_H248_DELAY,
    EPC_H248_DIGIT_MAP,
    EPC_H248_DIRECTION,
    EPC_H248_DURATION,
    EPC_H248_EMBED,
    EPC_H248_EMERGENCY,
    EPC_H248_EMERGENCY_OFF,
    EPC_H248_EMERGENCY_VALUE,
    EPC_H248_END,
    EPC_H248_ERROR,
    EPC_H248_EVENT_BUFFER,
    EPC_H248_EVENT_BUFFER_CONTROL,
    EPC_H248_EVENTS,
    EPC_H248_IEPS,
    EPC_H248_IMM_ACK_REQUIRED,
    EPC_H248_INTERSIGNAL,
    EPC_H248_KEEP_ACTIVE,
    EPC_H248_LOCAL,
    EPC_H248_LOCAL_CONTROL,
    EPC_H248_MEDIA,
    EPC_H248_METHOD,
    EPC_H248_MGC_TO_TRY,
    EPC_H248_MODE,
    EPC_H248_MODEM,
    EPC_H248_MODIFY,
    EPC_H248_MOVE,
    EPC_H248_MUX,
    EPC_H248_NEVER_NOTIFY,
    EPC_H248_NOTIFY,
    EPC_H248_NOTIFY_COMPLETION,
    EPC_H248_NOTIFY_IMMEDIATE,
    EPC_H248_NOTIFY_REGULATED,
    EPC_H248_OBSERVED_EVENTS,
    EPC_H248_PACKAGES,
    EPC_H248_PENDING,
    EPC_H248_PRIORITY,
    EPC_H248_PROFILE,
    EPC_H248_REASON,
    EPC_H248_REMOTE,
    EPC_H248_REPLY,
    EPC_H248_REQUEST_ID,
    EPC_H248_RESERVED_GROUP,
    EPC_H248_RESERVED_VALUE,
    EPC_H248_RESET_EVENTS,
    EPC_H248_SEGMENT,
    EPC_H248_SERVICE_CHANGE,
    EPC_H248_SERVICE_CHANGE_ADDRESS,
    EPC_H248_SERVICE_CHANGE_INCOMPLETE,
    EPC_H248_SERVICE_STATES,
    EPC_H248_SERVICES,
    EPC_H248_SIGNAL_LIST,
    EPC_H248_SIGNAL_TYPE,
    EPC_H248_SIGNALS,
    EPC_H248_STATISTICS,
    EPC_H248_STREAM,
    EPC_H248_SUBTRACT,
    EPC_H248_TERMINATION_STATE,
    EPC_H248_TOPOLOGY,
    EPC_H248_TRANSACTION,
    EPC_H248_TRANSACTION_ACK,
    EPC_H248_VERSION,
    EPC_H248_AND_LOGIC,
    EPC_H248_OR_LOGIC,
    EPC_H248_KINDS
};

/** How the values of a node stand together. */
enum epc_h248_form {
    EPC_H248_NO_VALUE,
    EPC_H248_ONE,   /**< = A */
    EPC_H248_ALL,   /**< = [ A, B ]: all of them */
    EPC_H248_ANY,   /**< = { A, B }: one of them */
    EPC_H248_RANGE, /**< = [ A : B ] */
};

struct epc_h248_value {
    struct epc_str text;  /**< without quotes */
    bool quoted;
};

/** `timestamp:name relation value { children }`; each part but the name may be missing. */
struct epc_h248_node {
    enum epc_h248_kind kind;
    struct epc_str name;      /**< as written; of a keyword its long token */
    struct epc_str timestamp; /**< of an observed event */
    char relation;            /**< '=', '#', '<', '>'; 0 without value */
    enum epc_h248_form form;
    struct epc_h248_value *value;
    size_t n_values;
    bool braces;              /**< there were braces, perhaps with nothing in them */
    struct epc_str text;      /**< Local, Remote, DigitMap: what stands in the braces, escapes resolved */
    struct epc_h248_node *child; /**< an array */
    size_t n_children;
};

/** The first child of that kind; NULL if there is none. @p n may be NULL. */
const struct epc_h248_node *epc_h248_child(const struct epc_h248_node *n, enum epc_h248_kind kind);
/** The first child item of that name, case-insensitively ("g/cause"). */
const struct epc_h248_node *epc_h248_item(const struct epc_h248_node *n, const char *name);
/** Its first value; empty when it has none. @p n may be NULL. */
struct epc_str epc_h248_value(const struct epc_h248_node *n);
/** Value of the child item @p name; empty when it is missing. */
struct epc_str epc_h248_item_value(const struct epc_h248_node *n, const char *name);
/** Its value as a decimal number up to @p max; false when it is none. */
bool epc_h248_number(const struct epc_h248_node *n, uint64_t max, uint64_t *out);
/** The long token of a kind ("ServiceChange"); "" for EPC_H248_ITEM. */
const char *epc_h248_token(enum epc_h248_kind kind);

/* ---- messages ----------------------------------------------------------------------------------------- */

/** Context numbers with a meaning of their own (the values of the binary encoding). */
#define EPC_H248_CTX_NULL 0u            /**< "-" */
#define EPC_H248_CTX_CHOOSE 0xfffffffeu /**< "$" */
#define EPC_H248_CTX_ALL 0xffffffffu    /**< "*" */

struct epc_h248_error {
    unsigned code;        /**< 0: there is no error descriptor */
    struct epc_str text;
};

struct epc_h248_command {
    enum epc_h248_kind kind; /**< EPC_H248_ADD, ... NOTIFY, SERVICE_CHANGE */
    bool optional;           /**< O- */
    bool wildcard_reply;     /**< W- */
    struct epc_str *termination;
    size_t n_terminations;   /**< one; more only in version 3 */
    struct epc_h248_node *descriptor;
    size_t n_descriptors;
    struct epc_h248_error error; /**< in a reply; the descriptor is in the list, too */
};

struct epc_h248_action {
    uint32_t context;
    struct epc_h248_node *property; /**< Emergency, Priority, Topology, ContextAttr, ContextAudit, ... */
    size_t n_properties;
    struct epc_h248_command *command;
    size_t n_commands;
    struct epc_h248_error error;
};

enum epc_h248_transaction_kind {
    EPC_H248_T_REQUEST,
    EPC_H248_T_REPLY,
    EPC_H248_T_PENDING,
    EPC_H248_T_ACK,          /**< TransactionResponseAck */
    EPC_H248_T_SEGMENT,      /**< segment acknowledgement, version 3 */
};
struct epc_h248_range {
    uint32_t first, last;
};
struct epc_h248_transaction {
    enum epc_h248_transaction_kind kind;
    uint32_t id;             /**< of an ACK: of its first range */
    bool imm_ack_required;   /**< of a reply */
    uint32_t segment;        /**< version 3; 0: not segmented */
    bool last_segment;
    struct epc_h248_range *ack;
    size_t n_acks;
    struct epc_h248_action *action;
    size_t n_actions;
    struct epc_h248_error error; /**< of a reply as a whole */
};

enum epc_h248_mid_kind { EPC_H248_MID_IP4, EPC_H248_MID_IP6, EPC_H248_MID_DOMAIN, EPC_H248_MID_DEVICE, EPC_H248_MID_MTP };
struct epc_h248_mid {
    enum epc_h248_mid_kind kind;
    struct epc_str host;     /**< address, domain or device name, without brackets */
    uint16_t port;           /**< 0: not given */
};

struct epc_h248_message {
    unsigned version;
    struct epc_h248_mid mid;
    struct epc_h248_node *authentication; /**< NULL: none */
    struct epc_h248_error error;          /**< of the message as a whole; then there are no transactions */
    struct epc_h248_transaction *transaction;
    size_t n_transactions;
    void *_priv;             /**< owns all memory of the message, a copy of the text among it */
};

/** Where and why a text is no message. */
struct epc_h248_fault {
    unsigned code;           /**< of H.248.8, to answer with */
    unsigned line, column;   /**< from 1 */
    char why[96];            /**< "expected '{' after the context" */
    bool has_version, has_transaction; /**< so far could be read: */
    unsigned version;
    uint32_t transaction;    /**< the request that the fault is in: it can be answered */
};

/** Read a message. Long and short tokens, any case, any line ends, comments.
 *  @param[out] out gives: epc_h248_free(). Untouched unless EPC_OK
 *  @param fault NULL, or filled in on error
 *  @return EPC_OK, EPC_EPROTO, EPC_ELIMIT (too long, too deep, too many parts), EPC_ENOMEM */
enum epc_err epc_h248_parse(struct epc_h248_message **out, struct epc_str text,
                            struct epc_h248_fault *fault) EPC_MUST_CHECK;
/** Read the actions of one request ("Context = $ { ... }, ..."): a message of version @p version with one
 *  transaction request; its id is 0 and its MID empty, for the sender to fill in. As epc_h248_parse(). */
enum epc_err epc_h248_parse_actions(struct epc_h248_message **out, struct epc_str actions, unsigned version,
                                    struct epc_h248_fault *fault) EPC_MUST_CHECK;
void epc_h248_free(struct epc_h248_message *m); /**< NULL-safe */

enum epc_h248_style { EPC_H248_COMPACT, EPC_H248_PRETTY };
/** Append the text of @p m. Values are quoted where they must be, and where they were.
 *  @return EPC_OK, EPC_ENOMEM, EPC_EINVAL (a part that cannot be written: an empty name, a quote in a
 *  quoted value), EPC_ELIMIT (longer than EPC_H248_MAX_OCTETS; nothing is appended) */
enum epc_err epc_h248_print(const struct epc_h248_message *m, enum epc_h248_style style,
                            struct epc_buf *out) EPC_MUST_CHECK;
/** "[10.0.0.20]:2944", "<mg1.example>", ... as in a header. */
void epc_h248_mid_text(const struct epc_h248_mid *mid, struct epc_buf *out);
/** Do both mean the same: host case-insensitively, addresses by value, port? */
bool epc_h248_mid_eq(const struct epc_h248_mid *a, const struct epc_h248_mid *b);
/** Reads a MID as a header or a configuration has it. The parts of @p out are slices of @p text. */
enum epc_err epc_h248_mid_parse(struct epc_str text, struct epc_h248_mid *out) EPC_MUST_CHECK;

/** Do both mean the same? Spelling does not count: token lengths, case, quotes, line ends, blanks. Order
 *  does. */
bool epc_h248_same(const struct epc_h248_message *a, const struct epc_h248_message *b);

/** Text of an error code (H.248.8); "" for one that is not known. */
const char *epc_h248_error_text(unsigned code);

/** Append @p text with secrets replaced by `***`: the values of a=ice-pwd, a=crypto, a=key-mgmt, k= lines,
 *  whatever else the text may be. */
void epc_h248_mask(struct epc_str text, struct epc_buf *out);

#endif
