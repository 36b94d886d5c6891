/* test_http_stream.c - responses read piece by piece, and TLS. */
#include "support/cancel.h"
#include "support/http_server.h"
#include "support/process.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct stage {
    struct http_server server;
    struct aw_http_client *client;
    struct aw_http_stream *stream;
    struct aw_error error;
};

static struct stage *stage;

static int open_stream(const char *path)
{
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", stage->server.port, path);
    struct aw_http_request request = {.url = url};
    return aw_http_open(stage->client, &request, &stage->stream, &stage->error);
}

static void close_stream(void)
{
    aw_http_stream_close(stage->stream);
    stage->stream = NULL;
}

/* All that is left of the body: its size, or the error. */
static int64_t drain(void)
{
    char piece[10000];
    int64_t total = 0;
    for (;;) {
        int size = aw_http_stream_read(stage->stream, piece, sizeof piece, &stage->error);
        if (size <= 0)
            return size < 0 ? size : total;
        total += size;
    }
}

static int perform(void *argument)
{
    void (*const *body)(void) = argument;
    struct stage here = {.client = NULL};
    stage = &here;
    http_server_start(&here.server, NULL);
    cr_assert_eq(aw_http_client_open(&here.client, NULL, NULL), 0);
    (*body)();
    aw_http_client_close(here.client);
    http_server_stop(&here.server);
    return 0;
}

#define STREAM_TEST(name) \
    static void name##_body(void); \
    Test(http_stream, name, .timeout = 120) \
    { \
        void (*body)(void) = name##_body; \
        int before = open_descriptors(); \
        cr_assert_eq(aw_run(perform, &body), 0); \
        cr_expect_eq(open_descriptors(), before, "a descriptor is left"); \
    } \
    static void name##_body(void)

STREAM_TEST(a_body_comes_in_pieces)
{
    cr_assert_eq(open_stream("/bytes/3000000"), 0, "%s", stage->error.message);
    const struct aw_http_response *head = aw_http_stream_head(stage->stream);
    cr_expect_eq(head->status, 200);
    cr_expect_str_eq(aw_http_header(head, "Content-Length"), "3000000");
    cr_expect_null(head->body);
    cr_expect_eq(drain(), 3000000);
    cr_expect_eq(drain(), 0); /* the end stays the end */
    close_stream();
    cr_assert_eq(open_stream("/redirect/2"), 0); /* on the same connection */
    cr_expect_eq(drain(), 4);
    close_stream();
    cr_expect_eq(aw_server_accepted(stage->server.server), 1);
    cr_assert_eq(open_stream("/status/204"), 0);
    cr_expect_eq(drain(), 0);
    close_stream();
}

STREAM_TEST(a_reader_that_waits_holds_the_server_back)
{
    const uint64_t size = UINT64_C(200) << 20;
    cr_assert_eq(open_stream("/bytes/209715200"), 0);
    uint64_t sent = UINT64_MAX;
    while (sent != stage->server.sent) { /* until the server's sending stands still */
        sent = stage->server.sent;
        cr_assert_eq(aw_sleep(200), 0);
    }
    cr_expect_lt(sent, size / 2, "%llu bytes went out", (unsigned long long)sent);
    cr_expect_eq(drain(), (int64_t)size);
    close_stream();
}

STREAM_TEST(a_body_that_is_cut_is_an_error_after_its_bytes)
{
    cr_assert_eq(open_stream("/cut"), 0);
    char piece[100];
    int size = aw_http_stream_read(stage->stream, piece, sizeof piece, &stage->error);
    cr_expect_eq(size, 10);
    cr_expect_eq(drain(), -ECONNRESET, "%s", stage->error.message);
    cr_expect_str_eq(stage->error.code, "LOST");
    cr_expect_eq(drain(), -ECONNRESET);
    close_stream();
    cr_expect_eq(open_stream("/silent"), -ECONNRESET);
    cr_expect_null(stage->stream);
}

STREAM_TEST(given_up_in_the_middle)
{
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(open_stream("/bytes/100000000"), 0);
        char piece[100];
        cr_expect_eq(aw_http_stream_read(stage->stream, piece, sizeof piece, NULL), 100);
        close_stream();
    }
    aw_http_stream_close(NULL);
    cr_assert_eq(open_stream("/redirect/0"), 0);
    cr_expect_eq(drain(), 4);
    close_stream();
}

STREAM_TEST(wrong_reads)
{
    char byte;
    cr_assert_eq(open_stream("/bytes/100"), 0);
    cr_expect_eq(aw_http_stream_read(stage->stream, &byte, 0, &stage->error), -EINVAL);
    cr_expect_eq(drain(), 100);
    close_stream();
}

static int read_one(void *argument)
{
    (void)argument;
    char piece[4096];
    int size;
    do
        size = aw_http_stream_read(stage->stream, piece, sizeof piece, NULL);
    while (size > 0);
    return size;
}

STREAM_TEST(closing_the_client_ends_its_streams)
{
    struct aw_task *reader;
    cr_assert_eq(open_stream("/bytes/100000000"), 0);
    cr_assert_eq(aw_spawn(&reader, read_one, NULL), 0);
    AW_IGNORE(aw_yield());
    aw_http_client_close(stage->client);
    stage->client = NULL;
    cr_expect_eq(aw_await(reader), -ESHUTDOWN);
    char piece[4096];
    int size;
    do /* what had come may still be read */
        size = aw_http_stream_read(stage->stream, piece, sizeof piece, &stage->error);
    while (size > 0);
    cr_expect_eq(size, -ESHUTDOWN);
    cr_expect_str_eq(stage->error.code, "CLOSED");
    close_stream();
}

STREAM_TEST(interrupted_reads_lose_nothing)
{
    cr_assert_eq(open_stream("/chunks/3"), 0);
    struct aw_scope scope;
    char piece[8];
    int total = 0;
    aw_scope_enter(&scope, 0);
    int early = aw_http_stream_read(stage->stream, piece, sizeof piece, NULL);
    total += early > 0 ? early : 0;
    cr_expect(early > 0 || early == -ETIME, "%d", early);
    aw_scope_leave(&scope);
    cr_expect_eq(drain() + total, 30);
    close_stream();
}

/* --- TLS -------------------------------------------------------------------------------------- */

static char folder[64];

static int make_certificate(void *argument)
{
    (void)argument;
    const char *arguments[] = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                               "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem",
                               "-out", "certificate.pem", "-days", "2", "-subj", "/CN=localhost",
                               "-addext", "subjectAltName=DNS:localhost", NULL};
    struct aw_process_options options = {.arguments = arguments};
    struct aw_process_output output;
    int result = aw_process_run(&options, NULL, 0, 1 << 16, &output, NULL);
    if (result < 0)
        return result;
    result = output.status == 0 ? 0 : -EIO;
    aw_process_output_free(&output);
    return result;
}

static void get_over_tls(const struct aw_http_options *options, const char *host, int expected,
                         const char *code)
{
    struct aw_http_client *client;
    struct aw_http_response response = {0};
    struct aw_error error = {0};
    char url[128];
    snprintf(url, sizeof url, "https://%s:%u/redirect/2", host, stage->server.port);
    cr_assert_eq(aw_http_client_open(&client, options, NULL), 0);
    int result = aw_http_get(client, url, &response, &error);
    cr_expect_eq(result, expected, "%d %s", result, error.message);
    cr_expect_str_eq(error.code, code, "%s %s", error.code, error.message);
    cr_expect(result < 0 || strcmp(response.body, "home") == 0);
    aw_http_response_free(&response);
    aw_http_client_close(client);
}

static int perform_tls(void *argument)
{
    (void)argument;
    cr_assert_eq(make_certificate(NULL), 0);
    struct aw_tls_context *context;
    struct aw_tls_options server = {.certificate = "certificate.pem", .key = "key.pem"};
    cr_assert_eq(aw_tls_server(&context, &server, NULL), 0);
    struct stage here = {.client = NULL};
    stage = &here;
    http_server_start(&here.server, context);
    get_over_tls(&(struct aw_http_options){.ca_file = "certificate.pem"}, "localhost", 0, "");
    cr_expect_eq(here.server.requests, 3);
    get_over_tls(NULL, "localhost", -EKEYREJECTED, "TLS");
    get_over_tls(&(struct aw_http_options){.ca_file = "certificate.pem"}, "127.0.0.1",
                 -EKEYREJECTED, "TLS"); /* it is not for that name */
    get_over_tls(&(struct aw_http_options){.ca_file = "missing.pem"}, "localhost", -ENOENT, "TLS");
    cr_expect_eq(here.server.requests, 3, "a request went to a server nobody vouches for");
    get_over_tls(&(struct aw_http_options){.accept_anybody = true}, "127.0.0.1", 0, "");
    http_server_stop(&here.server);
    aw_tls_free(context);
    return 0;
}

Test(http_tls, certificates_are_verified, .timeout = 120)
{
    folder_make(folder, sizeof folder);
    cr_assert_eq(chdir(folder), 0);
    cr_assert_eq(aw_run(perform_tls, NULL), 0);
    folder_remove(folder);
}

/* --- a proxy --------------------------------------------------------------------------------- */

static int perform_proxy(void *argument)
{
    (void)argument;
    struct stage here = {.client = NULL};
    stage = &here;
    http_server_start(&here.server, NULL);
    char proxy[64];
    snprintf(proxy, sizeof proxy, "http://localhost:%u", here.server.port);
    struct aw_http_client *client;
    struct aw_http_response response = {0};
    cr_assert_eq(aw_http_client_open(&client, &(struct aw_http_options){.proxy = proxy}, NULL), 0);
    /* the name is the proxy's to resolve; the request's line holds the whole URL */
    int result = aw_http_get(client, "http://nowhere.invalid/page", &response, &here.error);
    cr_assert_eq(result, 0, "%s", here.error.message);
    cr_expect_eq(strncmp(here.server.last, "GET http://nowhere.invalid/page ", 32), 0, "%s",
                 here.server.last);
    aw_http_response_free(&response);
    aw_http_client_close(client);
    http_server_stop(&here.server);
    return 0;
}

Test(http_proxy, is_given_names, .timeout = 120)
{
    cr_assert_eq(aw_run(perform_proxy, NULL), 0);
}

/* Server and client of its own: idle connections of another's would count as left behind. */
static int read_in_a_client_of_its_own(void *argument)
{
    struct stage here = {.client = NULL};
    struct stage *outer = stage;
    stage = &here;
    http_server_start(&here.server, NULL);
    int result = aw_http_client_open(&here.client, NULL, NULL);
    cr_assert_eq(result, 0);
    result = open_stream("/bytes/300000");
    if (result == 0) {
        int64_t size = drain();
        cr_expect(size < 0 || size == 300000, "%d", (int)size);
        result = size < 0 ? (int)size : 0;
        close_stream();
    }
    aw_http_client_close(here.client);
    http_server_stop(&here.server);
    stage = outer;
    (void)argument;
    return result;
}

STREAM_TEST(cancelled_anywhere_nothing_is_left)
{
    cr_expect_gt(cancel_everywhere(read_in_a_client_of_its_own, NULL), 5);
}
