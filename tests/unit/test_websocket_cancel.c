/* test_websocket_cancel.c - a conversation that is cancelled at each turn leaves nothing, with TCP
 * and a server, and with TLS. */
#include "support/cancel.h"
#include "support/process.h"
#include "support/websocket_pair.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char folder[64];
static int descriptors_before;

/* A certificate of its own for localhost. */
static int make_certificate(void *argument)
{
    (void)argument;
    const char *arguments[] = {"openssl",
                               "req",
                               "-x509",
                               "-newkey",
                               "ec",
                               "-pkeyopt",
                               "ec_paramgen_curve:prime256v1",
                               "-nodes",
                               "-keyout",
                               "key.pem",
                               "-out",
                               "certificate.pem",
                               "-days",
                               "2",
                               "-subj",
                               "/CN=localhost",
                               "-addext",
                               "subjectAltName=DNS:localhost",
                               NULL};
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

TestSuite(websocket_cancel, .init = enter_folder, .fini = leave_folder, .timeout = 300);

/* --- over a pair of sockets: both sides are in the cancelled task ------------------------------
 */
static int echo_until_end(void *argument)
{
    struct aw_websocket *socket = argument;
    struct aw_websocket_message message;
    int result;
    while ((result = aw_websocket_receive(socket, &message, NULL)) > 0) {
        result = aw_websocket_send(socket, message.kind, message.data, message.size);
        if (result < 0)
            return result;
    }
    return result;
}

static int talk(struct aw_websocket *socket)
{
    static char large[100000];
    struct aw_websocket_message message;
    memset(large, 'l', sizeof large);
    int result = aw_websocket_send(socket, AW_WEBSOCKET_TEXT, "hello", 5);
    if (result == 0)
        result = aw_websocket_receive(socket, &message, NULL);
    if (result >= 0)
        result = aw_websocket_send(socket, AW_WEBSOCKET_TEXT, large, sizeof large);
    for (int i = 0; i < 3 && result >= 0; i++)
        result = aw_websocket_send_part(socket, AW_WEBSOCKET_TEXT, "part", 4, i == 2);
    if (result >= 0)
        result = aw_websocket_receive(socket, &message, NULL);
    if (result >= 0 && message.size != sizeof large)
        return -EBADMSG;
    if (result >= 0)
        result = aw_websocket_receive(socket, &message, NULL);
    return result >= 0 && message.size != 12 ? -EBADMSG : result;
}

/* The server's side to its end: it closes first, as the client waits for. */
static int serve_pair(void *argument)
{
    struct websocket_pair *pair = argument;
    int result = echo_until_end(pair->server);
    int closed = aw_websocket_close(pair->server, AW_WEBSOCKET_NORMAL, NULL);
    pair->server = NULL;
    aw_stream_abort(pair->server_stream);
    pair->server_stream = NULL;
    return result < 0 ? result : closed;
}

static int converse(void *argument)
{
    struct websocket_pair pair;
    struct aw_task *echoing;
    int result = websocket_pair_open(&pair, argument, argument);
    if (result < 0)
        return result;
    result = aw_spawn(&echoing, serve_pair, &pair);
    if (result == 0) {
        result = talk(pair.client);
        int closed = aw_websocket_close(pair.client, AW_WEBSOCKET_NORMAL, NULL);
        pair.client = NULL;
        if (result < 0 || closed < 0)
            aw_cancel(echoing);
        int echoed = aw_await(echoing);
        result = result < 0 ? result : closed < 0 ? closed : echoed;
    }
    websocket_pair_abort(&pair);
    return result;
}

static int pair_body(void *argument)
{
    struct aw_websocket_options options = {.send_queue_max = 1000,
                                           .fragment_size = 900,
                                           .close_timeout_ms = 60000,
                                           .ping_interval_ms = 60000};
    (void)argument;
    cr_expect_geq(cancel_everywhere(converse, &options), 5);
    return 0;
}

Test(websocket_cancel, a_conversation_at_each_turn)
{
    cr_assert_eq(aw_run(pair_body, NULL), 0);
}

/* --- over TCP, with and without TLS, in blocks -------------------------------------------------
 */
struct place {
    struct aw_tls_context *server_context;
    struct aw_tls_context *client_context;
    struct aw_server *server;
    int port;
};

static int serve(struct aw_stream *stream, void *argument)
{
    struct place *place = argument;
    struct aw_websocket_request *request;
    struct aw_websocket_call call = {0};
    int result = 0;
    if (place->server_context != NULL)
        result = aw_stream_accept_tls(stream, place->server_context, NULL);
    if (result == 0)
        result = aw_websocket_request_read(&request, stream, 0, NULL);
    if (result < 0)
        return result;
    result = aw_websocket_accept(&call.socket, stream, request, NULL, NULL);
    aw_websocket_request_free(request);
    if (result < 0)
        return result;
    AW_WITH(result, aw_websocket_with(&call))
    {
        result = echo_until_end(call.socket);
    }
    return result;
}

static int visit(void *argument)
{
    const struct place *place = argument;
    struct aw_error error = {0};
    struct aw_websocket_options options = {.tls = place->client_context, .close_timeout_ms = 2000};
    char uri[64];
    snprintf(uri, sizeof uri, "%s://localhost:%d/", place->client_context ? "wss" : "ws",
             place->port);
    struct aw_websocket_call call = {.uri = uri, .options = &options, .error = &error};
    int result = 0;
    AW_WITH(result, aw_websocket_with(&call))
    {
        result = talk(call.socket);
    }
    if (result < 0 && result != -ECANCELED && result != -ETIME)
        cr_log_warn("%d %s", result, error.message);
    return result;
}

/* Accepted in order: with the end of this connection none that came before is still to be. */
static void wait_for_the_backlog(const struct place *place)
{
    char byte;
    int fd = aw_connect_tcp("127.0.0.1", (uint16_t)place->port, NULL);
    cr_assert_geq(fd, 0);
    aw_shutdown(fd, SHUT_WR);
    while (aw_receive(fd, &byte, 1) > 0) {
    }
    aw_close(fd);
}

static void wait_until_alone(const struct place *place)
{
    wait_for_the_backlog(place);
    while (aw_server_connections(place->server) > 0)
        aw_sleep(1);
}

static int visit_and_wait(void *argument)
{
    int result = visit(argument);
    struct aw_scope shield; /* so that no descriptor of the server's side is counted */
    aw_shield_enter(&shield, aw_after_ms(60000));
    wait_until_alone(argument);
    aw_scope_leave(&shield);
    return result;
}

static int run_place(struct place *place)
{
    int listener = aw_listen_tcp("127.0.0.1", 0, 0, NULL);
    cr_assert_geq(listener, 0);
    place->port = aw_local_port(listener);
    cr_assert_eq(aw_server_start(&place->server, listener, serve, place, NULL), 0);
    cr_expect_geq(cancel_everywhere(visit_and_wait, place), 5);
    cr_expect_eq(aw_server_stop(place->server, aw_after_ms(60000)), 0);
    return 0;
}

/* --- a server that refuses ----------------------------------------------------------------------
 */
static int refuse(struct aw_stream *stream, void *argument)
{
    struct aw_websocket_request *request;
    (void)argument;
    int result = aw_websocket_request_read(&request, stream, 0, NULL);
    if (result < 0)
        return result;
    aw_websocket_request_free(request);
    return aw_websocket_refuse(stream, 403, "not today");
}

static int refused_visit(void *argument)
{
    (void)argument;
    char uri[64];
    int listener = aw_listen_tcp("127.0.0.1", 0, 0, NULL);
    cr_assert_geq(listener, 0);
    snprintf(uri, sizeof uri, "ws://127.0.0.1:%d/", aw_local_port(listener));
    struct aw_server *server;
    cr_assert_eq(aw_server_start(&server, listener, refuse, NULL, NULL), 0);
    struct aw_websocket *socket;
    struct aw_error error = {0};
    int result = aw_websocket_connect(&socket, uri, NULL, &error);
    cr_expect_lt(result, 0, "it was refused");
    (void)aw_server_stop(server, 0);
    return result == -ECANCELED || result == -ETIME ? result : 0;
}

static int refused_body(void *argument)
{
    (void)argument;
    cr_expect_geq(cancel_everywhere(refused_visit, NULL), 5);
    return 0;
}

Test(websocket_cancel, a_refused_visit_at_each_turn)
{
    cr_assert_eq(aw_run(refused_body, NULL), 0);
}

static int tcp_body(void *argument)
{
    (void)argument;
    struct place place = {0};
    return run_place(&place);
}

Test(websocket_cancel, a_visit_at_each_turn)
{
    cr_assert_eq(aw_run(tcp_body, NULL), 0);
}

static int tls_body(void *argument)
{
    (void)argument;
    struct place place = {0};
    struct aw_error error = {0};
    cr_assert_eq(
        aw_tls_server(&place.server_context,
                      &(struct aw_tls_options){.certificate = "certificate.pem", .key = "key.pem"},
                      &error),
        0, "%s", error.message);
    cr_assert_eq(aw_tls_client(&place.client_context,
                               &(struct aw_tls_options){.authorities = "certificate.pem"}, &error),
                 0, "%s", error.message);
    int result = run_place(&place);
    aw_tls_free(place.server_context);
    aw_tls_free(place.client_context);
    return result;
}

Test(websocket_cancel, a_visit_in_tls_at_each_turn)
{
    cr_assert_eq(aw_run(tls_body, NULL), 0);
}

/* --- blocks ------------------------------------------------------------------------------------
 */
static int leave_early(void *argument)
{
    struct websocket_pair *pair = argument;
    struct aw_websocket_call call = {.socket = pair->client};
    pair->client = NULL;
    int result = 0;
    AW_WITH(result, aw_websocket_with(&call))
    {
        return -EDOM;
    }
    return result;
}

static int receive_forever(void *argument)
{
    struct websocket_pair *pair = argument;
    struct aw_websocket_call call = {.socket = pair->client};
    struct aw_websocket_message message;
    pair->client = NULL;
    int result = 0;
    AW_WITH(result, aw_websocket_with(&call))
    {
        result = aw_websocket_receive(call.socket, &message, NULL);
    }
    cr_expect_null(call.socket);
    return result;
}

static int block_body(void *argument)
{
    (void)argument;
    struct websocket_pair pair;
    struct aw_websocket_message message;
    struct aw_task *task;
    struct aw_websocket_options options = {.close_timeout_ms = 60000};
    cr_assert_eq(websocket_pair_open(&pair, &options, NULL), 0);
    cr_assert_eq(aw_spawn(&task, receive_forever, &pair), 0);
    aw_yield();
    aw_cancel(task);
    cr_expect_eq(aw_websocket_receive(pair.server, &message, NULL), 0, "it says farewell even so");
    cr_expect_eq(aw_websocket_close_code(pair.server), AW_WEBSOCKET_GOING_AWAY);
    cr_expect_eq(aw_websocket_close(pair.server, 1000, NULL), 0);
    pair.server = NULL;
    aw_stream_abort(pair.server_stream);
    pair.server_stream = NULL;
    cr_expect_eq(aw_await(task), -ECANCELED);
    websocket_pair_abort(&pair);
    cr_assert_eq(websocket_pair_open(&pair, &options, NULL), 0);
    cr_assert_eq(aw_spawn(&task, leave_early, &pair), 0);
    cr_expect_eq(aw_websocket_receive(pair.server, &message, NULL), 0);
    cr_expect_eq(aw_websocket_close_code(pair.server), AW_WEBSOCKET_GOING_AWAY);
    aw_websocket_abort(pair.server);
    pair.server = NULL;
    aw_stream_abort(pair.server_stream);
    pair.server_stream = NULL;
    cr_expect_eq(aw_await(task), -EDOM);
    websocket_pair_abort(&pair);
    struct aw_websocket_call nothing = {0};
    int result = 0;
    AW_WITH(result, aw_websocket_with(&nothing))
    {
        cr_expect_fail("there is nothing to enter");
    }
    cr_expect_eq(result, -EINVAL);
    return 0;
}

Test(websocket_cancel, a_block_says_farewell_however_it_is_left)
{
    cr_assert_eq(aw_run(block_body, NULL), 0);
}
