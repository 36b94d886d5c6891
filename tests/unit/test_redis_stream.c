/* test_redis_stream.c - streams against a real server: order, groups, outages, limits. */
#include "support/cancel.h"
#include "support/process.h"
#include "support/redis.h"
#include "support/redis_pool.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct redis_server server;
static struct aw_redis_pool *pool;
static struct aw_error error;
static int descriptors_before;
static const char *const durable[] = {"--appendonly", "yes", "--appendfsync", "always", NULL};

static void start_server(void)
{
    if (!redis_server_available())
        cr_skip_test("redis-server is not installed");
    redis_server_prepare(&server);
    redis_server_start(&server, durable);
    descriptors_before = open_descriptors();
}

static void stop_server(void)
{
    cr_expect_eq(open_descriptors(), descriptors_before, "a descriptor is left");
    redis_server_remove(&server);
}

TestSuite(redis_stream, .init = start_server, .fini = stop_server, .timeout = 120);

static int run_test(void *argument)
{
    void (*const *body)(void) = argument;
    struct aw_group group;
    struct aw_redis_options options = {.uri = server.uri};
    aw_group_init(&group, AW_GROUP_COLLECT);
    int result = aw_redis_pool_create(&options, &group, &pool, &error);
    cr_assert_eq(result, 0, "%s", error.message);
    (*body)();
    aw_redis_pool_close(pool);
    return aw_group_wait(&group);
}

static void run(void (*body)(void))
{
    cr_expect_eq(aw_run(run_test, &body), 0);
}

static void add(int number)
{
    char value[16];
    char id[AW_REDIS_ID_SIZE] = "";
    snprintf(value, sizeof value, "%d", number);
    int result = aw_redis_stream_add(pool, "s", 0, 2, (const char *const[]){"n", value}, NULL, id,
                                     &error);
    cr_expect_eq(result, 0, "%s", error.message);
    cr_expect(strchr(id, '-') != NULL);
}

/* The next entry is this one; its id. */
static const char *expect_next(struct aw_redis_stream *stream, int number)
{
    static char id[AW_REDIS_ID_SIZE];
    const struct aw_redis_entry *entry = NULL;
    int result = aw_redis_stream_next(stream, &entry, &error);
    cr_assert_eq(result, 0, "%s", error.message);
    cr_assert_eq(entry->count, 2);
    cr_expect_str_eq(entry->fields[0]->text, "n");
    cr_expect_eq(atoi(entry->fields[1]->text), number, "%s, not %d", entry->fields[1]->text,
                 number);
    strcpy(id, entry->id);
    return id;
}

static void expect_nothing(struct aw_redis_stream *stream)
{
    const struct aw_redis_entry *entry = NULL;
    struct aw_scope soon;
    aw_scope_enter(&soon, aw_after_ms(50));
    cr_expect_eq(aw_redis_stream_next(stream, &entry, &error), -ETIME);
    aw_scope_leave(&soon);
}

static bool answers(void *context)
{
    struct aw_redis_reply *reply = NULL;
    int result = redis_ask(context, &reply, NULL, "PING", NULL);
    aw_redis_reply_free(reply);
    return result == 0;
}

static struct aw_redis_stream *open_reader(const struct aw_redis_stream_options *options)
{
    struct aw_redis_stream *stream = NULL;
    int result = aw_redis_stream_open(&stream, pool, options, &error);
    cr_assert_eq(result, 0, "%s", error.message);
    return stream;
}

/* --- without a group ---------------------------------------------------------------------- */

static int add_later(void *argument)
{
    (void)argument;
    int result = aw_sleep(20);
    for (int i = 3; i < 6; i++)
        add(i);
    return result;
}

static void read_from_now_on(void)
{
    add(1);
    struct aw_redis_stream *stream = open_reader(&(struct aw_redis_stream_options){.key = "s"});
    add(2);
    expect_next(stream, 2);
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, add_later, NULL), 0);
    for (int i = 3; i < 6; i++)
        expect_next(stream, i);
    cr_expect_eq(aw_await(task), 0);
    expect_nothing(stream);
    add(6); /* an interrupted wait loses nothing */
    expect_next(stream, 6);
    aw_redis_stream_close(stream);
}

Test(redis_stream, a_reader_gets_what_comes_from_now_on_in_order)
{
    run(read_from_now_on);
}

static void read_all(void)
{
    for (int i = 0; i < 10; i++)
        add(i);
    const struct aw_redis_stream_options options = {.key = "s", .after = "0", .count_max = 3};
    struct aw_redis_stream_holder holder = {.pool = pool, .options = &options};
    int result = 0;
    AW_WITH(result, aw_redis_with_stream(&holder))
    {
        for (int i = 0; i < 10; i++)
            expect_next(holder.stream, i);
        cr_expect_eq(aw_redis_stream_ack(holder.stream, "1-1", &error), -EINVAL);
    }
    cr_expect_eq(result, 0);
    cr_expect_null(holder.stream);
}

Test(redis_stream, a_block_reads_from_the_beginning_in_small_pieces)
{
    run(read_all);
}

static void outage(void)
{
    struct aw_redis_stream *stream =
        open_reader(&(struct aw_redis_stream_options){.key = "s", .after = "0"});
    add(1);
    expect_next(stream, 1);
    redis_server_stop(&server, SIGKILL);
    expect_nothing(stream);
    redis_server_start(&server, durable);
    cr_assert(wait_until(answers, pool));
    add(2);
    expect_next(stream, 2);
    aw_redis_stream_close(stream);
}

Test(redis_stream, a_reader_goes_on_after_an_outage)
{
    run(outage);
}

/* --- with a group ------------------------------------------------------------------------- */

static const struct aw_redis_stream_options consumer = {
    .key = "s", .group = "g", .consumer = "a", .after = "0"};

static void unacknowledged(void)
{
    struct aw_redis_stream *stream = open_reader(&consumer);
    for (int i = 0; i < 4; i++)
        add(i);
    for (int i = 0; i < 3; i++) {
        const char *id = expect_next(stream, i);
        if (i == 1)
            cr_expect_eq(aw_redis_stream_ack(stream, id, &error), 0);
    }
    aw_redis_stream_close(stream);
    stream = open_reader(&consumer); /* as after a crash */
    expect_next(stream, 0);
    expect_next(stream, 2);
    expect_next(stream, 3);
    expect_nothing(stream);
    aw_redis_stream_close(stream);
}

Test(redis_stream, a_consumer_gets_again_what_it_has_not_acknowledged)
{
    run(unacknowledged);
}

static void lost_connection(void)
{
    struct aw_redis_stream *stream = open_reader(&consumer);
    add(1);
    expect_next(stream, 1);
    redis_server_stop(&server, SIGKILL);
    redis_server_start(&server, durable);
    cr_assert(wait_until(answers, pool));
    add(2);
    /* the first is pending and has been given: not again */
    expect_next(stream, 2);
    aw_redis_stream_close(stream);
}

Test(redis_stream, a_consumer_gets_nothing_twice_from_one_reader)
{
    run(lost_connection);
}

/* --- mistakes and interruption -------------------------------------------------------------- */

static void mistakes(void)
{
    struct aw_redis_stream *stream = NULL;
    const struct aw_redis_stream_options wrong[] = {
        {.group = "g", .consumer = "a"},
        {.key = "s", .group = "g"},
        {.key = "s", .consumer = "a"},
        {.key = "s", .count_max = 10001},
        {.key = "s", .after = "00000000000000000000000000000000000000000000"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_expect_eq(aw_redis_stream_open(&stream, pool, &wrong[i], &error), -EINVAL, "%zu", i);
    char id[AW_REDIS_ID_SIZE];
    const char *const one[] = {"n"};
    cr_expect_eq(aw_redis_stream_add(pool, "s", 0, 1, one, NULL, id, &error), -EINVAL);
    cr_expect_eq(aw_redis_stream_add(pool, "s", 0, 1002, one, NULL, id, &error), -EINVAL);
    expect_text(pool, "OK", "SET", "s", "text");
    cr_expect_eq(aw_redis_stream_open(&stream, pool, &consumer, &error), -EREMOTEIO);
    cr_expect_str_eq(error.code, "WRONGTYPE");
    cr_expect_eq(aw_redis_stream_open(&stream, pool, &(struct aw_redis_stream_options){.key = "s"},
                                      &error),
                 -EREMOTEIO);
    cr_expect_null(stream);
}

Test(redis_stream, mistakes_are_told)
{
    run(mistakes);
}

static void trimmed(void)
{
    char id[AW_REDIS_ID_SIZE];
    for (int i = 0; i < 500; i++)
        cr_assert_eq(aw_redis_stream_add(pool, "s", 10, 2, (const char *const[]){"n", "\0x"},
                                         (const size_t[]){1, 2}, id, &error),
                     0);
    struct aw_redis_reply *reply = NULL;
    cr_assert_eq(redis_ask(pool, &reply, &error, "XLEN", "s", NULL), 0);
    cr_expect_lt(reply->integer, 500);
    cr_expect_geq(reply->integer, 10);
    aw_redis_reply_free(reply);
}

Test(redis_stream, a_stream_is_trimmed)
{
    run(trimmed);
}
