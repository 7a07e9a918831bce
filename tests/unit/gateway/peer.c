#include "peer.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "gateway/rtpengine/bencode.h"

void peer_open(struct peer *p)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *p = (struct peer){.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    assert_true(p->fd >= 0);
    assert_int_equal(bind(p->fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(p->fd, (struct sockaddr *)&a, &n), 0);
    p->port = ntohs(a.sin_port);
}

void peer_close(struct peer *p)
{
    close(p->fd);
}

void peer_send_raw(struct peer *p, const struct peer_request *to, const void *data, size_t n)
{
    assert_int_equal(sendto(p->fd, data, n, 0, (const struct sockaddr *)&to->from, sizeof to->from), n);
}

void peer_send(struct peer *p, const struct peer_request *r, const char *json)
{
    struct epc_buf b = {0};
    epc_buf_printf(&b, "%s %s", r->cookie, json);
    assert_false(b.failed);
    peer_send_raw(p, r, b.p, b.n);
    epc_buf_free(&b);
}

void peer_send_sdp(struct peer *p, const struct peer_request *r, const char *sdp)
{
    struct epc_sdp *s = sdp_from(sdp);
    struct epc_buf text = {0};
    assert_int_equal(epc_sdp_print(s, &text), EPC_OK);
    json_t *j = json_pack("{s:s, s:s}", "result", "ok", "sdp", text.p);
    char *dump = json_dumps(j, JSON_COMPACT);
    assert_non_null(dump);
    peer_send(p, r, dump);
    free(dump);
    json_decref(j);
    epc_buf_free(&text);
    epc_sdp_free(s);
}

void peer_request_free(struct peer_request *r)
{
    json_decref(r->json);
    r->json = NULL;
}

/* @return whether that was all about it */
static bool answer_alone(struct peer *p, const struct peer_request *r)
{
    const char *command = peer_get(r, "command");
    if (strcmp(command, "statistics") == 0) {
        p->n_statistics++;
        if (!p->mute)
            peer_send(p, r, p->statistics ? p->statistics : "{\"result\":\"ok\"}");
        return true;
    }
    if (!strstr(peer_get(r, "call-id"), "-probe-"))
        return false;
    bool offer = strcmp(command, "offer") == 0;
    p->n_probes += offer;
    if (p->mute)
        return true;
    if (offer && p->probe_sdp)
        peer_send_sdp(p, r, p->probe_sdp);
    else
        peer_send(p, r, offer ? "{\"result\":\"error\",\"error-reason\":\"no\"}" : "{\"result\":\"ok\"}");
    return true;
}

/* A request, or cookie "" when the time is up. Pings are answered on the way. */
static struct peer_request take(struct peer *p, int ms, bool stop_at_ping)
{
    static char data[65536];
    uint64_t until = epc_now_ms() + (uint64_t)ms;
    for (;;) {
        struct peer_request r = {.json = NULL};
        socklen_t len = sizeof r.from;
        uint64_t now = epc_now_ms();
        struct pollfd f = {.fd = p->fd, .events = POLLIN};
        if (now > until || poll(&f, 1, (int)(until - now)) <= 0)
            return r;
        ssize_t n = recvfrom(p->fd, data, sizeof data - 1, 0, (struct sockaddr *)&r.from, &len);
        assert_true(n > 0);
        data[n] = 0;
        char *blank = strchr(data, ' ');
        assert_non_null(blank);
        assert_true((size_t)(blank - data) < sizeof r.cookie);
        memcpy(r.cookie, data, (size_t)(blank - data));
        r.json = epc_bencode_get((struct epc_str){blank + 1, (size_t)(data + n - blank - 1)});
        assert_non_null(r.json);
        if (answer_alone(p, &r)) {
            peer_request_free(&r);
            continue;
        }
        if (strcmp(peer_get(&r, "command"), "ping") != 0)
            return r;
        p->n_pings++;
        if (!p->mute)
            peer_send(p, &r, "{\"result\":\"pong\"}");
        if (stop_at_ping)
            return r;
        peer_request_free(&r);
    }
}

struct peer_request peer_next(struct peer *p)
{
    struct peer_request r = take(p, BENCH_WAIT_MS, false);
    if (!r.json)
        fail_msg("no request came");
    return r;
}

bool peer_try(struct peer *p, int ms, struct peer_request *out)
{
    *out = take(p, ms, false);
    return out->json != NULL;
}

void peer_expect_nothing(struct peer *p, int ms)
{
    struct peer_request r = take(p, ms, false);
    if (r.json)
        fail_msg("an unexpected %s came", peer_get(&r, "command"));
}

void peer_wait_pings(struct peer *p, unsigned n)
{
    while (p->n_pings < n) {
        struct peer_request r = take(p, BENCH_WAIT_MS, true);
        if (!r.json)
            fail_msg("no ping came");
        assert_string_equal(peer_get(&r, "command"), "ping");
        peer_request_free(&r);
    }
}

const char *peer_get(const struct peer_request *r, const char *key)
{
    const char *s = json_string_value(json_object_get(r->json, key));
    return s ? s : "";
}

bool peer_list_has(const struct peer_request *r, const char *key, const char *value)
{
    const json_t *list = json_object_get(r->json, key);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), value) == 0)
            return true;
    return false;
}
