/* test_redis_multi.c - several commands as one unit, and streams, against a real server. */
#include "support/process.h"
#include "support/redis.h"
#include "support/redis_pool.h"

#include <await.h>
#include <await/redis_multi.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

static struct redis_server server;
static struct aw_redis_pool *pool;
static struct aw_error error;
static int descriptors_before;

static void start_server(void)
{
    if (!redis_server_available())
        cr_skip_test("redis-server is not installed");
    redis_server_prepare(&server);
    redis_server_start(&server, NULL);
    descriptors_before = open_descriptors();
}

static void stop_server(void)
{
    cr_expect_eq(open_descriptors(), descriptors_before, "a descriptor is left");
    redis_server_remove(&server);
}

TestSuite(redis_multi, .init = start_server, .fini = stop_server, .timeout = 120);

static int run_test(void *argument)
{
    void (*const *body)(void) = argument;
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    const struct aw_redis_options options = {.uri = server.uri, .leased_connections_max = 2};
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

#define CALL(...)                                                                              \
    {                                                                                          \
        sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *[]){__VA_ARGS__}, \
            NULL                                                                               \
    }

static void unit(void)
{
    const struct aw_redis_call calls[] = {CALL("SET", "a", "1"), CALL("INCR", "a"),
                                          CALL("LPUSH", "a", "x"), CALL("GET", "a")};
    struct aw_redis_reply *reply = NULL;
    cr_assert_eq(aw_redis_multi(pool, 4, calls, 0, &reply, &error), 0, "%s", error.message);
    cr_assert_eq(reply->count, 4);
    cr_expect_str_eq(reply->elements[0]->text, "OK");
    cr_expect_eq(reply->elements[1]->integer, 2);
    cr_expect_eq(reply->elements[2]->type, AW_REDIS_ERROR, "it fails alone");
    cr_expect_str_eq(reply->elements[3]->text, "2");
    aw_redis_reply_free(reply);
}

Test(redis_multi, all_run_and_each_has_its_reply)
{
    run(unit);
}

static void refused(void)
{
    struct aw_redis_reply *reply = NULL;
    const struct aw_redis_call unknown[] = {CALL("SET", "b", "1"), CALL("NOSUCH", "x")};
    cr_expect_eq(aw_redis_multi(pool, 2, unknown, 0, &reply, &error), -EREMOTEIO);
    cr_expect(strstr(error.message, "unknown command") != NULL, "%s", error.message);
    const struct aw_redis_call inside[] = {CALL("SET", "b", "1"), CALL("exec")};
    cr_expect_eq(aw_redis_multi(pool, 2, inside, 0, &reply, &error), -EOPNOTSUPP);
    const struct aw_redis_call push[] = {CALL("SUBSCRIBE", "x")};
    cr_expect_eq(aw_redis_multi(pool, 1, push, 0, &reply, &error), -EOPNOTSUPP);
    cr_expect_eq(aw_redis_multi(pool, 0, push, 0, &reply, &error), -EINVAL);
    cr_expect_eq(aw_redis_multi(pool, AW_REDIS_CALLS_MAX + 1, push, 0, &reply, &error), -EINVAL);
    cr_expect_eq(redis_ask(pool, &reply, &error, "EXISTS", "b", NULL), 0);
    cr_expect_eq(reply->integer, 0, "none of the refused ran");
    aw_redis_reply_free(reply);
}

Test(redis_multi, what_is_refused_runs_nothing)
{
    run(refused);
}

static void change(const char *value)
{
    expect_text(pool, "OK", "SET", "watched", value);
}

static void watched(void)
{
    const struct aw_redis_call calls[] = {CALL("SET", "watched", "mine")};
    const char *watch[] = {"WATCH", "watched"};
    const size_t sizes[] = {5, 7};
    struct aw_redis_holder holder = {.pool = pool};
    struct aw_redis_reply *reply = NULL;
    int result = 0;
    AW_WITH(result, aw_redis_with_lease(&holder))
    {
        cr_expect_eq(aw_redis_lease_command(holder.lease, 2, watch, sizes, 0, &reply, &error), 0);
        aw_redis_reply_free(reply);
        change("theirs");
        cr_expect_eq(aw_redis_lease_multi(holder.lease, 1, calls, 0, &reply, &error), -EAGAIN);
        expect_text(pool, "theirs", "GET", "watched");
        cr_expect_eq(aw_redis_lease_multi(holder.lease, 1, calls, 0, &reply, &error), 0);
        aw_redis_reply_free(reply);
        expect_text(pool, "mine", "GET", "watched");
    }
    cr_expect_eq(result, 0);
}

Test(redis_multi, a_watched_key_that_changed_runs_nothing)
{
    run(watched);
}

static void busy(void)
{
    struct aw_redis_holder first = {.pool = pool};
    struct aw_redis_holder second = {.pool = pool};
    const struct aw_redis_call calls[] = {CALL("PING")};
    struct aw_redis_reply *reply = NULL;
    int result = 0;
    AW_WITH(result, aw_redis_with_lease(&first))
    {
        AW_WITH(result, aw_redis_with_lease(&second))
        {
            result = aw_redis_multi(pool, 1, calls, 0, &reply, &error);
        }
    }
    cr_expect_eq(result, -EBUSY, "%d", result);
    cr_expect_neq(error.message[0], '\0');
    AW_WITH(result, aw_redis_with_lease(&first))
    {
        redis_server_stop(&server, SIGKILL);
        result = aw_redis_lease_multi(first.lease, 1, calls, 0, &reply, &error);
    }
    cr_expect(result == -ENOTCONN || result == -ECONNRESET, "%d", result);
}

Test(redis_multi, says_when_no_connection_is_left)
{
    run(busy);
}

static int run_pair(void *argument)
{
    const struct aw_redis_call calls[] = {CALL("INCR", "one"), CALL("INCR", "two")};
    struct aw_redis_reply *reply = NULL;
    struct aw_error own_error = {0};
    (void)argument;
    int result = aw_redis_multi(pool, 2, calls, 0, &reply, &own_error);
    if (result == 0)
        aw_redis_reply_free(reply);
    if (result == -ECANCELED && own_error.code[0] == 'W')
        result = -EINTR; /* withdrawn: nothing ran */
    return result;
}

static int64_t read_number(const char *key)
{
    struct aw_redis_reply *reply = NULL;
    cr_assert_eq(redis_ask(pool, &reply, &error, "INCRBY", key, "0", NULL), 0);
    int64_t number = reply->integer;
    aw_redis_reply_free(reply);
    return number;
}

/* Wherever it is cancelled, both or none have run. */
static void cancelled(void)
{
    int done = 0;
    int unknown = 0;
    int interrupted = 0;
    for (int turns = 0; turns < 3000; turns += turns < 60 ? 1 : turns / 2) {
        struct aw_task *task;
        cr_assert_eq(aw_spawn(&task, run_pair, NULL), 0);
        for (int i = 0; i < turns && !aw_finished(task); i++)
            aw_yield();
        aw_cancel(task);
        int result = aw_await(task);
        cr_expect(result == 0 || result == -ECANCELED || result == -EINTR, "%d", result);
        done += result == 0;
        unknown += result == -ECANCELED;
        interrupted += result == -EINTR;
        cr_expect_eq(read_number("one"), read_number("two"));
    }
    cr_expect_gt(interrupted + unknown, 0);
    cr_expect_gt(done, 0);
    cr_expect_geq(read_number("one"), done);
    cr_expect_leq(read_number("one"), done + unknown);
}

Test(redis_multi, a_cancelled_unit_ran_whole_or_not_at_all)
{
    run(cancelled);
}

/* --- streams: plain commands, and a reader that waits on a connection of its own --- */

static int read_stream(void *argument)
{
    struct aw_redis_reply *reply = NULL;
    struct aw_error own_error = {0};
    int result = redis_ask(pool, &reply, &own_error, "XREADGROUP", "GROUP", "g", "reader", "COUNT",
                           "10", "BLOCK", "0", "STREAMS", "s", ">", NULL);
    if (result == 0 && argument)
        strcpy(argument, reply->elements[0]->elements[1]->elements[0]->elements[0]->text);
    if (result == 0)
        aw_redis_reply_free(reply);
    return result;
}

static bool nobody_is_blocked(void *context)
{
    struct aw_redis_reply *reply = NULL;
    (void)context;
    cr_assert_eq(redis_ask(pool, &reply, &error, "INFO", "clients", NULL), 0);
    bool none = strstr(reply->text, "blocked_clients:0") != NULL;
    aw_redis_reply_free(reply);
    return none;
}

static void streams(void)
{
    char id[64] = "";
    struct aw_task *task;
    struct aw_redis_reply *reply = NULL;
    expect_text(pool, "OK", "XGROUP", "CREATE", "s", "g", "$", "MKSTREAM");
    cr_assert_eq(aw_spawn(&task, read_stream, id), 0);
    cr_expect_eq(redis_ask(pool, &reply, &error, "XADD", "s", "*", "k", "v", NULL), 0);
    cr_expect_eq(aw_await(task), 0);
    cr_expect_str_eq(id, reply->text);
    aw_redis_reply_free(reply);
    cr_expect_eq(redis_ask(pool, &reply, &error, "XACK", "s", "g", id, NULL), 0);
    cr_expect_eq(reply->integer, 1);
    aw_redis_reply_free(reply);
    int result = 0;
    AW_WITH(result, aw_with_timeout(50))
    {
        result = read_stream(NULL);
    }
    cr_expect_eq(result, -ETIME);
    /* Once the interrupted reader is gone, what comes next is not given to it. */
    cr_expect(wait_until(nobody_is_blocked, NULL));
    cr_expect_eq(redis_ask(pool, &reply, &error, "XADD", "s", "*", "k", "v", NULL), 0);
    aw_redis_reply_free(reply);
    cr_expect_eq(read_stream(id), 0);
}

Test(redis_multi, a_stream_is_read_while_others_work)
{
    run(streams);
}
