/* redis_client.c - the public face of the pool: create, close, check, command. */
#include "clients/redis_pool.h"
#include "clients/redis_rules.h"

#include <await/tls.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MAX (1024 * 1024) /* Redis' own limit */
#define CONNECTIONS_MAX 1024
#define IN_FLIGHT_MAX 1000000
#define SIZE_LIMIT ((size_t)512 * 1024 * 1024) /* Redis' own limit of a string, and under INT_MAX */
#define SHARED_SPREAD 16

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

static size_t or_default_size(size_t value, size_t fallback)
{
    return value ? value : fallback;
}

static int fill_options(struct aw_redis_options *options, struct aw_error *reterr)
{
    options->connections_max = or_default(options->connections_max, 4);
    options->blocking_connections_max = or_default(options->blocking_connections_max, 16);
    options->in_flight_max = or_default(options->in_flight_max, 1024);
    options->in_flight_bytes_max = or_default_size(options->in_flight_bytes_max, 16u << 20);
    options->command_size_max = or_default_size(options->command_size_max, 64u << 20);
    options->reply_size_max = or_default_size(options->reply_size_max, 64u << 20);
    options->reply_elements_max = or_default(options->reply_elements_max, 1u << 20);
    options->connect_timeout_ms = or_default(options->connect_timeout_ms, 5000);
    options->silence_ms = or_default(options->silence_ms, 15000);
    if (options->connections_max > CONNECTIONS_MAX ||
        options->leased_connections_max > CONNECTIONS_MAX ||
        options->blocking_connections_max > CONNECTIONS_MAX)
        return aw_error_set(reterr, -EINVAL, "a Redis pool has at most %d connections of a kind",
                            CONNECTIONS_MAX);
    if (options->in_flight_max > IN_FLIGHT_MAX)
        return aw_error_set(reterr, -EINVAL, "in_flight_max of a Redis pool is at most %d",
                            IN_FLIGHT_MAX);
    if (options->command_size_max > SIZE_LIMIT || options->reply_size_max > SIZE_LIMIT ||
        options->in_flight_bytes_max > SIZE_LIMIT)
        return aw_error_set(reterr, -EINVAL, "sizes of a Redis pool are at most %zu bytes",
                            SIZE_LIMIT);
    return 0;
}

static int set_client_name(struct aw_redis_pool *pool, const char *name, struct aw_error *reterr)
{
    if (!name || !name[0]) name = "await";
    if (strlen(name) >= sizeof pool->client_name)
        return aw_error_set(reterr, -EINVAL, "the Redis client name is longer than %zu bytes",
                            sizeof pool->client_name - 1);
    for (const char *character = name; *character; character++)
        if (*character <= ' ' || *character > '~')
            return aw_error_set(reterr, -EINVAL,
                                "the Redis client name has a space or special character");
    strcpy(pool->client_name, name);
    return 0;
}

static int init_lane(struct aw_redis_pool *pool, enum redis_lane lane, uint32_t size,
                     uint32_t in_flight_max, uint32_t spread)
{
    struct redis_lane_state *state = &pool->lanes[lane];
    state->connections = calloc(size > 0 ? size : 1, sizeof *state->connections);
    if (!state->connections) return -ENOMEM;
    state->size = size;
    state->in_flight_max = in_flight_max;
    state->spread = spread < in_flight_max ? spread : in_flight_max;
    for (uint32_t i = 0; i < size; i++) {
        state->connections[i].pool = pool;
        state->connections[i].lane = lane;
        state->connections[i].link.fd = -1;
    }
    return 0;
}

static void free_pool(struct aw_redis_pool *pool)
{
    for (int lane = 0; lane < REDIS_LANES; lane++) free(pool->lanes[lane].connections);
    if (!pool->borrows_tls)
        aw_tls_free(pool->endpoint.tls);
    if (pool->sentinel)
        explicit_bzero(pool->sentinel, sizeof *pool->sentinel);
    free(pool->sentinel);
    redis_cluster_free(pool->cluster);
    explicit_bzero(&pool->endpoint, sizeof pool->endpoint); /* the password */
    free(pool);
}

static int init_lanes(struct aw_redis_pool *pool)
{
    const struct aw_redis_options *options = &pool->options;
    int result = init_lane(pool, REDIS_LANE_SHARED, pool->cluster ? 0 : options->connections_max,
                           options->in_flight_max, SHARED_SPREAD);
    if (result == 0)
        result = init_lane(pool, REDIS_LANE_BLOCKING,
                           pool->cluster ? 0 : options->blocking_connections_max, 1, 1);
    if (result == 0)
        result = init_lane(pool, REDIS_LANE_LEASED,
                           pool->cluster ? 0 : options->leased_connections_max, 1, 1);
    return result;
}

static void init_tasks(struct aw_redis_pool *pool)
{
    pool->up = true;
    aw_group_init(&pool->group, AW_GROUP_COLLECT);
    aw_event_init(&pool->wanted);
    aw_event_init(&pool->stopped);
}

/* The account and the address of one server; or that, and where to ask for servers. */
static int init_site(struct aw_redis_pool *pool, const struct redis_site *site,
                     struct aw_error *reterr)
{
    pool->endpoint = site->server;
    if (pool->endpoint.is_tls) {
        const struct aw_tls_options none = {0};
        int result = aw_tls_client(&pool->endpoint.tls,
                                   pool->options.tls ? pool->options.tls : &none, reterr);
        if (result < 0)
            return result;
    }
    int result = 0;
    if (site->topology == REDIS_SENTINEL)
        result = redis_sentinel_make(&pool->sentinel, site, pool->endpoint.tls);
    else if (site->topology == REDIS_CLUSTER)
        result = redis_cluster_make(&pool->cluster, pool, site);
    if (result == 0)
        result = init_lanes(pool);
    return result < 0 ? aw_error_set(reterr, result, "no memory for a Redis pool") : 0;
}

static int init_pool(struct aw_redis_pool *pool, const struct aw_redis_options *options,
                     struct aw_error *reterr)
{
    if (options) pool->options = *options;
    init_tasks(pool);
    int result = fill_options(&pool->options, reterr);
    if (result == 0) result = set_client_name(pool, pool->options.client_name, reterr);
    if (result < 0) return result;
    struct redis_site *site = malloc(sizeof *site);
    if (!site) return aw_error_set(reterr, -ENOMEM, "no memory for a Redis pool");
    result = redis_site_parse(site, pool->options.uri, pool->options.password, reterr);
    if (result == 0)
        result = init_site(pool, site, reterr);
    explicit_bzero(site, sizeof *site); /* passwords */
    free(site);
    pool->options.tls = NULL;
    pool->options.uri = NULL;
    pool->options.password = NULL;
    pool->options.client_name = NULL;
    return result;
}

int redis_pool_create_node(struct aw_redis_pool *cluster, const struct redis_endpoint *node,
                           void (*changed)(void *context, bool up, const char *reason),
                           void *context, struct aw_redis_pool **ret_pool)
{
    struct aw_redis_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return -ENOMEM;
    pool->options = cluster->options;
    pool->options.changed = changed;
    pool->options.context = context;
    pool->endpoint = *node;
    pool->borrows_tls = true;
    strcpy(pool->client_name, cluster->client_name);
    init_tasks(pool);
    int result = init_lanes(pool);
    if (result == 0)
        result = aw_group_spawn(&cluster->group, redis_pool_supervise, pool);
    if (result < 0) {
        free_pool(pool);
        return result;
    }
    *ret_pool = pool;
    return 0;
}

int aw_redis_pool_create(const struct aw_redis_options *options, struct aw_group *group,
                         struct aw_redis_pool **ret_pool, struct aw_error *reterr)
{
    struct aw_redis_pool *pool = calloc(1, sizeof *pool);
    if (!pool) return aw_error_set(reterr, -ENOMEM, "no memory for a Redis pool");
    int result = init_pool(pool, options, reterr);
    if (result == 0) {
        result = aw_group_spawn(
            group, pool->cluster ? redis_cluster_supervise : redis_pool_supervise, pool);
        if (result < 0)
            aw_error_set(reterr, result, "cannot start the task of a Redis pool: %s",
                         aw_error_text(result));
    }
    if (result < 0) {
        free_pool(pool);
        return result;
    }
    *ret_pool = pool;
    return 0;
}

void aw_redis_pool_close(struct aw_redis_pool *pool)
{
    if (!pool) return;
    pool->closing = true;
    aw_event_set(&pool->wanted);
    /* Without a deadline: the supervisor cancels all it waits for. The pool's memory must not go
     * before. */
    struct aw_scope shield;
    aw_shield_enter(&shield, AW_NEVER);
    while (!pool->stopped.set)
        if (aw_event_wait(&pool->stopped) < 0) break;
    if (pool->cluster)
        redis_cluster_close(pool->cluster);
    aw_scope_leave(&shield);
    free_pool(pool);
}

static void measure(size_t count, const char *const arguments[], size_t sizes[])
{
    for (size_t i = 0; i < count; i++) sizes[i] = strlen(arguments[i]);
}

static int classify(size_t count, const char *const arguments[], const size_t sizes[],
                    enum redis_use *ret_use, struct aw_error *reterr)
{
    if (count == 0 || sizes[0] == 0)
        return aw_error_set(reterr, -EINVAL, "a Redis command needs at least its name");
    if (count > ARGUMENTS_MAX)
        return aw_error_set(reterr, -EINVAL, "a Redis command has at most %d arguments",
                            ARGUMENTS_MAX);
    const char *reason = NULL;
    *ret_use = redis_use_of(count, arguments, sizes, &reason);
    if (*ret_use == REDIS_USE_REFUSED)
        return aw_error_set(reterr, -EOPNOTSUPP, "%.*s is refused: %s",
                            sizes[0] > 32 ? 32 : (int)sizes[0], arguments[0], reason);
    return 0;
}

int aw_redis_check(size_t count, const char *const arguments[], const size_t sizes[],
                   struct aw_error *reterr)
{
    enum redis_use use;
    if (sizes || count == 0) return classify(count, arguments, sizes, &use, reterr);
    size_t *measured = count <= ARGUMENTS_MAX ? malloc(count * sizeof *measured) : NULL;
    if (!measured) return aw_error_set(reterr, -ENOMEM, "no memory for a Redis command");
    measure(count, arguments, measured);
    int result = classify(count, arguments, measured, &use, reterr);
    free(measured);
    return result;
}

int redis_command_leave(struct redis_command *command, int number, struct aw_error *reterr)
{
    if (command->state == REDIS_QUEUED) {
        redis_list_remove(command);
        free(command);
        return aw_error_set_code(reterr, number, "WITHDRAWN",
                                 "interrupted before the command was sent: it did not run");
    }
    command->abandoned = true;
    command->reterr = NULL;
    return aw_error_set_code(reterr, number, "UNKNOWN",
                             "interrupted after the command was sent: it may have run");
}

static int run(struct aw_redis_pool *pool, enum redis_lane lane, struct redis_command *command,
               struct aw_redis_reply **ret_reply, struct aw_error *reterr)
{
    int result = redis_pool_submit(pool, lane, command);
    if (result < 0) {
        free(command);
        return aw_error_set(reterr, result, "%s", result == -ENOTCONN ? pool->down_reason
                                                                      : aw_error_text(result));
    }
    result = aw_event_wait(&command->answered);
    /* The pool may be gone by now, unless the command still stands in it. */
    if (command->state != REDIS_ANSWERED) {
        /* Redis takes a blocked command back when its connection closes. */
        if (lane == REDIS_LANE_BLOCKING && command->state == REDIS_SENT)
            redis_connection_break(command->connection, -ESHUTDOWN, "its command was given up");
        return redis_command_leave(command, result, reterr);
    }
    result = command->result;
    if (result == 0) *ret_reply = command->reply;
    free(command);
    return result;
}

int redis_command_make(struct aw_redis_pool *pool, size_t count, const char *const arguments[],
                       const size_t sizes[], size_t reply_size_max,
                       struct redis_command **ret_command, struct aw_error *reterr)
{
    size_t wire_size = redis_command_size(count, sizes);
    if (wire_size > pool->options.command_size_max)
        return aw_error_set(reterr, -E2BIG, "the Redis command is larger than %zu bytes",
                            pool->options.command_size_max);
    int result = aw_interrupted();
    if (result < 0)
        return aw_error_set_code(reterr, result, "WITHDRAWN",
                                 "interrupted before the command was sent: it did not run");
    if (pool->closing)
        return aw_error_set(reterr, -ESHUTDOWN, "the Redis pool is being closed");
    struct redis_command *command = malloc(sizeof *command);
    if (!command) return aw_error_set(reterr, -ENOMEM, "no memory for a Redis command");
    size_t reply_max = pool->options.reply_size_max;
    if (reply_size_max > 0 && reply_size_max < reply_max) reply_max = reply_size_max;
    *command = (struct redis_command){.count = count,
                                      .arguments = arguments,
                                      .sizes = sizes,
                                      .wire_size = wire_size,
                                      .reply_size_max = reply_max,
                                      .reterr = reterr};
    aw_event_init(&command->answered);
    *ret_command = command;
    return 0;
}

int redis_pool_run(struct aw_redis_pool *pool, const struct redis_request *request,
                   struct aw_redis_reply **ret_reply, struct aw_error *reterr)
{
    struct redis_command *command = NULL;
    int result = redis_command_make(pool, request->count, request->arguments, request->sizes,
                                    request->reply_size_max, &command, reterr);
    if (result < 0) return result;
    command->is_asking = request->is_asking;
    return run(pool, request->lane, command, ret_reply, reterr);
}

static int send_measured(struct aw_redis_pool *pool, size_t count, const char *const arguments[],
                         const size_t sizes[], size_t reply_size_max,
                         struct aw_redis_reply **ret_reply, struct aw_error *reterr)
{
    enum redis_use use;
    int result = classify(count, arguments, sizes, &use, reterr);
    if (result < 0) return result;
    struct redis_request request = {
        .lane = use == REDIS_USE_BLOCKING ? REDIS_LANE_BLOCKING : REDIS_LANE_SHARED,
        .count = count,
        .arguments = arguments,
        .sizes = sizes,
        .reply_size_max = reply_size_max,
    };
    return pool->cluster ? redis_cluster_run(pool->cluster, &request, ret_reply, reterr)
                         : redis_pool_run(pool, &request, ret_reply, reterr);
}

int aw_redis_lease_check(size_t count, const char *const arguments[], const size_t sizes[],
                         struct aw_error *reterr)
{
    enum redis_use use;
    int result = classify(count, arguments, sizes, &use, reterr);
    if (result != -EOPNOTSUPP) return result;
    const char *reason = redis_lease_refusal(count, arguments, sizes);
    if (!reason) return 0;
    return aw_error_set(reterr, -EOPNOTSUPP, "%.*s is refused: %s",
                        sizes[0] > 32 ? 32 : (int)sizes[0], arguments[0], reason);
}

int aw_redis_command(struct aw_redis_pool *pool, size_t count, const char *const arguments[],
                     const size_t sizes[], size_t reply_size_max,
                     struct aw_redis_reply **ret_reply, struct aw_error *reterr)
{
    if (sizes || count == 0)
        return send_measured(pool, count, arguments, sizes, reply_size_max, ret_reply, reterr);
    size_t *measured = count <= ARGUMENTS_MAX ? malloc(count * sizeof *measured) : NULL;
    if (!measured) return aw_error_set(reterr, -ENOMEM, "no memory for a Redis command");
    measure(count, arguments, measured);
    int result =
        send_measured(pool, count, arguments, measured, reply_size_max, ret_reply, reterr);
    free(measured);
    return result;
}
