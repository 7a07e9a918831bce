/* Inside h248/:
 *   tokens.c   keywords, and where they may stand
 *   parse.c    text -> message;  descriptor.c  its descriptors
 *   print.c    message -> text
 *   lookup.c   finding one's way in a message; comparison
 *   mid.c      message identifiers;  mask.c  texts without secrets;  errors.c  error codes */
#ifndef EPC_H248_CODEC_PRIV_H
#define EPC_H248_CODEC_PRIV_H

#include "h248/h248.h"

/* ---- tokens -------------------------------------------------------------------------------------------- */

/** What stands around a name decides what it means: short tokens are used again and again. */
enum h248_place {
    IN_MESSAGE = 1 << 0,
    IN_TRANSACTION = 1 << 1,
    IN_CONTEXT = 1 << 2,
    IN_COMMAND = 1 << 3,
    IN_MEDIA = 1 << 4,
    IN_STREAM = 1 << 5,
    IN_LOCAL_CONTROL = 1 << 6,
    IN_TERMINATION_STATE = 1 << 7,
    IN_EVENTS = 1 << 8,
    IN_EVENT = 1 << 9,
    IN_EMBED = 1 << 10,
    IN_SIGNALS = 1 << 11,
    IN_SIGNAL = 1 << 12,
    IN_OBSERVED = 1 << 13,
    IN_OBSERVED_EVENT = 1 << 14,
    IN_SERVICES = 1 << 15,
    IN_AUDIT = 1 << 16,
    IN_TOPOLOGY = 1 << 17,
    IN_CONTEXT_AUDIT = 1 << 18,
    IN_ITEMS = 1 << 19, /* names of packages, statistics, terminations */
};

/** What may follow a keyword, beside `= value`. */
enum h248_body {
    BODY_NODES, /* children, of the place `inside` */
    BODY_TEXT,  /* text up to the closing brace */
    BODY_ERROR, /* a quoted text */
    BODY_NONE,
};

struct h248_keyword {
    enum epc_h248_kind kind;
    const char *name, *compact;
    unsigned places;       /* where it may stand */
    enum h248_body body;
    enum h248_place inside;
    bool mid;              /* its value is an address */
};
/** NULL: not a keyword there. */
const struct h248_keyword *h248_keyword(struct epc_str name, enum h248_place place);
const struct h248_keyword *h248_keyword_of(enum epc_h248_kind kind); /* NULL for EPC_H248_ITEM */
/** A value that is a keyword itself ("SR" -> "SendReceive"); as it is, if it is none. */
struct epc_str h248_word_long(enum epc_h248_kind kind, struct epc_str value);
struct epc_str h248_word_compact(enum epc_h248_kind kind, struct epc_str value);

/* ---- reading ---------------------------------------------------------------------------------------------- */

enum { H248_MAX_DEPTH = 12, H248_MAX_PARTS = 20000 };

struct h248_reader {
    struct epc_arena *arena;
    const char *begin, *at, *end;
    unsigned depth, parts;
    enum epc_err err;      /* the first one; nothing is read after it */
    struct epc_h248_fault fault;
};
/** Note a fault at the present position; the first counts. Returns false. */
bool h248_fault(struct h248_reader *r, enum epc_err err, unsigned code, const char *fmt, ...) EPC_PRINTF(4, 5);
void h248_space(struct h248_reader *r);
/** Is @p c next (after spaces)? Then it is taken. */
bool h248_take(struct h248_reader *r, char c);
bool h248_expect(struct h248_reader *r, char c, unsigned code, const char *after);
/** 1*SafeChar; empty if there is none. */
struct epc_str h248_safe_chars(struct h248_reader *r);
bool h248_value(struct h248_reader *r, struct epc_h248_value *v, unsigned code);
bool h248_is_safe(char c);
/** A list that grows in the arena: room for one more. NULL: out of memory (noted). */
void *h248_grow(struct h248_reader *r, void *array, size_t n, size_t size);
/** The children in braces that have been opened. */
bool h248_children(struct h248_reader *r, struct epc_h248_node *n, enum h248_place place);
/** One node; @p code names what kind of syntax it breaks if it does. */
bool h248_node(struct h248_reader *r, struct epc_h248_node *n, enum h248_place place, unsigned code);
bool h248_read_error(const struct epc_h248_node *n, struct epc_h248_error *out);
/** A MID at the present position. */
bool h248_read_mid(struct h248_reader *r, struct epc_h248_mid *out, struct epc_str *text);

#endif
