/* test_redis_lease.c - a connection of one task's own, what may be said on which, and commands and
 * leases cancelled at each of their suspensions; against a real server. */
#include "support/cancel.h"
#include "support/process.h"
#include "support/redis.h"
#include "support/redis_pool.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct redis_server server;
static struct aw_redis_pool *pool;
static struct aw_error error;

static void start_server(void)
{
    if (!redis_server_available())
        cr_skip_test("redis-server is not installed");
    redis_server_prepare(&server);
    redis_server_start(&server, NULL);
}

static void stop_server(void)
{
    redis_server_remove(&server);
}

TestSuite(redis_lease, .init = start_server, .fini = stop_server, .timeout = 300);

static int run_test(void *argument)
{
    int (*const *body)(void) = argument;
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    const struct aw_redis_options options = {
        .uri = server.uri, .leased_connections_max = 1, .connections_max = 1};
    cr_assert_eq(aw_redis_pool_create(&options, &group, &pool, &error), 0, "%s", error.message);
    int result = (*body)();
    aw_redis_pool_close(pool);
    int ended = aw_group_wait(&group);
    return result < 0 ? result : ended;
}

static void run(int (*body)(void))
{
    cr_expect_eq(aw_run(run_test, &body), 0);
}

static int say(struct aw_redis_lease *lease, size_t count, const char *const words[],
               const char *expected)
{
    size_t sizes[4];
    for (size_t i = 0; i < count; i++)
        sizes[i] = strlen(words[i]);
    struct aw_redis_reply *reply = NULL;
    int result = aw_redis_lease_command(lease, count, words, sizes, 0, &reply, &error);
    if (result == 0 && expected)
        cr_expect_str_eq(reply->text ? reply->text : "(none)", expected);
    aw_redis_reply_free(reply);
    return result;
}

static int transaction_on_a_lease(void)
{
    struct aw_event changed;
    aw_event_init(&changed);
    struct aw_redis_lease *lease;
    struct aw_redis_lease *second;
    cr_assert_eq(aw_redis_lease_enter(pool, &changed, &lease, &error), 0, "%s", error.message);
    cr_expect(aw_redis_lease_is_alive(lease, &error));
    cr_expect_eq(aw_redis_lease_enter(pool, &changed, &second, &error), -EBUSY);
    cr_expect_eq(say(lease, 1, (const char *[]){"MULTI"}, "OK"), 0);
    cr_expect_eq(say(lease, 3, (const char *[]){"SET", "a", "1"}, "QUEUED"), 0);
    cr_expect(aw_redis_lease_exit(lease), "a MULTI was open");
    expect_text(pool, "none", "TYPE", "a");
    cr_assert_eq(aw_redis_lease_enter(pool, &changed, &lease, &error), 0, "%s", error.message);
    cr_expect_eq(say(lease, 3, (const char *[]){"SET", "a", "2"}, "OK"), 0);
    cr_expect_not(aw_redis_lease_exit(lease));
    expect_text(pool, "2", "GET", "a");
    return 0;
}

Test(redis_lease, carries_a_multi_and_discards_what_is_open)
{
    run(transaction_on_a_lease);
}

static int check(const char *word, bool leased)
{
    const char *words[] = {word, "x"};
    const size_t sizes[] = {strlen(word), 1};
    return leased ? aw_redis_lease_check(2, words, sizes, &error)
                  : aw_redis_check(2, words, sizes, &error);
}

Test(redis_lease, says_what_may_be_sent_where)
{
    cr_expect_eq(check("GET", false), 0);
    cr_expect_eq(check("multi", false), -EOPNOTSUPP);
    cr_expect_gt(strlen(error.message), 0);
    cr_expect_eq(check("WATCH", true), 0);
    cr_expect_eq(check("SELECT", false), -EOPNOTSUPP);
    cr_expect_eq(check("SELECT", true), 0);
    cr_expect_eq(check("SUBSCRIBE", true), -EOPNOTSUPP);
    cr_expect_eq(check("SHUTDOWN", true), -EOPNOTSUPP);
    cr_expect_eq(aw_redis_check(0, NULL, NULL, &error), -EINVAL);
    cr_expect_eq(aw_redis_lease_check(0, NULL, (const size_t[]){0}, &error), -EINVAL);
}

static int commands(void *argument)
{
    struct aw_redis_reply *reply = NULL;
    int result = redis_ask(pool, &reply, argument, "INCR", "counted", NULL);
    if (result == 0)
        aw_redis_reply_free(reply);
    return result;
}

static int leases(void *argument)
{
    struct aw_redis_holder holder = {.pool = pool};
    int result = 0;
    AW_WITH(result, aw_redis_with_lease(&holder))
    {
        result = say(holder.lease, 1, (const char *[]){"MULTI"}, NULL);
        if (result == 0)
            result = say(holder.lease, 2, (const char *[]){"INCR", "leased"}, NULL);
        if (result == 0)
            result = say(holder.lease, 1, (const char *[]){"EXEC"}, NULL);
        const struct aw_redis_call call = {2, (const char *[]){"INCR", "unit"}, NULL};
        struct aw_redis_reply *reply = NULL;
        if (result == 0)
            result = aw_redis_lease_multi(holder.lease, 1, &call, 0, &reply, argument);
        aw_redis_reply_free(reply);
    }
    return result;
}

static int units(void *argument)
{
    const char *words[] = {"INCR", "unit"};
    const struct aw_redis_call calls[] = {{2, words, NULL}, {2, words, NULL}};
    struct aw_redis_reply *reply = NULL;
    int result = aw_redis_multi(pool, 2, calls, 0, &reply, argument);
    aw_redis_reply_free(reply);
    return result;
}

static int cancelled(void)
{
    cr_expect_gt(cancel_everywhere(commands, &error), 0);
    cr_expect_gt(cancel_everywhere(leases, &error), 0);
    cr_expect_gt(cancel_everywhere(units, &error), 0);
    expect_text(pool, "PONG", "PING");
    return 0;
}

Test(redis_lease, cancelled_anywhere_leaves_nothing)
{
    run(cancelled);
}
