/* Service information as text, for the expected files. */
#ifndef INFO_TEXT_H
#define INFO_TEXT_H

#include "policy/policy.h"

/** @p codec_data false: only that it is there. */
void info_text(const struct epc_service_info *s, bool codec_data, struct epc_buf *out);

#endif
