/* test_http_proxy.c - requests through a proxy and beside it; certificates of both sides. */
#include "support/certificate.h"
#include "support/http_proxy.h"
#include "support/http_stage.h"
#include "support/process.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct side { /* a proxy, a TLS server behind it */
    struct http_proxy proxy;
    struct http_server server;
    struct aw_tls_context *context;
    struct aw_http_response response;
    struct aw_error error;
};

static struct side *side;
static char folder[64];

/* A client with these options and the side's proxy: GET that path of the TLS server. */
static int get(struct aw_http_options options, const char *credentials, const char *host,
               struct aw_http_request request)
{
    char proxy[128];
    char url[128];
    struct aw_http_client *client;
    snprintf(proxy, sizeof proxy, "http://%s127.0.0.1:%u", credentials, side->proxy.port);
    snprintf(url, sizeof url, "https://%s:%u/echo", host, side->server.port);
    options.proxy = proxy;
    options.ca_file = options.ca_file ? options.ca_file : "server.pem";
    request.url = request.url ? request.url : url;
    aw_http_response_free(&side->response);
    side->error = (struct aw_error){0};
    int result = aw_http_client_open(&client, &options, &side->error);
    if (result < 0)
        return result;
    result = aw_http_request(client, &request, &side->response, &side->error);
    aw_http_client_close(client);
    return result;
}

static const struct aw_http_options plain;
static const struct aw_http_request ask;

#define expect(result, number_, code_) \
    do { \
        int result_ = (result); \
        cr_expect_eq(result_, number_, "%d %s", result_, side->error.message); \
        cr_expect_str_eq(side->error.code, code_, "%s: %s", side->error.code, \
                         side->error.message); \
    } while (0)

static void start_server(const char *authorities)
{
    struct aw_tls_options options = {.certificate = "server.pem", .key = "server-key.pem",
                                     .authorities = authorities};
    cr_assert_eq(aw_tls_server(&side->context, &options, NULL), 0);
    http_server_start(&side->server, side->context);
}

static void stop_server(void)
{
    http_server_stop(&side->server);
    aw_tls_free(side->context);
}

static int perform(void *argument)
{
    void (*const *body)(void) = argument;
    struct side here = {.context = NULL};
    side = &here;
    folder_make(folder, sizeof folder);
    cr_assert_eq(chdir(folder), 0);
    certificate_make("server");
    certificate_make("client");
    http_proxy_start(&here.proxy);
    (*body)();
    aw_http_response_free(&here.response);
    http_proxy_stop(&here.proxy);
    folder_remove(folder);
    return 0;
}

#define PROXY_TEST(name) \
    static void name##_body(void); \
    Test(http_proxy, name, .timeout = 120) \
    { \
        void (*body)(void) = name##_body; \
        int before = open_descriptors(); \
        cr_assert_eq(aw_run(perform, &body), 0); \
        cr_expect_eq(open_descriptors(), before, "a descriptor is left"); \
    } \
    static void name##_body(void)

PROXY_TEST(https_goes_through_a_tunnel)
{
    start_server(NULL);
    const struct aw_http_header secret = {"X-Secret", "s"};
    struct aw_http_request request = {.headers = &secret, .header_count = 1, .user = "ann",
                                      .password = "p"};
    expect(get(plain, "", "localhost", request), 0, "");
    cr_expect_eq(side->proxy.tunnels, 1);
    cr_expect_eq(strncmp(side->proxy.last, "CONNECT localhost:", 18), 0);
    cr_expect_null(strstr(side->proxy.last, "X-Secret"), "the proxy saw %s", side->proxy.last);
    cr_expect_null(strstr(side->proxy.last, "uthorization"), "the proxy saw %s",
                   side->proxy.last);
    cr_expect_not_null(strstr(side->server.last, "X-Secret: s"));
    cr_expect_not_null(strstr(side->server.last, "Authorization: Basic YW5uOnA="));
    cr_expect_null(aw_http_header(&side->response, "X-Proxy"), "the tunnel's head is no answer");
    stop_server();
}

PROXY_TEST(it_may_ask_for_credentials)
{
    start_server(NULL);
    side->proxy.credentials = "Proxy-Authorization: Basic dXNlcjpwOncq\r\n"; /* user:p:w* */
    expect(get(plain, "user:p%3Aw*@", "localhost", ask), 0, "");
    cr_expect_null(strstr(side->server.last, "Proxy-"), "the server saw %s", side->server.last);
    expect(get(plain, "user:wrong@", "localhost", ask), -EACCES, "CONNECT");
    expect(get(plain, "", "localhost", ask), -EACCES, "CONNECT");
    cr_expect_null(strstr(side->error.message, "wrong"));
    cr_expect_eq(side->server.requests, 1);
    struct aw_http_request http = {.url = "http://nowhere.invalid/"}; /* here it is an answer */
    expect(get(plain, "", "localhost", http), 0, "");
    cr_expect_eq(side->response.status, 407);
    expect(get(plain, "user:p%3Aw*@", "localhost", http), 0, "");
    cr_expect_eq(side->response.status, 200);
    stop_server();
}

PROXY_TEST(its_refusal_is_no_loss)
{
    start_server(NULL);
    side->proxy.refusal = "403 Forbidden";
    expect(get(plain, "", "localhost", ask), -ECONNREFUSED, "CONNECT");
    cr_expect_not_null(strstr(side->error.message, "403"), "%s", side->error.message);
    side->proxy.refusal = NULL;
    struct aw_http_options stranger = {.ca_file = "client.pem"};
    expect(get(stranger, "", "localhost", ask), -EKEYREJECTED, "TLS"); /* and not LOST */
    cr_expect_eq(side->server.requests, 0);
    stop_server();
}

PROXY_TEST(some_hosts_are_reached_without_it)
{
    start_server(NULL);
    setenv("no_proxy", "*", 1); /* the environment is not looked at */
    setenv("https_proxy", "http://127.0.0.1:1", 1);
    expect(get(plain, "", "localhost", ask), 0, "");
    cr_expect_eq(side->proxy.tunnels, 1);
    static const char *const lists[] = {"localhost", "a.example, localhost", ".localhost", "*"};
    for (size_t i = 0; i < 4; i++)
        expect(get((struct aw_http_options){.no_proxy = lists[i]}, "", "localhost", ask), 0, "");
    static const char *const numbers[] = {"127.0.0.1", "10.0.0.0/8 127.0.0.0/9", "0.0.0.0/0"};
    for (size_t i = 0; i < 3; i++)
        expect(get((struct aw_http_options){.no_proxy = numbers[i]}, "", "127.0.0.1", ask), 0, "");
    cr_expect_eq(side->proxy.tunnels, 1);
    static const char *const others[] = {"", "host", "alhost", "127.0.0.1", "localhost.example"};
    for (size_t i = 0; i < 5; i++)
        expect(get((struct aw_http_options){.no_proxy = others[i]}, "", "localhost", ask), 0, "");
    static const char *const networks[] = {"127.128.0.0/9", "::/0", "27.0.0.1", "localhost"};
    for (size_t i = 0; i < 4; i++)
        expect(get((struct aw_http_options){.no_proxy = networks[i]}, "", "127.0.0.1", ask), 0,
               "");
    cr_expect_eq(side->proxy.tunnels, 10);
    static const char *const wrong[] = {"10.0.0.0/33", "host/8", "::1/129", "10.0.0.0/", "1/-1"};
    for (size_t i = 0; i < 5; i++)
        expect(get((struct aw_http_options){.no_proxy = wrong[i]}, "", "localhost", ask), -EINVAL,
               "REQUEST");
    stop_server();
}

PROXY_TEST(a_server_may_ask_for_a_certificate)
{
    start_server("client.pem");
    struct aw_http_options own = {.certificate = "client.pem", .key = "client-key.pem",
                                  .no_proxy = "*"};
    expect(get(own, "", "localhost", ask), 0, "");
    cr_expect_eq(side->server.requests, 1);
    own.certificate = "server.pem"; /* of nobody the server trusts */
    own.key = "server-key.pem";
    cr_expect_lt(get(own, "", "localhost", ask), 0);
    own.certificate = own.key = NULL;
    cr_expect_lt(get(own, "", "localhost", ask), 0);
    cr_expect_eq(side->server.requests, 1);
    own.certificate = "missing.pem";
    expect(get(own, "", "localhost", ask), -ENOENT, "TLS");
    own.certificate = "client.pem";
    own.key = "server-key.pem"; /* of another certificate */
    expect(get(own, "", "localhost", ask), -ENOENT, "TLS");
    own.certificate = NULL;
    expect(get(own, "", "localhost", ask), -EINVAL, "REQUEST");
    stop_server();
}
