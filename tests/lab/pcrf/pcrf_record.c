/* The record of all messages and the list of open sessions. */
#include "pcrf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct session {
    struct session *next;
    char *sid, *host, *realm;
};

/* One extension, one process: freeDiameter gives its callbacks no other place to keep state. */
static struct {
    pthread_mutex_t lock;
    FILE *record;
    char *state_file;
    struct session *sessions;
    unsigned n_sessions, n_opened;
} rec = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- reading AVPs ------------------------------------------------------------------------------- */

union avp_value *pcrf_value(struct avp *a)
{
    struct avp_hdr *h;
    return a && fd_msg_avp_hdr(a, &h) == 0 ? h->avp_value : NULL;
}

struct avp *pcrf_child(msg_or_avp *parent, uint32_t vendor, uint32_t code, struct avp *after)
{
    struct avp *a = after;
    struct avp_hdr *h;
    if (fd_msg_browse(after ? (msg_or_avp *)after : parent,
                      after ? MSG_BRW_NEXT : MSG_BRW_FIRST_CHILD, &a, NULL))
        return NULL;
    while (a) {
        if (fd_msg_avp_hdr(a, &h) == 0 && h->avp_code == code &&
            (h->avp_flags & AVP_FLAG_VENDOR ? h->avp_vendor : 0) == vendor)
            return a;
        struct avp *next = NULL;
        if (fd_msg_browse(a, MSG_BRW_NEXT, &next, NULL))
            break;
        a = next;
    }
    return NULL;
}

char *pcrf_text(struct msg *m, const char *avp_name)
{
    struct dict_object *model;
    struct avp *a = NULL;
    if (fd_dict_search(fd_g_config->cnf_dict, DICT_AVP, AVP_BY_NAME, avp_name, &model, ENOENT) == 0)
        fd_msg_search_avp(m, model, &a);
    union avp_value *v = pcrf_value(a);
    return v ? strndup((char *)v->os.data, v->os.len) : strdup("");
}

/* ---- JSON --------------------------------------------------------------------------------------- */

static json_t *octets(const uint8_t *p, size_t n)
{
    json_t *text = json_stringn((const char *)p, n); /* NULL unless valid UTF-8 */
    bool plain = text != NULL;
    for (size_t i = 0; plain && i < n; i++)
        plain = p[i] >= 0x20 || p[i] == '\n' || p[i] == '\r' || p[i] == '\t';
    if (plain)
        return text;
    json_decref(text);
    char *hex = malloc(2 * n + 3);
    if (!hex)
        return NULL;
    strcpy(hex, "0x");
    for (size_t i = 0; i < n; i++)
        sprintf(hex + 2 + 2 * i, "%02x", p[i]);
    text = json_string(hex);
    free(hex);
    return text;
}

static json_t *value(const struct avp_hdr *h, enum dict_avp_basetype base)
{
    const union avp_value *v = h->avp_value;
    char ip[INET_ADDRSTRLEN];
    if (!v)
        return json_null();
    switch (base) {
    case AVP_TYPE_OCTETSTRING:
        if (h->avp_code == 8 && !(h->avp_flags & AVP_FLAG_VENDOR) && v->os.len == 4)
            return json_string(inet_ntop(AF_INET, v->os.data, ip, sizeof ip));
        return octets(v->os.data, v->os.len);
    case AVP_TYPE_INTEGER32:
        return json_integer(v->i32);
    case AVP_TYPE_INTEGER64:
        return json_integer(v->i64);
    case AVP_TYPE_UNSIGNED32:
        return json_integer(v->u32);
    case AVP_TYPE_UNSIGNED64:
        return json_integer((json_int_t)v->u64);
    case AVP_TYPE_FLOAT32:
        return json_real((double)v->f32);
    case AVP_TYPE_FLOAT64:
        return json_real(v->f64);
    case AVP_TYPE_GROUPED:
        break;
    }
    return json_null();
}

static json_t *avp_list(msg_or_avp *parent)
{
    json_t *list = json_array();
    struct avp *a = NULL;
    if (fd_msg_browse(parent, MSG_BRW_FIRST_CHILD, &a, NULL))
        a = NULL;
    while (a) {
        struct avp_hdr *h;
        struct dict_object *model = NULL;
        struct dict_avp_data data = {.avp_basetype = AVP_TYPE_OCTETSTRING};
        if (fd_msg_avp_hdr(a, &h))
            break;
        if (fd_msg_model(a, &model) == 0 && model)
            fd_dict_getval(model, &data);
        json_t *o = json_object();
        json_object_set_new(o, "name", json_string(data.avp_name ? data.avp_name : "?"));
        json_object_set_new(o, "code", json_integer(h->avp_code));
        json_object_set_new(o, "vendor",
                            json_integer(h->avp_flags & AVP_FLAG_VENDOR ? h->avp_vendor : 0));
        char flags[4];
        snprintf(flags, sizeof flags, "%s%s", h->avp_flags & AVP_FLAG_VENDOR ? "V" : "",
                 h->avp_flags & AVP_FLAG_MANDATORY ? "M" : "");
        json_object_set_new(o, "flags", json_string(flags));
        if (data.avp_basetype == AVP_TYPE_GROUPED)
            json_object_set_new(o, "avps", avp_list(a));
        else
            json_object_set_new(o, "value", value(h, data.avp_basetype));
        json_array_append_new(list, o);
        struct avp *next = NULL;
        if (fd_msg_browse(a, MSG_BRW_NEXT, &next, NULL))
            break;
        a = next;
    }
    return list;
}

static const char *command_name(uint32_t code, bool request)
{
    switch (code) {
    case CC_AA:
        return request ? "AAR" : "AAA";
    case CC_RA:
        return request ? "RAR" : "RAA";
    case CC_ST:
        return request ? "STR" : "STA";
    case CC_AS:
        return request ? "ASR" : "ASA";
    }
    return "?";
}

void pcrf_record(bool out, struct msg *m)
{
    struct msg_hdr *h;
    struct timespec t;
    if (!rec.record || fd_msg_hdr(m, &h))
        return;
    clock_gettime(CLOCK_REALTIME, &t);
    json_t *o = json_object();
    bool request = h->msg_flags & CMD_FLAG_REQUEST;
    json_object_set_new(o, "t_us",
                        json_integer((json_int_t)t.tv_sec * 1000000 + t.tv_nsec / 1000));
    json_object_set_new(o, "dir", json_string(out ? "out" : "in"));
    json_object_set_new(o, "command", json_string(command_name(h->msg_code, request)));
    json_object_set_new(o, "error", json_boolean(h->msg_flags & CMD_FLAG_ERROR));
    json_object_set_new(o, "retransmitted", json_boolean(h->msg_flags & CMD_FLAG_RETRANSMIT));
    json_object_set_new(o, "end_to_end", json_integer(h->msg_eteid));
    json_object_set_new(o, "avps", avp_list(m));
    char *line = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(o);
    pthread_mutex_lock(&rec.lock);
    if (line) {
        fprintf(rec.record, "%s\n", line);
        fflush(rec.record);
    }
    pthread_mutex_unlock(&rec.lock);
    free(line);
}

/* ---- sessions ----------------------------------------------------------------------------------- */

/* Written beside and renamed, so that a reader never sees half a file. Lock held. */
static void write_state(void)
{
    char tmp[4096];
    if (!rec.state_file ||
        (size_t)snprintf(tmp, sizeof tmp, "%s.new", rec.state_file) >= sizeof tmp)
        return;
    FILE *f = fopen(tmp, "w");
    if (!f)
        return;
    fprintf(f, "{\"sessions\":%u,\"opened\":%u,\"ids\":[", rec.n_sessions, rec.n_opened);
    for (struct session *s = rec.sessions; s; s = s->next)
        fprintf(f, "\"%s\"%s", s->sid, s->next ? "," : "");
    fprintf(f, "]}\n");
    if (fclose(f) == 0 && rename(tmp, rec.state_file) != 0)
        fd_log(FD_LOG_ERROR, "lab_pcrf: %s: %s", rec.state_file, strerror(errno));
}

static struct session **locate(const char *sid)
{
    struct session **at = &rec.sessions;
    while (*at && strcmp((*at)->sid, sid) != 0)
        at = &(*at)->next;
    return at;
}

static void session_free(struct session *s)
{
    free(s->sid);
    free(s->host);
    free(s->realm);
    free(s);
}

void pcrf_session_open(const char *sid, const char *host, const char *realm)
{
    pthread_mutex_lock(&rec.lock);
    if (!*locate(sid)) {
        struct session *s = calloc(1, sizeof *s);
        if (s) {
            s->sid = strdup(sid);
            s->host = strdup(host);
            s->realm = strdup(realm);
            s->next = rec.sessions;
            rec.sessions = s;
            rec.n_sessions++;
            rec.n_opened++;
            write_state();
        }
    }
    pthread_mutex_unlock(&rec.lock);
}

bool pcrf_session_close(const char *sid)
{
    pthread_mutex_lock(&rec.lock);
    struct session **at = locate(sid), *s = *at;
    if (s) {
        *at = s->next;
        session_free(s);
        rec.n_sessions--;
        write_state();
    }
    pthread_mutex_unlock(&rec.lock);
    return s != NULL;
}

bool pcrf_session_others(const char *sid)
{
    pthread_mutex_lock(&rec.lock);
    bool others = rec.n_sessions > (*locate(sid) ? 1u : 0u);
    pthread_mutex_unlock(&rec.lock);
    return others;
}

bool pcrf_session_find(const char *sid, char **host, char **realm)
{
    pthread_mutex_lock(&rec.lock);
    struct session *s = *locate(sid);
    if (s && host) {
        *host = strdup(s->host);
        *realm = strdup(s->realm);
    }
    pthread_mutex_unlock(&rec.lock);
    return s != NULL;
}

int pcrf_record_open(const char *record_file, const char *state_file)
{
    if (record_file && !(rec.record = fopen(record_file, "a"))) {
        fd_log(FD_LOG_ERROR, "lab_pcrf: %s: %s", record_file, strerror(errno));
        return errno ? errno : EIO;
    }
    rec.state_file = state_file ? strdup(state_file) : NULL;
    pthread_mutex_lock(&rec.lock);
    write_state();
    pthread_mutex_unlock(&rec.lock);
    return 0;
}

void pcrf_record_close(void)
{
    while (rec.sessions) {
        struct session *s = rec.sessions;
        rec.sessions = s->next;
        session_free(s);
    }
    if (rec.record)
        fclose(rec.record);
    free(rec.state_file);
    rec.record = NULL;
    rec.state_file = NULL;
}
