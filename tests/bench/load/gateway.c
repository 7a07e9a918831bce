/* bench_gateway IP PORT: answers NG commands (bencode over UDP) as fast as it can, with a description of the
 * streams that it is given. It holds nothing; it is there so that a call has a gateway that costs nothing.
 * On SIGTERM it prints how many commands of each kind it has met. */
#include <arpa/inet.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/rtpengine/bencode.h"
#include "sip_text.h"

/* What rtpengine adds towards a WIC: ICE-lite credentials, a fingerprint, its only candidate. */
static const char webrtc[] =
    "a=rtcp:%u\r\na=rtcp-mux\r\na=setup:%s\r\na=fingerprint:sha-256 00:11:22:33:44:55:66:77:00:11:22:33:44:55:66:77:"
    "00:11:22:33:44:55:66:77:00:11:22:33:44:55:66:77\r\na=ice-ufrag:gwuf\r\na=ice-pwd:gatewayPasswordOf26chars01\r\n"
    "a=candidate:1 1 UDP 2130706431 127.0.0.1 %u typ host\r\na=end-of-candidates\r\n";

/* Always passive, as it is told; rtpengine 10.5 says actpass in offers all the same. */
static void end_of_stream(struct text *out, unsigned port, bool webrtc_side, bool offer)
{
    if (!port)
        return;
    if (webrtc_side)
        text_printf(out, webrtc, port, offer ? "actpass" : "passive", port);
    else
        text_printf(out, "a=rtcp:%u\r\n", port + 1);
}

/* m=TYPE PORT PROTO FORMATS: the same stream at a port of ours. */
static unsigned stream(struct text *out, struct span line, unsigned index, bool webrtc_side)
{
    char type[16];
    unsigned theirs;
    int formats = 0;
    if (sscanf(line.p, "m=%15s %u %*s%n", type, &theirs, &formats) != 2 || !formats)
        return 0;
    unsigned port = theirs ? (webrtc_side ? 40000 : 50000) + 2 * index : 0;
    text_printf(out, "m=%s %u %s%.*s\r\n", type, port, webrtc_side ? "UDP/TLS/RTP/SAVPF" : "RTP/AVP",
                (int)line.n - formats, line.p + formats);
    text_printf(out, "c=IN IP4 127.0.0.1\r\n");
    return port;
}

static bool passes(struct span line)
{
    static const char *const kept[] = {"a=rtpmap:", "a=fmtp:", "a=mid:", "a=sendrecv", "a=sendonly", "a=recvonly",
                                       "a=inactive"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (line.n >= strlen(kept[i]) && memcmp(line.p, kept[i], strlen(kept[i])) == 0)
            return true;
    return false;
}

/* The description of the other side as this side is to see it: every stream with its formats, our transport. */
static void describe(struct text *out, struct span sdp, bool webrtc_side, bool offer)
{
    struct span line;
    size_t at = 0;
    unsigned streams = 0, port = 0;
    out->n = 0;
    text_printf(out, "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n%s", webrtc_side ? "a=ice-lite\r\n" : "");
    while (sip_line(sdp, &at, &line)) {
        if (line.n > 2 && memcmp(line.p, "m=", 2) == 0) {
            end_of_stream(out, port, webrtc_side, offer);
            port = stream(out, line, streams++, webrtc_side);
        } else if (port && passes(line)) {
            text_add(out, line.p, line.n);
            text_add(out, "\r\n", 2);
        }
    }
    end_of_stream(out, port, webrtc_side, offer);
}

/* An offer says what the other side speaks; an answer only that the other side has no ICE, where it has none. */
static bool to_webrtc(const json_t *cmd, bool offer)
{
    const char *proto = json_string_value(json_object_get(cmd, "transport-protocol"));
    const char *ice = json_string_value(json_object_get(cmd, "ICE"));
    return offer ? proto && strstr(proto, "SAVPF") : !ice || strcmp(ice, "remove") != 0;
}

static json_t *described(const json_t *cmd, bool offer)
{
    static struct text out;
    const json_t *sdp = json_object_get(cmd, "sdp");
    if (!json_is_string(sdp))
        return json_pack("{s:s, s:s}", "result", "error", "error-reason", "no SDP");
    describe(&out, (struct span){json_string_value(sdp), json_string_length(sdp)}, to_webrtc(cmd, offer), offer);
    return json_pack("{s:s, s:s}", "result", "ok", "sdp", out.p);
}

static const char *const counted[] = {"offer", "answer", "delete"};
enum { N_COUNTED = sizeof counted / sizeof *counted };
static unsigned long counts[N_COUNTED];
static volatile sig_atomic_t over;

static void on_signal(int number)
{
    (void)number;
    over = 1;
}

static json_t *answer(const json_t *cmd)
{
    const char *what = json_string_value(json_object_get(cmd, "command"));
    if (!what)
        return json_pack("{s:s}", "result", "error");
    for (int i = 0; i < N_COUNTED; i++)
        counts[i] += strcmp(what, counted[i]) == 0;
    if (strcmp(what, "ping") == 0)
        return json_pack("{s:s}", "result", "pong");
    if (strcmp(what, "offer") == 0 || strcmp(what, "answer") == 0)
        return described(cmd, *what == 'o');
    if (strcmp(what, "list") == 0)
        return json_pack("{s:s, s:[]}", "result", "ok", "calls");
    if (strcmp(what, "statistics") == 0)
        return json_pack("{s:s, s:{s:{s:i}, s:{s:i}}}", "result", "ok", "statistics", "currentstatistics", "sessionstotal",
                         0, "totalstatistics", "uptime", 1);
    return json_pack("{s:s}", "result", "ok");
}

/* NG: a cookie, a space, the command; the reply repeats the cookie. */
static void serve(int fd)
{
    static char room[65536];
    struct epc_buf reply = {0};
    struct sockaddr_in peer;
    socklen_t len = sizeof peer;
    ssize_t n = recvfrom(fd, room, sizeof room - 1, 0, (struct sockaddr *)&peer, &len);
    char *body = n > 0 ? memchr(room, ' ', (size_t)n) : NULL;
    if (!body)
        return;
    size_t head = (size_t)(body - room) + 1;
    json_t *cmd = epc_bencode_get((struct epc_str){room + head, (size_t)n - head}), *said = answer(cmd);
    epc_buf_add(&reply, room, head);
    epc_bencode_put(&reply, said);
    sendto(fd, reply.p, reply.n, 0, (struct sockaddr *)&peer, len);
    epc_buf_free(&reply);
    json_decref(cmd);
    json_decref(said);
}

int main(int argc, char **argv)
{
    struct sockaddr_in own = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM, 0), size = 4 << 20;
    if (argc != 3 || inet_pton(AF_INET, argv[1], &own.sin_addr) != 1) {
        fputs("usage: bench_gateway IP PORT\n", stderr);
        return 2;
    }
    own.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (bind(fd, (struct sockaddr *)&own, sizeof own) != 0) {
        perror("bench_gateway");
        return 1;
    }
    struct sigaction on = {.sa_handler = on_signal};
    sigaction(SIGTERM, &on, NULL);
    while (!over)
        serve(fd);
    printf("{\"offer\": %lu, \"answer\": %lu, \"delete\": %lu}\n", counts[0], counts[1], counts[2]);
    return 0;
}
