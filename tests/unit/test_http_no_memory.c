/* test_http_no_memory.c - the nth allocation of the HTTP client fails, for n = 1, 2 ... until its
 * requests run through untouched: each failure is an error, and nothing stays. */
#include "support/failing_memory.h"
#include "support/process.h"

#include <await.h>
#include <await/http_json.h>

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <curl/curlver.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The first poll of a connection that cannot be made is told to libcurl as an error of the socket.
 * Since libcurl 8 it looks itself, finds the connection made, and goes on. */
#if LIBCURL_VERSION_NUM >= 0x080000
#define POLLS_SPARED 1
#else
#define POLLS_SPARED 0
#endif

/* What libc allocates for the client counts as the client's. */
char *__wrap_strdup(const char *text);
int __wrap_asprintf(char **ret_text, const char *format, ...);
int __wrap___asprintf_chk(char **ret_text, int flag, const char *format, ...);

char *__wrap_strdup(const char *text)
{
    char *copy = __wrap_malloc(strlen(text) + 1);
    return copy != NULL ? strcpy(copy, text) : NULL;
}

static int print(char **ret_text, const char *format, va_list arguments)
{
    if (fails_now())
        return -1;
    int size = vasprintf(ret_text, format, arguments);
    counted(size >= 0 ? *ret_text : NULL);
    return size;
}

int __wrap_asprintf(char **ret_text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = print(ret_text, format, arguments);
    va_end(arguments);
    return size;
}

int __wrap___asprintf_chk(char **ret_text, int flag, const char *format, ...)
{
    va_list arguments;
    (void)flag;
    va_start(arguments, format);
    int size = print(ret_text, format, arguments);
    va_end(arguments);
    return size;
}

/* --- a server in a process of its own, whose memory does not fail ----------------------------- */

static void answer_all(int fd)
{
    char text[65536];
    size_t size = 0;
    for (;;) {
        ssize_t received = recv(fd, text + size, sizeof text - 1 - size, 0);
        if (received <= 0)
            return;
        size += (size_t)received;
        text[size] = '\0';
        const char *body = strstr(text, "\r\n\r\n");
        const char *length = strcasestr(text, "Content-Length: ");
        bool in_chunks = strcasestr(text, "chunked") != NULL;
        if (body == NULL || (in_chunks && strstr(text, "0\r\n\r\n") == NULL) ||
            (length != NULL && size - (size_t)(body + 4 - text) < strtoul(length + 16, NULL, 10)))
            continue;
        const char *reply = strstr(text, " /redirect ") != NULL
            ? "HTTP/1.1 307 Go\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
            : "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n"
              "[1,2,3]";
        if (send(fd, reply, strlen(reply), MSG_NOSIGNAL) < 0)
            return;
        size = 0;
    }
}

static pid_t start_server(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(listen(listener, 64), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid > 0) {
        close(listener);
        return pid;
    }
    signal(SIGCHLD, SIG_IGN);
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0; close(fd))
        if (fork() == 0) {
            answer_all(fd);
            _exit(0);
        }
    _exit(1);
}

/* --- what is asked ---------------------------------------------------------------------------- */

static char url[64];

static int write_some(struct aw_http_body *body, void *context)
{
    int result = 0;
    for (int i = 0; i < 3 && result == 0; i++)
        result = aw_http_body_write(body, "some text", 9);
    (void)context;
    return result;
}

static int upload(struct aw_http_client *client)
{
    const struct aw_http_header header = {"X-More", "1"};
    struct aw_http_request request = {.method = "PUT", .url = url, .write_body = write_some,
                                      .headers = &header, .header_count = 1, .user = "ann"};
    struct aw_http_response response = {0};
    int result = aw_http_request(client, &request, &response, NULL);
    aw_http_response_free(&response);
    return result;
}

static int exchange_values(struct aw_http_client *client)
{
    json_t *sent = json_pack("[i, s]", 1, "two");
    json_t *value = NULL;
    int result = aw_http_post_json(client, url, sent, &value, NULL);
    cr_expect(result < 0 || json_array_size(value) == 3);
    json_decref(value);
    json_decref(sent);
    return result;
}

static int read_stream(struct aw_http_client *client)
{
    struct aw_http_request request = {.url = url, .bearer = "token"};
    struct aw_http_stream *stream;
    char bytes[100];
    int result = aw_http_open(client, &request, &stream, NULL);
    if (result < 0)
        return result;
    while ((result = aw_http_stream_read(stream, bytes, sizeof bytes, NULL)) > 0) {
    }
    aw_http_stream_close(stream);
    return result;
}

static int post_form(struct aw_http_client *client)
{
    const struct aw_http_field field = {"a", "b c"};
    struct aw_http_response response = {0};
    int result = aw_http_post_form(client, url, &field, 1, &response, NULL);
    aw_http_response_free(&response);
    return result;
}

static int converse(void *argument)
{
    (void)argument;
    const struct aw_http_options options = {.proxy = "http://127.0.0.1:1", .no_proxy = "127.0.0.1",
                                            .ca_file = "none", .user_agent = "test"};
    struct aw_http_client *client;
    int result = aw_http_client_open(&client, &options, NULL);
    if (result < 0)
        return result;
    result = exchange_values(client);
    if (result == 0)
        result = upload(client);
    if (result == 0)
        result = read_stream(client);
    if (result == 0)
        result = post_form(client);
    aw_http_client_close(client);
    return result;
}

Test(http_no_memory, each_allocation_fails_once, .timeout = 240)
{
    uint16_t port;
    pid_t server = start_server(&port);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/redirect", port);
    cr_assert_eq(aw_run(converse, NULL), 0); /* what stays loaded is loaded */
    int descriptors = open_descriptors();
    long nth = 0;
    int went_on = 0;
    do {
        live = 0;
        failed = false;
        allocations_left = nth++;
        int result = aw_run(converse, NULL);
        allocations_left = -1;
        went_on += failed && result == 0;
        /* a socket that cannot be polled any more is a connection that was lost */
        cr_expect(failed && result != 0 ? result == -ENOMEM || result == -ECONNRESET : result == 0,
                  "allocation %ld: %d", nth, result);
        cr_expect_leq(went_on, POLLS_SPARED, "allocation %ld passed unseen", nth);
        cr_expect_eq(live, 0, "allocation %ld: %ld stayed", nth, live);
        cr_expect_eq(open_descriptors(), descriptors, "allocation %ld: descriptors", nth);
    } while (failed);
    cr_expect_gt(nth, 40, "only %ld allocations: they are not redirected", nth);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
}
