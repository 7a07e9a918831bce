/* Bencode: rtpengine's own form of NG messages, which it need not translate as it does with JSON. The tree is
 * jansson's in either form. */
#ifndef EPC_BENCODE_H
#define EPC_BENCODE_H

#include <jansson.h>

#include "base/base.h"

/** Write @p v. What bencode lacks is written as rtpengine itself would: true and false as 1 and 0.
 *  @p out fails when out of memory, or for a value that has no such form (null, a fraction). */
void epc_bencode_put(struct epc_buf *out, const json_t *v);
/** Read one value that fills @p text, gives; NULL: it is none, it nests too deep, a key comes twice. Any
 *  octets may stand in strings but NUL. */
json_t *epc_bencode_get(struct epc_str text);

#endif
