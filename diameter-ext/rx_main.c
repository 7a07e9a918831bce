/* epcscf_rx.fdx: the Rx application function (TS 29.214) of the eP-CSCF, as a freeDiameter extension.
 *
 *     LoadExtension = "dict_rx.fdx";
 *     LoadExtension = "epcscf_rx.fdx";
 *
 * It has no configuration file: its settings come from the daemon that embeds freeDiameter. */
#include "rx_history.h"
#include "rx_peer.h"
#include "fdx.h"

#include <freeDiameter/extension.h>

#include <dlfcn.h>
#include <errno.h>
#include <time.h>

struct rx_ext rx;

static enum epc_err start(void)
{
    rx.start_s = (uint32_t)epc_wall_s();
    atomic_store(&rx.stopping, false);
    enum epc_err e = rx_profiles_init();
    if (e)
        return e;
    if (rx.host->cfg->webrtc_vendor && !rx_webrtc_init())
        epc_log(EPC_LOG_WARN, "rx",
                "event=no-webrtc-dictionary vendor=%u hint=\"no AVPs of policy.webrtc_vendor in any dictionary "
                "that freeDiameter has loaded: they are never sent\"",
                rx.host->cfg->webrtc_vendor);
    return rx_sender_start();
}

#define STOP_WAIT_MS 2000

static bool unfinished(void)
{
    rx_lock();
    bool to_close = rx_held_work() && rx_peer_count_open() > 0;
    rx_unlock();
    return to_close || rx_outstanding() > 0;
}

static void stop(void)
{
    if (atomic_exchange(&rx.stopping, true))
        return;
    rx_session_flush();
    for (uint64_t until = epc_now_ms() + STOP_WAIT_MS; unfinished() && epc_now_ms() < until;)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    if (rx_outstanding() > 0)
        epc_log(EPC_LOG_WARN, "rx", "event=stop unanswered=%u", rx_outstanding());
    rx_sender_stop();
    rx_held_fini();
}

static int announce(void)
{
    struct dict_object *vendor;
    vendor_id_t id = RX_VENDOR;
    int rc = fd_dict_search(fd_g_config->cnf_dict, DICT_VENDOR, VENDOR_BY_ID, &id, &vendor, ENOENT);
    return rc ? rc : fd_disp_app_support(rx_app(), vendor, 1, 0);
}

static int rx_entry(char *conffile)
{
    static struct epc_policy_client client;
    static const struct epc_rx_ext ext = {EPC_RX_ABI, &client,         start,
                                          stop,       rx_open_peers, rx_print_states,
                                          rx_peers_print, rx_history_tell};
    union {
        void *p;
        epc_rx_attach_fn *fn;
    } attach = {.p = dlsym(RTLD_DEFAULT, EPC_RX_ATTACH)};
    if (!attach.p) {
        fd_log(FD_LOG_ERROR, "epcscf_rx: this extension works inside the daemon epcscf only; here, "
                             "remove its LoadExtension line (dict_rx.fdx is useful by itself)");
        return ENOTSUP;
    }
    if (conffile)
        fd_log(FD_LOG_NOTICE, "epcscf_rx: %s is not read: the settings are the daemon's", conffile);
    if (!rx_avp_init())
        return ENOENT;
    rx_client_init(&client);
    rx.host = attach.fn(&ext);
    if (!rx.host || rx.host->abi != EPC_RX_ABI) {
        fd_log(FD_LOG_ERROR, "epcscf_rx: built for another version of the daemon");
        return EINVAL;
    }
    rx_peers_init();
    if (rx_held_init()) /* before the first CER: it sets our Origin-State-Id */
        return EIO;
    int rc = announce();
    if (!rc && !rx_push_init())
        rc = EINVAL;
    return rc;
}

void fd_ext_fini(void)
{
    if (!rx.host)
        return;
    stop();
    rx_session_fini();
    rx_profiles_fini();
}

EXTENSION_ENTRY("epcscf_rx", rx_entry, "dict_rx")
