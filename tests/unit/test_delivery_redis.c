/* test_delivery_redis.c - exactly-once on a real Redis: receipt and command in one script. */
#include "support/delivery.h"
#include "support/redis.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct redis_server server;

static void prepare(void)
{
    if (!redis_server_available())
        cr_skip_test("redis-server is not installed");
    redis_server_prepare(&server);
}

static void clean_up(void)
{
    redis_server_remove(&server);
}

TestSuite(delivery_redis, .init = prepare, .fini = clean_up, .timeout = 120);

static void once(void (*body)(void))
{
    redis_server_start(&server, NULL);
    delivery_run(&target_type_redis,
                 (struct target_settings){.uri = server.unix_uri,
                                          .pipeline = 1024,
                                          .delivery = TARGET_EXACTLY_ONCE},
                 body);
}

static void expect_exists(const char *key, const char *reply)
{
    delivery_execute(0, "EXISTS", key, NULL);
    delivery_expect_result(0, reply);
}

static void body_twice(void)
{
    delivery_execute(1, "INCR", "n", NULL);
    delivery_expect_result(1, ":1\r\n");
    delivery_execute(1, "INCR", "n", NULL);
    delivery_expect_result(1, "+OK\r\n");
    delivery_execute(0, "GET", "n", NULL);
    delivery_expect_result(0, "$1\r\n1\r\n");
    delivery_target.settings.store = "11111111-2222-4333-8444-555555555555";
    delivery_execute(1, "INCR", "n", NULL);
    delivery_expect_result(1, ":2\r\n");

    delivery_execute(0, "TTL", "awaitd:{n}:" DELIVERY_STORE ":1", NULL);
    cr_expect_eq(delivery_outcome.result.data[0], ':');
    cr_expect(strncmp(delivery_outcome.result.data, ":-", 2) != 0, "the receipt must expire");
}

Test(delivery_redis, a_command_runs_once)
{
    once(body_twice);
}

static void body_replies(void)
{
    delivery_execute(1, "SET", "k", "v", NULL);
    delivery_expect_result(1, "+OK\r\n");
    delivery_execute(2, "GET", "absent", NULL);
    delivery_expect_result(2, "_\r\n");
    delivery_execute(3, "MGET", "k", "absent", "k", NULL);
    delivery_expect_result(3, "*3\r\n$1\r\nv\r\n_\r\n$1\r\nv\r\n");
    delivery_execute(4, "PING", NULL);
    delivery_expect_result(4, "+PONG\r\n");
    delivery_execute(5, "XADD", "{tag}s", "1-1", "f", "v", NULL);
    delivery_expect_result(5, "$3\r\n1-1\r\n");
    delivery_execute(6, "XREAD", "COUNT", "1", "STREAMS", "{tag}s", "0", NULL);
    cr_expect_eq(delivery_outcome.kind, OUTCOME_DONE, "%s", delivery_outcome.message);
    delivery_execute(7, "BITOP", "AND", "{tag}d", "{tag}a", NULL);
    cr_expect_eq(delivery_outcome.kind, OUTCOME_DONE, "%s", delivery_outcome.message);
    /* receipts are in the slot of the command's first key */
    expect_exists("awaitd:{k}:" DELIVERY_STORE ":1", ":1\r\n");
    expect_exists("awaitd:{tag}:" DELIVERY_STORE ":5", ":1\r\n");
    expect_exists("awaitd:{tag}:" DELIVERY_STORE ":6", ":1\r\n");
    expect_exists("awaitd:{tag}:" DELIVERY_STORE ":7", ":1\r\n");
}

Test(delivery_redis, replies_pass_through)
{
    once(body_replies);
}

static void body_failures(void)
{
    delivery_execute(1, "SET", "k", "v", NULL);
    delivery_execute(2, "INCR", "k", NULL);
    cr_expect_eq(delivery_outcome.kind, OUTCOME_DEAD);
    delivery_execute(3, "LPUSH", "k", "x", NULL);
    delivery_expect_failure(OUTCOME_DEAD, "WRONGTYPE");
    delivery_execute(4, "NOSUCHCOMMAND", "k", NULL);
    cr_expect_eq(delivery_outcome.kind, OUTCOME_DEAD);
    expect_exists("awaitd:{k}:" DELIVERY_STORE ":2", ":0\r\n");
    expect_exists("awaitd:{k}:" DELIVERY_STORE ":3", ":0\r\n");
    expect_exists("awaitd:{k}:" DELIVERY_STORE ":4", ":0\r\n");
    delivery_execute(2, "APPEND", "k", "w", NULL);
    delivery_expect_result(2, ":2\r\n");

    delivery_execute(0, "CONFIG", "SET", "maxmemory", "1", NULL);
    delivery_execute(9, "APPEND", "k", "w", NULL);
    delivery_expect_failure(OUTCOME_RETRY, "OOM");
    delivery_execute(0, "CONFIG", "SET", "maxmemory", "0", NULL);
    delivery_execute(9, "APPEND", "k", "w", NULL);
    delivery_expect_result(9, ":3\r\n");
}

Test(delivery_redis, a_failed_command_leaves_no_receipt)
{
    once(body_failures);
}

static void body_refusals(void)
{
    struct aw_error error;
    cr_expect_eq(delivery_check(&error, "eval", "return 1", "0", NULL), -EINVAL);
    cr_expect(strstr(error.message, "eval is refused on an exactly-once target"), "%s",
              error.message);
    cr_expect_eq(delivery_check(&error, "BLPOP", "k", "0", NULL), -EINVAL);
    cr_expect_eq(delivery_check(&error, "XREAD", "BLOCK", "0", "STREAMS", "s", "$", NULL), -EINVAL);
    cr_expect_eq(delivery_check(&error, "XREADGROUP", "GROUP", "BLOCK", "c", "STREAMS", "s", ">",
                                NULL), 0);
    cr_expect_eq(delivery_check(&error, "CONFIG", "GET", "x", NULL), -EINVAL);
    cr_expect_eq(delivery_check(&error, "MULTI", NULL), -EINVAL);
    cr_expect_eq(delivery_check(&error, NULL), -EINVAL);
    cr_expect_eq(delivery_check(&error, "SET", "k", "v", NULL), 0);
    static struct argument many[7001];
    for (size_t i = 0; i < 7001; i++)
        many[i] = (struct argument){.data = "DEL", .size = 3};
    cr_expect_eq(target_type_redis.check(&delivery_target, many, 7001, &error), -EINVAL);
    struct outcome outcome = {0};
    target_type_redis.execute(&delivery_target,
                              &(struct execution){.arguments = many, .argument_count = 7000,
                                                  .job_id = 1, .result_size_max = 1000}, &outcome);
    cr_expect_eq(outcome.kind, OUTCOME_DONE, "%s", outcome.message);
    buffer_free(&outcome.result);
}

Test(delivery_redis, what_a_script_cannot_run_is_refused)
{
    once(body_refusals);
}
