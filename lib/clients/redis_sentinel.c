/* redis_sentinel.c - see redis_sentinel.h. */
#include "clients/redis_sentinel.h"

#include "clients/redis_handshake.h"
#include "clients/redis_pool.h"

#include <await.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE 4096
#define MESSAGE_SIZE_MAX 65536
#define LISTEN_PAUSE_MS 1000 /* before the next sentinel is listened to */

int redis_sentinel_make(struct redis_sentinel **ret_sentinel, const struct redis_site *site,
                        struct aw_tls_context *tls)
{
    struct redis_sentinel *sentinel = calloc(1, sizeof *sentinel);
    if (!sentinel)
        return -ENOMEM;
    strcpy(sentinel->master, site->master);
    sentinel->count = site->address_count;
    for (uint32_t i = 0; i < sentinel->count; i++) {
        sentinel->sentinels[i] = site->addresses[i];
        sentinel->sentinels[i].tls = tls;
    }
    *ret_sentinel = sentinel;
    return 0;
}

/* --- asking ----------------------------------------------------------------------------- */

static bool is_text(const struct aw_redis_reply *reply)
{
    return reply->type == AW_REDIS_STRING;
}

static bool parse_port(const struct aw_redis_reply *reply, uint16_t *ret_port)
{
    uint32_t port = 0;
    if (!is_text(reply) || !redis_uri_number(reply->text, reply->size, 65535, &port) || port == 0)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

/* Takes a host and a port as Redis gives them. */
static bool place(struct redis_endpoint *endpoint, const struct aw_redis_reply *host,
                  const struct aw_redis_reply *port)
{
    uint16_t number = 0;
    return is_text(host) && parse_port(port, &number) &&
           redis_endpoint_place(endpoint, host->text, host->size, number);
}

static int read_address(const struct redis_sentinel *sentinel, const struct redis_endpoint *asked,
                        const struct aw_redis_reply *reply, struct redis_endpoint *master,
                        struct aw_error *reterr)
{
    if (reply->type == AW_REDIS_ERROR)
        return aw_error_set(reterr, -EREMOTEIO, "the sentinel, %s, refused to name the master: %s",
                            asked->label, reply->text);
    if (reply->type == AW_REDIS_NULL)
        return aw_error_set(reterr, -ENOENT, "the sentinel, %s, knows no master named %s",
                            asked->label, sentinel->master);
    if (reply->type != AW_REDIS_ARRAY || reply->count != 2 ||
        !place(master, reply->elements[0], reply->elements[1]))
        return aw_error_set(reterr, -EPROTO, "%s gave no address; is it a sentinel?", asked->label);
    return 0;
}

static int ask(const struct redis_sentinel *sentinel, const struct redis_endpoint *asked,
               const char *client_name, struct redis_endpoint *master, struct aw_error *reterr)
{
    struct redis_link link;
    struct redis_parser parser;
    struct aw_redis_reply *reply = NULL;
    redis_parser_init(&parser);
    int result = redis_handshake(&link, asked, client_name, &parser, reterr);
    if (result == 0) {
        const char *words[] = {"SENTINEL", "get-master-addr-by-name", sentinel->master};
        result = redis_exchange(&link, &parser, 3, words, &reply);
        if (result < 0)
            aw_error_set(reterr, result, "no answer from the sentinel, %s: %s", asked->label,
                         aw_error_text(result));
        redis_link_close(&link);
    }
    if (result == 0) {
        result = read_address(sentinel, asked, reply, master, reterr);
        aw_redis_reply_free(reply);
    }
    redis_parser_free(&parser);
    return result;
}

/* Fills in where the master is. */
static int find_master(struct aw_redis_pool *pool, struct redis_endpoint *master,
                       struct aw_error *reterr)
{
    struct redis_sentinel *sentinel = pool->sentinel;
    uint32_t first = sentinel->next;
    int result = -ENOTCONN;
    for (uint32_t i = 0; i < sentinel->count && aw_interrupted() == 0; i++) {
        uint32_t at = (first + i) % sentinel->count;
        struct aw_scope timeout;
        aw_scope_enter(&timeout, aw_after_ms(pool->options.connect_timeout_ms));
        result = ask(sentinel, &sentinel->sentinels[at], pool->client_name, master, reterr);
        aw_scope_leave(&timeout);
        if (result == -ETIME)
            result = aw_error_set(reterr, -ETIMEDOUT,
                                  "no answer from the sentinel, %s, within "
                                  "%u ms",
                                  sentinel->sentinels[at].label,
                                  (unsigned)pool->options.connect_timeout_ms);
        sentinel->next = result == 0 ? at : (at + 1) % sentinel->count;
        if (result == 0)
            return 0;
    }
    return result;
}

int redis_sentinel_connect(struct aw_redis_pool *pool, struct redis_link *link,
                           struct redis_parser *parser, struct aw_error *reterr)
{
    struct redis_endpoint master = pool->endpoint;
    int result = find_master(pool, &master, reterr);
    if (result < 0)
        return result;
    struct aw_scope timeout;
    aw_scope_enter(&timeout, aw_after_ms(pool->options.connect_timeout_ms));
    result = redis_handshake(link, &master, pool->client_name, parser, reterr);
    if (result == 0) {
        result = redis_check_master(link, &master, parser, reterr);
        if (result < 0)
            redis_link_close(link);
    }
    aw_scope_leave(&timeout);
    if (result == -ETIME)
        result = aw_error_set(reterr, -ETIMEDOUT, "no answer from %s within %u ms", master.label,
                              (unsigned)pool->options.connect_timeout_ms);
    if (result == 0)
        redis_pool_moved(pool, &master);
    explicit_bzero(&master, sizeof master);
    return result;
}

/* --- listening -------------------------------------------------------------------------- */

/* "<master> <old host> <old port> <new host> <new port>" */
static void take_switch(struct aw_redis_pool *pool, char *text)
{
    char *rest = text;
    char *words[5] = {0};
    for (int i = 0; i < 5; i++)
        words[i] = strsep(&rest, " ");
    uint32_t port = 0;
    if (!words[4] || rest || strcmp(words[0], pool->sentinel->master) != 0 ||
        !redis_uri_number(words[4], strlen(words[4]), 65535, &port))
        return;
    struct redis_endpoint master = pool->endpoint;
    if (redis_endpoint_place(&master, words[3], strlen(words[3]), (uint16_t)port))
        redis_pool_moved(pool, &master);
    explicit_bzero(&master, sizeof master);
}

static void take_push(struct aw_redis_pool *pool, const struct aw_redis_reply *push)
{
    if (push->type == AW_REDIS_ARRAY && push->count == 3 && is_text(push->elements[0]) &&
        strcmp(push->elements[0]->text, "message") == 0 && is_text(push->elements[2]))
        take_switch(pool, push->elements[2]->text);
}

/* Until the connection ends. */
static void listen_on(struct aw_redis_pool *pool, struct redis_link *link,
                      struct redis_parser *parser)
{
    char chunk[CHUNK_SIZE];
    for (;;) {
        int received = redis_link_receive(link, chunk, sizeof chunk);
        for (int taken = 0; received > 0 && taken < received;) {
            struct aw_redis_reply *push = NULL;
            size_t used = 0;
            if (!parser->begun)
                redis_parser_begin(parser, MESSAGE_SIZE_MAX, MESSAGE_SIZE_MAX, false);
            int result =
                redis_parser_feed(parser, chunk + taken, (size_t)(received - taken), &used, &push);
            if (result < 0)
                return;
            if (result == REDIS_PARSED_REPLY) {
                take_push(pool, push);
                aw_redis_reply_free(push);
            }
            taken += (int)used;
        }
        if (received <= 0)
            return;
    }
}

/* What was said before this connection may have been missed: so it asks, too. */
static int subscribe(struct aw_redis_pool *pool, const struct redis_endpoint *sentinel,
                     struct redis_link *link, struct redis_parser *parser)
{
    struct aw_redis_reply *reply = NULL;
    struct aw_scope timeout;
    aw_scope_enter(&timeout, aw_after_ms(pool->options.connect_timeout_ms));
    int result = redis_handshake(link, sentinel, pool->client_name, parser, NULL);
    if (result == 0) {
        result = redis_exchange(link, parser, 2, (const char *[]){"SUBSCRIBE", "+switch-master"},
                                &reply);
        if (result == 0 && reply->type == AW_REDIS_ERROR)
            result = -EREMOTEIO;
        aw_redis_reply_free(reply);
        if (result < 0)
            redis_link_close(link);
    }
    aw_scope_leave(&timeout);
    return result;
}

int redis_sentinel_listen(void *argument)
{
    struct aw_redis_pool *pool = argument;
    struct redis_sentinel *sentinel = pool->sentinel;
    aw_task_set_name(NULL, "redis sentinel");
    for (uint32_t turn = 0; aw_interrupted() == 0; turn++) {
        const struct redis_endpoint *at = &sentinel->sentinels[turn % sentinel->count];
        struct redis_link link;
        struct redis_parser parser;
        redis_parser_init(&parser);
        if (subscribe(pool, at, &link, &parser) == 0) {
            struct redis_endpoint master = pool->endpoint;
            if (find_master(pool, &master, NULL) == 0 && pool->generation > 0)
                redis_pool_moved(pool, &master);
            listen_on(pool, &link, &parser);
            redis_link_close(&link);
        }
        redis_parser_free(&parser);
        (void)aw_sleep(LISTEN_PAUSE_MS);
    }
    return 0;
}
