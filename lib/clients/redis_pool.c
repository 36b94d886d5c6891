/* redis_pool.c - see redis_pool.h: which connection a command goes to, when connections open, and
 * whether the server counts as up. */
#include "clients/redis_pool.h"

#include "clients/redis_handshake.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BACKOFF_MIN_MS UINT64_C(100)
#define BACKOFF_MAX_MS UINT64_C(5000)
#define SHORT_LIFE_MS 1000 /* a connection lost sooner counts as a failure: do not spin */

/* --- up and down ------------------------------------------------------------------------------ */

void redis_pool_set_up(struct aw_redis_pool *pool)
{
    if (pool->up || pool->closing) return;
    pool->up = true;
    pool->down_reason[0] = '\0';
    if (pool->options.changed) pool->options.changed(pool->options.context, true, "");
}

static void fail_waiting(struct redis_lane_state *lane, int number, const char *reason)
{
    struct redis_command *command;
    while ((command = redis_list_take(&lane->waiting)))
        redis_command_answer(command, number, NULL, reason, NULL);
}

void redis_pool_set_down(struct aw_redis_pool *pool, const char *reason)
{
    if (pool->closing) return;
    bool news = pool->up || strcmp(pool->down_reason, reason) != 0;
    pool->up = false;
    snprintf(pool->down_reason, sizeof pool->down_reason, "%s", reason);
    for (int lane = 0; lane < REDIS_LANES; lane++)
        fail_waiting(&pool->lanes[lane], -ENOTCONN, pool->down_reason);
    if (news && pool->options.changed)
        pool->options.changed(pool->options.context, false, pool->down_reason);
}

/* 100 ms doubling to 5 s, and of that a random half: clients of one server must not come back all
 * at once. */
static void back_off(struct aw_redis_pool *pool)
{
    uint64_t delay_ms = BACKOFF_MAX_MS;
    if (pool->failures < 6) delay_ms = BACKOFF_MIN_MS << pool->failures;
    if (delay_ms > BACKOFF_MAX_MS) delay_ms = BACKOFF_MAX_MS;
    if (pool->failures < UINT32_MAX) pool->failures++;
    delay_ms = delay_ms / 2 + aw_random_below(delay_ms / 2 + 1);
    pool->retry_at_ns = aw_after_ms(delay_ms);
}

void redis_pool_served(struct aw_redis_pool *pool)
{
    pool->failures = 0;
}

bool aw_redis_pool_is_up(const struct aw_redis_pool *pool)
{
    return pool->up;
}

void redis_pool_suspect(struct aw_redis_pool *pool, const char *reason)
{
    if (pool->closing || !pool->up) return;
    back_off(pool);
    struct redis_lane_state *shared = &pool->lanes[REDIS_LANE_SHARED];
    for (uint32_t i = 0; i < shared->size; i++) redis_connection_retire(&shared->connections[i]);
    char text[AW_ERROR_MESSAGE_SIZE * 2];
    snprintf(text, sizeof text, "%s does not serve now: %s", pool->endpoint.label, reason);
    text[AW_ERROR_MESSAGE_SIZE - 1] = '\0';
    redis_pool_set_down(pool, text);
    aw_event_set(&pool->wanted);
}

void redis_pool_moved(struct aw_redis_pool *pool, const struct redis_endpoint *master)
{
    bool same = pool->generation > 0 && strcmp(pool->endpoint.host, master->host) == 0 &&
                pool->endpoint.port == master->port;
    if (same || pool->closing)
        return;
    AW_IGNORE(redis_endpoint_place(&pool->endpoint, master->host, strlen(master->host),
                                   master->port));
    pool->generation++;
    pool->failures = 0;
    pool->retry_at_ns = 0;
    /* Also what is in flight: an old master may hang, and what it answers counts no more. */
    for (int lane = 0; lane < REDIS_LANES; lane++)
        for (uint32_t i = 0; i < pool->lanes[lane].size; i++)
            if (pool->lanes[lane].connections[i].state == REDIS_CONNECTION_READY)
                redis_connection_break(&pool->lanes[lane].connections[i], -ECONNRESET,
                                       "another server has become the master");
    aw_event_set(&pool->wanted);
}

/* --- opening connections ---------------------------------------------------------------------- */

static bool usable(const struct redis_connection *connection)
{
    return (connection->state == REDIS_CONNECTION_OPENING ||
            connection->state == REDIS_CONNECTION_READY) &&
           !connection->retiring && !connection->broken;
}

static uint32_t count_state(const struct redis_lane_state *lane, enum redis_connection_state state)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < lane->size; i++)
        if (lane->connections[i].state == state && usable(&lane->connections[i])) count++;
    return count;
}

static bool has_usable(const struct redis_lane_state *lane)
{
    return count_state(lane, REDIS_CONNECTION_OPENING) + count_state(lane, REDIS_CONNECTION_READY) >
           0;
}

/* Starts opening a connection if a slot is free. 0, or a negative errno: no task could be started.
 * */
static int open_another(struct aw_redis_pool *pool, enum redis_lane lane)
{
    struct redis_lane_state *state = &pool->lanes[lane];
    for (uint32_t i = 0; i < state->size; i++) {
        struct redis_connection *connection = &state->connections[i];
        if (connection->state != REDIS_CONNECTION_CLOSED) continue;
        connection->state = REDIS_CONNECTION_OPENING;
        connection->retiring = false;
        connection->broken = 0;
        int result = aw_group_spawn(&pool->group, redis_connection_run, connection);
        if (result < 0) connection->state = REDIS_CONNECTION_CLOSED;
        return result;
    }
    return 0;
}

void redis_pool_connection_ready(struct redis_connection *connection)
{
    if (connection->lane == REDIS_LANE_LEASED) return redis_lease_ready(connection);
    redis_pool_set_up(connection->pool);
    redis_pool_feed(connection);
}

void redis_pool_connection_failed(struct redis_connection *connection,
                                  const struct aw_error *error)
{
    struct aw_redis_pool *pool = connection->pool;
    struct redis_lane_state *lane = &pool->lanes[connection->lane];
    if (connection->lane == REDIS_LANE_LEASED) return redis_lease_gone(connection, error->message);
    back_off(pool);
    if (count_state(&pool->lanes[REDIS_LANE_SHARED], REDIS_CONNECTION_READY) == 0)
        redis_pool_set_down(pool, error->message);
    else if (!has_usable(lane))
        fail_waiting(lane, -ENOTCONN, error->message);
    aw_event_set(&pool->wanted);
}

void redis_pool_connection_lost(struct redis_connection *connection)
{
    struct aw_redis_pool *pool = connection->pool;
    if (connection->lane == REDIS_LANE_LEASED)
        return redis_lease_gone(connection, connection->broken_reason);
    uint64_t life_ns = aw_now_ns() - connection->opened_ns;
    bool by_server = connection->broken != -ESHUTDOWN;
    if (by_server && life_ns < SHORT_LIFE_MS * AW_NS_PER_MS)
        back_off(pool);
    else if (by_server)
        pool->failures = 0;
    redis_pool_rebalance(pool, connection->lane);
    /* The supervisor looks after the shared lane only. */
    struct redis_lane_state *blocking = &pool->lanes[REDIS_LANE_BLOCKING];
    if (blocking->waiting.first && !has_usable(blocking) && !pool->closing) {
        int result = open_another(pool, REDIS_LANE_BLOCKING);
        if (result < 0) fail_waiting(blocking, -ENOTCONN, aw_error_text(result));
    }
}

/* --- commands --------------------------------------------------------------------------------- */

void redis_pool_feed(struct redis_connection *connection)
{
    struct redis_lane_state *lane = &connection->pool->lanes[connection->lane];
    while (lane->waiting.first && redis_connection_room(connection) > 0)
        redis_connection_queue(connection, redis_list_take(&lane->waiting));
}

void redis_pool_rebalance(struct aw_redis_pool *pool, enum redis_lane lane)
{
    struct redis_lane_state *state = &pool->lanes[lane];
    for (uint32_t i = 0; i < state->size && state->waiting.first; i++)
        redis_pool_feed(&state->connections[i]);
    aw_event_set(&pool->wanted);
}

/* The connection with the most room, NULL if none has any. */
static struct redis_connection *roomiest(const struct redis_lane_state *lane)
{
    struct redis_connection *best = NULL;
    uint32_t best_room = 0;
    for (uint32_t i = 0; i < lane->size; i++) {
        uint32_t room = redis_connection_room(&lane->connections[i]);
        if (room <= best_room) continue;
        best = &lane->connections[i];
        best_room = room;
    }
    return best;
}

int redis_pool_submit(struct aw_redis_pool *pool, enum redis_lane lane,
                      struct redis_command *command)
{
    if (!pool->up) return -ENOTCONN;
    struct redis_lane_state *state = &pool->lanes[lane];
    struct redis_connection *connection = state->waiting.first ? NULL : roomiest(state);
    bool crowded = !connection ||
                   state->in_flight_max - redis_connection_room(connection) >= state->spread;
    /* Blocking commands would otherwise wait for each other; for shared ones one connection at a
     * time is opened, and none while the server is being given a rest. */
    bool may_open = lane == REDIS_LANE_BLOCKING ||
                    (count_state(state, REDIS_CONNECTION_OPENING) == 0 &&
                     aw_now_ns() >= pool->retry_at_ns);
    if (crowded && may_open) {
        int result = open_another(pool, lane);
        if (result < 0 && !connection && !has_usable(state)) return result;
    }
    if (connection)
        redis_connection_queue(connection, command);
    else
        redis_list_append(&state->waiting, command);
    return 0;
}

/* --- supervisor ------------------------------------------------------------------------------- */

/* Opens the connection that must always be there; returns when to look again. */
static uint64_t keep_one_open(struct aw_redis_pool *pool)
{
    if (has_usable(&pool->lanes[REDIS_LANE_SHARED])) return AW_NEVER;
    if (aw_now_ns() < pool->retry_at_ns) return pool->retry_at_ns;
    int result = open_another(pool, REDIS_LANE_SHARED);
    if (result == 0) return AW_NEVER;
    back_off(pool);
    redis_pool_set_down(pool, aw_error_text(result));
    return pool->retry_at_ns;
}

int redis_pool_connect(struct aw_redis_pool *pool, struct redis_link *link,
                       struct redis_parser *parser, struct aw_error *reterr)
{
    if (pool->sentinel)
        return redis_sentinel_connect(pool, link, parser, reterr);
    const struct redis_endpoint *endpoint =
        pool->cluster ? redis_cluster_any(pool->cluster) : &pool->endpoint;
    if (!endpoint)
        return aw_error_set(reterr, -ENOTCONN, "%s",
                            pool->up ? "no node of the cluster is known yet" : pool->down_reason);
    struct aw_scope timeout;
    aw_scope_enter(&timeout, aw_after_ms(pool->options.connect_timeout_ms));
    int result = redis_handshake(link, endpoint, pool->client_name, parser, reterr);
    aw_scope_leave(&timeout);
    if (result == -ETIME)
        return aw_error_set(reterr, -ETIMEDOUT, "no answer from %s within %u ms", endpoint->label,
                            (unsigned)pool->options.connect_timeout_ms);
    return result;
}

int redis_pool_supervise(void *argument)
{
    struct aw_redis_pool *pool = argument;
    int listening = pool->sentinel ? aw_group_spawn(&pool->group, redis_sentinel_listen, pool) : 0;
    if (listening < 0) /* it is found out all the same, by each new connection */
        redis_pool_set_down(pool, aw_error_text(listening));
    while (!pool->closing) {
        aw_event_clear(&pool->wanted);
        struct aw_scope pause;
        aw_scope_enter(&pause, keep_one_open(pool));
        int result = aw_event_wait(&pool->wanted);
        aw_scope_leave(&pause);
        if (result < 0 && aw_interrupted() != 0) break;
    }
    pool->closing = true;
    aw_group_cancel(&pool->group);
    int result = aw_group_wait(&pool->group);
    for (int lane = 0; lane < REDIS_LANES; lane++)
        fail_waiting(&pool->lanes[lane], -ESHUTDOWN, "the Redis pool is being closed");
    aw_event_set(&pool->stopped);
    return result == -ECANCELED ? 0 : result;
}
