/* What the stand-ins need of SIP: lines of a text, found without a copy. They meet well-formed messages
 * of one server only; a message that is not is counted as a fault of the run. */
#ifndef SIP_TEXT_H
#define SIP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct span {
    const char *p;
    size_t n;
};

/** One line of the head after @p at, without its end; false at the empty line. @p at moves on. */
bool sip_line(struct span text, size_t *at, struct span *line);
/** Value of the @p index-th line of that name (full or compact), trimmed; .p NULL if there is none. */
struct span sip_value(struct span text, const char *name, char compact, unsigned index);
/** Is @p line a field of that name? @p value may be NULL. */
bool sip_is(struct span line, const char *name, char compact, struct span *value);
/** The part between < and >, else the whole without parameters. */
struct span sip_uri(struct span value);
/** Value of a parameter ("tag") after the URI; .p NULL if absent. */
struct span sip_param(struct span value, const char *name);
int sip_status(struct span text);       /**< of a response; 0: it is a request */
size_t sip_body_at(struct span text);   /**< where the body begins; 0: the head is not complete */
size_t sip_length(struct span text);    /**< octets of the first message (Content-Length); 0: not complete */

/** Growing text. */
struct text {
    char *p;
    size_t n, cap;
};
void text_add(struct text *t, const char *p, size_t n);
/** Record-Route of @p response upside down: the caller's Route lines (RFC 3261 12.1.2). */
void sip_routes(struct span response, struct text *out);
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
