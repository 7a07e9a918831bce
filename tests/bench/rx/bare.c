/* A client that does nothing beyond freeDiameter: the measure for ours. */
#include "rx_bench.h"

#include <freeDiameter/freeDiameter-host.h>
#include <freeDiameter/libfdcore.h>
#include <freeDiameter/libfdproto.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VENDOR_3GPP 10415u
#define RX_APP 16777236u

enum avp_id {
    SESSION_ID, AUTH_APP, DEST_REALM, DEST_HOST, AF_APP, MCD, NUMBER, MSC, FLOW_NUMBER, FLOW, TYPE, UL, DL,
    STATUS, CODEC, REQUEST_TYPE, RESULT, N_AVPS
};
static const struct {
    const char *name;
    uint32_t vendor;
} names[N_AVPS] = {
    [SESSION_ID] = {"Session-Id", 0},
    [AUTH_APP] = {"Auth-Application-Id", 0},
    [DEST_REALM] = {"Destination-Realm", 0},
    [DEST_HOST] = {"Destination-Host", 0},
    [AF_APP] = {"AF-Application-Identifier", VENDOR_3GPP},
    [MCD] = {"Media-Component-Description", VENDOR_3GPP},
    [NUMBER] = {"Media-Component-Number", VENDOR_3GPP},
    [MSC] = {"Media-Sub-Component", VENDOR_3GPP},
    [FLOW_NUMBER] = {"Flow-Number", VENDOR_3GPP},
    [FLOW] = {"Flow-Description", VENDOR_3GPP},
    [TYPE] = {"Media-Type", VENDOR_3GPP},
    [UL] = {"Max-Requested-Bandwidth-UL", VENDOR_3GPP},
    [DL] = {"Max-Requested-Bandwidth-DL", VENDOR_3GPP},
    [STATUS] = {"Flow-Status", VENDOR_3GPP},
    [CODEC] = {"Codec-Data", VENDOR_3GPP},
    [REQUEST_TYPE] = {"Rx-Request-Type", VENDOR_3GPP},
    [RESULT] = {"Result-Code", 0},
};

struct bare {
    struct dict_object *model[N_AVPS], *aar;
    sem_t room;
    atomic_uint_fast64_t answered, failed;
    uint32_t *latency_us;
};

struct request {
    struct bare *b;
    uint64_t sent_us, n;
};

static int look_up(struct bare *b)
{
    for (int i = 0; i < N_AVPS; i++) {
        struct dict_avp_request q = {.avp_vendor = names[i].vendor, .avp_name = (char *)(uintptr_t)names[i].name};
        int rc = fd_dict_search(fd_g_config->cnf_dict, DICT_AVP, AVP_BY_NAME_AND_VENDOR, &q, &b->model[i], ENOENT);
        if (rc)
            return rc;
    }
    return fd_dict_search(fd_g_config->cnf_dict, DICT_COMMAND, CMD_BY_NAME, "AA-Request", &b->aar, ENOENT);
}

static struct avp *group(const struct bare *b, msg_or_avp *parent, enum avp_id id)
{
    struct avp *a = NULL;
    return fd_msg_avp_new(b->model[id], 0, &a) || fd_msg_avp_add(parent, MSG_BRW_LAST_CHILD, a) ? NULL : a;
}

static void put(const struct bare *b, msg_or_avp *parent, enum avp_id id, union avp_value v)
{
    struct avp *a = NULL;
    if (fd_msg_avp_new(b->model[id], 0, &a) == 0 && fd_msg_avp_setvalue(a, &v) == 0)
        fd_msg_avp_add(parent, MSG_BRW_LAST_CHILD, a);
}

static void put_u32(const struct bare *b, msg_or_avp *parent, enum avp_id id, uint32_t v)
{
    put(b, parent, id, (union avp_value){.u32 = v});
}

static void put_text(const struct bare *b, msg_or_avp *parent, enum avp_id id, const char *text)
{
    put(b, parent, id, (union avp_value){.os = {(uint8_t *)(uintptr_t)text, strlen(text)}});
}

static struct msg *request(const struct bare *b, const char *sid, uint64_t n)
{
    struct msg *m = NULL;
    struct msg_hdr *h;
    if (fd_msg_new(b->aar, MSGFL_ALLOC_ETEID, &m) || fd_msg_hdr(m, &h))
        return NULL;
    h->msg_appl = RX_APP;
    h->msg_flags |= CMD_FLAG_PROXIABLE;
    put_text(b, m, SESSION_ID, sid);
    put_u32(b, m, AUTH_APP, RX_APP);
    fd_msg_add_origin(m, 1);
    put_text(b, m, DEST_REALM, fd_g_config->cnf_diamrlm);
    put_text(b, m, DEST_HOST, BENCH_PCRF);
    put_text(b, m, AF_APP, "bench");
    struct avp *mcd = group(b, m, MCD), *msc;
    if (!mcd)
        return m;
    put_u32(b, mcd, NUMBER, 1);
    msc = group(b, mcd, MSC);
    if (msc) {
        put_u32(b, msc, FLOW_NUMBER, 1);
        put_text(b, msc, FLOW, BENCH_UPLINK);
        put_text(b, msc, FLOW, BENCH_DOWNLINK);
    }
    put_u32(b, mcd, TYPE, 0);
    put_u32(b, mcd, UL, bench_bps(n));
    put_u32(b, mcd, DL, bench_bps(n));
    put_u32(b, mcd, STATUS, 2);
    put_text(b, mcd, CODEC, BENCH_OFFER);
    put_text(b, mcd, CODEC, BENCH_ANSWER);
    put_u32(b, m, REQUEST_TYPE, 1);
    return m;
}

static void on_answer(void *data, struct msg **m)
{
    struct request *q = data;
    struct bare *b = q->b;
    struct avp *a = NULL;
    struct avp_hdr *h;
    if (fd_msg_search_avp(*m, b->model[RESULT], &a) || !a || fd_msg_avp_hdr(a, &h) || !h->avp_value ||
        h->avp_value->u32 != 2001)
        atomic_fetch_add(&b->failed, 1);
    if (b->latency_us)
        b->latency_us[q->n] = (uint32_t)(bench_now_us() - q->sent_us);
    fd_msg_free(*m);
    *m = NULL;
    free(q);
    atomic_fetch_add(&b->answered, 1);
    sem_post(&b->room);
}

static void on_expiry(void *data, DiamId_t peer, size_t n, struct msg **m)
{
    struct request *q = data;
    (void)peer, (void)n;
    atomic_fetch_add(&q->b->failed, 1);
    sem_post(&q->b->room);
    fd_msg_free(*m);
    *m = NULL;
    free(q);
}

static void take(sem_t *s)
{
    while (sem_wait(s) != 0)
        ;
}

/* Loopback has to be named to the library, as in bench_pcrf.c. */
static int start_node(const char *conf)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    fd_g_debug_lvl = FD_LOG_ERROR;
    int rc = fd_core_initialize();
    if (!rc)
        rc = fd_core_parseconf(conf);
    if (!rc)
        rc = fd_ep_add_merge(&fd_g_config->cnf_endpoints, (struct sockaddr *)&sa, sizeof sa,
                             EP_FL_CONF | EP_ACCEPTALL);
    struct dict_object *app, *vendor;
    application_id_t app_id = RX_APP;
    vendor_id_t vendor_id = VENDOR_3GPP;
    if (!rc)
        rc = fd_dict_search(fd_g_config->cnf_dict, DICT_APPLICATION, APPLICATION_BY_ID, &app_id, &app, ENOENT);
    if (!rc)
        rc = fd_dict_search(fd_g_config->cnf_dict, DICT_VENDOR, VENDOR_BY_ID, &vendor_id, &vendor, ENOENT);
    if (!rc)
        rc = fd_disp_app_support(app, vendor, 1, 0);
    if (!rc)
        rc = fd_core_start();
    return rc ? rc : fd_core_waitstartcomplete();
}

static bool peer_opens(void)
{
    struct peer_hdr *p;
    for (int i = 0; i < 2000; i++) {
        if (fd_peer_getbyid((char *)(uintptr_t)BENCH_PCRF, sizeof BENCH_PCRF - 1, 0, &p) == 0 && p &&
            fd_peer_get_state(p) == STATE_OPEN)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return false;
}

static int exchange(const struct bench_plan *plan, struct bench_result *r)
{
    struct bare b = {0};
    char sid[128];
    if (look_up(&b))
        return -1;
    snprintf(sid, sizeof sid, "%s;1;1;bench", fd_g_config->cnf_diamid);
    sem_init(&b.room, 0, plan->outstanding);
    b.latency_us = plan->latency ? calloc(plan->pairs, sizeof *b.latency_us) : NULL;
    uint64_t begin_us = bench_now_us();
    double cpu = bench_cpu_s();
    for (uint64_t n = 0; n < plan->pairs; n++) {
        struct request *q = calloc(1, sizeof *q);
        struct timespec limit;
        take(&b.room);
        *q = (struct request){&b, bench_now_us(), n};
        struct msg *m = request(&b, sid, n);
        clock_gettime(CLOCK_REALTIME, &limit);
        limit.tv_sec += 8;
        if (!m || fd_msg_send_timeout(&m, on_answer, q, on_expiry, &limit))
            return -1;
    }
    for (unsigned i = 0; i < plan->outstanding; i++)
        take(&b.room);
    *r = (struct bench_result){.pairs = atomic_load(&b.answered),
                               .failed = atomic_load(&b.failed),
                               .wall_s = (double)(bench_now_us() - begin_us) / 1e6,
                               .cpu_s = bench_cpu_s() - cpu,
                               .latency_us = b.latency_us};
    return 0;
}

int bare_run(const char *conf, const struct bench_plan *plan, struct bench_result *r)
{
    int rc = start_node(conf);
    if (!rc && !peer_opens())
        rc = -1;
    if (!rc)
        rc = exchange(plan, r);
    fd_core_shutdown();
    fd_core_wait_shutdown_complete();
    return rc;
}
