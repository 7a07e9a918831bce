/* The journal of Rx sessions: any file gives whole records or none, and what was read can be written
 * and read again. */
#include "rx_journal.h"

#include <string.h>

static void one_line(struct epc_str line)
{
    struct rx_journal_record r, again;
    struct epc_buf b = {0};
    if (rx_journal_parse(line, &r))
        return;
    if (rx_journal_format(&b, &r) || rx_journal_parse((struct epc_str){b.p, b.n - 1}, &again) ||
        again.kind != r.kind || again.state != r.state || !epc_str_eq(again.sid, r.sid) || !epc_str_eq(again.hop, r.hop) ||
        !epc_str_eq(again.host, r.host) || !epc_str_eq(again.realm, r.realm))
        __builtin_trap();
    epc_buf_free(&b);
}

/* The checksum keeps a fuzzer out: it is put right before the rest is looked at. */
static void with_checksum(struct epc_str body)
{
    char line[RX_JOURNAL_LINE_MAX + 1];
    if (body.n + 9 > RX_JOURNAL_LINE_MAX)
        return;
    rx_journal_sum(body, line);
    line[8] = '\t';
    memcpy(line + 9, body.p, body.n);
    one_line((struct epc_str){line, body.n + 9});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct epc_str rest = {(const char *)data, size};
    while (rest.p && rest.n > 0) {
        struct epc_str line = epc_str_cut(&rest, '\n');
        one_line(line);
        if (line.p)
            with_checksum(line);
    }
    return 0;
}
