/* Configuration: any text gives a snapshot that holds what its readers count on, or faults. */
#include "config/config_priv.h"

#include <stdlib.h>
#include <string.h>

static void see(void *arg, const char *line)
{
    size_t *n = arg;
    if (strlen(line) < 4)
        __builtin_trap();
    ++*n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct epc_config *c = NULL;
    size_t n_faults = 0;
    enum epc_err err =
        epc_config_load_text(&c, "fuzz/f.yaml", (const char *)data, size, false, see, &n_faults);
    if ((err == EPC_OK) != (c != NULL) || (err == EPC_OK) != (n_faults == 0))
        __builtin_trap();
    if (c && (c->shards == 0 || !c->sip.core_host || !c->sip.public_host || !c->sip.icscf ||
              c->sip.n_home_domains == 0 || !c->sip.ioi || !c->wss.certificate || c->wss.n_listen == 0 ||
              c->media.n_rtpengine == 0 || c->sip.core_port + c->shards > 65536))
        __builtin_trap();
    epc_config_free(c);
    return 0;
}
