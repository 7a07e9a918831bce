/* The journal of Rx sessions: a file that tells after a crash which sessions PCRFs may still hold.
 * Knows nothing of Diameter, so that tests and the fuzzer can use it alone.
 *
 * Lines of text, each with its own checksum:
 *
 *     <crc32, 8 hex digits> TAB # TAB epcscf-rx 1 TAB <Origin-State-Id of the writer>
 *     <crc32> TAB + TAB <Session-Id> TAB <hop> TAB <host> TAB <realm> TAB <Origin-State-Id of host>
 *     <crc32> TAB - TAB <Session-Id> TAB <hop>
 *
 * "+": the PCRF behind the peer <hop> may hold the session (a second "+" replaces the first); "-": it
 * does not any more. A line that is not whole is passed over. What was written survives the end of the
 * process, however sudden; a crash of the machine may take the last seconds with it. */
#ifndef EPC_RX_JOURNAL_H
#define EPC_RX_JOURNAL_H

#include "base/base.h"

#define RX_JOURNAL_LINE_MAX 1400

enum rx_journal_kind { RX_JOURNAL_HEAD = '#', RX_JOURNAL_HELD = '+', RX_JOURNAL_FREE = '-' };
struct rx_journal_record {
    enum rx_journal_kind kind;
    struct epc_str sid, hop, host, realm; /**< borrowed; host may be empty: not known yet */
    uint32_t state;                       /**< Origin-State-Id; in HEAD the writer's */
};

/** Read one line, without its line feed. Fields point into it. Takes any octets.
 *  @return EPC_OK, EPC_EPROTO (damaged, or of another version) */
enum epc_err rx_journal_parse(struct epc_str line, struct rx_journal_record *out) EPC_MUST_CHECK;
/** The eight hex digits of the checksum of @p body, what stands behind the first tab of a line. */
void rx_journal_sum(struct epc_str body, char out[9]);
/** Append the line of @p r, with its line feed. @return EPC_OK, EPC_EINVAL (a field holds a control
 *  character or is too long: nothing appended), EPC_ENOMEM */
enum epc_err rx_journal_format(struct epc_buf *b, const struct rx_journal_record *r) EPC_MUST_CHECK;

struct rx_journal; /* of one thread at a time */

/** Open @p path (made with mode 0600 if it is not there) and read it.
 *  @param fn called for each whole "+" and "-" in order. @param[in,out] state in: the time in seconds;
 *  out: the Origin-State-Id to use, larger than any that an earlier process used.
 *  @return EPC_OK, EPC_EIO (logged), EPC_EEXIST (another process has it; logged), EPC_ENOMEM */
enum epc_err rx_journal_open(struct rx_journal **out, const char *path,
                             void (*fn)(void *arg, const struct rx_journal_record *r), void *arg,
                             uint32_t *state) EPC_MUST_CHECK;
/** Append @p n lines, as rx_journal_format() made them, to what the next flush writes; @p lines is
 *  emptied. */
void rx_journal_add_lines(struct rx_journal *j, struct epc_buf *lines, size_t n);
/** Write what was added. Faults are counted and logged once; until a rewrite succeeds nothing more is
 *  written. @return EPC_OK, EPC_EIO */
enum epc_err rx_journal_flush(struct rx_journal *j);
/** True when the file should be rewritten: mostly dead lines, or a write has failed some time ago.
 *  @param held lines that a rewrite would write. */
bool rx_journal_wants_rewrite(const struct rx_journal *j, size_t held);
/** Begin a new file; then rx_journal_add_lines() all that holds, then rx_journal_end_rewrite() puts it
 *  in the old one's place. @return EPC_OK, EPC_EIO (logged; the old one stays) */
enum epc_err rx_journal_begin_rewrite(struct rx_journal *j) EPC_MUST_CHECK;
enum epc_err rx_journal_end_rewrite(struct rx_journal *j);
/** Closes; NULL-safe. Flush or rewrite before. */
void rx_journal_close(struct rx_journal *j);

#endif
