/* clients.c - libawait's clients at work; clients.py does the same with asyncpg and aiohttp.
 *
 *   clients http URL TASKS REQUESTS    each task fetches the URL again and again
 *   clients pg URI TASKS QUERIES       each task runs SELECT 1, a transaction each
 *   clients pg100 URI TASKS QUERIES    the same, a hundred in one transaction
 *   clients redis URI TASKS COMMANDS   each task sends SET
 *
 * Numbers are totals. Prints how many a second. */
#include <await.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TASKS_MAX 10000
#define PG_CONNECTIONS 4
#define PG_PIPELINE 128
#define TOGETHER 100
#define WARM_UP 4 /* times the tasks */

struct bench {
    const char *what;
    const char *where;
    long tasks;
    long count;
    long started;
    struct aw_http_client *http;
    struct aw_pg_pool *pg;
    struct aw_redis_pool *redis;
    struct aw_group group; /* the Redis pool's tasks */
    struct aw_error error;
};

static int fetch(struct bench *bench)
{
    struct aw_http_response response = {0};
    int result = aw_http_get(bench->http, bench->where, &response, &bench->error);
    if (result == 0 && (response.status != 200 || response.body_size != 1024))
        result = -EPROTO;
    aw_http_response_free(&response);
    return result;
}

static int query(struct bench *bench)
{
    struct aw_pg_results *results = NULL;
    int result = aw_pg_query(bench->pg, "SELECT 1", 0, NULL, &results, &bench->error);
    if (result == 0 && aw_pg_row_count(results, 0) != 1)
        result = -EPROTO;
    aw_pg_results_free(results);
    return result;
}

static int query_hundred(struct bench *bench)
{
    struct aw_pg_statement statements[TOGETHER];
    for (int i = 0; i < TOGETHER; i++)
        statements[i] = (struct aw_pg_statement){.sql = "SELECT 1", .sql_size = 8};
    const struct aw_pg_run run = {.statements = statements, .statement_count = TOGETHER};
    struct aw_pg_results *results = NULL;
    int result = aw_pg_run(bench->pg, &run, &results, &bench->error);
    if (result == 0 && aw_pg_row_count(results, TOGETHER - 1) != 1)
        result = -EPROTO;
    aw_pg_results_free(results);
    bench->started += TOGETHER - 1;
    return result;
}

static int set(struct bench *bench)
{
    static const char *const words[] = {"SET", "key", "value"};
    struct aw_redis_reply *reply = NULL;
    int result = aw_redis_command(bench->redis, 3, words, NULL, 0, &reply, &bench->error);
    aw_redis_reply_free(reply);
    return result;
}

static int open_http(struct bench *bench)
{
    const struct aw_http_options options = {.connections_max = (uint32_t)bench->tasks,
                                            .connections_per_host_max = (uint32_t)bench->tasks};
    return aw_http_client_open(&bench->http, &options, &bench->error);
}

static int open_pg(struct bench *bench)
{
    const struct aw_pg_options options = {
        .uri = bench->where, .connections = PG_CONNECTIONS, .pipeline = PG_PIPELINE};
    return aw_pg_pool_create(&bench->pg, &options, &bench->error);
}

static int open_redis(struct bench *bench)
{
    const struct aw_redis_options options = {.uri = bench->where};
    return aw_redis_pool_create(&options, &bench->group, &bench->redis, &bench->error);
}

static const struct kind {
    const char *name;
    int (*open)(struct bench *bench);
    int (*one)(struct bench *bench);
    long each; /* so many are counted for one */
} kinds[] = {{"http", open_http, fetch, 1},
             {"pg", open_pg, query, 1},
             {"pg100", open_pg, query_hundred, TOGETHER},
             {"redis", open_redis, set, 1}};

static const struct kind *kind_of(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

static int task_main(void *argument)
{
    struct bench *bench = argument;
    const struct kind *kind = kind_of(bench->what);
    int result = 0;
    while (bench->started < bench->count && result == 0) {
        bench->started++;
        result = kind->one(bench);
    }
    return result;
}

static int run_tasks(struct bench *bench)
{
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_FAIL_FAST);
    int result = 0;
    for (long i = 0; i < bench->tasks && result == 0; i++)
        result = aw_group_spawn(&group, task_main, bench);
    int ended = aw_group_wait(&group);
    return result < 0 ? result : ended;
}

static int bench_main(void *argument)
{
    struct bench *bench = argument;
    const struct kind *kind = kind_of(bench->what);
    aw_group_init(&bench->group, AW_GROUP_COLLECT);
    long count = bench->count;
    int result = kind->open(bench);
    if (result == 0)
        result = kind->one(bench);
    /* every connection open, every statement prepared: the peers count from there too */
    bench->count = WARM_UP * bench->tasks * kind->each;
    if (result == 0)
        result = run_tasks(bench);
    bench->started = 0;
    bench->count = count;
    uint64_t began_ns = aw_now_ns();
    if (result == 0)
        result = run_tasks(bench);
    if (result == 0)
        printf("%.0f\n", (double)bench->started * 1e9 / (double)(aw_now_ns() - began_ns));
    aw_http_client_close(bench->http);
    aw_pg_pool_free(bench->pg);
    aw_redis_pool_close(bench->redis);
    aw_group_cancel(&bench->group);
    AW_IGNORE(aw_group_wait(&bench->group));
    return result;
}

int main(int count, char **arguments)
{
    struct bench bench = {0};
    if (count == 5) {
        bench.what = arguments[1];
        bench.where = arguments[2];
        bench.tasks = atol(arguments[3]);
        bench.count = atol(arguments[4]);
    }
    if (bench.tasks < 1 || bench.tasks > TASKS_MAX || bench.count < 1 || !kind_of(bench.what)) {
        fprintf(stderr, "usage: clients http|pg|pg100|redis WHERE TASKS COUNT\n");
        return 2;
    }
    int result = aw_run(bench_main, &bench);
    if (result < 0)
        fprintf(stderr, "clients: %s: %s\n", aw_error_text(result), bench.error.message);
    return result < 0 ? 1 : 0;
}
