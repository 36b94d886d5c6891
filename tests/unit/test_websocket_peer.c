/* test_websocket_peer.c - peers that break the rules, frame by frame, on either side: what is told
 * to the program and to them. After the cases of the Autobahn test suite. */
#include "support/process.h"
#include "support/websocket_pair.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int descriptors_before;

static void count_descriptors(void)
{
    descriptors_before = open_descriptors();
}

static void expect_all_closed(void)
{
    cr_expect_eq(open_descriptors(), descriptors_before, "a descriptor is left");
}

TestSuite(websocket_peer, .init = count_descriptors, .fini = expect_all_closed, .timeout = 90);

/* A handshake, after which the client's end is a bare stream. */
static struct aw_websocket *open_server(struct aw_stream **server, struct aw_stream **client,
                                        const struct aw_websocket_options *options)
{
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
    int ends[2];
    const char *answer;
    struct aw_websocket *socket = NULL;
    struct aw_websocket_request *asked;
    cr_assert_eq(aw_socket_pair(SOCK_STREAM, ends), 0);
    cr_assert_eq(aw_stream_open(server, ends[0], NULL), 0);
    cr_assert_eq(aw_stream_open(client, ends[1], NULL), 0);
    cr_assert_eq(aw_stream_write_all(*client, request, strlen(request)), 0);
    cr_assert_eq(aw_websocket_request_read(&asked, *server, 0, NULL), 0);
    cr_assert_eq(aw_websocket_accept(&socket, *server, asked, options, NULL), 0);
    aw_websocket_request_free(asked);
    int size = aw_stream_read_until(*client, "\r\n\r\n", 4, 0, &answer);
    cr_assert_gt(size, 0);
    cr_expect_null(memmem(answer, (size_t)size, "Extensions", 10), "declined");
    return socket;
}

struct bytes {
    uint8_t data[80];
    size_t size;
};

/* Frames are written as a client sends them, masked with zeros, so that the payload reads plainly.
 */
static void add_frame(struct bytes *bytes, uint8_t first, const char *payload, size_t size)
{
    uint8_t *at = bytes->data + bytes->size;
    at[0] = first;
    at[1] = (uint8_t)(0x80 | size);
    memset(at + 2, 0, 4);
    memcpy(at + 6, payload, size);
    bytes->size += 6 + size;
}

#define TEXT 0x81
#define BEGIN 0x01
#define MIDDLE 0x00
#define LAST 0x80
#define CLOSE 0x88
#define PING 0x89
#define PONG 0x8a

struct frame {
    int first; /* 0 ends the list unless it has a payload */
    const char *payload;
    size_t size;
};

struct sequence {
    const char *name;
    struct frame frames[6];
    int result; /* of receiving until the end */
    int answer; /* the code the peer is sent */
    int messages;
};

#define F(first, payload)                  \
    {                                      \
        first, payload, sizeof payload - 1 \
    }

static const struct sequence sequences[] = {
    {"plain", {F(TEXT, "a"), F(TEXT, ""), F(CLOSE, "\x03\xe8")}, 0, 1000, 2},
    {"fragments", {F(BEGIN, "a"), F(MIDDLE, ""), F(LAST, "b"), F(CLOSE, "\x03\xe8")}, 0, 1000, 1},
    {"a ping between", {F(BEGIN, "a"), F(PING, "p"), F(LAST, "b"), F(CLOSE, "")}, 0, -1, 1},
    {"pongs nobody asked for",
     {F(PONG, ""), F(PONG, "12345678"), F(CLOSE, "\x03\xe8")},
     0,
     1000,
     0},
    {"a letter over fragments", {F(BEGIN, "\xe2\x82"), F(LAST, "\xac"), F(CLOSE, "")}, 0, -1, 1},
    {"close with a reason",
     {F(CLOSE, "\x0f\xa0"
               "bye \xe2\x82\xac")},
     0,
     4000,
     0},
    {"close of a restart", {F(CLOSE, "\x03\xf4")}, 0, 1012, 0},
    {"frames after a close", {F(CLOSE, "\x03\xe8"), F(TEXT, "late")}, 0, 1000, 0},
    {"rsv1", {F(0xc1, "a")}, -EPROTO, 1002, 0},
    {"rsv2 on a ping", {F(0xa9, "a")}, -EPROTO, 1002, 0},
    {"rsv3 in the middle", {F(BEGIN, "a"), F(0x10, "a")}, -EPROTO, 1002, 0},
    {"opcode 3", {F(0x83, "a")}, -EPROTO, 1002, 0},
    {"opcode 7, not last", {F(0x07, "a")}, -EPROTO, 1002, 0},
    {"opcode 11", {F(0x8b, "")}, -EPROTO, 1002, 0},
    {"opcode 15 after a message", {F(TEXT, "a"), F(0x8f, "")}, -EPROTO, 1002, 1},
    {"a continuation of nothing", {F(LAST, "a")}, -EPROTO, 1002, 0},
    {"a continuation of nothing, going on", {F(TEXT, "a"), F(MIDDLE, "a")}, -EPROTO, 1002, 1},
    {"a message in another", {F(BEGIN, "a"), F(TEXT, "b")}, -EPROTO, 1002, 0},
    {"a binary in a text", {F(BEGIN, "a"), F(0x02, "b")}, -EPROTO, 1002, 0},
    {"a ping in fragments", {F(0x09, "a")}, -EPROTO, 1002, 0},
    {"a close in fragments", {F(0x08, "")}, -EPROTO, 1002, 0},
    {"close with one byte", {F(CLOSE, "\x03")}, -EPROTO, 1002, 0},
    {"close 0", {F(CLOSE, "\x00\x00")}, -EPROTO, 1002, 0},
    {"close 999", {F(CLOSE, "\x03\xe7")}, -EPROTO, 1002, 0},
    {"close 1004", {F(CLOSE, "\x03\xec")}, -EPROTO, 1002, 0},
    {"close 1005", {F(CLOSE, "\x03\xed")}, -EPROTO, 1002, 0},
    {"close 1006", {F(CLOSE, "\x03\xee")}, -EPROTO, 1002, 0},
    {"close 1015", {F(CLOSE, "\x03\xf7")}, -EPROTO, 1002, 0},
    {"close 2999", {F(CLOSE, "\x0b\xb7")}, -EPROTO, 1002, 0},
    {"close 5000", {F(CLOSE, "\x13\x88")}, -EPROTO, 1002, 0},
    {"close 65535", {F(CLOSE, "\xff\xff")}, -EPROTO, 1002, 0},
    {"close with a bad reason", {F(CLOSE, "\x03\xe8\xff")}, -EPROTO, 1007, 0},
    {"close with half a letter", {F(CLOSE, "\x03\xe8\xe2\x82")}, -EPROTO, 1007, 0},
    {"bad text", {F(TEXT, "a\xff")}, -EPROTO, 1007, 0},
    {"a surrogate", {F(TEXT, "\xed\xa0\x80")}, -EPROTO, 1007, 0},
    {"half a letter at the end", {F(TEXT, "\xe2\x82")}, -EPROTO, 1007, 0},
    {"bad text, before its end has come", {F(BEGIN, "\xc0")}, -EPROTO, 1007, 0},
    {"bad text in a continuation", {F(BEGIN, "\xe2\x82"), F(LAST, "a")}, -EPROTO, 1007, 0},
    {"bytes that are no text", {F(0x82, "\xff\xfe"), F(CLOSE, "")}, 0, -1, 1},
};

/* The farewell at the end of what the client got: its code, -1 without one, -2: none came. */
static int farewell_in(const uint8_t *data, size_t size)
{
    while (size >= 2 && data[0] != CLOSE) {
        size_t length = 2u + data[1];
        cr_assert(data[1] < 126 && length <= size);
        data += length;
        size -= length;
    }
    if (size < 2 || data[0] != CLOSE)
        return -2;
    cr_expect_eq(size, 2u + data[1], "nothing comes after a farewell");
    return data[1] == 0 ? -1 : data[2] << 8 | data[3];
}

struct feeder {
    struct aw_stream *stream;
    const struct bytes *bytes;
    size_t step;
    char *got;
    size_t got_size;
};

static int feed(void *argument)
{
    struct feeder *feeder = argument;
    int result = 0;
    for (size_t done = 0; done < feeder->bytes->size && result == 0; done += feeder->step) {
        size_t left = feeder->bytes->size - done;
        result = aw_stream_write_all(feeder->stream, feeder->bytes->data + done,
                                     left < feeder->step ? left : feeder->step);
        aw_yield();
    }
    return aw_stream_read_to_end(feeder->stream, 1 << 16, &feeder->got, &feeder->got_size);
}

static void run_sequence(const struct sequence *sequence, size_t step)
{
    struct bytes bytes = {0};
    for (const struct frame *frame = sequence->frames; frame->payload != NULL; frame++)
        add_frame(&bytes, (uint8_t)frame->first, frame->payload, frame->size);
    struct aw_stream *server, *client;
    struct aw_websocket_message message;
    struct aw_task *task;
    struct aw_error error = {0};
    struct aw_websocket_options options = {.message_size_max = 1000, .close_timeout_ms = 60000};
    struct aw_websocket *socket = open_server(&server, &client, &options);
    struct feeder feeder = {client, &bytes, step, NULL, 0};
    cr_assert_eq(aw_spawn(&task, feed, &feeder), 0);
    int messages = 0;
    int result;
    while ((result = aw_websocket_receive(socket, &message, &error)) == 1)
        messages++;
    cr_expect_eq(result, sequence->result, "%s, in steps of %zu: %d %s", sequence->name, step,
                 result, error.message);
    cr_expect_eq(messages, sequence->messages, "%s", sequence->name);
    if (result < 0)
        cr_expect_str_eq(error.code, "PROTOCOL");
    AW_IGNORE(aw_websocket_flush(socket));
    cr_expect_eq(aw_stream_end(server), 0);
    cr_expect_eq(aw_await(task), 0);
    cr_expect_eq(farewell_in((uint8_t *)feeder.got, feeder.got_size), sequence->answer, "%s",
                 sequence->name);
    free(feeder.got);
    aw_websocket_abort(socket);
    aw_stream_abort(server);
    aw_stream_abort(client);
}

static int sequences_body(void *argument)
{
    (void)argument;
    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++)
        for (size_t step = 1; step <= 64; step = step * 2 + 1)
            run_sequence(&sequences[i], step);
    return 0;
}

Test(websocket_peer, sequences_of_frames)
{
    cr_assert_eq(aw_run(sequences_body, NULL), 0);
}

/* Bare bytes to a server: the result of receiving, and the code that goes back. */
static int expect_answer(const char *data, size_t size, int result, int code)
{
    struct aw_stream *server, *client;
    struct aw_websocket_message message;
    struct aw_websocket_options options = {.message_size_max = 1000};
    struct aw_websocket *socket = open_server(&server, &client, &options);
    uint8_t answer[200];
    cr_assert_eq(aw_stream_write_all(client, data, size), 0);
    cr_expect_eq(aw_websocket_receive(socket, &message, NULL), result);
    if (code > 0) {
        cr_assert_eq(aw_websocket_flush(socket), 0);
        int got = aw_stream_read_some(client, answer, sizeof answer);
        cr_assert_geq(got, 4);
        cr_expect_eq(answer[2] << 8 | answer[3], code);
    }
    aw_websocket_abort(socket);
    aw_stream_abort(server);
    aw_stream_abort(client);
    return 0;
}

static int headers_body(void *argument)
{
    (void)argument;
    expect_answer("\x81\x01"
                  "a",
                  3, -EPROTO, 1002); /* not masked */
    expect_answer("\x88\x00", 2, -EPROTO, 1002);
    expect_answer("\x89\xfe\x00\x7e\0\0\0\0", 8, -EPROTO, 1002); /* a ping of 126 bytes */
    expect_answer("\x81\xfe\x00\x7d\0\0\0\0", 8, -EPROTO, 1002); /* 125 written as two bytes */
    expect_answer("\x81\xff\0\0\0\0\0\0\xff\xff\0\0\0\0", 14, -EPROTO, 1002);
    expect_answer("\x81\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 14, -EPROTO, 1002); /* 2^63 */
    expect_answer("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0x", 15, -EMSGSIZE, 1009);
    /* 1001 bytes announced: refused with the first of them */
    expect_answer("\x82\xfe\x03\xe9\0\0\0\0x", 9, -EMSGSIZE, 1009);
    expect_answer("GET / HTTP/1.1\r\n\r\n", 18, -EPROTO, 1002);
    return 0;
}

Test(websocket_peer, headers_of_frames)
{
    cr_assert_eq(aw_run(headers_body, NULL), 0);
}

static int half_body(void *argument)
{
    (void)argument;
    static const char frame[] = "\x81\x85\0\0\0\0hello";
    for (size_t size = 0; size < sizeof frame - 1; size++) {
        struct aw_stream *server, *client;
        struct aw_websocket_message message;
        struct aw_websocket *socket = open_server(&server, &client, NULL);
        cr_assert_eq(aw_stream_write_all(client, frame, size), 0);
        struct aw_scope scope;
        aw_scope_enter(&scope, aw_after_ms(2));
        cr_expect_eq(aw_websocket_receive(socket, &message, NULL), -ETIME);
        aw_scope_leave(&scope);
        if (size % 2 == 0) {
            cr_assert_eq(aw_stream_write_all(client, frame + size, sizeof frame - 1 - size), 0);
            cr_assert_eq(aw_websocket_receive(socket, &message, NULL), 1, "nothing was lost");
            cr_expect_str_eq(message.data, "hello");
        }
        cr_expect_eq(aw_stream_end(client), 0);
        cr_expect_eq(aw_websocket_receive(socket, &message, NULL), -ECONNRESET);
        cr_expect_eq(aw_websocket_close(socket, 1000, NULL), -ECONNRESET);
        aw_stream_abort(server);
        aw_stream_abort(client);
    }
    return 0;
}

Test(websocket_peer, half_a_frame_is_waited_for_and_its_end_is_a_cut)
{
    cr_assert_eq(aw_run(half_body, NULL), 0);
}

/* Pings without end from a peer that never reads: memory stays bounded, the last one is answered.
 */
static int flood_body(void *argument)
{
    (void)argument;
    struct aw_stream *server, *client;
    struct aw_websocket_message message;
    struct aw_websocket_options options = {.send_queue_max = 1000};
    struct aw_websocket *socket = open_server(&server, &client, &options);
    char payload[120] = {0};
    for (int i = 0; i < 20000; i++) {
        struct bytes ping = {0};
        char wide[130];
        (void)ping;
        wide[0] = (char)PING;
        wide[1] = (char)(0x80 | sizeof payload);
        memset(wide + 2, 0, 4);
        memcpy(payload, &i, sizeof i);
        memcpy(wide + 6, payload, sizeof payload);
        cr_assert_eq(aw_stream_write(client, wide, 6 + sizeof payload), 0);
        if (i % 100 == 99) {
            struct bytes text = {0};
            add_frame(&text, TEXT, "now", 3);
            cr_assert_eq(aw_stream_write_all(client, text.data, text.size), 0);
            cr_assert_eq(aw_websocket_receive(socket, &message, NULL), 1);
            cr_assert_leq(aw_websocket_pending(socket), 2500, "%d", i);
        }
    }
    int last = -1;
    while (last != 19999) {
        uint8_t pong[122];
        cr_assert_eq(aw_stream_read_exactly(client, pong, sizeof pong), 0);
        cr_assert_eq(pong[0], PONG);
        int number;
        memcpy(&number, pong + 2, sizeof number);
        cr_assert_gt(number, last);
        last = number;
    }
    aw_websocket_abort(socket);
    aw_stream_abort(server);
    aw_stream_abort(client);
    return 0;
}

Test(websocket_peer, a_flood_of_pings_costs_no_memory)
{
    cr_assert_eq(aw_run(flood_body, NULL), 0);
}

/* A client refuses what a server may not send. */
static int masked_server_body(void *argument)
{
    (void)argument;
    struct websocket_pair pair;
    struct aw_websocket_message message;
    struct aw_error error = {0};
    cr_assert_eq(websocket_pair_open(&pair, NULL, NULL), 0);
    cr_assert_eq(aw_stream_write_all(pair.server_stream, "\x81\x81\0\0\0\0a", 7), 0);
    cr_expect_eq(aw_websocket_receive(pair.client, &message, &error), -EPROTO);
    cr_expect_str_eq(error.code, "PROTOCOL");
    cr_expect_eq(aw_websocket_receive(pair.server, &message, NULL), 0);
    cr_expect_eq(aw_websocket_close_code(pair.server), AW_WEBSOCKET_PROTOCOL_ERROR);
    websocket_pair_abort(&pair);
    return 0;
}

Test(websocket_peer, a_server_masks_nothing)
{
    cr_assert_eq(aw_run(masked_server_body, NULL), 0);
}

/* What a client sends is masked, each frame with another key. */
static int masks_body(void *argument)
{
    (void)argument;
    struct websocket_pair pair;
    cr_assert_eq(websocket_pair_open(&pair, NULL, NULL), 0);
    uint8_t frames[100][10];
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(aw_websocket_send(pair.client, AW_WEBSOCKET_TEXT, "same", 4), 0);
        cr_assert_eq(aw_stream_read_exactly(pair.server_stream, frames[i], 10), 0);
        cr_expect_eq(frames[i][1], 0x84);
        for (int k = 0; k < 4; k++)
            cr_expect_eq(frames[i][6 + k] ^ frames[i][2 + k], "same"[k]);
        for (int before = 0; before < i; before++)
            cr_expect_neq(memcmp(frames[before] + 2, frames[i] + 2, 4), 0, "%d and %d", before, i);
    }
    websocket_pair_abort(&pair);
    return 0;
}

Test(websocket_peer, masks_are_random)
{
    cr_assert_eq(aw_run(masks_body, NULL), 0);
}

/* Random bytes after the handshake: some error or farewell comes, never a crash. */
static int noise_body(void *argument)
{
    (void)argument;
    for (int round = 0; round < 300; round++) {
        struct aw_stream *server, *client;
        struct aw_websocket_message message;
        struct aw_websocket *socket = open_server(&server, &client, NULL);
        uint8_t noise[512];
        aw_random_bytes(noise, sizeof noise);
        noise[0] = round % 2 == 0 ? noise[0] : (uint8_t)(noise[0] & 0x8f);
        noise[1] |= round % 3 == 0 ? noise[1] : 0x80;
        cr_assert_eq(aw_stream_write_all(client, noise, sizeof noise), 0);
        cr_assert_eq(aw_stream_end(client), 0);
        int result;
        while ((result = aw_websocket_receive(socket, &message, NULL)) == 1) {
        }
        cr_expect(result == 0 || result == -EPROTO || result == -EMSGSIZE || result == -ECONNRESET,
                  "%d", result);
        aw_websocket_abort(socket);
        aw_stream_abort(server);
        aw_stream_abort(client);
    }
    return 0;
}

Test(websocket_peer, noise)
{
    cr_assert_eq(aw_run(noise_body, NULL), 0);
}

/* --- silence -----------------------------------------------------------------------------------
 */
static int receive(struct aw_websocket *socket, struct aw_error *reterr)
{
    struct aw_websocket_message message;
    return aw_websocket_receive(socket, &message, reterr);
}

static int receive_until_end(void *argument)
{
    int result;
    while ((result = receive(argument, NULL)) > 0) {
    }
    return result;
}

static int send_one(struct aw_websocket *socket)
{
    char bytes[1000] = {0};
    return aw_websocket_try_send(socket, AW_WEBSOCKET_BINARY, bytes, sizeof bytes);
}

/* Fills the kernel's buffer and the queue of a socket whose peer does not read. */
static void fill(struct aw_websocket *socket)
{
    for (int idle = 0; idle < 10; idle++) {
        while (send_one(socket) == 0)
            idle = 0;
        aw_yield();
    }
}

static int keepalive_body(void *argument)
{
    (void)argument;
    struct websocket_pair pair;
    struct aw_error error = {0};
    struct aw_websocket_options options = {.ping_interval_ms = 400, .send_queue_max = 5000};
    cr_assert_eq(websocket_pair_open(&pair, &options, NULL), 0);
    struct aw_task *answering;
    cr_assert_eq(aw_spawn(&answering, receive_until_end, pair.server), 0);
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(900));
    cr_expect_eq(receive(pair.client, NULL), -ETIME, "kept alive by pongs until we stop waiting");
    aw_scope_leave(&scope);
    aw_cancel(answering);
    cr_expect_eq(aw_await(answering), -ECANCELED);
    aw_sleep(900); /* nobody receives: the silence does not count */
    cr_expect_eq(aw_websocket_send(pair.server, AW_WEBSOCKET_TEXT, "here", 4), 0);
    cr_expect_eq(receive(pair.client, NULL), 1);
    fill(pair.client); /* the writer waits for the dead peer as well */
    cr_expect_eq(receive(pair.client, &error), -ETIMEDOUT);
    cr_expect_str_eq(error.code, "SILENT");
    cr_expect_eq(receive(pair.client, NULL), -ETIMEDOUT);
    cr_expect_eq(send_one(pair.client), -ETIMEDOUT);
    websocket_pair_abort(&pair);
    return 0;
}

Test(websocket_peer, a_silent_peer_is_asked_and_given_up)
{
    cr_assert_eq(aw_run(keepalive_body, NULL), 0);
}
