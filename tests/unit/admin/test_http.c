/* /metrics and /health as a scraper and a load balancer see them. */
#include "harness.h"
#include "openmetrics.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { ANSWER_OCTETS = 200000 };

struct answer {
    int status;
    char text[ANSWER_OCTETS];
    char *body;
};

static struct answer *get(const struct harness *h, const char *method, const char *path)
{
    char req[256];
    size_t have = 0;
    struct answer *a = calloc(1, sizeof *a);
    assert_non_null(a);
    int fd = dial_tcp(h->port);
    snprintf(req, sizeof req, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", method, path);
    say(fd, req);
    ssize_t r;
    while ((r = recv(fd, a->text + have, sizeof a->text - 1 - have, 0)) > 0)
        have += (size_t)r;
    close(fd);
    a->body = strstr(a->text, "\r\n\r\n");
    assert_non_null(a->body);
    a->body += 4;
    assert_int_equal(sscanf(a->text, "HTTP/1.1 %d", &a->status), 1);
    return a;
}

static bool has_header(const struct answer *a, const char *header)
{
    size_t n = strlen(header);
    for (const char *p = a->text; p < a->body; p++)
        if (p[0] == '\n' && strncasecmp(p + 1, header, n) == 0 && p[1 + n] == '\r')
            return true;
    return false;
}

static void metrics_follow_the_grammar(void **state)
{
    char line[96];
    const char *why = NULL;
    epc_count_add(EPC_C_WSS_OPENED, 5);
    int64_t opened = epc_counter_read(EPC_C_WSS_OPENED);
    struct answer *a = get(*state, "GET", "/metrics");
    assert_int_equal(a->status, 200);
    assert_true(has_header(a, "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"));
    snprintf(line, sizeof line, "\nepcscf_wss_opened_total %lld\n", (long long)opened);
    assert_non_null(strstr(a->body, line));
    assert_non_null(strstr(a->body, "# TYPE epcscf_wss_flows gauge\n"));
    int families = openmetrics_check(a->body, &why);
    if (families < 0)
        fail_msg("%s", why);
    assert_int_equal(families, EPC_C_COUNT);
    free(a);
}

/* A checker that accepts all would prove nothing. */
static void checker_refuses(void **state)
{
    static const char *const bad[] = {
        "# TYPE x counter\n# HELP x h\nx 1\n# EOF\n",                              /* no _total */
        "# TYPE x gauge\n# HELP x h\nx_total 1\n# EOF\n",                          /* _total on a gauge */
        "# TYPE x_total counter\n# HELP x_total h\nx_total_total 1\n# EOF\n",      /* in the family's name */
        "# TYPE x gauge\n# HELP x h\nx 1\n",                                       /* no EOF */
        "# TYPE x gauge\n# HELP x h\nx 1\n# EOF",                                  /* no line end */
        "# TYPE x gauge\n# HELP x h\nx 1\n# EOF\nmore\n",                          /* text after it */
        "# TYPE x gauge\n# HELP x h\nx 1\nx 2\n# EOF\n",                           /* sample twice */
        "# TYPE x gauge\n# HELP x h\nx 1\n# TYPE x gauge\n# HELP x h\nx 1\n# EOF\n",
        "# TYPE x gauge\nx 1\n# EOF\n",                                            /* no HELP */
        "# TYPE x gauge\n# HELP x h\n# EOF\n",                                     /* no sample */
        "# TYPE x gauge\n# HELP y h\nx 1\n# EOF\n",
        "# TYPE x gauge\n# HELP x say \"h\"\nx 1\n# EOF\n",
        "# TYPE 1x gauge\n# HELP 1x h\n1x 1\n# EOF\n",
        "# TYPE x number\n# HELP x h\nx 1\n# EOF\n",
        "# TYPE x counter\n# HELP x h\nx_total -1\n# EOF\n",
        "# TYPE x gauge\n# HELP x h\nx 1 y\n# EOF\n",
        "\n# EOF\n",
    };
    char text[256];
    const char *why = NULL;
    (void)state;
    for (size_t i = 0; i < EPC_ARRAY_LEN(bad); i++) {
        snprintf(text, sizeof text, "%s", bad[i]);
        if (openmetrics_check(text, &why) >= 0)
            fail_msg("accepted: %s", bad[i]);
    }
    strcpy(text, "# TYPE x gauge\n# HELP x h\nx -1\n# TYPE y counter\n# HELP y a b\ny_total 0\n# EOF\n");
    assert_int_equal(openmetrics_check(text, &why), 2);
}

static void health_says_how_it_is(void **state)
{
    struct harness *h = *state;
    struct answer *a = get(h, "GET", "/health");
    assert_int_equal(a->status, 200);
    assert_true(has_header(a, "content-type: application/json"));
    assert_string_equal(a->body, "{\"status\":\"ok\"}\n");
    free(a);
    h->unhealthy = "no PCRF connected";
    a = get(h, "GET", "/health");
    assert_int_equal(a->status, 503);
    assert_string_equal(a->body, "{\"status\":\"unhealthy\",\"reason\":\"no PCRF connected\"}\n");
    free(a);
    h->unhealthy = NULL;
    a = get(h, "GET", "/health");
    assert_int_equal(a->status, 200);
    free(a);
}

static void other_paths_and_methods_are_refused(void **state)
{
    static const struct {
        const char *method, *path;
        int status;
    } table[] = {{"GET", "/", 404},          {"GET", "/metricsx", 404}, {"GET", "/metrics/x", 404},
                 {"POST", "/health", 405}, {"POST", "/nowhere", 405}, {"DELETE", "/metrics", 405},
                 {"PUT", "/metrics", 405}};
    for (size_t i = 0; i < EPC_ARRAY_LEN(table); i++) {
        struct answer *a = get(*state, table[i].method, table[i].path);
        if (a->status != table[i].status)
            fail_msg("%s %s: %d", table[i].method, table[i].path, a->status);
        assert_true(strlen(a->body) > 0);
        free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checker_refuses),
        cmocka_unit_test_setup_teardown(metrics_follow_the_grammar, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(health_says_how_it_is, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(other_paths_and_methods_are_refused, harness_setup, harness_teardown),
    };
    epc_log_setup(EPC_LOG_ERROR, 2);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
