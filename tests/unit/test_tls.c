/* test_tls.c - TLS on streams: bytes both ways, verification, protocols, cuts, interruption. */
#include "support/cancel.h"
#include "support/process.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];
static int descriptors_before;

/* A certificate of its own for localhost and 127.0.0.1, trusted by naming it as the authority. */
static int make_certificate(void *argument)
{
    (void)argument;
    const char *arguments[] = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                               "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem",
                               "-out", "certificate.pem", "-days", "2", "-subj", "/CN=localhost",
                               "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", NULL};
    struct aw_process_options options = {.arguments = arguments};
    struct aw_process_output output;
    int result = aw_process_run(&options, NULL, 0, 1 << 16, &output, NULL);
    if (result < 0)
        return result;
    result = output.status == 0 ? 0 : -EIO;
    aw_process_output_free(&output);
    return result;
}

static void enter_folder(void)
{
    folder_make(folder, sizeof folder);
    if (chdir(folder) != 0 || aw_run(make_certificate, NULL) != 0)
        abort();
    descriptors_before = open_descriptors();
}

static void leave_folder(void)
{
    cr_expect_eq(open_descriptors(), descriptors_before, "a descriptor is left");
    folder_remove(folder);
}

TestSuite(tls, .init = enter_folder, .fini = leave_folder);

static const struct aw_tls_options server_options = {
    .certificate = "certificate.pem", .key = "key.pem", .protocols = "two,one"};
static const struct aw_tls_options client_options = {
    .authorities = "certificate.pem", .protocols = "one,three"};

struct sides {
    struct aw_tls_context *server_context;
    struct aw_tls_context *client_context;
    struct aw_stream *server;
    struct aw_stream *client;
    const char *name;
    struct aw_error client_error;
    int accepted;
};

static void open_sides(struct sides *sides, const struct aw_tls_options *client)
{
    struct aw_error error = {0};
    *sides = (struct sides){.name = "localhost"};
    cr_assert_eq(aw_tls_server(&sides->server_context, &server_options, &error), 0, "%s",
                 error.message);
    cr_assert_eq(aw_tls_client(&sides->client_context, client, &error), 0, "%s", error.message);
    int ends[2];
    cr_assert_eq(aw_socket_pair(SOCK_STREAM, ends), 0);
    cr_assert_eq(aw_stream_open(&sides->server, ends[0], NULL), 0);
    cr_assert_eq(aw_stream_open(&sides->client, ends[1], NULL), 0);
}

static void close_sides(struct sides *sides)
{
    aw_stream_abort(sides->server);
    aw_stream_abort(sides->client);
    aw_tls_free(sides->server_context);
    aw_tls_free(sides->client_context);
}

static int accept_task(void *argument)
{
    struct sides *sides = argument;
    return aw_stream_accept_tls(sides->server, sides->server_context, NULL);
}

static int shake_hands(struct sides *sides)
{
    struct aw_task *task;
    int result = aw_spawn(&task, accept_task, sides);
    if (result < 0)
        return result;
    result = aw_stream_start_tls(sides->client, sides->client_context, sides->name,
                                 &sides->client_error);
    if (result < 0 && result != -EKEYREJECTED)
        aw_cancel(task);
    sides->accepted = aw_await(task);
    return result;
}

#define LARGE_BYTES ((size_t)1 << 20)

static int send_large(void *argument)
{
    struct sides *sides = argument;
    char *bytes = malloc(LARGE_BYTES);
    memset(bytes, 'l', LARGE_BYTES);
    int result = aw_stream_write_all(sides->client, bytes, LARGE_BYTES);
    free(bytes);
    return result;
}

static int talk_body(void *argument)
{
    (void)argument;
    struct sides sides;
    open_sides(&sides, &client_options);
    cr_assert_eq(shake_hands(&sides), 0, "%s", sides.client_error.message);
    cr_assert_eq(sides.accepted, 0);
    cr_expect_str_eq(aw_stream_protocol(sides.client), "one");
    cr_expect_str_eq(aw_stream_protocol(sides.server), "one");
    cr_expect_eq(aw_stream_print(sides.client, "hello\n"), 0);
    cr_expect_eq(aw_stream_flush(sides.client), 0);
    char *line = NULL;
    cr_assert_eq(aw_stream_read_line(sides.server, 0, &line, NULL), 6);
    cr_expect_str_eq(line, "hello");
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, send_large, &sides), 0);
    char *back = malloc(LARGE_BYTES);
    cr_expect_eq(aw_stream_read_exactly(sides.server, back, LARGE_BYTES), 0);
    cr_expect(back[0] == 'l' && back[LARGE_BYTES - 1] == 'l');
    free(back);
    cr_expect_eq(aw_await(task), 0);
    cr_expect_eq(aw_stream_end(sides.client), 0);
    cr_expect_eq(aw_stream_read_line(sides.server, 0, &line, NULL), 0, "half closed");
    cr_expect_eq(aw_stream_write_all(sides.server, "x\n", 2), 0, "the other half goes on");
    cr_expect_eq(aw_stream_close(sides.server), 0);
    sides.server = NULL;
    cr_expect_eq(aw_stream_read_line(sides.client, 0, &line, NULL), 2);
    cr_expect_eq(aw_stream_read_line(sides.client, 0, &line, NULL), 0);
    cr_expect_eq(aw_stream_start_tls(sides.client, sides.client_context, "localhost", NULL),
                 -EALREADY);
    close_sides(&sides);
    return 0;
}

Test(tls, talks)
{
    cr_assert_eq(aw_run(talk_body, NULL), 0);
}

static int verify_body(void *argument)
{
    (void)argument;
    struct sides sides;
    open_sides(&sides, NULL);
    cr_expect_eq(shake_hands(&sides), -EKEYREJECTED, "the system does not know it");
    cr_expect_lt(sides.accepted, 0);
    cr_expect_str_not_empty(sides.client_error.message);
    cr_expect_eq(aw_stream_write(sides.client, "x", 1), -ECONNABORTED, "nothing goes out plain");
    close_sides(&sides);
    open_sides(&sides, &client_options);
    sides.name = "example.org";
    cr_expect_eq(shake_hands(&sides), -EKEYREJECTED, "somebody else's name");
    close_sides(&sides);
    open_sides(&sides, &client_options);
    sides.name = "127.0.0.2";
    cr_expect_eq(shake_hands(&sides), -EKEYREJECTED, "somebody else's address");
    close_sides(&sides);
    open_sides(&sides, &client_options);
    sides.name = "127.0.0.1";
    cr_expect_eq(shake_hands(&sides), 0, "%s", sides.client_error.message);
    close_sides(&sides);
    open_sides(&sides, &client_options);
    sides.name = NULL;
    cr_expect_eq(shake_hands(&sides), -EINVAL, "who is it to be?");
    close_sides(&sides);
    open_sides(&sides, &(struct aw_tls_options){.accept_anybody = true});
    sides.name = NULL;
    cr_expect_eq(shake_hands(&sides), 0, "%s", sides.client_error.message);
    cr_expect_str_empty(aw_stream_protocol(sides.client));
    close_sides(&sides);
    return 0;
}

Test(tls, verifies_the_server)
{
    cr_assert_eq(aw_run(verify_body, NULL), 0);
}

static int cut_body(void *argument)
{
    (void)argument;
    struct sides sides;
    char byte;
    open_sides(&sides, &client_options);
    cr_assert_eq(shake_hands(&sides), 0);
    aw_stream_abort(sides.server);
    sides.server = NULL;
    cr_expect_eq(aw_stream_read_some(sides.client, &byte, 1), -ECONNRESET, "cut, not ended");
    close_sides(&sides);
    open_sides(&sides, &client_options);
    cr_expect_eq(aw_stream_write_all(sides.server, "220 plain text\r\n", 16), 0);
    cr_expect_eq(shake_hands(&sides), -EPROTO);
    close_sides(&sides);
    open_sides(&sides, &client_options);
    cr_expect_eq(aw_stream_write_all(sides.server, "a\nb", 3), 0);
    char *line;
    cr_expect_eq(aw_stream_read_line(sides.client, 0, &line, NULL), 2);
    cr_expect_eq(shake_hands(&sides), -EPROTO, "bytes from before the handshake");
    close_sides(&sides);
    return 0;
}

Test(tls, notices_cuts_and_plain_bytes)
{
    cr_assert_eq(aw_run(cut_body, NULL), 0);
}

static int wrong_body(void *argument)
{
    (void)argument;
    struct aw_tls_context *context = NULL;
    struct aw_error error = {0};
    cr_expect_eq(aw_tls_server(&context, NULL, &error), -EINVAL);
    struct aw_tls_options options = server_options;
    options.certificate = "missing.pem";
    cr_expect_eq(aw_tls_server(&context, &options, &error), -ENOENT);
    cr_expect(strstr(error.message, "missing.pem") != NULL, "%s", error.message);
    options.certificate = "key.pem";
    cr_expect_eq(aw_tls_server(&context, &options, &error), -EBADMSG);
    options = server_options;
    options.protocols = "a,,b";
    cr_expect_eq(aw_tls_server(&context, &options, &error), -EINVAL);
    cr_expect_null(context);
    aw_tls_free(NULL);
    return 0;
}

Test(tls, says_which_file_is_wrong)
{
    cr_assert_eq(aw_run(wrong_body, NULL), 0);
}

static int converse(void *argument)
{
    struct sides *shared = argument;
    int ends[2];
    int result = aw_socket_pair(SOCK_STREAM, ends);
    if (result < 0)
        return result;
    struct sides sides = *shared;
    cr_assert_eq(aw_stream_open(&sides.server, ends[0], NULL), 0);
    cr_assert_eq(aw_stream_open(&sides.client, ends[1], NULL), 0);
    result = shake_hands(&sides);
    if (result == 0)
        result = sides.accepted;
    if (result == 0)
        result = aw_stream_write_all(sides.client, "hello\n", 6);
    char *line;
    if (result == 0)
        result = aw_stream_read_line(sides.server, 0, &line, NULL);
    int closed = aw_stream_close(sides.client);
    aw_stream_abort(sides.server);
    return result < 0 ? result : closed;
}

static int cancel_body(void *argument)
{
    (void)argument;
    struct sides sides;
    open_sides(&sides, &client_options);
    cr_expect_geq(cancel_everywhere(converse, &sides), 4);
    close_sides(&sides);
    return 0;
}

Test(tls, can_be_cancelled_at_each_turn)
{
    cr_assert_eq(aw_run(cancel_body, NULL), 0);
}
