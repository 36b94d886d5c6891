/* test_redis_subscriber.c - pub/sub against a real server: channels, patterns, limits, outages. */
#include "support/cancel.h"
#include "support/process.h"
#include "support/redis.h"
#include "support/redis_pool.h"

#include <await.h>
#include <await/redis_subscriber.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct redis_server server;
static struct aw_redis_pool *pool;
static struct aw_redis_subscriber *subscriber;
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

TestSuite(redis_subscriber, .init = start_server, .fini = stop_server, .timeout = 120);

static struct aw_redis_options options;

static int run_test(void *argument)
{
    void (*const *body)(void) = argument;
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    options.uri = server.uri;
    int result = aw_redis_pool_create(&options, &group, &pool, &error);
    cr_assert_eq(result, 0, "%s", error.message);
    (*body)();
    if (pool)
        aw_redis_pool_close(pool);
    return aw_group_wait(&group);
}

static void run(void (*body)(void))
{
    cr_expect_eq(aw_run(run_test, &body), 0);
}

static void start(uint32_t queue_max, const char *channel)
{
    cr_assert_eq(aw_redis_subscriber_create(&subscriber, pool, queue_max, &error), 0, "%s",
                 error.message);
    cr_assert_eq(aw_redis_subscribe(subscriber, channel, strlen(channel), &error), 0, "%s",
                 error.message);
}

static struct aw_redis_message *next(enum aw_redis_news news)
{
    struct aw_redis_message *message = NULL;
    int result = 0;
    AW_WITH(result, aw_with_timeout(60000))
    {
        result = aw_redis_subscriber_next(subscriber, &message);
    }
    cr_assert_eq(result, 0, "%d", result);
    cr_assert_eq(message->news, news, "%d instead of %d", message->news, news);
    return message;
}

static void expect_message(const char *channel, const char *pattern, const char *payload)
{
    struct aw_redis_message *message = next(AW_REDIS_MESSAGE);
    cr_expect_str_eq(message->channel, channel);
    cr_expect_str_eq(message->pattern ? message->pattern : "", pattern ? pattern : "");
    cr_expect_str_eq(message->payload, payload);
    cr_expect_eq(message->payload_size, strlen(payload));
    aw_redis_message_free(message);
}

static void expect_silence(void)
{
    struct aw_redis_message *message = NULL;
    int result = 0;
    AW_WITH(result, aw_with_timeout(100))
    {
        result = aw_redis_subscriber_next(subscriber, &message);
    }
    cr_expect_eq(result, -ETIME);
}

static void publish(const char *channel, const char *payload)
{
    struct aw_redis_reply *reply = NULL;
    cr_expect_eq(redis_ask(pool, &reply, &error, "PUBLISH", channel, payload, NULL), 0, "%s",
                 error.message);
    aw_redis_reply_free(reply);
}

static void channels(void)
{
    start(0, "news");
    aw_redis_message_free(next(AW_REDIS_SUBSCRIBED));
    cr_expect(aw_redis_subscriber_is_up(subscriber, NULL));
    publish("other", "unheard");
    publish("news", "one");
    expect_message("news", NULL, "one");
    cr_expect_eq(aw_redis_psubscribe(subscriber, "n*s", 3, &error), 0);
    cr_expect_eq(aw_redis_psubscribe(subscriber, "n*s", 3, &error), 0, "again");
    publish("news", "two");
    expect_message("news", NULL, "two");
    expect_message("news", "n*s", "two");
    cr_expect_eq(aw_redis_unsubscribe(subscriber, "news", 4, &error), 0);
    publish("news", "three");
    expect_message("news", "n*s", "three");
    cr_expect_eq(aw_redis_punsubscribe(subscriber, "n*s", 3, &error), 0);
    cr_expect_eq(aw_redis_punsubscribe(subscriber, "n*s", 3, &error), 0, "again");
    publish("news", "unheard");
    expect_silence();
    cr_expect_eq(aw_redis_subscribe(subscriber, "a\0b", 3, &error), 0);
    cr_expect_eq(aw_redis_subscribe(subscriber, "", 0, &error), -EINVAL);
    const char *words[] = {"PUBLISH", "a\0b", "c\0d"};
    const size_t sizes[] = {7, 3, 3};
    struct aw_redis_reply *reply = NULL;
    cr_expect_eq(aw_redis_command(pool, 3, words, sizes, 0, &reply, &error), 0);
    aw_redis_reply_free(reply);
    struct aw_redis_message *message = next(AW_REDIS_MESSAGE);
    cr_expect_eq(message->channel_size, 3);
    cr_expect_eq(message->payload_size, 3);
    cr_expect_eq(memcmp(message->payload, "c\0d", 3), 0);
    aw_redis_message_free(message);
    aw_redis_subscriber_close(subscriber);
}

Test(redis_subscriber, hears_channels_and_patterns)
{
    run(channels);
}

/* Three places: SUBSCRIBED and two messages. */
static void slow(void)
{
    start(3, "many");
    for (int i = 1; i <= 20; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        publish("many", text);
    }
    cr_expect_eq(aw_redis_subscribe(subscriber, "behind", 6, &error), 0);
    aw_redis_message_free(next(AW_REDIS_SUBSCRIBED));
    expect_message("many", NULL, "1");
    expect_message("many", NULL, "2");
    struct aw_redis_message *message = next(AW_REDIS_DROPPED);
    cr_expect_eq(message->dropped, 18);
    aw_redis_message_free(message);
    publish("many", "heard again");
    expect_message("many", NULL, "heard again");
    aw_redis_subscriber_close(subscriber);
}

Test(redis_subscriber, a_slow_reader_is_told_how_many_it_missed)
{
    run(slow);
}

static void large(void)
{
    start(0, "news");
    aw_redis_message_free(next(AW_REDIS_SUBSCRIBED));
    char text[4096];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    publish("news", text);
    struct aw_redis_message *message = next(AW_REDIS_DROPPED);
    cr_expect_eq(message->dropped, 1);
    aw_redis_message_free(message);
    publish("news", "small");
    expect_message("news", NULL, "small");
    aw_redis_subscriber_close(subscriber);
}

Test(redis_subscriber, a_message_above_the_limit_is_dropped_and_counted)
{
    options.reply_size_max = 1000;
    run(large);
}

static void lost(void)
{
    int result = 0;
    start(0, "before");
    aw_redis_message_free(next(AW_REDIS_SUBSCRIBED));
    redis_server_stop(&server, SIGKILL);
    cr_expect(wait_until(pool_is_down, pool));
    expect_silence();
    cr_expect_not(aw_redis_subscriber_is_up(subscriber, &error));
    cr_expect_neq(error.message[0], '\0');
    AW_WITH(result, aw_with_timeout(50))
    {
        result = aw_redis_subscribe(subscriber, "meanwhile", 9, &error);
    }
    cr_expect_eq(result, -ETIME, "it waits for the server");
    redis_server_start(&server, NULL);
    aw_redis_message_free(next(AW_REDIS_SUBSCRIBED));
    cr_expect(wait_until(pool_is_up, pool));
    publish("before", "a");
    publish("meanwhile", "b");
    expect_message("before", NULL, "a");
    expect_message("meanwhile", NULL, "b");
    aw_redis_subscriber_close(subscriber);
}

Test(redis_subscriber, a_server_that_comes_back_is_subscribed_to_again)
{
    run(lost);
}

/* Silent for longer than silence_ms again and again: asked, answered, kept. */
static void quiet(void)
{
    start(0, "news");
    aw_redis_message_free(next(AW_REDIS_SUBSCRIBED));
    aw_sleep(300);
    publish("news", "still here");
    expect_message("news", NULL, "still here");
    /* now it answers nothing any more */
    kill(server.pid, SIGSTOP);
    for (int i = 0; i < 3000 && aw_redis_subscriber_is_up(subscriber, &error); i++)
        aw_sleep(10);
    cr_expect_not(aw_redis_subscriber_is_up(subscriber, &error));
    kill(server.pid, SIGCONT);
    aw_redis_message_free(next(AW_REDIS_SUBSCRIBED));
    aw_redis_subscriber_close(subscriber);
}

Test(redis_subscriber, silence_is_asked_about)
{
    options.silence_ms = 50;
    options.connect_timeout_ms = 2000;
    run(quiet);
}

static int wait_for_message(void *argument)
{
    struct aw_redis_message *message = NULL;
    (void)argument;
    return aw_redis_subscriber_next(subscriber, &message);
}

static void pool_ends(void)
{
    struct aw_task *waiting = NULL;
    start(0, "news");
    aw_redis_message_free(next(AW_REDIS_SUBSCRIBED));
    cr_assert_eq(aw_spawn(&waiting, wait_for_message, NULL), 0);
    aw_yield();
    aw_redis_pool_close(pool);
    pool = NULL;
    cr_expect_eq(aw_await(waiting), -ESHUTDOWN);
    cr_expect_eq(aw_redis_subscribe(subscriber, "late", 4, &error), -ESHUTDOWN);
    aw_redis_subscriber_close(subscriber);
}

Test(redis_subscriber, ends_with_its_pool)
{
    run(pool_ends);
}

static int listen_once(void *argument)
{
    (void)argument;
    struct aw_error own_error;
    struct aw_redis_subscriber *own = NULL;
    int result = aw_redis_subscriber_create(&own, pool, 4, &own_error);
    if (result < 0)
        return result;
    result = aw_redis_subscribe(own, "news", 4, &own_error);
    struct aw_redis_message *message = NULL;
    if (result == 0)
        result = aw_redis_subscriber_next(own, &message);
    if (result == 0) {
        aw_redis_message_free(message);
        result = aw_redis_unsubscribe(own, "news", 4, &own_error);
    }
    aw_redis_subscriber_close(own);
    return result;
}

static void cancelled(void)
{
    publish("news", "connects the pool");
    /* the server is a child of the test, which cancel_everywhere does not expect */
    int cancelled_count = 0;
    for (int turns = 0; turns < 4000; turns += turns < 24 ? 1 : turns / 3) {
        struct aw_task *task;
        cr_assert_eq(aw_spawn(&task, listen_once, NULL), 0);
        for (int i = 0; i < turns && !aw_finished(task); i++)
            aw_yield();
        aw_cancel(task);
        int result = aw_await(task);
        cr_expect(result == 0 || result == -ECANCELED, "%d turns: %d", turns, result);
        cancelled_count += result == -ECANCELED;
    }
    cr_expect_geq(cancelled_count, 3);
}

Test(redis_subscriber, leaves_nothing_open_wherever_it_is_cancelled)
{
    run(cancelled);
}
