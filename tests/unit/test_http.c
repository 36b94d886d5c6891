/* test_http.c - the HTTP client: requests, redirects, limits, failures, interruption.
 * Many at once are in test_http_crowd.c. */
#include "support/cancel.h"
#include "support/http_server.h"
#include "support/process.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the stage: a server and a client, and nothing left behind ------------------------------- */

struct stage {
    struct http_server server;
    struct aw_http_client *client;
    struct aw_http_response response;
    struct aw_error error;
    char url[512];
};

static struct stage *stage;

static const char *url_of(const char *path)
{
    snprintf(stage->url, sizeof stage->url, "http://127.0.0.1:%u%s", stage->server.port, path);
    return stage->url;
}

static int fetch(const char *path)
{
    aw_http_response_free(&stage->response);
    return aw_http_get(stage->client, url_of(path), &stage->response, &stage->error);
}

static int fetch_as(struct aw_http_request request, const char *path)
{
    aw_http_response_free(&stage->response);
    request.url = url_of(path);
    return aw_http_request(stage->client, &request, &stage->response, &stage->error);
}

#define expect_error(result, number_, code_) \
    do { \
        int result_ = (result); \
        cr_expect_eq(result_, number_, "%d (%s: %s)", result_, stage->error.code, \
                     stage->error.message); \
        cr_expect_str_eq(stage->error.code, code_, "%s: %s", stage->error.code, \
                         stage->error.message); \
        cr_expect_null(stage->response.body); \
    } while (0)

#define expect_body(result, text) \
    do { \
        int result_ = (result); \
        cr_assert_eq(result_, 0, "%d %s: %s", result_, stage->error.code, stage->error.message); \
        cr_expect_str_eq(stage->response.body, text); \
    } while (0)

struct play {
    void (*body)(void);
    const struct aw_http_options *options;
};

static int perform(void *argument)
{
    const struct play *play = argument;
    struct stage here = {.client = NULL};
    stage = &here;
    uint32_t tasks_before = aw_task_count();
    http_server_start(&here.server, NULL);
    cr_assert_eq(aw_http_client_open(&here.client, play->options, &here.error), 0, "%s",
                 here.error.message);
    play->body();
    aw_http_response_free(&here.response);
    aw_http_client_close(here.client);
    http_server_stop(&here.server);
    cr_expect_eq(aw_task_count(), tasks_before, "%u tasks, not %u", aw_task_count(), tasks_before);
    return 0;
}

static void run_with(void (*body)(void), const struct aw_http_options *options)
{
    int before = open_descriptors();
    cr_assert_eq(aw_run(perform, &(struct play){body, options}), 0);
    cr_expect_eq(open_descriptors(), before, "a descriptor is left");
}

/* A test inside a loop, with the stage set. */
#define HTTP_TEST_WITH(name, options) \
    static void name##_body(void); \
    Test(http, name, .timeout = 120) { run_with(name##_body, options); } \
    static void name##_body(void)
#define HTTP_TEST(name) HTTP_TEST_WITH(name, NULL)

/* --- requests --------------------------------------------------------------------------------- */

HTTP_TEST(get_gives_status_headers_and_body)
{
    cr_assert_eq(fetch("/echo?a=b"), 0, "%s", stage->error.message);
    cr_expect_eq(stage->response.status, 200);
    cr_expect_str_eq(stage->response.reason, "OK");
    cr_expect_str_eq(stage->response.url, stage->url);
    cr_expect_eq(strncmp(stage->response.body, "GET /echo?a=b\n", 14), 0);
    cr_expect_eq(strlen(stage->response.body), stage->response.body_size);
    cr_expect_not_null(strstr(stage->response.body, "User-Agent: libawait/"));
    cr_expect_null(strstr(stage->response.body, "Content-"));
    cr_expect_str_eq(aw_http_header(&stage->response, "set-cookie"), "a=1");
    cr_expect_str_eq(aw_http_header(&stage->response, "X-EMPTY"), "");
    cr_expect_null(aw_http_header(&stage->response, "X-Other"));
    cr_expect_eq(stage->response.header_count, 4);
    cr_expect_str_eq(stage->response.headers[2].value, "b=2");
}

HTTP_TEST(post_sends_its_body)
{
    cr_assert_eq(aw_http_post(stage->client, url_of("/echo"), "text/plain", "a\0b", 3,
                              &stage->response, &stage->error), 0);
    const char *body = stage->response.body;
    cr_expect_eq(strncmp(body, "POST /echo\n", 11), 0);
    cr_expect_not_null(strstr(body, "Content-Type: text/plain\r\n"));
    cr_expect_not_null(strstr(body, "Content-Length: 3\r\n"));
    cr_expect_eq(memcmp(body + stage->response.body_size - 3, "a\0b", 3), 0);
}

HTTP_TEST(a_large_post_does_not_wait_for_100)
{
    size_t size = 3 << 20;
    char *large = malloc(size);
    memset(large, 'y', size);
    cr_assert_eq(aw_http_post(stage->client, url_of("/echo"), NULL, large, size,
                              &stage->response, &stage->error), 0);
    cr_expect_null(strstr(stage->server.last, "Expect:"));
    cr_expect_null(strstr(stage->server.last, "Content-Type:"));
    cr_expect_eq(memcmp(stage->response.body + stage->response.body_size - size, large, size), 0);
    free(large);
}

HTTP_TEST(every_method_goes_out_as_it_is)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        cr_assert_eq(fetch_as((struct aw_http_request){.method = methods[i]}, "/echo"), 0);
        size_t length = strlen(methods[i]);
        cr_expect_eq(strncmp(stage->response.body, methods[i], length), 0, "%s",
                     stage->response.body);
        bool may_have_body = methods[i][0] == 'P';
        cr_expect_eq(strstr(stage->server.last, "Content-Length: 0") != NULL, may_have_body, "%s",
                     methods[i]);
        cr_assert_eq(fetch_as((struct aw_http_request){.method = methods[i], .body = "data",
                                                       .body_size = 4}, "/echo"), 0);
        cr_expect_str_eq(stage->response.body + stage->response.body_size - 4, "data");
    }
    expect_body(fetch_as((struct aw_http_request){.method = "HEAD"}, "/echo"), "");
    cr_expect_not_null(aw_http_header(&stage->response, "Content-Length"));
    expect_body(fetch("/redirect/0"), "home"); /* the connection is still in step */
}

HTTP_TEST(headers_go_out_and_override)
{
    const struct aw_http_header headers[] = {
        {"X-One", "1"}, {"X-Empty", ""}, {"User-Agent", "mine"}, {"Accept", "text/html"}};
    cr_assert_eq(fetch_as((struct aw_http_request){.headers = headers, .header_count = 4},
                          "/echo"), 0);
    cr_expect_not_null(strstr(stage->server.last, "\r\nX-One: 1\r\n"));
    cr_expect_not_null(strstr(stage->server.last, "\r\nX-Empty:"));
    cr_expect_not_null(strstr(stage->server.last, "\r\nUser-Agent: mine\r\n"));
    cr_expect_null(strstr(stage->server.last, "libawait"));
    cr_expect_null(strstr(stage->server.last, "*/*"));
}

HTTP_TEST(wrong_requests_are_refused)
{
    static const struct aw_http_header bad[] = {{"X-A", "1\r\nX-B: 2"}, {"X A", "1"}, {"", "1"},
        {"X-A", NULL}, {NULL, "1"}, {"Content-Length", "5"}, {"transfer-encoding", "chunked"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect_error(fetch_as((struct aw_http_request){.headers = &bad[i], .header_count = 1},
                              "/echo"), -EINVAL, "REQUEST");
    static const char *const urls[] = {NULL, "", "/echo", "localhost", "ftp://localhost/",
        "file:///etc/passwd", "http://", "http://a b/", "http://host:99999/", "http://x/\ny"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
        expect_error(aw_http_get(stage->client, urls[i], &stage->response, &stage->error), -EINVAL,
                     "REQUEST");
    static const char *const methods[] = {"", "GET /", "CONNECT", "A\r\nB"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        expect_error(fetch_as((struct aw_http_request){.method = methods[i]}, "/echo"), -EINVAL,
                     "REQUEST");
    expect_error(fetch_as((struct aw_http_request){.method = "HEAD", .body = "x", .body_size = 1},
                          "/echo"), -EINVAL, "REQUEST");
    expect_error(fetch_as((struct aw_http_request){.body_size = 1}, "/echo"), -EINVAL, "REQUEST");
    struct aw_http_header many[257];
    for (size_t i = 0; i < 257; i++)
        many[i] = (struct aw_http_header){"X", "1"};
    expect_error(fetch_as((struct aw_http_request){.headers = many, .header_count = 257},
                          "/echo"), -EINVAL, "REQUEST");
    cr_expect_eq(stage->server.requests, 0);
}

HTTP_TEST(wrong_options_are_refused)
{
    const struct aw_http_options bad[] = {{.connections_max = 65537}, {.redirects_max = -2},
        {.redirects_max = 101}, {.proxy = "nonsense"}, {.proxy = "ftp://proxy:21"},
        {.proxy = "http://proxy"}, {.connections_per_host_max = 100000}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct aw_http_client *client = NULL;
        cr_expect_eq(aw_http_client_open(&client, &bad[i], &stage->error), -EINVAL, "%zu", i);
        cr_expect_null(client);
    }
}

HTTP_TEST(other_statuses_are_answers_too)
{
    expect_body(fetch("/status/404"), "why");
    cr_expect_eq(stage->response.status, 404);
    cr_expect_str_eq(stage->response.reason, "Said So");
    expect_body(fetch("/status/503"), "why");
    cr_expect_str_eq(aw_http_header(&stage->response, "Retry-After"), "7");
    expect_body(fetch("/status/204"), "");
}

HTTP_TEST(chunks_and_hints)
{
    expect_body(fetch("/chunks/2"), "00000000000000000001");
    cr_expect_null(aw_http_header(&stage->response, "X-Trailer"));
    expect_body(fetch("/hint"), "after");
    cr_expect_eq(stage->response.status, 200);
    cr_expect_null(aw_http_header(&stage->response, "X-Early"));
}

HTTP_TEST(connections_are_reused)
{
    for (int i = 0; i < 20; i++)
        expect_body(fetch("/redirect/0"), "home");
    cr_expect_eq(aw_server_accepted(stage->server.server), 1);
    struct aw_http_request fresh = {.fresh_connection = true};
    expect_body(fetch_as(fresh, "/redirect/0"), "home");
    cr_expect_eq(aw_server_accepted(stage->server.server), 2);
}

HTTP_TEST(a_connection_the_server_closed_is_replaced)
{
    for (int i = 0; i < 5; i++) {
        expect_body(fetch("/closing"), "bye");
        AW_IGNORE(aw_sleep(5));
    }
    cr_expect_eq(stage->server.requests, 5);
}

HTTP_TEST(a_large_body_survives_a_closed_connection)
{
    size_t size = 3 << 20;
    char *large = calloc(1, size);
    for (int i = 0; i < 10; i++) {
        expect_body(fetch("/closing"), "bye");
        struct aw_http_request request = {.method = "POST", .body = large, .body_size = size};
        int result = fetch_as(request, "/echo");
        cr_expect_eq(result, 0, "%d: %d %s", i, result, stage->error.message);
    }
    free(large);
}

HTTP_TEST(names_are_resolved)
{
    snprintf(stage->url, sizeof stage->url, "http://LOCALHOST:%u/redirect/0", stage->server.port);
    expect_body(aw_http_get(stage->client, stage->url, &stage->response, &stage->error), "home");
    aw_http_response_free(&stage->response);
    expect_error(aw_http_get(stage->client, "http://nowhere.invalid/", &stage->response,
                             &stage->error), stage->error.number, "RESOLVE");
    cr_expect(stage->error.number == -ENOENT || stage->error.number == -EAGAIN);
}

/* --- redirects -------------------------------------------------------------------------------- */

HTTP_TEST(redirects_are_followed)
{
    char last[600];
    expect_body(fetch("/redirect/10"), "home");
    snprintf(last, sizeof last, "http://127.0.0.1:%u/redirect/0", stage->server.port);
    cr_expect_str_eq(stage->response.url, last);
    cr_expect_eq(stage->server.requests, 11);
    cr_expect_eq(aw_server_accepted(stage->server.server), 1);
    expect_error((aw_http_response_free(&stage->response), fetch("/redirect/11")), -ELOOP,
                 "REDIRECTS");
    cr_expect_eq(stage->server.requests, 22);
}

static const struct aw_http_options no_redirects = {.redirects_max = -1};
HTTP_TEST_WITH(redirects_can_be_left_alone, &no_redirects)
{
    expect_body(fetch("/redirect/3"), "elsewhere");
    cr_expect_eq(stage->response.status, 302);
}

HTTP_TEST(redirects_keep_or_change_the_method)
{
    static const struct { const char *method, *path, *becomes; } rows[] = {
        {"POST", "/to/301//echo", "GET"},  {"POST", "/to/302//echo", "GET"},
        {"POST", "/to/303//echo", "GET"},  {"POST", "/to/307//echo", "POST"},
        {"POST", "/to/308//echo", "POST"}, {"PUT", "/to/302//echo", "PUT"},
        {"PUT", "/to/303//echo", "GET"},
    };
    const struct aw_http_header type = {"Content-Type", "text/plain"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct aw_http_request request = {.method = rows[i].method, .headers = &type,
                                          .header_count = 1, .body = "data", .body_size = 4};
        cr_assert_eq(fetch_as(request, rows[i].path), 0, "%s", stage->error.message);
        bool has_body = strcmp(rows[i].becomes, "GET") != 0;
        cr_expect_eq(strncmp(stage->response.body, rows[i].becomes, strlen(rows[i].becomes)), 0,
                     "%s: %s", rows[i].path, stage->response.body);
        cr_expect_eq(strstr(stage->server.last, "text/plain") != NULL, has_body);
        cr_expect_eq(strstr(stage->response.body, "data") != NULL, has_body);
    }
}

HTTP_TEST(credentials_stay_with_the_first_host)
{
    const struct aw_http_header secret[] = {{"Authorization", "Bearer s"}, {"Cookie", "c"},
                                            {"X-Kept", "k"}};
    struct aw_http_request request = {.headers = secret, .header_count = 3};
    cr_assert_eq(fetch_as(request, "/to/302//echo"), 0);
    cr_expect_not_null(strstr(stage->server.last, "Authorization: Bearer s"));
    char path[128]; /* the same server under another name is another origin */
    snprintf(path, sizeof path, "/to/302/http://localhost:%u/echo", stage->server.port);
    cr_assert_eq(fetch_as(request, path), 0, "%s", stage->error.message);
    cr_expect_not_null(strstr(stage->server.last, "X-Kept: k"));
    cr_expect_null(strstr(stage->server.last, "Authorization"));
    cr_expect_null(strstr(stage->server.last, "Cookie"));
}

static int refuse_localhost(const char *url, void *context)
{
    ++*(int *)context;
    return strstr(url, "localhost") ? -EPERM : 0;
}

HTTP_TEST(a_redirect_can_be_refused)
{
    int asked = 0;
    struct aw_http_request request = {.check_url = refuse_localhost, .context = &asked};
    expect_error(fetch_as(request, "/to/302/http://localhost/"), -EPERM, "REFUSED");
    cr_expect_eq(asked, 1);
    expect_error(fetch_as(request, "/to/302/file:///etc/passwd"), -EPROTO, "PROTOCOL");
    cr_assert_eq(fetch_as(request, "/to/302//echo"), 0);
    cr_expect_eq(asked, 2);
}

/* --- limits and failures --------------------------------------------------------------------- */

static const struct aw_http_options small = {.response_size_max = 1000};
HTTP_TEST_WITH(a_response_above_the_limit_is_refused, &small)
{
    cr_assert_eq(fetch("/bytes/1000"), 0);
    cr_expect_eq(stage->response.body_size, 1000);
    aw_http_response_free(&stage->response);
    expect_error(fetch("/bytes/1001"), -EMSGSIZE, "TOOBIG");
    expect_error(fetch("/bytes/100000000"), -EMSGSIZE, "TOOBIG");
    expect_error(fetch("/chunks/101"), -EMSGSIZE, "TOOBIG");
    cr_assert_eq(fetch_as((struct aw_http_request){.response_size_max = 2000}, "/bytes/1001"), 0);
}

HTTP_TEST(an_endless_head_is_refused)
{
    expect_error(fetch("/head"), -EMSGSIZE, "TOOBIG");
}

HTTP_TEST(a_server_that_cuts_is_told_apart)
{
    expect_error(fetch("/cut"), -ECONNRESET, "LOST");
    expect_error(fetch("/silent"), -ECONNRESET, "LOST");
    expect_error(fetch("/garbage"), -EPROTO, "PROTOCOL");
    snprintf(stage->url, sizeof stage->url, "http://127.0.0.1:1/");
    expect_error(aw_http_get(stage->client, stage->url, &stage->response, &stage->error),
                 -ECONNREFUSED, "CONNECT");
    expect_body(fetch("/redirect/0"), "home");
}

HTTP_TEST(a_deadline_ends_a_request)
{
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(500));
    expect_error(fetch("/gate"), -ETIME, "STOPPED");
    expect_error(fetch("/gate"), -ETIME, "WITHDRAWN");
    aw_scope_leave(&scope);
    expect_error(fetch_as((struct aw_http_request){.timeout_ms = 500}, "/gate"), -ETIMEDOUT,
                 "TIMEOUT");
    while (stage->server.waiting > 0) /* the connections were closed: nobody waits there for long */
        if (aw_event_set(&stage->server.gate), aw_yield() < 0)
            break;
    expect_body(fetch("/gate"), "open");
}

static int fetch_through_everything(void *argument)
{
    (void)argument;
    struct aw_http_response response = {0};
    char url[600];
    /* no names: a lookup that was given up has files open until its thread is through */
    snprintf(url, sizeof url, "http://127.0.0.1:%u/to/302//bytes/300000", stage->server.port);
    int result = aw_http_get(stage->client, url, &response, NULL);
    cr_expect(result < 0 || response.body_size == 300000);
    aw_http_response_free(&response);
    const struct aw_http_field field = {"name", "a value"};
    snprintf(url, sizeof url, "http://127.0.0.1:%u/echo", stage->server.port);
    if (result == 0)
        result = aw_http_post_form(stage->client, url, &field, 1, &response, NULL);
    aw_http_response_free(&response);
    return result;
}

/* Server and client in one process: their idle connections would count as left behind. */
static int fetch_in_a_client_of_its_own(void *argument)
{
    struct stage here = {.client = NULL};
    struct stage *outer = stage;
    stage = &here;
    http_server_start(&here.server, NULL);
    int result = aw_http_client_open(&here.client, NULL, NULL);
    if (result == 0)
        result = fetch_through_everything(argument);
    aw_http_client_close(here.client);
    http_server_stop(&here.server);
    stage = outer;
    return result;
}

HTTP_TEST(cancelled_anywhere_nothing_is_left)
{
    int rounds = cancel_everywhere(fetch_in_a_client_of_its_own, NULL);
    cr_expect_gt(rounds, 5, "%d", rounds);
}
