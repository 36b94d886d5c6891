/* test_redis.c - the Redis client against a real server: replies, pipelining, limits, interruption.
 * */
#include "support/process.h"
#include "support/redis.h"
#include "support/redis_pool.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct redis_server server;
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

TestSuite(redis, .init = start_server, .fini = stop_server, .timeout = 120);

/* Runs body(pool) with a pool of these options; NULL: the server's Unix socket and defaults. */
struct pool_test {
    const struct aw_redis_options *options;
    void (*body)(struct aw_redis_pool *pool);
};

static int run_pool_test(void *argument)
{
    struct pool_test *test = argument;
    struct aw_redis_options defaults = {.uri = server.unix_uri};
    struct aw_group group;
    struct aw_redis_pool *pool;
    struct aw_error error = {0};
    aw_group_init(&group, AW_GROUP_COLLECT);
    int result = aw_redis_pool_create(test->options ? test->options : &defaults, &group, &pool,
                                      &error);
    cr_expect_eq(result, 0, "%s", error.message);
    if (result == 0) {
        test->body(pool);
        aw_redis_pool_close(pool);
    }
    return aw_group_wait(&group);
}

static void with_pool(const struct aw_redis_options *options,
                      void (*body)(struct aw_redis_pool *pool))
{
    struct pool_test test = {options, body};
    cr_expect_eq(aw_run(run_pool_test, &test), 0);
}

/* --- replies ---------------------------------------------------------------------------------- */

static void all_types(struct aw_redis_pool *pool)
{
    expect_text(pool, "OK", "SET", "k", "v");
    expect_text(pool, "v", "GET", "k");
    struct aw_redis_reply *reply = NULL;
    cr_expect_eq(redis_ask(pool, &reply, NULL, "INCRBY", "n", "-42", NULL), 0);
    cr_expect_eq(reply->type, AW_REDIS_INTEGER);
    cr_expect_eq(reply->integer, -42);
    aw_redis_reply_free(reply);
    cr_expect_eq(redis_ask(pool, &reply, NULL, "GET", "absent", NULL), 0);
    cr_expect_eq(reply->type, AW_REDIS_NULL);
    aw_redis_reply_free(reply);
    const char *script = "return {1,{'a',{}},false,redis.error_reply('WORD text')}";
    cr_expect_eq(redis_ask(pool, &reply, NULL, "EVAL", script, "0", NULL), 0);
    cr_expect_eq(reply->type, AW_REDIS_ARRAY);
    cr_expect_eq(reply->count, 4);
    cr_expect_eq(reply->elements[0]->integer, 1);
    cr_expect_str_eq(reply->elements[1]->elements[0]->text, "a");
    cr_expect_eq(reply->elements[1]->elements[1]->type, AW_REDIS_ARRAY);
    cr_expect_eq(reply->elements[1]->elements[1]->count, 0);
    cr_expect_eq(reply->elements[2]->type, AW_REDIS_NULL);
    cr_expect_eq(reply->elements[3]->type, AW_REDIS_ERROR);
    cr_expect_str_eq(reply->elements[3]->text, "WORD text");
    aw_redis_reply_free(reply);
}

Test(redis, gives_back_every_type_of_reply)
{
    with_pool(NULL, all_types);
}

static void error_reply(struct aw_redis_pool *pool)
{
    struct aw_error error;
    expect_text(pool, "OK", "SET", "k", "v");
    expect_failure(pool, -EREMOTEIO, error, "LPUSH", "k", "x");
    cr_expect_str_eq(error.code, "WRONGTYPE");
    expect_failure(pool, -EREMOTEIO, error, "NOSUCHCOMMAND");
    cr_expect_str_eq(error.code, "ERR");
    expect_text(pool, "v", "GET", "k");
}

Test(redis, an_error_reply_is_a_failure_with_its_word)
{
    with_pool(NULL, error_reply);
}

static void binary(struct aw_redis_pool *pool)
{
    static const char bytes[] = "a\0b\r\n$5\r\n\xff";
    const char *set[] = {"SET", "bin\0ary", bytes};
    const size_t set_sizes[] = {3, 7, sizeof bytes};
    struct aw_redis_reply *reply = NULL;
    cr_expect_eq(aw_redis_command(pool, 3, set, set_sizes, 0, &reply, NULL), 0);
    aw_redis_reply_free(reply);
    const char *get[] = {"GET", "bin\0ary"};
    cr_expect_eq(aw_redis_command(pool, 2, get, set_sizes, 0, &reply, NULL), 0);
    cr_expect_eq(reply->size, sizeof bytes);
    cr_expect_arr_eq(reply->text, bytes, sizeof bytes);
    aw_redis_reply_free(reply);
}

Test(redis, carries_any_byte)
{
    with_pool(NULL, binary);
}

static void big(struct aw_redis_pool *pool)
{
    size_t size = 20u << 20;
    char *value = malloc(size);
    cr_expect_not_null(value);
    for (size_t i = 0; i < size; i++) value[i] = (char)(i * 2654435761u >> 13);
    const char *set[] = {"SET", "big", value};
    const size_t sizes[] = {3, 3, size};
    struct aw_redis_reply *reply = NULL;
    cr_expect_eq(aw_redis_command(pool, 3, set, sizes, 0, &reply, NULL), 0);
    aw_redis_reply_free(reply);
    const char *get[] = {"GET", "big"};
    cr_expect_eq(aw_redis_command(pool, 2, get, sizes, 0, &reply, NULL), 0);
    cr_expect_eq(reply->size, size);
    cr_expect_eq(memcmp(reply->text, value, size), 0);
    aw_redis_reply_free(reply);
    free(value);
}

Test(redis, carries_values_above_all_buffers)
{
    with_pool(NULL, big);
}

/* --- pipelining ------------------------------------------------------------------------------- */

#define ASKERS 3000
static struct aw_redis_pool *asked;
static unsigned wrong;

static int ask_echo(void *argument)
{
    char text[32];
    snprintf(text, sizeof text, "echo %zu", (size_t)(uintptr_t)argument);
    struct aw_redis_reply *reply = NULL;
    int result = redis_ask(asked, &reply, NULL, "ECHO", text, NULL);
    if (result < 0 || strcmp(reply->text, text) != 0)
        wrong++;
    if (result == 0)
        aw_redis_reply_free(reply);
    return result;
}

static void many(struct aw_redis_pool *pool)
{
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    asked = pool;
    for (uintptr_t i = 0; i < ASKERS; i++)
        cr_expect_eq(aw_group_spawn(&group, ask_echo, (void *)i), 0);
    cr_expect_eq(aw_group_wait(&group), 0);
    cr_expect_eq(wrong, 0);
}

Test(redis, many_tasks_share_one_connection_and_each_gets_its_own_reply)
{
    with_pool(&(struct aw_redis_options){.uri = server.uri, .connections_max = 1}, many);
}

Test(redis, many_tasks_share_several_connections)
{
    with_pool(&(struct aw_redis_options){.uri = server.uri, .connections_max = 3}, many);
}

Test(redis, tasks_above_the_bounds_wait_their_turn)
{
    with_pool(&(struct aw_redis_options){.uri = server.unix_uri, .connections_max = 1,
                                         .in_flight_max = 3, .in_flight_bytes_max = 100}, many);
}

static void few_writes(struct aw_redis_pool *pool)
{
    expect_text(pool, "PONG", "PING");
    many(pool);
    struct aw_redis_reply *reply = NULL;
    cr_expect_eq(redis_ask(pool, &reply, NULL, "INFO", "stats", NULL), 0);
    /* 3,000 commands in a few gatherings; a read of the server takes at most 16 KiB */
    const char *reads = strstr(reply->text, "total_reads_processed:");
    cr_expect_not_null(reads);
    if (reads)
        cr_expect_lt(atoi(reads + strlen("total_reads_processed:")), 300);
    aw_redis_reply_free(reply);
}

Test(redis, commands_of_one_turn_leave_together)
{
    with_pool(&(struct aw_redis_options){.uri = server.unix_uri, .connections_max = 1}, few_writes);
}

#define BIG_ASKERS 200
#define BIG_SIZE 200000

static int ask_big_echo(void *argument)
{
    char *text = malloc(BIG_SIZE);
    cr_expect_not_null(text);
    memset(text, 'a' + (int)((uintptr_t)argument % 26), BIG_SIZE);
    const char *words[] = {"ECHO", text};
    const size_t sizes[] = {4, BIG_SIZE};
    struct aw_redis_reply *reply = NULL;
    int result = aw_redis_command(asked, 2, words, sizes, 0, &reply, NULL);
    if (result == 0) {
        cr_expect(reply->size == BIG_SIZE && memcmp(reply->text, text, BIG_SIZE) == 0);
        aw_redis_reply_free(reply);
    }
    free(text);
    return result;
}

static void both_ways(struct aw_redis_pool *pool)
{
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    asked = pool;
    for (uintptr_t i = 0; i < BIG_ASKERS; i++)
        cr_expect_eq(aw_group_spawn(&group, ask_big_echo, (void *)i), 0);
    cr_expect_eq(aw_group_wait(&group), 0);
}

Test(redis, full_socket_buffers_both_ways_do_not_lock_up)
{
    with_pool(&(struct aw_redis_options){.uri = server.uri, .connections_max = 1}, both_ways);
}

/* --- limits ----------------------------------------------------------------------------------- */

static int64_t connection_id(struct aw_redis_pool *pool)
{
    struct aw_redis_reply *reply = NULL;
    cr_expect_eq(redis_ask(pool, &reply, NULL, "CLIENT", "ID", NULL), 0);
    int64_t id = reply ? reply->integer : -1;
    aw_redis_reply_free(reply);
    return id;
}

static void limits(struct aw_redis_pool *pool)
{
    struct aw_error error;
    int64_t id = connection_id(pool);
    char long_text[1200];
    memset(long_text, 'x', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
    expect_failure(pool, -EMSGSIZE, error, "ECHO", long_text);
    cr_expect_str_eq(error.code, "RESULTTOOBIG");
    expect_failure(pool, -EMSGSIZE, error, "EVAL",
                   "local a={} for i=1,51 do a[i]=i end return a", "0");
    expect_failure(pool, -EMSGSIZE, error, "EVAL", "return {{{{{{{{{1}}}}}}}}}", "0");
    struct aw_redis_reply *reply = NULL;
    cr_expect_eq(redis_ask(pool, &reply, NULL, "EVAL", "return {{{{{{{{1}}}}}}}}", "0", NULL), 0);
    const struct aw_redis_reply *inner = reply;
    for (int depth = 0; depth < AW_REDIS_DEPTH_MAX; depth++) inner = inner->elements[0];
    cr_expect_eq(inner->integer, 1);
    aw_redis_reply_free(reply);
    char too_long[3000];
    memset(too_long, 'x', sizeof too_long);
    too_long[sizeof too_long - 1] = '\0';
    expect_failure(pool, -E2BIG, error, "ECHO", too_long);
    expect_failure(pool, -EINVAL, error, "");
    cr_expect_eq(redis_ask(pool, &reply, NULL, "INFO", "everything", NULL), -EMSGSIZE);
    cr_expect_eq(connection_id(pool), id, "the connection was replaced");
}

Test(redis, replies_above_a_limit_are_dropped_and_the_connection_stays)
{
    with_pool(&(struct aw_redis_options){.uri = server.unix_uri, .connections_max = 1,
                                         .reply_size_max = 1000, .reply_elements_max = 50,
                                         .command_size_max = 2000}, limits);
}

static void refused(struct aw_redis_pool *pool)
{
    struct aw_error error;
    expect_failure(pool, -EOPNOTSUPP, error, "multi");
    cr_expect_not_null(strstr(error.message, "Lua"), "%s", error.message);
    expect_failure(pool, -EOPNOTSUPP, error, "SELECT", "1");
    expect_failure(pool, -EOPNOTSUPP, error, "subscribe", "c");
    expect_failure(pool, -EOPNOTSUPP, error, "CLIENT", "reply", "OFF");
    expect_text(pool, "PONG", "PING");
}

Test(redis, commands_that_change_the_connection_are_refused)
{
    with_pool(NULL, refused);
}

/* --- blocking --------------------------------------------------------------------------------- */

static int pop(void *argument)
{
    struct aw_redis_reply *reply = NULL;
    int result = redis_ask(argument, &reply, NULL, "BLPOP", "list", "0", NULL);
    if (result == 0) {
        cr_expect_str_eq(reply->elements[1]->text, "item");
        aw_redis_reply_free(reply);
    }
    return result;
}

static void blocking(struct aw_redis_pool *pool)
{
    struct aw_task *poppers[3];
    for (int i = 0; i < 3; i++) cr_expect_eq(aw_spawn(&poppers[i], pop, pool), 0);
    /* two hold the two connections, the third waits for one of them; others are not held up */
    for (int i = 0; i < 20; i++) expect_text(pool, "PONG", "PING");
    struct aw_redis_reply *reply = NULL;
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(redis_ask(pool, &reply, NULL, "RPUSH", "list", "item", NULL), 0);
        aw_redis_reply_free(reply);
    }
    cr_expect_eq(aw_gather(3, poppers, NULL), 0);
}

Test(redis, blocking_commands_do_not_hold_up_others)
{
    with_pool(&(struct aw_redis_options){.uri = server.unix_uri, .connections_max = 1,
                                         .blocking_connections_max = 2}, blocking);
}

static bool nobody_is_blocked(void *pool)
{
    struct aw_redis_reply *reply = NULL;
    if (redis_ask(pool, &reply, NULL, "INFO", "clients", NULL) < 0)
        return false;
    bool none = strstr(reply->text, "blocked_clients:0") != NULL;
    aw_redis_reply_free(reply);
    return none;
}

static bool somebody_is_blocked(void *pool)
{
    return !nobody_is_blocked(pool);
}

static void blocking_cancelled(struct aw_redis_pool *pool)
{
    struct aw_task *popper;
    cr_expect_eq(aw_spawn(&popper, pop, pool), 0);
    cr_expect(wait_until(somebody_is_blocked, pool));
    aw_cancel(popper);
    cr_expect_eq(aw_await(popper), -ECANCELED);
    cr_expect(wait_until(nobody_is_blocked, pool));
    struct aw_redis_reply *reply = NULL;
    cr_expect_eq(redis_ask(pool, &reply, NULL, "RPUSH", "list", "item", NULL), 0);
    aw_redis_reply_free(reply);
    cr_expect_eq(redis_ask(pool, &reply, NULL, "LLEN", "list", NULL), 0);
    cr_expect_eq(reply->integer, 1, "the cancelled BLPOP took it");
    aw_redis_reply_free(reply);
    cr_expect_eq(aw_spawn(&popper, pop, pool), 0);
    cr_expect_eq(aw_await(popper), 0);
}

Test(redis, a_cancelled_blocking_command_stops_on_the_server)
{
    with_pool(&(struct aw_redis_options){.uri = server.unix_uri, .blocking_connections_max = 1},
              blocking_cancelled);
}

/* --- interruption ----------------------------------------------------------------------------- */

static int increment(void *argument)
{
    struct aw_redis_reply *reply = NULL;
    struct aw_error error = {0};
    int result = redis_ask(argument, &reply, &error, "INCR", "counter", NULL);
    if (result == 0)
        aw_redis_reply_free(reply);
    else
        cr_expect_str_eq(error.code, "WITHDRAWN");
    return result;
}

static void cancelled_before_send(struct aw_redis_pool *pool)
{
    expect_text(pool, "PONG", "PING");
    struct aw_task *task;
    cr_expect_eq(aw_spawn(&task, increment, pool), 0);
    aw_cancel(task);
    cr_expect_eq(aw_await(task), -ECANCELED);
    expect_text(pool, "0", "EVAL", "return tostring(redis.call('GET','counter') or 0)", "0");
}

Test(redis, a_command_not_yet_sent_is_withdrawn)
{
    with_pool(NULL, cancelled_before_send);
}

static void deadline_after_send(struct aw_redis_pool *pool)
{
    expect_text(pool, "PONG", "PING");
    struct aw_error error;
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(50));
    expect_failure(pool, -ETIME, error, "EVAL",
                   "local t=redis.call('TIME')[1] while redis.call('TIME')[1]-t<2 do end "
                   "return redis.call('SET','late','yes')", "0");
    aw_scope_leave(&scope);
    cr_expect_str_eq(error.code, "UNKNOWN");
    /* the reply of the script comes first on this connection, and is not given to this command */
    expect_text(pool, "yes", "GET", "late");
}

Test(redis, the_reply_to_an_interrupted_command_is_dropped)
{
    with_pool(&(struct aw_redis_options){.uri = server.unix_uri, .connections_max = 1},
              deadline_after_send);
}

static void closing(struct aw_redis_pool *pool)
{
    struct aw_task *poppers[2];
    for (int i = 0; i < 2; i++) {
        cr_expect_eq(aw_spawn(&poppers[i], pop, pool), 0);
        aw_detach(poppers[i]);
    }
    cr_expect(wait_until(somebody_is_blocked, pool));
}

Test(redis, a_pool_closes_while_commands_are_in_flight)
{
    with_pool(&(struct aw_redis_options){.uri = server.unix_uri, .blocking_connections_max = 1},
              closing);
}
