/* test_output.c - a connection's replies leave in the order of its requests. */
#include "protocol/value.h"
#include "server/connection.h"
#include "server/server.h"

#include <await.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct server server;
static struct connection connection;
static int client;

static int open_both(void)
{
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    server = (struct server){0};
    aw_group_init(&server.tasks, AW_GROUP_COLLECT);
    connection = (struct connection){.server = &server, .fd = ends[0], .version = 2};
    aw_event_init(&connection.changed);
    client = ends[1];
    return 0;
}

static void close_both(void)
{
    cr_expect_eq(aw_group_wait(&server.tasks), 0);
    output_abandon(&connection);
    spares_free(&server.replies);
    aw_close(connection.fd);
    aw_close(client);
}

static void reply_text(const char *text)
{
    struct buffer value = {0};
    value_simple(&value, text);
    output_reply(&connection, &value);
    buffer_free(&value);
}

static void expect_received(const char *expected)
{
    char bytes[512] = "";
    size_t have = 0;
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(20000));
    while (have < strlen(expected)) {
        int result = aw_receive(client, bytes + have, sizeof bytes - 1 - have);
        if (result <= 0)
            break;
        have += (size_t)result;
    }
    aw_scope_leave(&scope);
    cr_expect_str_eq(bytes, expected);
}

static struct reply *put_later(void)
{
    struct reply *reply = output_take(&connection);
    cr_assert_not_null(reply);
    output_put(&connection, reply);
    return reply;
}

static int keep_order(void *argument)
{
    (void)argument;
    open_both();
    reply_text("first");
    struct reply *second = put_later();
    struct reply *third = put_later();
    reply_text("fourth");
    struct reply *fifth = put_later();
    expect_received("+first\r\n");
    output_fill_id(fifth, 55);
    output_fill_error(third, "FULL", "no space");
    cr_expect_eq(connection.out.size, 0, "nothing passes the reply that is not there yet");
    cr_expect_eq(connection.reply_count, 4);
    output_fill_id(second, 22);
    expect_received("$2\r\n22\r\n-FULL no space\r\n+fourth\r\n$2\r\n55\r\n");
    cr_expect_eq(connection.reply_count, 0);
    reply_text("sixth");
    expect_received("+sixth\r\n");
    aw_yield();
    cr_expect(output_is_idle(&connection));
    close_both();
    return 0;
}

Test(output, replies_keep_the_order_of_requests)
{
    cr_expect_eq(aw_run(keep_order, NULL), 0);
}

static int speak_version(void *argument)
{
    (void)argument;
    open_both();
    struct buffer value = {0};
    value_null(&value);
    output_reply(&connection, &value);
    expect_received("$-1\r\n");
    connection.version = 3;
    output_reply(&connection, &value);
    expect_received("_\r\n");
    buffer_free(&value);
    close_both();
    return 0;
}

Test(output, replies_are_in_the_version_of_the_connection)
{
    cr_expect_eq(aw_run(speak_version, NULL), 0);
}

static int fill_orphan(void *argument)
{
    (void)argument;
    open_both();
    struct reply *early = put_later();
    struct reply *late = put_later();
    output_fill_id(late, 2);
    output_abandon(&connection);
    output_fill_error(early, "ERR", "nobody hears this");
    cr_expect_eq(connection.reply_count, 0);
    cr_expect_eq(connection.out.size, 0);
    close_both();
    return 0;
}

Test(output, reply_may_come_after_its_connection_has_ended)
{
    cr_expect_eq(aw_run(fill_orphan, NULL), 0);
}

static int reach_limit(void *argument)
{
    (void)argument;
    open_both();
    struct reply **replies = calloc(REPLIES_MAX, sizeof *replies);
    cr_assert_not_null(replies);
    for (uint32_t i = 0; i < REPLIES_MAX; i++) {
        cr_expect(output_has_room(&connection));
        replies[i] = put_later();
    }
    cr_expect_not(output_has_room(&connection));
    output_fill_id(replies[0], 1);
    cr_expect(output_has_room(&connection));
    free(replies);
    struct reply *unused = output_take(&connection);
    output_give_back(&connection, unused);
    cr_expect_eq(connection.reply_count, REPLIES_MAX - 1);
    expect_received("$1\r\n1\r\n");
    /* The others are never filled: they stay with whoever would have filled them. */
    for (struct reply *reply = connection.first_reply; reply; reply = connection.first_reply)
        output_fill_id(reply, 2);
    cr_expect_eq(connection.reply_count, 0);
    aw_shutdown(client, SHUT_RDWR);
    close_both();
    return 0;
}

Test(output, many_replies_outstanding_mean_no_room)
{
    cr_expect_eq(aw_run(reach_limit, NULL), 0);
}

static int lose_client(void *argument)
{
    (void)argument;
    open_both();
    aw_shutdown(client, SHUT_RDWR);
    reply_text("lost");
    cr_expect_eq(aw_group_wait(&server.tasks), 0);
    cr_expect(connection.gone);
    reply_text("dropped");
    cr_expect_eq(connection.out.size, 0);
    close_both();
    return 0;
}

Test(output, client_that_is_gone_gets_nothing_more)
{
    cr_expect_eq(aw_run(lose_client, NULL), 0);
}
