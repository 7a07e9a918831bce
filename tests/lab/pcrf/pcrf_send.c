/* Building and sending: answers, and RAR and ASR some time after an AAA. */
#include "pcrf.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct job {
    struct job *next;
    struct timespec due;
    struct msg *answer;  /* send this, or */
    uint32_t command;    /* make this request */
    char *sid;
    struct pcrf_rule rule;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool running, stop;
    struct job *jobs; /* by due time */
} q = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static struct dict_object *avp_model(uint32_t vendor, const char *name)
{
    struct dict_avp_request what = {.avp_vendor = vendor, .avp_name = (char *)name};
    struct dict_object *o = NULL;
    fd_dict_search(fd_g_config->cnf_dict, DICT_AVP, AVP_BY_NAME_AND_VENDOR, &what, &o, ENOENT);
    return o;
}

static struct avp *put(msg_or_avp *parent, uint32_t vendor, const char *name, union avp_value *v)
{
    struct avp *a = NULL;
    if (fd_msg_avp_new(avp_model(vendor, name), 0, &a))
        return NULL;
    if ((v && fd_msg_avp_setvalue(a, v)) || fd_msg_avp_add(parent, MSG_BRW_LAST_CHILD, a)) {
        fd_msg_free(a);
        return NULL;
    }
    return a;
}

static void put_u32(msg_or_avp *parent, uint32_t vendor, const char *name, uint32_t n)
{
    union avp_value v = {.u32 = n};
    put(parent, vendor, name, &v);
}

static void put_text(msg_or_avp *parent, const char *name, const char *text)
{
    union avp_value v = {.os = {(uint8_t *)text, strlen(text)}};
    put(parent, 0, name, &v);
}

static int by_due(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? (a->tv_sec < b->tv_sec ? -1 : 1)
                                  : (a->tv_nsec > b->tv_nsec) - (a->tv_nsec < b->tv_nsec);
}

static void schedule(struct job *j, uint32_t after_ms)
{
    clock_gettime(CLOCK_REALTIME, &j->due);
    j->due.tv_sec += after_ms / 1000;
    j->due.tv_nsec += (long)(after_ms % 1000) * 1000000;
    if (j->due.tv_nsec >= 1000000000) {
        j->due.tv_sec++;
        j->due.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&q.lock);
    struct job **at = &q.jobs;
    while (*at && by_due(&(*at)->due, &j->due) <= 0)
        at = &(*at)->next;
    j->next = *at;
    *at = j;
    pthread_cond_signal(&q.wake);
    pthread_mutex_unlock(&q.lock);
}

/* ---- answers ------------------------------------------------------------------------------------- */

static void put_acceptable(struct msg *m, const struct pcrf_rule *r)
{
    if (!r->n_acceptable)
        return;
    struct avp *info = put(m, PCRF_VENDOR, "Acceptable-Service-Info", NULL);
    for (size_t i = 0; info && i < r->n_acceptable; i++) {
        msg_or_avp *in = info;
        if (r->acceptable[i].component) {
            in = put(info, PCRF_VENDOR, "Media-Component-Description", NULL);
            if (!in)
                continue;
            put_u32(in, PCRF_VENDOR, "Media-Component-Number", r->acceptable[i].component);
        }
        if (r->acceptable[i].dl >= 0)
            put_u32(in, PCRF_VENDOR, "Max-Requested-Bandwidth-DL", (uint32_t)r->acceptable[i].dl);
        if (r->acceptable[i].ul >= 0)
            put_u32(in, PCRF_VENDOR, "Max-Requested-Bandwidth-UL", (uint32_t)r->acceptable[i].ul);
    }
}

void pcrf_answer(struct msg **request, const struct pcrf_rule *r, uint32_t command)
{
    struct msg_hdr *h;
    if (r->drop) {
        fd_msg_free(*request);
        *request = NULL;
        return;
    }
    if (fd_msg_new_answer_from_req(fd_g_config->cnf_dict, request, 0))
        return;
    struct msg *m = *request;
    *request = NULL;
    put_u32(m, 0, "Auth-Application-Id", PCRF_APP);
    fd_msg_add_origin(m, 1);
    struct avp *realm = r->origin_realm[0] ? pcrf_child(m, 0, 296, NULL) : NULL;
    union avp_value as = {.os = {(uint8_t *)r->origin_realm, strlen(r->origin_realm)}};
    if (realm)
        fd_msg_avp_setvalue(realm, &as);
    uint32_t code = r->result ? r->result : 2001;
    if (r->no_result)
        code = 0;
    else if (r->experimental) {
        struct avp *e = put(m, 0, "Experimental-Result", NULL);
        if (e) {
            put_u32(e, 0, "Vendor-Id", PCRF_VENDOR);
            put_u32(e, 0, "Experimental-Result-Code", code);
        }
    } else
        put_u32(m, 0, "Result-Code", code);
    if (r->error_bit && fd_msg_hdr(m, &h) == 0)
        h->msg_flags |= CMD_FLAG_ERROR;
    for (size_t i = 0; i < r->n_redirect; i++)
        put_text(m, "Redirect-Host", r->redirect[i]);
    if (r->redirect_usage >= 0)
        put_u32(m, 0, "Redirect-Host-Usage", (uint32_t)r->redirect_usage);
    if (r->redirect_cache_s >= 0)
        put_u32(m, 0, "Redirect-Max-Cache-Time", (uint32_t)r->redirect_cache_s);
    if (command == CC_AA) {
        put_acceptable(m, r);
        if (r->retry_interval_s >= 0)
            put_u32(m, PCRF_VENDOR, "Retry-Interval", (uint32_t)r->retry_interval_s);
    }
    pcrf_put_json(m, r->answer_avps);
    struct job *j = calloc(1, sizeof *j);
    if (!j) {
        fd_msg_free(m);
        return;
    }
    j->answer = m;
    schedule(j, r->delay_ms);
}

/* ---- requests of our own ------------------------------------------------------------------------- */

static void answered(void *data, struct msg **m)
{
    (void)data;
    pcrf_record(false, *m);
    fd_msg_free(*m);
    *m = NULL;
}

static void put_rar(struct msg *m, const struct pcrf_rule *r)
{
    for (size_t i = 0; i < r->n_specific_actions && !pcrf_names(r->push_omit, "Specific-Action"); i++) {
        union avp_value v = {.i32 = r->specific_action[i]};
        put(m, PCRF_VENDOR, "Specific-Action", &v);
    }
    for (size_t i = 0; i < r->n_lost; i++) {
        struct avp *f = put(m, PCRF_VENDOR, "Flows", NULL);
        if (f)
            put_u32(f, PCRF_VENDOR, "Media-Component-Number", r->lost[i]);
    }
}

static void send_request(struct job *j)
{
    struct dict_object *cmd;
    struct msg *m = NULL;
    struct msg_hdr *h;
    char *host = NULL, *realm = NULL;
    bool rar = j->command == CC_RA;
    if (!pcrf_session_find(j->sid, &host, &realm)) {
        /* A session that nobody has: still sent, to whom the Session-Id names. */
        host = strndup(j->sid, strcspn(j->sid, ";"));
        realm = strdup(fd_g_config->cnf_diamrlm);
    }
    if (fd_dict_search(fd_g_config->cnf_dict, DICT_COMMAND, CMD_BY_NAME,
                       rar ? "Re-Auth-Request" : "Abort-Session-Request", &cmd, ENOENT) ||
        fd_msg_new(cmd, MSGFL_ALLOC_ETEID, &m) || fd_msg_hdr(m, &h))
        goto out;
    h->msg_appl = PCRF_APP;
    put_text(m, "Session-Id", j->sid);
    fd_msg_add_origin(m, 1);
    put_text(m, "Destination-Realm", realm);
    put_text(m, "Destination-Host", host);
    if (!pcrf_names(j->rule.push_omit, "Auth-Application-Id"))
        put_u32(m, 0, "Auth-Application-Id", PCRF_APP);
    if (rar)
        put_rar(m, &j->rule);
    else if (!pcrf_names(j->rule.push_omit, "Abort-Cause")) {
        union avp_value v = {.i32 = j->rule.abort_cause};
        put(m, PCRF_VENDOR, "Abort-Cause", &v);
    }
    pcrf_put_json(m, j->rule.push_avps);
    pcrf_record(true, m);
    fd_msg_send(&m, answered, NULL);
out:
    if (m)
        fd_msg_free(m);
    free(host);
    free(realm);
}

void pcrf_request_later(uint32_t command, const char *sid, const struct pcrf_rule *r,
                        uint32_t after_ms)
{
    struct job *j = calloc(1, sizeof *j);
    if (!j)
        return;
    j->command = command;
    j->sid = strdup(sid);
    j->rule = pcrf_rule_copy(r);
    schedule(j, after_ms);
}

/* ---- the thread ---------------------------------------------------------------------------------- */

static void job_free(struct job *j)
{
    if (j->answer)
        fd_msg_free(j->answer);
    pcrf_rule_free(&j->rule);
    free(j->sid);
    free(j);
}

static void run(struct job *j)
{
    if (j->answer) {
        pcrf_record(true, j->answer);
        if (fd_msg_send(&j->answer, NULL, NULL) == 0)
            j->answer = NULL;
    } else
        send_request(j);
    job_free(j);
}

static void *sender(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&q.lock);
    while (!q.stop) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        struct job *j = q.jobs;
        if (!j)
            pthread_cond_wait(&q.wake, &q.lock);
        else if (by_due(&j->due, &now) > 0)
            pthread_cond_timedwait(&q.wake, &q.lock, &j->due);
        else {
            q.jobs = j->next;
            pthread_mutex_unlock(&q.lock);
            run(j);
            pthread_mutex_lock(&q.lock);
        }
    }
    pthread_mutex_unlock(&q.lock);
    return NULL;
}

int pcrf_send_init(void)
{
    if (!avp_model(PCRF_VENDOR, "Retry-Interval")) {
        fd_log(FD_LOG_ERROR, "lab_pcrf: load dict_rx.fdx first");
        return ENOENT;
    }
    int rc = pthread_create(&q.thread, NULL, sender, NULL);
    q.running = rc == 0;
    return rc;
}

void pcrf_send_fini(void)
{
    if (!q.running)
        return;
    pthread_mutex_lock(&q.lock);
    q.stop = true;
    pthread_cond_signal(&q.wake);
    pthread_mutex_unlock(&q.lock);
    pthread_join(q.thread, NULL);
    while (q.jobs) {
        struct job *j = q.jobs;
        q.jobs = j->next;
        job_free(j);
    }
}
