/* test_websocket.c - two WebSockets talk: messages, fragments, pings, farewells, limits, blocks. */
#include "support/cancel.h"
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

TestSuite(websocket, .init = count_descriptors, .fini = expect_all_closed, .timeout = 120);

static void say(struct aw_websocket *socket, const char *text)
{
    cr_assert_eq(aw_websocket_send(socket, AW_WEBSOCKET_TEXT, text, strlen(text)), 0);
}

static void expect_text(struct aw_websocket *socket, const char *text)
{
    struct aw_websocket_message message = {0};
    struct aw_error error = {0};
    cr_assert_eq(aw_websocket_receive(socket, &message, &error), 1, "%s", error.message);
    cr_expect_eq(message.kind, AW_WEBSOCKET_TEXT);
    cr_expect_eq(message.size, strlen(text));
    cr_expect_str_eq(message.data, text);
}

static int receive(struct aw_websocket *socket, struct aw_error *reterr)
{
    struct aw_websocket_message message;
    return aw_websocket_receive(socket, &message, reterr);
}

static int close_task(void *argument)
{
    return aw_websocket_close(argument, AW_WEBSOCKET_NORMAL, NULL);
}

/* Both sides say farewell in order. */
static void close_both(struct websocket_pair *pair)
{
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, close_task, pair->server), 0);
    pair->server = NULL;
    cr_expect_eq(aw_websocket_end(pair->client, AW_WEBSOCKET_NORMAL, NULL), 0);
    cr_expect_eq(receive(pair->client, NULL), 0);
    cr_expect_eq(aw_await(task), 0);
    cr_expect_eq(aw_stream_close(pair->server_stream), 0);
    pair->server_stream = NULL;
    cr_expect_eq(aw_websocket_close(pair->client, AW_WEBSOCKET_NORMAL, NULL), 0);
    pair->client = NULL;
    websocket_pair_abort(pair);
}

static int talk_body(void *argument)
{
    (void)argument;
    struct websocket_pair pair;
    struct aw_websocket_message message;
    cr_assert_eq(websocket_pair_open(&pair, NULL, NULL), 0);
    say(pair.client, "hello \xe2\x82\xac");
    expect_text(pair.server, "hello \xe2\x82\xac");
    say(pair.server, "");
    expect_text(pair.client, "");
    for (size_t size = 0; size < 200000; size = size * 2 + (size < 260 ? 1 : 17)) {
        char *bytes = malloc(size + 1);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (char)(i * 31 / 7);
        cr_assert_eq(aw_websocket_send(pair.client, AW_WEBSOCKET_BINARY, bytes, size), 0);
        cr_assert_eq(aw_websocket_receive(pair.server, &message, NULL), 1);
        cr_expect_eq(message.kind, AW_WEBSOCKET_BINARY);
        cr_assert_eq(message.size, size);
        cr_expect(memcmp(message.data, bytes, size) == 0);
        cr_assert_eq(aw_websocket_send(pair.server, message.kind, message.data, message.size), 0);
        cr_assert_eq(aw_websocket_receive(pair.client, &message, NULL), 1);
        cr_expect(message.size == size && memcmp(message.data, bytes, size) == 0);
        free(bytes);
    }
    cr_expect_eq(aw_websocket_flush(pair.client), 0);
    cr_expect_eq(aw_websocket_pending(pair.client), 0);
    cr_expect_str_eq(aw_websocket_protocol(pair.client), "");
    close_both(&pair);
    return 0;
}

Test(websocket, both_sides_talk)
{
    cr_assert_eq(aw_run(talk_body, NULL), 0);
}

static int fragments_body(void *argument)
{
    (void)argument;
    struct websocket_pair pair;
    struct aw_websocket_options options = {.fragment_size = 10};
    cr_assert_eq(websocket_pair_open(&pair, &options, &options), 0);
    say(pair.client, "exactly te");
    expect_text(pair.server, "exactly te");
    say(pair.server, "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac cut inside of letters");
    expect_text(pair.client,
                "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac cut inside of letters");
    cr_expect_eq(
        aw_websocket_try_send(pair.client, AW_WEBSOCKET_TEXT, "one frame, then another", 23), 0);
    expect_text(pair.server, "one frame, then another");
    cr_expect_eq(aw_websocket_send_part(pair.client, AW_WEBSOCKET_TEXT, "eur\xe2", 4, false), 0);
    cr_expect_eq(aw_websocket_send(pair.client, AW_WEBSOCKET_TEXT, "x", 1), -EDEADLK);
    cr_expect_eq(aw_websocket_try_send(pair.client, AW_WEBSOCKET_TEXT, "x", 1), -EAGAIN);
    cr_expect_eq(aw_websocket_send_part(pair.client, AW_WEBSOCKET_TEXT, "\x82\xac", 2, false), 0);
    cr_expect_eq(aw_websocket_send_part(pair.client, AW_WEBSOCKET_TEXT, "", 0, true), 0);
    expect_text(pair.server, "eur\xe2\x82\xac");
    cr_expect_eq(aw_websocket_send_part(pair.client, AW_WEBSOCKET_TEXT, "whole", 5, true), 0);
    expect_text(pair.server, "whole");
    cr_expect_eq(aw_websocket_send_part(pair.client, AW_WEBSOCKET_TEXT, "\x82", 1, true), -EILSEQ);
    say(pair.client, "nothing of it was sent");
    expect_text(pair.server, "nothing of it was sent");
    cr_expect_eq(aw_websocket_send_part(pair.client, AW_WEBSOCKET_TEXT, "a", 1, false), 0);
    cr_expect_eq(aw_websocket_send_part(pair.client, AW_WEBSOCKET_TEXT, "\xe2", 1, true), -EILSEQ);
    cr_expect_eq(aw_websocket_send(pair.client, AW_WEBSOCKET_TEXT, "x", 1), -ECONNABORTED, "torn");
    close_both(&pair);
    return 0;
}

Test(websocket, messages_go_in_fragments_and_in_parts)
{
    cr_assert_eq(aw_run(fragments_body, NULL), 0);
}

struct speaker {
    struct aw_websocket *socket;
    char letter;
    bool in_parts;
};

static int speak(void *argument)
{
    const struct speaker *speaker = argument;
    char text[64];
    memset(text, speaker->letter, sizeof text);
    for (int i = 0; i < 50; i++) {
        int result = 0;
        if (speaker->in_parts) {
            for (int k = 0; k < 4 && result == 0; k++) {
                result =
                    aw_websocket_send_part(speaker->socket, AW_WEBSOCKET_TEXT, text, 16, k == 3);
                aw_yield();
            }
        } else {
            result = aw_websocket_send(speaker->socket, AW_WEBSOCKET_TEXT, text, sizeof text);
        }
        if (result < 0)
            return result;
    }
    return 0;
}

static int many_senders_body(void *argument)
{
    (void)argument;
    struct websocket_pair pair;
    struct aw_websocket_options options = {.fragment_size = 7, .send_queue_max = 100};
    cr_assert_eq(websocket_pair_open(&pair, &options, NULL), 0);
    struct speaker speakers[6];
    struct aw_task *tasks[6];
    for (int i = 0; i < 6; i++) {
        speakers[i] = (struct speaker){pair.client, (char)('a' + i), i % 2 == 1};
        cr_assert_eq(aw_spawn(&tasks[i], speak, &speakers[i]), 0);
    }
    int seen[6] = {0};
    for (int i = 0; i < 300; i++) {
        struct aw_websocket_message message;
        cr_assert_eq(aw_websocket_receive(pair.server, &message, NULL), 1);
        cr_assert_eq(message.size, 64);
        cr_assert_eq(strspn(message.data, (char[2]){message.data[0], '\0'}), 64, "%s",
                     message.data);
        seen[message.data[0] - 'a']++;
    }
    cr_expect_eq(aw_gather(6, tasks, NULL), 0);
    for (int i = 0; i < 6; i++)
        cr_expect_eq(seen[i], 50);
    close_both(&pair);
    return 0;
}

Test(websocket, the_frames_of_several_senders_do_not_mix)
{
    cr_assert_eq(aw_run(many_senders_body, NULL), 0);
}

static int receive_until_end(void *argument)
{
    int result;
    while ((result = receive(argument, NULL)) > 0) {
    }
    return result;
}

static int ping_body(void *argument)
{
    (void)argument;
    struct websocket_pair pair;
    cr_assert_eq(websocket_pair_open(&pair, NULL, NULL), 0);
    struct aw_task *tasks[2];
    cr_assert_eq(aw_spawn(&tasks[0], receive_until_end, pair.client), 0);
    cr_assert_eq(aw_spawn(&tasks[1], receive_until_end, pair.server), 0);
    uint64_t elapsed_ns = 0;
    cr_expect_eq(aw_websocket_ping(pair.client, &elapsed_ns), 0);
    cr_expect_gt(elapsed_ns, 0);
    cr_expect_eq(aw_websocket_ping(pair.client, NULL), 0);
    cr_expect_eq(aw_websocket_ping(pair.server, NULL), 0);
    cr_expect_eq(receive(pair.client, NULL), -EBUSY, "another task receives");
    cr_expect_eq(aw_websocket_end(pair.client, 4321, "enough"), 0);
    cr_expect_eq(aw_gather(2, tasks, NULL), 0);
    cr_expect_eq(aw_websocket_close_code(pair.server), 4321);
    cr_expect_str_eq(aw_websocket_close_reason(pair.server), "enough");
    cr_expect_eq(aw_websocket_close_code(pair.client), 4321, "the code comes back");
    cr_expect_eq(receive(pair.client, NULL), 0, "also when asked again");
    cr_expect_eq(aw_websocket_ping(pair.client, NULL), -EPIPE);
    cr_expect_eq(aw_websocket_send(pair.server, AW_WEBSOCKET_TEXT, "x", 1), -EPIPE);
    cr_expect_eq(aw_websocket_try_send(pair.server, AW_WEBSOCKET_TEXT, "x", 1), -EPIPE);
    cr_expect_eq(aw_websocket_end(pair.client, 4321, NULL), 0, "once more is no error");
    websocket_pair_abort(&pair);
    return 0;
}

Test(websocket, pings_are_answered_and_a_farewell_has_code_and_reason)
{
    cr_assert_eq(aw_run(ping_body, NULL), 0);
}

static int end_order_body(void *argument)
{
    (void)argument;
    struct websocket_pair pair;
    cr_assert_eq(websocket_pair_open(&pair, NULL, NULL), 0);
    say(pair.client, "one");
    say(pair.client, "two");
    cr_expect_eq(aw_websocket_end(pair.client, AW_WEBSOCKET_GOING_AWAY, NULL), 0);
    say(pair.server, "still open in this direction");
    expect_text(pair.server, "one");
    expect_text(pair.server, "two");
    cr_expect_eq(receive(pair.server, NULL), 0, "the farewell is behind what was queued");
    cr_expect_eq(aw_websocket_close_code(pair.server), AW_WEBSOCKET_GOING_AWAY);
    expect_text(pair.client, "still open in this direction");
    cr_expect_eq(receive(pair.client, NULL), 0);
    websocket_pair_abort(&pair);
    return 0;
}

Test(websocket, a_farewell_overtakes_nothing)
{
    cr_assert_eq(aw_run(end_order_body, NULL), 0);
}

static int limits_body(void *argument)
{
    (void)argument;
    struct websocket_pair pair;
    struct aw_error error = {0};
    struct aw_websocket_options small = {.message_size_max = 100, .close_timeout_ms = 60000};
    char bytes[101] = {0};
    cr_assert_eq(websocket_pair_open(&pair, NULL, &small), 0);
    cr_assert_eq(aw_websocket_send(pair.client, AW_WEBSOCKET_BINARY, bytes, 100), 0);
    cr_expect_eq(receive(pair.server, NULL), 1, "at the limit");
    cr_assert_eq(aw_websocket_send(pair.client, AW_WEBSOCKET_BINARY, bytes, 101), 0);
    cr_expect_eq(receive(pair.server, &error), -EMSGSIZE);
    cr_expect_str_eq(error.code, "TOOBIG");
    cr_expect_eq(receive(pair.server, NULL), -EMSGSIZE, "for good");
    cr_expect_eq(receive(pair.client, NULL), 0);
    cr_expect_eq(aw_websocket_close_code(pair.client), AW_WEBSOCKET_TOO_BIG);
    websocket_pair_abort(&pair);
    small.fragment_size = 60;
    cr_assert_eq(websocket_pair_open(&pair, &small, &small), 0);
    cr_assert_eq(aw_websocket_send(pair.client, AW_WEBSOCKET_BINARY, bytes, 101), 0);
    cr_expect_eq(receive(pair.server, NULL), -EMSGSIZE, "in fragments as well");
    websocket_pair_abort(&pair);
    return 0;
}

Test(websocket, a_message_has_a_limit)
{
    cr_assert_eq(aw_run(limits_body, NULL), 0);
}

static int send_one(void *argument)
{
    char bytes[1000] = {0};
    return aw_websocket_send(argument, AW_WEBSOCKET_BINARY, bytes, sizeof bytes);
}

/* Fills the kernel's buffer and the queue of a socket whose peer does not read. */
static size_t fill(struct aw_websocket *socket)
{
    char bytes[1000] = {0};
    size_t sent = 0;
    for (int idle = 0; idle < 10;) {
        int result = aw_websocket_try_send(socket, AW_WEBSOCKET_BINARY, bytes, sizeof bytes);
        cr_assert(result == 0 || result == -EAGAIN, "%d", result);
        sent += result == 0;
        idle = result == 0 ? 0 : idle + 1;
        if (result < 0)
            aw_yield();
    }
    return sent;
}

static int full_body(void *argument)
{
    (void)argument;
    struct websocket_pair pair;
    struct aw_websocket_options options = {.send_queue_max = 5000};
    cr_assert_eq(websocket_pair_open(&pair, &options, NULL), 0);
    size_t sent = fill(pair.client);
    cr_expect_leq(aw_websocket_pending(pair.client), 5000);
    struct aw_task *first, *second;
    cr_assert_eq(aw_spawn(&first, send_one, pair.client), 0);
    cr_assert_eq(aw_spawn(&second, send_one, pair.client), 0);
    aw_sleep(5);
    cr_expect(!aw_finished(first) && !aw_finished(second), "both wait for room");
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(5));
    cr_expect_eq(aw_websocket_flush(pair.client), -ETIME);
    cr_expect_eq(send_one(pair.client), -ETIME);
    aw_scope_leave(&scope);
    aw_cancel(first);
    cr_expect_eq(aw_await(first), -ECANCELED);
    for (size_t i = 0; i < sent; i++)
        cr_assert_eq(receive(pair.server, NULL), 1);
    cr_expect_eq(aw_await(second), 0);
    cr_expect_eq(receive(pair.server, NULL), 1, "the second one's, and nothing of the others");
    say(pair.client, "end");
    expect_text(pair.server, "end");
    cr_assert_geq(fill(pair.client), 1);
    cr_assert_eq(aw_spawn(&first, send_one, pair.client), 0);
    aw_sleep(5);
    cr_expect_eq(aw_websocket_end(pair.client, AW_WEBSOCKET_NORMAL, NULL), 0);
    cr_expect_eq(aw_await(first), -EPIPE, "the end reaches who waits");
    websocket_pair_abort(&pair);
    return 0;
}

Test(websocket, a_full_queue_makes_senders_wait)
{
    cr_assert_eq(aw_run(full_body, NULL), 0);
}

static int torn_body(void *argument)
{
    (void)argument;
    struct websocket_pair pair;
    struct aw_websocket_options options = {.send_queue_max = 5000, .fragment_size = 990};
    cr_assert_eq(websocket_pair_open(&pair, &options, NULL), 0);
    char *large = calloc(1, 8 << 20);
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(20));
    cr_expect_eq(aw_websocket_send(pair.client, AW_WEBSOCKET_BINARY, large, 8 << 20), -ETIME);
    aw_scope_leave(&scope);
    free(large);
    cr_expect_eq(send_one(pair.client), -ECONNABORTED);
    cr_expect_eq(aw_websocket_try_send(pair.client, AW_WEBSOCKET_TEXT, "x", 1), -ECONNABORTED);
    cr_expect_eq(aw_websocket_end(pair.client, AW_WEBSOCKET_GOING_AWAY, NULL), 0);
    cr_expect_eq(receive(pair.server, NULL), 0, "the farewell follows the fragments all the same");
    websocket_pair_abort(&pair);
    return 0;
}

Test(websocket, an_interrupted_message_in_fragments_is_torn)
{
    cr_assert_eq(aw_run(torn_body, NULL), 0);
}

static int close_deadline_body(void *argument)
{
    (void)argument;
    struct websocket_pair pair;
    struct aw_websocket_options options = {.send_queue_max = 5000, .close_timeout_ms = 10};
    cr_assert_eq(websocket_pair_open(&pair, &options, NULL), 0);
    cr_expect_eq(aw_websocket_close(pair.client, AW_WEBSOCKET_NORMAL, NULL), -ETIMEDOUT,
                 "the peer says nothing");
    pair.client = NULL;
    websocket_pair_abort(&pair);
    cr_assert_eq(websocket_pair_open(&pair, &options, NULL), 0);
    fill(pair.client);
    cr_expect_eq(aw_websocket_close(pair.client, AW_WEBSOCKET_NORMAL, NULL), -ETIMEDOUT,
                 "the peer reads nothing");
    pair.client = NULL;
    websocket_pair_abort(&pair);
    cr_assert_eq(websocket_pair_open(&pair, NULL, NULL), 0);
    aw_stream_abort(pair.server_stream);
    pair.server_stream = NULL;
    cr_expect_lt(aw_websocket_close(pair.client, 12, NULL), 0, "the peer has gone");
    pair.client = NULL;
    websocket_pair_abort(&pair);
    return 0;
}

Test(websocket, closing_has_an_end)
{
    cr_assert_eq(aw_run(close_deadline_body, NULL), 0);
}

static int lost_body(void *argument)
{
    (void)argument;
    struct websocket_pair pair;
    struct aw_error error = {0};
    cr_assert_eq(websocket_pair_open(&pair, NULL, NULL), 0);
    aw_websocket_abort(pair.server);
    aw_stream_abort(pair.server_stream);
    pair.server = NULL;
    pair.server_stream = NULL;
    cr_expect_eq(receive(pair.client, &error), -ECONNRESET);
    cr_expect_str_eq(error.code, "LOST");
    cr_expect_eq(aw_websocket_close_code(pair.client), AW_WEBSOCKET_ABNORMAL);
    int result = 0;
    while (result == 0)
        result = aw_websocket_send(pair.client, AW_WEBSOCKET_TEXT, "x", 1);
    cr_expect(result == -EPIPE || result == -ECONNRESET, "%d", result);
    cr_expect_eq(aw_websocket_flush(pair.client), result);
    cr_expect_eq(aw_websocket_end(pair.client, AW_WEBSOCKET_NORMAL, NULL), result);
    websocket_pair_abort(&pair);
    return 0;
}

Test(websocket, a_connection_that_is_cut_is_no_farewell)
{
    cr_assert_eq(aw_run(lost_body, NULL), 0);
}

static int misuse_body(void *argument)
{
    (void)argument;
    struct websocket_pair pair;
    char reason[AW_WEBSOCKET_REASON_SIZE_MAX + 2];
    memset(reason, 'r', sizeof reason);
    reason[sizeof reason - 1] = '\0';
    cr_assert_eq(websocket_pair_open(&pair, NULL, NULL), 0);
    static const int impossible[] = {-1, 0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65536 + 1000};
    for (size_t i = 0; i < sizeof impossible / sizeof impossible[0]; i++)
        cr_expect_eq(aw_websocket_end(pair.client, impossible[i], NULL), -EINVAL);
    cr_expect_eq(aw_websocket_end(pair.client, 1000, reason), -EINVAL);
    cr_expect_eq(aw_websocket_end(pair.client, 1000, "\xff"), -EINVAL);
    cr_expect_eq(aw_websocket_send(pair.client, AW_WEBSOCKET_TEXT, "\xff", 1), -EILSEQ);
    cr_expect_eq(aw_websocket_try_send(pair.client, AW_WEBSOCKET_TEXT, "\xe2", 1), -EILSEQ);
    cr_expect_eq(aw_websocket_send(pair.client, (enum aw_websocket_kind)8, "", 0), -EINVAL);
    reason[AW_WEBSOCKET_REASON_SIZE_MAX] = '\0';
    cr_expect_eq(aw_websocket_end(pair.client, 1000, reason), 0, "at the limit");
    cr_expect_eq(receive(pair.server, NULL), 0);
    cr_expect_str_eq(aw_websocket_close_reason(pair.server), reason);
    websocket_pair_abort(&pair);
    cr_expect_eq(aw_websocket_close(NULL, 1000, NULL), 0);
    aw_websocket_abort(NULL);
    aw_websocket_request_free(NULL);
    return 0;
}

Test(websocket, misuse_is_an_error)
{
    cr_assert_eq(aw_run(misuse_body, NULL), 0);
}
