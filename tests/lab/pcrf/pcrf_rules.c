/* The rule file: {"rules": [{"match": {...}, ...}, ...]}; see README. */
#include "pcrf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t u32_of(const json_t *o, const char *key, uint32_t otherwise)
{
    const json_t *v = json_object_get(o, key);
    return json_is_integer(v) ? (uint32_t)json_integer_value(v) : otherwise;
}

static int64_t i64_of(const json_t *o, const char *key, int64_t otherwise)
{
    const json_t *v = json_object_get(o, key);
    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

static bool has_subscription(struct msg *m, const char *wanted)
{
    for (struct avp *s = NULL; (s = pcrf_child(m, 0, 443, s));) {
        union avp_value *v = pcrf_value(pcrf_child(s, 0, 444, NULL));
        if (v && memmem(v->os.data, v->os.len, wanted, strlen(wanted)))
            return true;
    }
    return false;
}

static bool has_media(struct msg *m, int32_t type)
{
    for (struct avp *c = NULL; (c = pcrf_child(m, PCRF_VENDOR, 517, c));) {
        union avp_value *v = pcrf_value(pcrf_child(c, PCRF_VENDOR, 520, NULL));
        if (v && v->i32 == type)
            return true;
    }
    return false;
}

static bool others_than(struct msg *m)
{
    char *sid = pcrf_text(m, "Session-Id");
    bool others = pcrf_session_others(sid);
    free(sid);
    return others;
}

static bool matches(const json_t *match, struct msg *m, uint32_t command)
{
    const char *name = json_string_value(json_object_get(match, "command"));
    const char *sub = json_string_value(json_object_get(match, "subscription"));
    const json_t *media = json_object_get(match, "media_type");
    const json_t *type = json_object_get(match, "request_type");
    if (strcmp(name ? name : "AAR", command == CC_ST ? "STR" : "AAR") != 0)
        return false;
    if (sub && !has_subscription(m, sub))
        return false;
    if (media && !has_media(m, (int32_t)json_integer_value(media)))
        return false;
    if (json_is_true(json_object_get(match, "other_session")) && !others_than(m))
        return false;
    if (type) {
        union avp_value *v = pcrf_value(pcrf_child(m, PCRF_VENDOR, 533, NULL));
        if ((v ? v->i32 : 0) != (int32_t)json_integer_value(type))
            return false;
    }
    return true;
}

static void read_rule(const json_t *o, struct pcrf_rule *r)
{
    size_t i;
    json_t *v;
    r->result = u32_of(o, "result", 0);
    if (json_object_get(o, "experimental")) {
        r->experimental = true;
        r->result = u32_of(o, "experimental", 0);
    }
    r->error_bit = json_is_true(json_object_get(o, "error_bit"));
    r->keep = json_is_true(json_object_get(o, "keep"));
    r->drop = json_is_true(json_object_get(o, "drop"));
    r->delay_ms = u32_of(o, "delay_ms", 0);
    r->retry_interval_s = i64_of(o, "retry_interval", -1);
    r->abort_after_ms = i64_of(o, "abort_after_ms", -1);
    r->abort_cause = (int32_t)i64_of(o, "abort_cause", 0);
    r->rar_after_ms = i64_of(o, "rar_after_ms", -1);
    r->no_result = json_is_true(json_object_get(o, "no_result"));
    r->answer_avps = json_object_get(o, "answer_avps");
    r->push_avps = json_object_get(o, "push_avps");
    r->push_omit = json_object_get(o, "push_omit");
    r->push_early = json_is_true(json_object_get(o, "push_early"));
    r->push_times = u32_of(o, "push_times", 1);
    json_array_foreach(json_object_get(o, "specific_action"), i, v)
        if (r->n_specific_actions < 8)
            r->specific_action[r->n_specific_actions++] = (int32_t)json_integer_value(v);
    json_array_foreach(json_object_get(o, "lost"), i, v)
        if (r->n_lost < 16)
            r->lost[r->n_lost++] = (uint32_t)json_integer_value(v);
    json_array_foreach(json_object_get(o, "redirect"), i, v)
        if (r->n_redirect < 4)
            snprintf(r->redirect[r->n_redirect++], sizeof r->redirect[0], "%s", json_string_value(v));
    const char *realm = json_string_value(json_object_get(o, "origin_realm"));
    snprintf(r->origin_realm, sizeof r->origin_realm, "%s", realm ? realm : "");
    r->redirect_usage = i64_of(o, "redirect_usage", -1);
    r->redirect_cache_s = i64_of(o, "redirect_cache_s", -1);
    json_array_foreach(json_object_get(o, "acceptable"), i, v)
        if (r->n_acceptable < 16) {
            r->acceptable[r->n_acceptable].component = u32_of(v, "component", 0);
            r->acceptable[r->n_acceptable].ul = i64_of(v, "ul", -1);
            r->acceptable[r->n_acceptable++].dl = i64_of(v, "dl", -1);
        }
}

void pcrf_rule_for(const char *file, struct msg *request, uint32_t command, struct pcrf_rule *out)
{
    *out = (struct pcrf_rule){.retry_interval_s = -1, .abort_after_ms = -1, .rar_after_ms = -1,
                              .redirect_usage = -1, .redirect_cache_s = -1};
    json_error_t err;
    json_t *doc = file ? json_load_file(file, 0, &err) : NULL, *o;
    size_t i;
    if (file && !doc && err.line > 0)
        fd_log(FD_LOG_ERROR, "lab_pcrf: %s:%d: %s", file, err.line, err.text);
    json_array_foreach(json_object_get(doc, "rules"), i, o) {
        if (matches(json_object_get(o, "match"), request, command)) {
            read_rule(o, out);
            out->doc = json_incref(doc);
            break;
        }
    }
    json_decref(doc);
}

struct pcrf_rule pcrf_rule_copy(const struct pcrf_rule *r)
{
    json_incref(r->doc);
    return *r;
}

void pcrf_rule_free(struct pcrf_rule *r)
{
    json_decref(r->doc);
    r->doc = NULL;
}
