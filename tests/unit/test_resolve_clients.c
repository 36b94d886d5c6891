/* test_resolve_clients.c - whoever connects by name: the lookup runs on a thread of the pool, and
 * the loop goes on meanwhile. getaddrinfo is this file's, also for libcurl and libpq: it knows one
 * address, at which nobody listens. */
#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static struct {
    pthread_t loop;
    sem_t started;
    sem_t gate;
    atomic_bool held;
    atomic_int lookups; /* of names */
    atomic_int on_the_loop;
} resolver;

int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict list)
{
    (void)name;
    bool is_numeric = hints != NULL && hints->ai_flags & AI_NUMERICHOST; /* never waits */
    if (!is_numeric) {
        atomic_fetch_add(&resolver.lookups, 1);
        atomic_fetch_add(&resolver.on_the_loop, pthread_equal(pthread_self(), resolver.loop) != 0);
        if (atomic_load(&resolver.held)) {
            sem_post(&resolver.started);
            while (sem_wait(&resolver.gate) != 0) {
            }
        }
    }
    struct addrinfo *entry = calloc(1, sizeof *entry + sizeof(struct sockaddr_in));
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)(entry + 1);
    *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    v4->sin_port = htons((uint16_t)(service != NULL ? atoi(service) : 0));
    entry->ai_family = AF_INET;
    entry->ai_socktype = SOCK_STREAM;
    entry->ai_addr = (struct sockaddr *)v4;
    entry->ai_addrlen = sizeof *v4;
    *list = entry;
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    free(list);
}

/* --- who connects ----------------------------------------------------------------------------- */

static int connect_tcp(void *argument)
{
    (void)argument;
    return aw_connect_tcp("slow.example", 1, NULL);
}

static int connect_stream(void *argument)
{
    (void)argument;
    struct aw_stream *stream;
    return aw_stream_connect_tcp(&stream, "slow.example", 1, NULL, NULL);
}

static int connect_websocket(void *argument)
{
    (void)argument;
    struct aw_websocket *socket;
    return aw_websocket_connect(&socket, "ws://slow.example:1/", NULL, NULL);
}

static int get(const char *url, const char *proxy)
{
    const struct aw_http_options options = {.proxy = proxy};
    struct aw_http_client *client;
    struct aw_http_response response;
    cr_assert_eq(aw_http_client_open(&client, &options, NULL), 0);
    int result = aw_http_get(client, url, &response, NULL);
    aw_http_client_close(client);
    return result;
}

static int get_page(void *argument)
{
    (void)argument;
    return get("http://slow.example:1/", NULL);
}

static int get_through_a_proxy(void *argument)
{
    (void)argument;
    return get("https://192.0.2.1/", "http://slow.example:1");
}

static int ask_postgres(void *argument)
{
    (void)argument;
    const struct aw_pg_options options = {.uri = "postgresql://app@slow.example:1/app"};
    struct aw_pg_pool *pool;
    struct aw_pg_results *results;
    cr_assert_eq(aw_pg_pool_create(&pool, &options, NULL), 0);
    int result = aw_pg_query(pool, "SELECT 1", 0, NULL, &results, NULL);
    aw_pg_pool_free(pool);
    return result;
}

static int ask_redis(void *argument)
{
    (void)argument;
    const struct aw_redis_options options = {.uri = "redis://slow.example:1"};
    static const char *const words[] = {"PING"};
    struct aw_group group;
    struct aw_redis_pool *pool;
    struct aw_redis_reply *reply;
    aw_group_init(&group, AW_GROUP_COLLECT);
    cr_assert_eq(aw_redis_pool_create(&options, &group, &pool, NULL), 0);
    int result = aw_redis_command(pool, 1, words, NULL, 0, &reply, NULL);
    aw_redis_pool_close(pool);
    aw_group_cancel(&group);
    AW_IGNORE(aw_group_wait(&group));
    return result;
}

/* --- what happens meanwhile ------------------------------------------------------------------- */

static int perform(void *argument)
{
    const aw_function *function = argument;
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, *function, NULL), 0);
    while (sem_trywait(&resolver.started) != 0) /* turns while the lookup stands still */
        cr_assert_eq(aw_sleep(1), 0);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(aw_sleep(1), 0);
    cr_expect(!aw_finished(task));
    atomic_store(&resolver.held, false);
    sem_post(&resolver.gate);
    return aw_await(task);
}

static void connect_by_name(aw_function function)
{
    sem_init(&resolver.started, 0, 0);
    sem_init(&resolver.gate, 0, 0);
    atomic_store(&resolver.held, true);
    resolver.loop = pthread_self();
    int result = aw_run(perform, &function);
    cr_expect_lt(result, 0); /* nobody listens there */
    cr_expect_gt(atomic_load(&resolver.lookups), 0);
    cr_expect_eq(atomic_load(&resolver.on_the_loop), 0, "a name was looked up on the loop");
}

#define RESOLVE_TEST(name) \
    Test(resolve_clients, name, .timeout = 120) { connect_by_name(name); }

RESOLVE_TEST(connect_tcp)
RESOLVE_TEST(connect_stream)
RESOLVE_TEST(connect_websocket)
RESOLVE_TEST(get_page)
RESOLVE_TEST(get_through_a_proxy)
RESOLVE_TEST(ask_postgres)
RESOLVE_TEST(ask_redis)
