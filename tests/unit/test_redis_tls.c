/* test_redis_tls.c - rediss://: the pool, leases and subscribers in TLS, against a real server. */
#include "support/process.h"
#include "support/redis.h"
#include "support/redis_pool.h"

#include <await.h>
#include <await/redis_multi.h>
#include <await/redis_subscriber.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct redis_server server;
static char uri[96];
static char certificate[128];
static struct aw_error error;
static int descriptors_before;

/* The plain port moves one up; TLS takes the one that is known to be free. */
static void start_server(void)
{
    if (!redis_server_available())
        cr_skip_test("redis-server is not installed");
    redis_server_prepare(&server);
    char command[512];
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
             "-subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout %s/key.pem "
             "-out %s/certificate.pem 2>%s/openssl.log",
             server.folder, server.folder, server.folder);
    cr_assert_eq(system(command), 0, "openssl");
    char port[8];
    char key[128];
    snprintf(port, sizeof port, "%u", server.port);
    snprintf(key, sizeof key, "%s/key.pem", server.folder);
    snprintf(certificate, sizeof certificate, "%s/certificate.pem", server.folder);
    snprintf(uri, sizeof uri, "rediss://ada:secret@localhost:%u/3", server.port);
    char users[128];
    snprintf(users, sizeof users, "%s/users.acl", server.folder);
    FILE *file = fopen(users, "we");
    cr_assert(file && fputs("user default off\nuser ada on >secret ~* &* +@all\n", file) >= 0);
    fclose(file);
    const char *const options[] = {"--tls-port",
                                   port,
                                   "--port",
                                   "0",
                                   "--tls-cert-file",
                                   certificate,
                                   "--tls-key-file",
                                   key,
                                   "--tls-auth-clients",
                                   "no",
                                   "--aclfile",
                                   users,
                                   NULL};
    redis_server_start(&server, options);
    descriptors_before = open_descriptors();
}

static void stop_server(void)
{
    cr_expect_eq(open_descriptors(), descriptors_before, "a descriptor is left");
    redis_server_remove(&server);
}

TestSuite(redis_tls, .init = start_server, .fini = stop_server, .timeout = 120);

struct pool_test {
    struct aw_redis_options options;
    void (*body)(struct aw_redis_pool *pool);
};

static int run_test(void *argument)
{
    struct pool_test *test = argument;
    struct aw_group group;
    struct aw_redis_pool *pool = NULL;
    aw_group_init(&group, AW_GROUP_COLLECT);
    int result = aw_redis_pool_create(&test->options, &group, &pool, &error);
    cr_assert_eq(result, 0, "%s", error.message);
    test->body(pool);
    aw_redis_pool_close(pool);
    return aw_group_wait(&group);
}

static void run(const struct aw_tls_options *tls, void (*body)(struct aw_redis_pool *pool))
{
    struct pool_test test = {{.uri = uri, .tls = tls, .leased_connections_max = 1}, body};
    cr_expect_eq(aw_run(run_test, &test), 0);
}

#define LARGE ((size_t)8 << 20)

static void talk(struct aw_redis_pool *pool)
{
    expect_text(pool, "ada", "ACL", "WHOAMI");
    char *large = malloc(LARGE + 1);
    cr_assert_not_null(large);
    memset(large, 'x', LARGE);
    large[LARGE] = '\0';
    expect_text(pool, "OK", "SET", "large", large);
    struct aw_redis_reply *reply = NULL;
    cr_expect_eq(redis_ask(pool, &reply, &error, "GET", "large", NULL), 0);
    cr_expect_eq(reply->size, LARGE);
    cr_expect_eq(memcmp(reply->text, large, LARGE), 0);
    aw_redis_reply_free(reply);
    free(large);
    const struct aw_redis_call call = {1, (const char *[]){"DBSIZE"}, NULL};
    cr_expect_eq(aw_redis_multi(pool, 1, &call, 0, &reply, &error), 0, "%s", error.message);
    cr_expect_eq(reply->elements[0]->integer, 1, "the URI's database");
    aw_redis_reply_free(reply);

    struct aw_redis_subscriber *subscriber = NULL;
    struct aw_redis_message *message = NULL;
    cr_assert_eq(aw_redis_subscriber_create(&subscriber, pool, 0, &error), 0);
    cr_assert_eq(aw_redis_subscribe(subscriber, "c", 1, &error), 0, "%s", error.message);
    cr_expect_eq(redis_ask(pool, &reply, &error, "PUBLISH", "c", "hello", NULL), 0);
    aw_redis_reply_free(reply);
    cr_expect_eq(aw_redis_subscriber_next(subscriber, &message), 0);
    cr_expect_eq(message->news, AW_REDIS_SUBSCRIBED);
    aw_redis_message_free(message);
    cr_expect_eq(aw_redis_subscriber_next(subscriber, &message), 0);
    cr_expect_str_eq(message->payload, "hello");
    aw_redis_message_free(message);
    aw_redis_subscriber_close(subscriber);
}

Test(redis_tls, commands_units_and_messages_travel_in_it)
{
    run(&(const struct aw_tls_options){.authorities = certificate}, talk);
}

#define TASKS 200

static int increment(void *pool)
{
    struct aw_redis_reply *reply = NULL;
    int result = redis_ask(pool, &reply, NULL, "INCR", "n", NULL);
    if (result == 0)
        aw_redis_reply_free(reply);
    return result;
}

static void killed(struct aw_redis_pool *pool)
{
    struct aw_task *tasks[TASKS];
    for (int i = 0; i < TASKS; i++)
        cr_assert_eq(aw_spawn(&tasks[i], increment, pool), 0);
    cr_expect_eq(aw_gather(TASKS, tasks, NULL), 0);
    expect_text(pool, "200", "GET", "n");
    redis_server_stop(&server, SIGKILL);
    cr_expect(wait_until(pool_is_down, pool));
    expect_failure(pool, -ENOTCONN, error, "GET", "n");
}

Test(redis_tls, many_share_it_and_a_killed_server_is_noticed)
{
    run(&(const struct aw_tls_options){.authorities = certificate}, killed);
}

static void distrusted(struct aw_redis_pool *pool)
{
    expect_failure(pool, -ENOTCONN, error, "PING");
    cr_expect(strstr(error.message, "TLS") != NULL, "%s", error.message);
    cr_expect_null(strstr(error.message, "secret"));
}

Test(redis_tls, a_certificate_nobody_vouches_for_is_refused)
{
    run(NULL, distrusted);
}

static int absent_file(void *argument)
{
    struct aw_group group;
    struct aw_redis_pool *pool = NULL;
    (void)argument;
    aw_group_init(&group, AW_GROUP_COLLECT);
    const struct aw_tls_options tls = {.authorities = "/no/such/file"};
    const struct aw_redis_options options = {.uri = uri, .tls = &tls};
    cr_expect_eq(aw_redis_pool_create(&options, &group, &pool, &error), -ENOENT);
    return aw_group_wait(&group);
}

Test(redis_tls, a_file_that_is_not_there_is_named)
{
    cr_expect_eq(aw_run(absent_file, NULL), 0);
    cr_expect(strstr(error.message, "/no/such/file") != NULL, "%s", error.message);
}
