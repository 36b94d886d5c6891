/* test_redis_places.c - which server a Redis command goes to: URIs of sentinels and clusters, first
 * keys, slots. The keys are held against a real server's own word. */
#include "clients/redis_site.h"
#include "support/redis.h"
#include "support/redis_pool.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct redis_site site;
static struct aw_error error;

Test(redis_places, sentinels)
{
    int result = redis_site_parse(&site,
                                  "rediss+sentinel://u:p%40ss@a,b:5000,[::1]:5001/my%20master/3"
                                  "?sentinel_user=su&sentinel_password=s%26p",
                                  NULL, &error);
    cr_assert_eq(result, 0, "%s", error.message);
    cr_expect_eq(site.topology, REDIS_SENTINEL);
    cr_expect_eq(site.address_count, 3);
    cr_expect_str_eq(site.addresses[0].host, "a");
    cr_expect_eq(site.addresses[0].port, 26379);
    cr_expect_eq(site.addresses[1].port, 5000);
    cr_expect_str_eq(site.addresses[2].host, "::1");
    cr_expect_str_eq(site.addresses[2].user, "su");
    cr_expect_str_eq(site.addresses[2].password, "s&p");
    cr_expect(site.addresses[2].is_tls);
    cr_expect_str_eq(site.master, "my master");
    cr_expect_str_eq(site.server.password, "p@ss");
    cr_expect_eq(site.server.database, 3);
    cr_expect(site.server.is_tls);
}

Test(redis_places, a_cluster_and_a_single_server)
{
    cr_assert_eq(redis_site_parse(&site, "redis+cluster://:old@a:7000,b/", "new", &error), 0);
    cr_expect_eq(site.topology, REDIS_CLUSTER);
    cr_expect_str_eq(site.addresses[1].password, "new");
    cr_expect_eq(site.addresses[1].port, 6379);
    cr_assert_eq(redis_site_parse(&site, "redis://c:7/2", NULL, &error), 0);
    cr_expect_eq(site.topology, REDIS_SINGLE);
    cr_expect_str_eq(site.server.host, "c");
}

Test(redis_places, what_is_no_place)
{
    static const char *const wrong[] = {
        "redis+sentinel://a",
        "redis+sentinel://a/",
        "redis+sentinel:///m",
        "redis+sentinel://a,,b/m",
        "redis+sentinel://a:0/m",
        "redis+sentinel://a/m/x",
        "redis+sentinel://a/m?x=1",
        "redis+sentinel://a/m?sentinel_user=u",
        "redis+sentinel://u@a/m",
        "redis+sentinel://a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a/m",
        "redis+cluster://",
        "redis+cluster://a/1",
        "redis+cluster://a?sentinel_user=u",
        "redis+other://a",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        error.message[0] = '\0';
        cr_expect_eq(redis_site_parse(&site, wrong[i], NULL, &error), -EINVAL, "%s", wrong[i]);
        cr_expect(strstr(error.message, "cannot use the Redis URI") != NULL, "%s", error.message);
    }
}

Test(redis_places, slots)
{
    static const struct {
        const char *key;
        uint32_t slot;
    } known[] = {{"123456789", 12739}, {"foo", 12182}, {"{foo}bar", 12182}, {"x{foo}{bar}", 12182}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        cr_expect_eq(aw_redis_slot(known[i].key, strlen(known[i].key)), known[i].slot, "%s",
                     known[i].key);
    cr_expect_neq(aw_redis_slot("{}foo", 5), 12182);
    cr_expect_eq(aw_redis_slot("", 0), 0);
}

#define WORDS 10

static const char *const commands[][WORDS] = {
    {"GET", "k"},
    {"set", "k", "v"},
    {"MSET", "k", "v", "l", "w"},
    {"EVAL", "return 1", "1", "k", "a"},
    {"FCALL", "f", "2", "k", "l"},
    {"BITOP", "AND", "k", "a"},
    {"OBJECT", "ENCODING", "k"},
    {"MEMORY", "USAGE", "k"},
    {"XREAD", "COUNT", "2", "STREAMS", "k", "0"},
    {"XREADGROUP", "GROUP", "STREAMS", "c", "STREAMS", "k", ">"},
    {"XGROUP", "CREATE", "k", "g", "$"},
    {"XINFO", "STREAM", "k"},
    {"ZUNION", "1", "k"},
    {"ZUNIONSTORE", "k", "1", "a"},
    {"LMPOP", "1", "k", "LEFT"},
    {"BLMPOP", "0", "1", "k", "LEFT"},
    {"BZMPOP", "0", "1", "k", "MIN"},
    {"SINTERCARD", "1", "k"},
    {"GEOADD", "k", "1", "1", "m"},
    {"BLPOP", "k", "0"},
    {"SORT", "k"},
    {"PING"},
    {"ECHO", "a"},
    {"PUBLISH", "c", "m"},
    {"SCAN", "0"},
    {"EVAL", "return 1", "0", "a"},
    {"SCRIPT", "LOAD", "return 1"},
};

static struct redis_server server;

/* What COMMAND GETKEYS says is the first key; NULL: none. */
static int ask_keys(struct aw_redis_pool *pool, const char *const words[], size_t count,
                    struct aw_redis_reply **ret_reply)
{
    const char *question[WORDS + 2] = {"COMMAND", "GETKEYS"};
    memcpy(question + 2, words, count * sizeof *words);
    return aw_redis_command(pool, count + 2, question, NULL, 0, ret_reply, &error);
}

static int compare_keys(void *argument)
{
    (void)argument;
    struct aw_group group;
    struct aw_redis_pool *pool = NULL;
    struct aw_redis_options options = {.uri = server.uri};
    aw_group_init(&group, AW_GROUP_COLLECT);
    cr_assert_eq(aw_redis_pool_create(&options, &group, &pool, &error), 0);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        size_t sizes[WORDS];
        size_t count = 0;
        for (; count < WORDS && commands[i][count]; count++)
            sizes[count] = strlen(commands[i][count]);
        size_t at = aw_redis_first_key(count, commands[i], sizes);
        struct aw_redis_reply *reply = NULL;
        int result = ask_keys(pool, commands[i], count, &reply);
        bool has_key = result == 0 && reply->type == AW_REDIS_ARRAY && reply->count > 0;
        cr_expect_eq(at > 0, has_key, "%s: %zu, %s", commands[i][0], at, error.message);
        if (has_key && at > 0)
            cr_expect_str_eq(commands[i][at], reply->elements[0]->text, "%s", commands[i][0]);
        aw_redis_reply_free(reply);
    }
    aw_redis_pool_close(pool);
    return aw_group_wait(&group);
}

Test(redis_places, first_keys_are_what_the_server_says, .timeout = 120)
{
    if (!redis_server_available())
        cr_skip_test("redis-server is not installed");
    redis_server_prepare(&server);
    redis_server_start(&server, NULL);
    cr_expect_eq(aw_run(compare_keys, NULL), 0);
    redis_server_remove(&server);
}
