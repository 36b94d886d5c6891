/* test_pg_listener.c - LISTEN and NOTIFY, against a real server. */
#include "support/cancel.h"
#include "support/pg_client.h"
#include "support/postgres.h"

#include <await.h>
#include <await/pg_listener.h>

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

POSTGRES_BEFORE_TESTS
POSTGRES_AFTER_TESTS

#define ACTIVITY "pg_stat_activity WHERE datname = current_database() AND "

TestSuite(pg_listener, .timeout = 120);

static struct aw_pg_listener *listener;
static struct aw_error error;

static void start(uint32_t queue_max, const char *channel)
{
    cr_assert_eq(aw_pg_listener_create(&listener, pg_client_pool, queue_max, &error), 0, "%s",
                 error.message);
    cr_assert_eq(aw_pg_listener_add(listener, channel, &error), 0, "%s", error.message);
}

/* The next news are of this kind, and say this. */
static void expect_news(enum aw_pg_news news, const char *channel, const char *payload)
{
    struct aw_pg_notification *notification = NULL;
    int result = 0;
    AW_WITH(result, aw_with_timeout(60000))
    {
        result = aw_pg_listener_next(listener, &notification);
    }
    cr_assert_eq(result, 0, "%d instead of %s %s", result, channel, payload);
    cr_expect_eq(notification->news, news, "%d instead of %d", notification->news, news);
    cr_expect_str_eq(notification->channel, channel);
    cr_expect_str_eq(notification->payload, payload);
    cr_expect_eq(notification->process_id != 0, news == AW_PG_NOTIFIED);
    aw_pg_notification_free(notification);
}

static void expect_silence(void)
{
    struct aw_pg_notification *notification = NULL;
    int result = 0;
    AW_WITH(result, aw_with_timeout(100))
    {
        result = aw_pg_listener_next(listener, &notification);
    }
    cr_expect_eq(result, -ETIME);
}

static int body_channels(void)
{
    start(0, "news");
    expect_news(AW_PG_LISTENING, "", "");
    cr_expect(aw_pg_listener_is_up(listener, NULL));
    PG_EXPECT_OK("NOTIFY news, 'one'");
    PG_EXPECT_OK("NOTIFY other, 'unheard'");
    PG_EXPECT_OK("SELECT pg_notify('news', repeat('x', 7999))");
    expect_news(AW_PG_NOTIFIED, "news", "one");
    struct aw_pg_notification *notification = NULL;
    cr_assert_eq(aw_pg_listener_next(listener, &notification), 0);
    cr_expect_eq(strlen(notification->payload), 7999);
    aw_pg_notification_free(notification);

    cr_expect_eq(aw_pg_listener_add(listener, "Strange \"name\"; é", &error), 0, "%s",
                 error.message);
    cr_expect_eq(aw_pg_listener_add(listener, "news", &error), 0, "again");
    PG_EXPECT_OK("NOTIFY \"Strange \"\"name\"\"; é\"");
    expect_news(AW_PG_NOTIFIED, "Strange \"name\"; é", "");
    cr_expect_eq(aw_pg_listener_remove(listener, "news", &error), 0);
    cr_expect_eq(aw_pg_listener_remove(listener, "news", &error), 0, "again");
    PG_EXPECT_OK("NOTIFY news, 'unheard'");
    expect_silence();

    cr_expect_eq(aw_pg_listener_add(listener, "", &error), -EINVAL);
    cr_expect_eq(aw_pg_listener_add(listener, "bad \xff utf-8", &error), -EINVAL);
    char name[80] = "";
    memset(name, 'n', 64);
    cr_expect_eq(aw_pg_listener_add(listener, name, &error), -EINVAL);
    name[63] = '\0';
    cr_expect_eq(aw_pg_listener_add(listener, name, &error), 0);
    aw_pg_listener_close(listener);
    return 0;
}

Test(pg_listener, hears_its_channels_and_no_others)
{
    pg_client_run_apart(1, 1, body_channels);
}

static int body_channel_limit(void)
{
    start(0, "c0");
    char name[16];
    for (int i = 1; i < AW_PG_CHANNELS_MAX; i++) {
        snprintf(name, sizeof name, "c%d", i);
        cr_assert_eq(aw_pg_listener_add(listener, name, &error), 0);
    }
    cr_expect_eq(aw_pg_listener_add(listener, "one more", &error), -ENOSPC);
    cr_expect_eq(aw_pg_listener_remove(listener, "c7", &error), 0);
    cr_expect_eq(aw_pg_listener_add(listener, "one more", &error), 0);
    aw_pg_listener_close(listener);
    return 0;
}

Test(pg_listener, has_a_limit_of_channels)
{
    pg_client_run_apart(1, 1, body_channel_limit);
}

static bool is_idle(void)
{
    char text[32];
    return pg_client_query("SELECT pg_notification_queue_usage()", text, sizeof text) == 0 &&
           atof(text) == 0.0;
}

/* Three places: the news of listening and two notifications. */
static int body_slow(void)
{
    start(3, "many");
    PG_EXPECT_OK("SELECT pg_notify('many', g::text) FROM generate_series(1, 50) g");
    /* The last one is dropped behind the others: once it is known to be heard, all are. */
    cr_expect_eq(aw_pg_listener_add(listener, "after", &error), 0);
    cr_expect(is_idle(), "the server's queue is not held up");
    expect_news(AW_PG_LISTENING, "", "");
    expect_news(AW_PG_NOTIFIED, "many", "1");
    PG_EXPECT_OK("NOTIFY many, 'dropped too'");
    cr_expect_eq(aw_pg_listener_add(listener, "after that", &error), 0);
    expect_news(AW_PG_NOTIFIED, "many", "2");
    struct aw_pg_notification *notification = NULL;
    cr_assert_eq(aw_pg_listener_next(listener, &notification), 0);
    cr_expect_eq(notification->news, AW_PG_DROPPED);
    cr_expect_eq(notification->dropped, 49);
    aw_pg_notification_free(notification);
    PG_EXPECT_OK("NOTIFY many, 'heard again'");
    expect_news(AW_PG_NOTIFIED, "many", "heard again");
    aw_pg_listener_close(listener);
    return 0;
}

Test(pg_listener, a_slow_reader_is_told_how_many_it_missed)
{
    pg_client_run_apart(1, 1, body_slow);
}

static int body_lost(void)
{
    start(0, "news");
    expect_news(AW_PG_LISTENING, "", "");
    PG_EXPECT_OK("SELECT pg_terminate_backend(pid) FROM " ACTIVITY "query LIKE "
                 "'LISTEN%'");
    expect_news(AW_PG_LISTENING, "", "");
    PG_EXPECT_OK("NOTIFY news, 'after'");
    expect_news(AW_PG_NOTIFIED, "news", "after");
    aw_pg_listener_close(listener);
    return 0;
}

Test(pg_listener, a_lost_connection_is_replaced_and_said)
{
    pg_client_run_apart(1, 1, body_lost);
}

static struct postgres own;

/* Channels are added while the server is away; it is killed as by a crash and comes back. */
static int body_restart(void)
{
    int result = 0;
    start(0, "before");
    expect_news(AW_PG_LISTENING, "", "");
    postgres_stop(&own, SIGQUIT);
    expect_silence();
    cr_expect_not(aw_pg_listener_is_up(listener, &error));
    cr_expect_neq(error.message[0], '\0');
    AW_WITH(result, aw_with_timeout(50))
    {
        result = aw_pg_listener_add(listener, "meanwhile", &error);
    }
    cr_expect_eq(result, -ETIME, "it waits for the server");
    AW_WITH(result, aw_with_timeout(50))
    {
        result = aw_pg_listener_remove(listener, "before", &error);
    }
    postgres_start(&own);
    expect_news(AW_PG_LISTENING, "", "");
    cr_expect(aw_pg_listener_is_up(listener, &error));
    while (!aw_pg_pool_is_up(pg_client_pool)) {
        aw_sleep(10);
    }
    PG_EXPECT_OK("NOTIFY before, 'not any more'");
    PG_EXPECT_OK("NOTIFY meanwhile, 'heard'");
    expect_news(AW_PG_NOTIFIED, "meanwhile", "heard");
    aw_pg_listener_close(listener);
    return 0;
}

Test(pg_listener, a_server_that_comes_back_is_listened_to_again)
{
    postgres_create(&own);
    postgres_start(&own);
    pg_client_run_on(own.uri, 1, 1, body_restart);
    postgres_remove(&own);
}

static int wait_for_news(void *argument)
{
    struct aw_pg_notification *notification = NULL;
    (void)argument;
    return aw_pg_listener_next(listener, &notification);
}

static int add_another(void *argument)
{
    struct aw_error own_error;
    return aw_pg_listener_add(listener, argument, &own_error);
}

/* The pool is freed under it: whoever waits is told. */
static int body_pool_ends(void)
{
    struct aw_task *waiting = NULL;
    struct aw_task *adding = NULL;
    char late[] = "late";
    char later[] = "later"; /* `late` may have been added before the end */
    start(0, "news");
    expect_news(AW_PG_LISTENING, "", "");
    cr_assert_eq(aw_spawn(&waiting, wait_for_news, NULL), 0);
    aw_yield();
    cr_assert_eq(aw_spawn(&adding, add_another, late), 0);
    aw_yield();
    aw_pg_pool_free(pg_client_pool);
    pg_client_pool = NULL;
    cr_expect_eq(aw_await(waiting), -ESHUTDOWN);
    int added = aw_await(adding);
    cr_expect(added == -ESHUTDOWN || added == 0, "%d", added);
    cr_expect_eq(wait_for_news(NULL), -ESHUTDOWN);
    cr_expect_eq(add_another(later), -ESHUTDOWN);
    aw_pg_listener_close(listener);
    return 0;
}

Test(pg_listener, ends_with_its_pool)
{
    pg_client_run_apart(1, 1, body_pool_ends);
}

static int listen_once(void *argument)
{
    (void)argument;
    struct aw_error own_error;
    struct aw_pg_listener *own_listener = NULL;
    int result = aw_pg_listener_create(&own_listener, pg_client_pool, 4, &own_error);
    if (result < 0) {
        return result;
    }
    result = aw_pg_listener_add(own_listener, "news", &own_error);
    struct aw_pg_notification *notification = NULL;
    if (result == 0) {
        result = aw_pg_listener_next(own_listener, &notification);
    }
    if (result == 0) {
        aw_pg_notification_free(notification);
        result = aw_pg_listener_remove(own_listener, "news", &own_error);
    }
    aw_pg_listener_close(own_listener);
    return result;
}

static int body_cancelled(void)
{
    PG_EXPECT_OK("SELECT 1");
    cr_expect_geq(cancel_everywhere(listen_once, NULL), 3);
    return 0;
}

Test(pg_listener, leaves_nothing_open_wherever_it_is_cancelled)
{
    pg_client_run_apart(1, 1, body_cancelled);
}
