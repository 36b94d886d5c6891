/* test_redis_outage.c - the Redis client when its server is absent, dies, comes back, or wants a
 * password. */
#include "support/process.h"
#include "support/redis.h"
#include "support/redis_pool.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
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

TestSuite(redis_outage, .init = prepare, .fini = clean_up, .timeout = 120);

static char changes[2000];

static void note_change(void *context, bool up, const char *reason)
{
    (void)context;
    size_t used = strlen(changes);
    snprintf(changes + used, sizeof changes - used, "%s%s;", up ? "up" : "down ", reason);
}

struct pool_test {
    struct aw_redis_options options;
    void (*body)(struct aw_redis_pool *pool);
};

static int run_pool_test(void *argument)
{
    struct pool_test *test = argument;
    struct aw_group group;
    struct aw_redis_pool *pool;
    struct aw_error error = {0};
    aw_group_init(&group, AW_GROUP_COLLECT);
    test->options.changed = note_change;
    int result = aw_redis_pool_create(&test->options, &group, &pool, &error);
    cr_expect_eq(result, 0, "%s", error.message);
    if (result == 0) {
        test->body(pool);
        aw_redis_pool_close(pool);
    }
    return aw_group_wait(&group);
}

static void with_pool(struct aw_redis_options options, void (*body)(struct aw_redis_pool *pool))
{
    struct pool_test test = {options, body};
    cr_expect_eq(aw_run(run_pool_test, &test), 0);
}

/* --- absent, killed, back --------------------------------------------------------------------- */

static void absent(struct aw_redis_pool *pool)
{
    struct aw_error error;
    expect_failure(pool, -ENOTCONN, error, "PING");
    cr_expect_not_null(strstr(error.message, "refused"), "%s", error.message);
    cr_expect_not_null(strstr(changes, "down cannot connect to Redis at 127.0.0.1"), "%s", changes);
    redis_server_start(&server, NULL);
    cr_expect(wait_until(pool_is_up, pool));
    expect_text(pool, "PONG", "PING");
    cr_expect_not_null(strstr(changes, ";up;"), "%s", changes);
}

Test(redis_outage, an_absent_server_is_found_when_it_comes)
{
    with_pool((struct aw_redis_options){.uri = server.uri}, absent);
}

static int run_forever(void *argument)
{
    struct aw_redis_reply *reply = NULL;
    struct aw_error error = {0};
    int result = redis_ask(argument, &reply, &error, "EVAL", "while true do end", "0", NULL);
    cr_expect_eq(result, -ECONNRESET, "%d %s", result, error.message);
    return 0;
}

static void killed(struct aw_redis_pool *pool)
{
    expect_text(pool, "OK", "SET", "k", "v");
    struct aw_task *task;
    cr_expect_eq(aw_spawn(&task, run_forever, pool), 0);
    cr_expect_eq(aw_sleep(50), 0);
    redis_server_stop(&server, SIGKILL);
    cr_expect_eq(aw_await(task), 0);
    cr_expect(wait_until(pool_is_down, pool));
    redis_server_start(&server, NULL);
    cr_expect(wait_until(pool_is_up, pool));
    expect_text(pool, "OK", "SET", "k", "v");
}

Test(redis_outage, a_server_killed_in_a_command_leaves_its_outcome_unknown)
{
    redis_server_start(&server, NULL);
    with_pool((struct aw_redis_options){.uri = server.unix_uri}, killed);
}

#define WRITERS 50
#define KILLS 3
static struct aw_redis_pool *shared;
static bool stop_writing;
static unsigned acknowledged;

static int write_on(void *argument)
{
    (void)argument;
    while (!stop_writing) {
        struct aw_redis_reply *reply = NULL;
        int result = redis_ask(shared, &reply, NULL, "INCR", "counter", NULL);
        if (result == 0) {
            acknowledged++;
            aw_redis_reply_free(reply);
        } else {
            /* a restarted server may meet us while it still reads its file */
            cr_expect(result == -ENOTCONN || result == -ECONNRESET || result == -EREMOTEIO, "%d",
                      result);
            aw_sleep(10);
        }
    }
    return 0;
}

static const char *const durable[] = {"--appendonly", "yes", "--appendfsync", "always", NULL};

static bool has_acknowledged(void *before)
{
    return acknowledged > *(const unsigned *)before;
}

static void killed_under_load(struct aw_redis_pool *pool)
{
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    shared = pool;
    for (int i = 0; i < WRITERS; i++) cr_expect_eq(aw_group_spawn(&group, write_on, NULL), 0);
    for (int kill = 0; kill < KILLS; kill++) {
        unsigned before = acknowledged;
        cr_expect(wait_until(has_acknowledged, &before));
        redis_server_stop(&server, SIGKILL);
        redis_server_start(&server, durable);
        cr_expect(wait_until(pool_is_up, pool));
    }
    stop_writing = true;
    cr_expect_eq(aw_group_wait(&group), 0);
    cr_expect(wait_until(pool_is_up, pool));
    struct aw_redis_reply *reply = NULL;
    struct aw_error error = {0};
    cr_expect_eq(redis_ask(pool, &reply, &error, "EVAL",
                           "return tonumber(redis.call('GET','counter'))", "0", NULL), 0, "%s",
                 error.message);
    if (reply) {
        cr_expect_geq(reply->integer, acknowledged, "an acknowledged write is lost");
        cr_expect_leq(reply->integer, acknowledged + KILLS * WRITERS);
    }
    cr_expect_gt(acknowledged, 0);
    aw_redis_reply_free(reply);
}

Test(redis_outage, kills_under_load_lose_no_acknowledged_write_and_repeat_none)
{
    redis_server_start(&server, durable);
    with_pool((struct aw_redis_options){.uri = server.unix_uri}, killed_under_load);
}

/* --- busy ------------------------------------------------------------------------------------- */

static char busy_message[AW_ERROR_MESSAGE_SIZE];

/* Whether Redis answered BUSY to another connection: not before the script has run for a while. */
static bool is_busy(void *pool)
{
    struct aw_redis_reply *reply = NULL;
    struct aw_error error = {0};
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(200));
    int result = redis_ask(pool, &reply, &error, "BLPOP", "list", "0.01", NULL);
    aw_scope_leave(&scope);
    aw_redis_reply_free(reply);
    if (result != -ENOTCONN && result != -EREMOTEIO)
        return false;
    snprintf(busy_message, sizeof busy_message, "%s", error.message);
    return true;
}

static void busy(struct aw_redis_pool *pool)
{
    struct aw_task *task;
    expect_text(pool, "PONG", "PING");
    cr_expect_eq(aw_spawn(&task, run_forever, pool), 0);
    cr_expect(wait_until(is_busy, pool));
    cr_expect_not_null(strstr(busy_message, "BUSY"), "%s", busy_message);
    cr_expect(aw_redis_pool_is_up(pool), "a second connection that fails is no outage");
    redis_server_stop(&server, SIGKILL);
    cr_expect_eq(aw_await(task), 0);
}

Test(redis_outage, a_server_busy_with_a_script_says_so)
{
    static const char *const options[] = {"--lua-time-limit", "20", NULL};
    redis_server_start(&server, options);
    with_pool((struct aw_redis_options){.uri = server.unix_uri}, busy);
}

/* --- who we are ------------------------------------------------------------------------------- */

static void is_refused(struct aw_redis_pool *pool)
{
    struct aw_error error;
    expect_failure(pool, -ENOTCONN, error, "PING");
    cr_expect(strstr(error.message, "WRONGPASS") || strstr(error.message, "NOAUTH"), "%s",
              error.message);
    cr_expect_null(strstr(error.message, "secret"), "the password is in: %s", error.message);
    cr_expect_null(strstr(changes, "secret"), "the password is in: %s", changes);
}

static void is_let_in(struct aw_redis_pool *pool)
{
    expect_text(pool, "PONG", "PING");
}

static const char *const with_password[] = {"--requirepass", "p@ss",     "--user", "ada",   "on",
                                            ">secret2",      "~*",       "+@all",  NULL};

Test(redis_outage, a_wrong_password_is_said_and_not_shown)
{
    redis_server_start(&server, with_password);
    with_pool((struct aw_redis_options){.uri = server.uri, .password = "secret"}, is_refused);
    with_pool((struct aw_redis_options){.uri = server.uri}, is_refused);
}

Test(redis_outage, passwords_and_users_are_accepted)
{
    char uri[200];
    redis_server_start(&server, with_password);
    with_pool((struct aw_redis_options){.uri = server.unix_uri, .password = "p@ss"}, is_let_in);
    snprintf(uri, sizeof uri, "redis://:p%%40ss@127.0.0.1:%u", server.port);
    with_pool((struct aw_redis_options){.uri = uri}, is_let_in);
    snprintf(uri, sizeof uri, "redis://ada:secret2@127.0.0.1:%u/0", server.port);
    with_pool((struct aw_redis_options){.uri = uri}, is_let_in);
    snprintf(uri, sizeof uri, "unix://ada:secret2@%s", server.socket);
    with_pool((struct aw_redis_options){.uri = uri}, is_let_in);
    snprintf(uri, sizeof uri, "redis://ada@127.0.0.1:%u", server.port);
    with_pool((struct aw_redis_options){.uri = uri, .password = "secret2"}, is_let_in);
}

static void write_there(struct aw_redis_pool *pool)
{
    expect_text(pool, "OK", "SET", "where", "there");
    struct aw_redis_reply *reply = NULL;
    cr_expect_eq(redis_ask(pool, &reply, NULL, "CLIENT", "LIST", NULL), 0);
    cr_expect_not_null(strstr(reply->text, "name=tester"));
    cr_expect_not_null(strstr(reply->text, "db=3"));
    aw_redis_reply_free(reply);
}

static void look_elsewhere(struct aw_redis_pool *pool)
{
    struct aw_redis_reply *reply = NULL;
    cr_expect_eq(redis_ask(pool, &reply, NULL, "GET", "where", NULL), 0);
    cr_expect_eq(reply->type, AW_REDIS_NULL);
    aw_redis_reply_free(reply);
}

static void no_such_database(struct aw_redis_pool *pool)
{
    struct aw_error error;
    expect_failure(pool, -ENOTCONN, error, "PING");
    cr_expect_not_null(strstr(error.message, "refused SELECT"), "%s", error.message);
}

Test(redis_outage, the_database_of_the_uri_is_selected)
{
    char uri[200];
    redis_server_start(&server, NULL);
    snprintf(uri, sizeof uri, "redis://localhost:%u/3", server.port);
    with_pool((struct aw_redis_options){.uri = uri, .client_name = "tester"}, write_there);
    with_pool((struct aw_redis_options){.uri = server.uri}, look_elsewhere);
    snprintf(uri, sizeof uri, "unix://%s?db=99", server.socket);
    with_pool((struct aw_redis_options){.uri = uri}, no_such_database);
}
