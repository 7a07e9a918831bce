/* bench_gateway IP PORT: answers NG commands (JSON over UDP) as fast as it can, with the same description for
 * everybody. It holds nothing; it is there so that a call has a gateway that costs nothing. */
#include <arpa/inet.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char access_sdp[] =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\na=ice-lite\r\n"
    "m=audio 40000 UDP/TLS/RTP/SAVPF 111 8 0 126\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:126 telephone-event/8000\r\na=sendrecv\r\na=rtcp:40000\r\na=rtcp-mux\r\n"
    "a=setup:passive\r\na=fingerprint:sha-256 00:11:22:33:44:55:66:77:00:11:22:33:44:55:66:77:00:11:22:33:44:55:66:77:"
    "00:11:22:33:44:55:66:77\r\na=ice-ufrag:gwuf\r\na=ice-pwd:gatewayPasswordOf26chars01\r\n"
    "a=candidate:1 1 UDP 2130706431 127.0.0.1 40000 typ host\r\na=end-of-candidates\r\n";
static const char core_sdp[] =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 50000 RTP/AVP 111 8 0 126\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:126 telephone-event/8000\r\na=sendrecv\r\na=rtcp:50001\r\n";

/* An offer goes to the other side than the one it came from; an answer comes back to the offerer's. */
static bool to_access(const json_t *cmd)
{
    const char *proto = json_string_value(json_object_get(cmd, "transport-protocol"));
    return proto && strstr(proto, "SAVPF");
}

static json_t *answer(const json_t *cmd)
{
    const char *what = json_string_value(json_object_get(cmd, "command"));
    if (!what)
        return json_pack("{s:s}", "result", "error");
    if (strcmp(what, "ping") == 0)
        return json_pack("{s:s}", "result", "pong");
    if (strcmp(what, "offer") == 0 || strcmp(what, "answer") == 0)
        return json_pack("{s:s, s:s}", "result", "ok", "sdp", to_access(cmd) ? access_sdp : core_sdp);
    if (strcmp(what, "list") == 0)
        return json_pack("{s:s, s:[]}", "result", "ok", "calls");
    if (strcmp(what, "statistics") == 0)
        return json_pack("{s:s, s:{s:{s:i}, s:{s:i}}}", "result", "ok", "statistics", "currentstatistics", "sessionstotal",
                         0, "totalstatistics", "uptime", 1);
    return json_pack("{s:s}", "result", "ok");
}

int main(int argc, char **argv)
{
    struct sockaddr_in own = {.sin_family = AF_INET}, peer;
    static char room[65536], reply[65536];
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
    for (;;) {
        socklen_t len = sizeof peer;
        ssize_t n = recvfrom(fd, room, sizeof room - 1, 0, (struct sockaddr *)&peer, &len);
        char *body = n > 0 ? memchr(room, ' ', (size_t)n) : NULL;
        if (!body)
            continue;
        size_t head = (size_t)(body - room) + 1;
        json_t *cmd = json_loadb(room + head, (size_t)n - head, 0, NULL), *said = answer(cmd);
        memcpy(reply, room, head);
        size_t m = json_dumpb(said, reply + head, sizeof reply - head, JSON_COMPACT);
        sendto(fd, reply, head + m, 0, (struct sockaddr *)&peer, len);
        json_decref(cmd);
        json_decref(said);
    }
}
