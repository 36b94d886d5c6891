/* test_redis_fake.c - the Redis client against a server that lies, stutters, hangs and hangs up. */
#include "support/fake_redis.h"
#include "support/process.h"
#include "support/redis_pool.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

TestSuite(redis_fake, .timeout = 120);

static char changes[1000];

static void note_change(void *context, bool up, const char *reason)
{
    (void)context;
    size_t used = strlen(changes);
    snprintf(changes + used, sizeof changes - used, "%s%s;", up ? "up" : "down ", reason);
}

struct scene {
    struct aw_redis_options options;
    struct fake_redis fake;
    void (*body)(struct fake_redis *fake, struct aw_redis_pool *pool);
};

static int run_scene(void *argument)
{
    struct scene *scene = argument;
    struct aw_group group;
    struct aw_redis_pool *pool;
    fake_redis_start(&scene->fake);
    aw_group_init(&group, AW_GROUP_COLLECT);
    scene->options.uri = scene->fake.uri;
    if (scene->options.connections_max == 0)
        scene->options.connections_max = 1;
    scene->options.changed = note_change;
    int result = aw_redis_pool_create(&scene->options, &group, &pool, NULL);
    cr_expect_eq(result, 0);
    if (result == 0) {
        scene->body(&scene->fake, pool);
        aw_redis_pool_close(pool);
    }
    fake_redis_stop(&scene->fake);
    return aw_group_wait(&group);
}

static void play(struct scene *scene,
                 void (*body)(struct fake_redis *fake, struct aw_redis_pool *pool))
{
    scene->body = body;
    cr_expect_eq(aw_run(run_scene, scene), 0);
}

/* --- wrong replies ---------------------------------------------------------------------------- */

static const char *const malformed[] = {
    "hello\r\n",
    "_\r\n",
    "%1\r\n+a\r\n+b\r\n",
    ",1.5\r\n",
    "#t\r\n",
    ">1\r\n+a\r\n",
    ":\r\n",
    ":-\r\n",
    ":12a\r\n",
    ":1\rX",
    ":9223372036854775808\r\n",
    ":99999999999999999999\r\n",
    "+OK\n",
    "$-2\r\n",
    "$3\r\nabcXX",
    "$3\r\nabcd\r\n",
    "$9223372036854775800\r\n",
    "$99999999999999999999\r\n",
    "*-2\r\n",
    "*9223372036854775807\r\n",
    "*1\r\n\r\n",
    "+one\r\n+two nobody asked for\r\n",
};

static void wrong_replies(struct fake_redis *fake, struct aw_redis_pool *pool)
{
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        struct aw_redis_reply *reply = NULL;
        struct aw_error error = {0};
        fake_redis_says(fake, malformed[i]);
        int result = redis_ask(pool, &reply, &error, "GET", "k", NULL);
        if (malformed[i][1] == 'o') /* the first of the two replies was right */
            cr_expect_eq(result, 0);
        else
            cr_expect_eq(result, -ECONNRESET, "%s gave %d %s", malformed[i], result, error.message);
        aw_redis_reply_free(reply);
        fake_redis_says(fake, "+fine\r\n");
        expect_text(pool, "fine", "GET", "k");
    }
}

Test(redis_fake, malformed_replies_end_the_connection_not_the_pool)
{
    play(&(struct scene){0}, wrong_replies);
    cr_expect_str_eq(changes, "", "a bad reply is no outage");
}

static void huge_array(struct fake_redis *fake, struct aw_redis_pool *pool)
{
    struct aw_error error;
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    fake_redis_says(fake, "*134217728\r\n");
    expect_failure(pool, -EMSGSIZE, error, "GET", "k");
    getrusage(RUSAGE_SELF, &after);
    cr_expect_lt(after.ru_maxrss - before.ru_maxrss, 16 * 1024, "memory was taken on trust");
}

Test(redis_fake, a_declared_length_takes_no_memory)
{
    play(&(struct scene){0}, huge_array);
}

/* --- pieces ----------------------------------------------------------------------------------- */

static const char nested[] =
    "*6\r\n$5\r\na\r\nbc\r\n:-12\r\n$-1\r\n*2\r\n+OK\r\n-ERR bad\r\n*0\r\n$0\r\n\r\n";

static bool is_nested(const struct aw_redis_reply *reply)
{
    return reply && reply->type == AW_REDIS_ARRAY && reply->count == 6 &&
           reply->elements[0]->size == 5 && memcmp(reply->elements[0]->text, "a\r\nbc", 5) == 0 &&
           reply->elements[1]->integer == -12 && reply->elements[2]->type == AW_REDIS_NULL &&
           reply->elements[3]->count == 2 &&
           reply->elements[3]->elements[1]->type == AW_REDIS_ERROR &&
           reply->elements[4]->count == 0 && reply->elements[5]->size == 0;
}

static void split_everywhere(struct fake_redis *fake, struct aw_redis_pool *pool)
{
    for (size_t split = 0; split < sizeof nested - 1; split++) {
        struct aw_redis_reply *reply = NULL;
        fake_redis_says(fake, nested);
        fake->split = split;
        cr_expect_eq(redis_ask(pool, &reply, NULL, "GET", "k", NULL), 0);
        cr_expect(is_nested(reply), "split at %zu", split);
        aw_redis_reply_free(reply);
    }
    cr_expect_eq(fake->connections, 1);
}

Test(redis_fake, a_reply_may_come_in_two_pieces_cut_anywhere)
{
    play(&(struct scene){0}, split_everywhere);
}

static void closed_in_the_middle(struct fake_redis *fake, struct aw_redis_pool *pool)
{
    for (size_t split = 1; split < sizeof nested - 1; split += 7) {
        struct aw_error error;
        fake_redis_says(fake, nested);
        fake->split = split;
        fake->close_after = true;
        unsigned commands = fake->commands;
        expect_failure(pool, -ECONNRESET, error, "INCR", "k");
        cr_expect_eq(fake->commands, commands + 1, "a command that was sent was sent again");
        fake_redis_says(fake, "+fine\r\n");
        expect_text(pool, "fine", "GET", "k");
    }
}

Test(redis_fake, a_connection_lost_in_a_reply_is_an_unknown_outcome)
{
    play(&(struct scene){0}, closed_in_the_middle);
}

/* --- a server that does not serve ------------------------------------------------------------- */

static void loading(struct fake_redis *fake, struct aw_redis_pool *pool)
{
    struct aw_error error;
    fake_redis_says(fake, "+fine\r\n");
    cr_expect(wait_until(pool_is_down, pool));
    expect_failure(pool, -ENOTCONN, error, "GET", "k");
    cr_expect_not_null(strstr(error.message, "LOADING"), "%s", error.message);
    cr_expect_not_null(strstr(changes, "LOADING"), "%s", changes);
    fake->ping = NULL;
    cr_expect(wait_until(pool_is_up, pool));
    expect_text(pool, "fine", "GET", "k");
    cr_expect_eq(fake->commands, 1);
}

Test(redis_fake, a_server_that_loads_its_data_is_down)
{
    struct scene scene = {.fake.ping = "-LOADING Redis is loading the dataset in memory\r\n"};
    play(&scene, loading);
}

static void masterdown(struct fake_redis *fake, struct aw_redis_pool *pool)
{
    struct aw_error error;
    fake_redis_says(fake, "-MASTERDOWN Link with MASTER is down\r\n");
    expect_failure(pool, -EREMOTEIO, error, "GET", "k");
    cr_expect(!aw_redis_pool_is_up(pool));
    expect_failure(pool, -ENOTCONN, error, "GET", "k");
    fake_redis_says(fake, "+fine\r\n");
    cr_expect(wait_until(pool_is_up, pool));
    expect_text(pool, "fine", "GET", "k");
    cr_expect_eq(fake->connections, 2, "a new connection must have asked");
}

Test(redis_fake, a_reply_can_tell_that_the_server_is_down)
{
    play(&(struct scene){0}, masterdown);
}

static void other_protocol(struct fake_redis *fake, struct aw_redis_pool *pool)
{
    (void)fake;
    struct aw_error error;
    expect_failure(pool, -ENOTCONN, error, "GET", "k");
    cr_expect_not_null(strstr(error.message, "is it a Redis server"), "%s", error.message);
}

Test(redis_fake, another_kind_of_server_is_named_as_such)
{
    play(&(struct scene){.fake.ping = "HTTP/1.1 400 Bad Request\r\n\r\n"}, other_protocol);
}

static void mute(struct fake_redis *fake, struct aw_redis_pool *pool)
{
    (void)fake;
    struct aw_error error;
    expect_failure(pool, -ENOTCONN, error, "GET", "k");
    cr_expect_not_null(strstr(error.message, "within 100 ms"), "%s", error.message);
}

Test(redis_fake, a_server_that_accepts_and_says_nothing_is_down)
{
    play(&(struct scene){.fake.ping = "", .options.connect_timeout_ms = 100}, mute);
}

/* --- silence ---------------------------------------------------------------------------------- */

static void hung(struct fake_redis *fake, struct aw_redis_pool *pool)
{
    struct aw_error error;
    fake_redis_says(fake, "+fine\r\n");
    expect_text(pool, "fine", "GET", "k");
    fake_redis_says(fake, "");
    fake->ping = "";
    expect_failure(pool, -ECONNRESET, error, "GET", "k");
    cr_expect_not_null(strstr(error.message, "answers neither"), "%s", error.message);
}

Test(redis_fake, a_server_that_hangs_is_given_up)
{
    play(&(struct scene){.options = {.silence_ms = 100, .connect_timeout_ms = 100}}, hung);
}

static void busy(struct fake_redis *fake, struct aw_redis_pool *pool)
{
    struct aw_error error;
    struct aw_scope scope;
    fake_redis_says(fake, "+fine\r\n");
    expect_text(pool, "fine", "GET", "k");
    fake_redis_says(fake, "");
    fake->ping = "-BUSY Redis is busy running a script\r\n";
    aw_scope_enter(&scope, aw_after_ms(500));
    expect_failure(pool, -ETIME, error, "EVAL", "...");
    aw_scope_leave(&scope);
    cr_expect_gt(fake->connections, 1, "nobody looked whether the server is alive");
}

Test(redis_fake, a_server_busy_with_one_long_command_is_waited_for)
{
    play(&(struct scene){.options = {.silence_ms = 50, .connect_timeout_ms = 30000}}, busy);
}

static bool connected_again(void *context)
{
    const struct fake_redis *fake = context;
    return fake->connections == 2;
}

static void closed_while_idle(struct fake_redis *fake, struct aw_redis_pool *pool)
{
    fake_redis_says(fake, "+fine\r\n");
    fake->close_after = true;
    expect_text(pool, "fine", "GET", "k");
    cr_expect(wait_until(connected_again, fake));
    fake->close_after = false;
    expect_text(pool, "fine", "GET", "k");
    cr_expect_eq(fake->connections, 2);
}

Test(redis_fake, an_idle_connection_that_the_server_closed_is_replaced)
{
    play(&(struct scene){0}, closed_while_idle);
    cr_expect_str_eq(changes, "");
}

/* --- many commands, few and bad connections --------------------------------------------------- */

#define ASKERS 12
static struct aw_redis_pool *asked;

static int ask_once(void *argument)
{
    unsigned *counts = argument;
    struct aw_redis_reply *reply = NULL;
    int result = redis_ask(asked, &reply, NULL, "GET", "k", NULL);
    aw_redis_reply_free(reply);
    counts[result == 0 ? 0 : result == -ECONNRESET ? 1 : 2]++;
    return 0;
}

static void short_lived(struct fake_redis *fake, struct aw_redis_pool *pool)
{
    struct aw_group group;
    unsigned counts[3] = {0}; /* answered, lost on the way, anything else */
    aw_group_init(&group, AW_GROUP_COLLECT);
    asked = pool;
    fake_redis_says(fake, "+fine\r\n");
    fake->close_after = true;
    for (int i = 0; i < ASKERS; i++) cr_expect_eq(aw_group_spawn(&group, ask_once, counts), 0);
    cr_expect_eq(aw_group_wait(&group), 0);
    cr_expect_eq(counts[0] + counts[1], ASKERS);
    cr_expect_eq(counts[2], 0);
    cr_expect_eq(counts[0], fake->commands);
}

Test(redis_fake, commands_of_a_lost_connection_that_were_not_sent_go_to_the_next)
{
    play(&(struct scene){.options = {.connections_max = 2, .in_flight_max = 1}}, short_lived);
    cr_expect_str_eq(changes, "");
}

static void queued_behind(struct fake_redis *fake, struct aw_redis_pool *pool)
{
    struct aw_error error;
    struct aw_scope scope;
    struct aw_task *task;
    unsigned counts[3] = {0};
    fake_redis_says(fake, "");
    asked = pool;
    cr_expect_eq(aw_spawn(&task, ask_once, counts), 0);
    cr_expect_eq(aw_sleep(20), 0);
    aw_scope_enter(&scope, aw_after_ms(20));
    expect_failure(pool, -ETIME, error, "SET", "k", "v");
    aw_scope_leave(&scope);
    cr_expect_str_eq(error.code, "WITHDRAWN");
    aw_cancel(task);
    cr_expect_eq(aw_await(task), 0);
    cr_expect_eq(fake->commands, 1, "the command withdrawn was sent");
}

Test(redis_fake, a_command_that_waits_for_its_turn_can_be_withdrawn)
{
    play(&(struct scene){.options = {.in_flight_max = 1}}, queued_behind);
}
