/* http_client.c - a client's options, its opening and its end. */
#include "clients/http_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_DEFAULT 256u
#define CONNECTIONS_LIMIT 65536u
#define CONNECTIONS_PER_HOST_DEFAULT 32u
#define CONNECT_TIMEOUT_DEFAULT_MS 10000u
#define REDIRECTS_DEFAULT 10u
#define REDIRECTS_LIMIT 100
#define RESPONSE_SIZE_DEFAULT (UINT64_C(16) * 1024 * 1024)

/* --- calls ----------------------------------------------------------------------------------- */

void http_call_enter(struct aw_http_client *client, struct http_client_call *call,
                     uint64_t deadline_ns)
{
    aw_scope_enter(&call->scope, deadline_ns);
    LIST_INSERT_HEAD(&client->calls, call, link);
    aw_event_clear(&client->idle);
    if (client->closing)
        aw_scope_cancel(&call->scope);
}

void http_call_leave(struct aw_http_client *client, struct http_client_call *call)
{
    aw_scope_leave(&call->scope);
    LIST_REMOVE(call, link);
    if (LIST_EMPTY(&client->calls))
        aw_event_set(&client->idle);
}

int http_call_interrupted(const struct aw_http_client *client, const struct http_client_call *call,
                          int interruption, bool sent, struct aw_error *reterr)
{
    if (client->closing)
        return aw_error_set_code(reterr, -ESHUTDOWN, "CLOSED", "the HTTP client was closed");
    if (interruption == -ETIME && aw_scope_expired(&call->scope))
        return aw_error_set_code(reterr, -ETIMEDOUT, "TIMEOUT",
                                 "the request was not answered within its timeout");
    return aw_error_set_code(reterr, interruption, sent ? "STOPPED" : "WITHDRAWN",
                             "the request was %s %s",
                             interruption == -ETIME ? "past its deadline" : "cancelled",
                             sent ? "after it had been sent" : "before it was sent");
}

/* --- opening --------------------------------------------------------------------------------- */

int aw_http_check_proxy(const char *proxy, struct aw_error *reterr)
{
    struct aw_http_origin origin;
    if (http_origin_of_proxy(proxy, &origin) == 0)
        return 0;
    return aw_error_set_code(reterr, -EINVAL, "REQUEST",
                             "the proxy must be http://host:port, https://host:port, "
                             "socks5h://host:port or socks4a://host:port");
}

static int check_options(const struct aw_http_options *options, struct aw_error *reterr)
{
    if (options->connections_max > CONNECTIONS_LIMIT ||
        options->connections_per_host_max > CONNECTIONS_LIMIT)
        return aw_error_set_code(reterr, -EINVAL, "REQUEST",
                                 "an HTTP client can have at most %u connections",
                                 CONNECTIONS_LIMIT);
    if (options->redirects_max < -1 || options->redirects_max > REDIRECTS_LIMIT)
        return aw_error_set_code(reterr, -EINVAL, "REQUEST",
                                 "redirects_max must be from -1 to %d", REDIRECTS_LIMIT);
    if (options->key != NULL && options->certificate == NULL)
        return aw_error_set_code(reterr, -EINVAL, "REQUEST", "there is a key without certificate");
    if (options->no_proxy != NULL && http_proxy_skips(options->no_proxy, "") == -EINVAL)
        return aw_error_set_code(reterr, -EINVAL, "REQUEST",
                                 "no_proxy must list hosts and networks such as "
                                 "\"localhost, example.org, 10.0.0.0/8\"");
    return options->proxy != NULL ? aw_http_check_proxy(options->proxy, reterr) : 0;
}

static uint32_t or_default(uint32_t number, uint32_t otherwise)
{
    return number != 0 ? number : otherwise;
}

static int copy_option(char **ret_copy, const char *text)
{
    *ret_copy = text != NULL ? strdup(text) : NULL;
    return text != NULL && *ret_copy == NULL ? -ENOMEM : 0;
}

static int take_options(struct aw_http_client *client, const struct aw_http_options *options)
{
    client->connections_per_host_max =
        or_default(options->connections_per_host_max, CONNECTIONS_PER_HOST_DEFAULT);
    client->connect_timeout_ms =
        or_default(options->connect_timeout_ms, CONNECT_TIMEOUT_DEFAULT_MS);
    client->timeout_ms = options->timeout_ms;
    client->redirects_max = options->redirects_max == 0   ? REDIRECTS_DEFAULT
                            : options->redirects_max == -1 ? 0
                                                           : (uint32_t)options->redirects_max;
    client->response_size_max =
        options->response_size_max != 0 ? options->response_size_max : RESPONSE_SIZE_DEFAULT;
    client->accept_anybody = options->accept_anybody;
    int result = copy_option(&client->ca_file, options->ca_file);
    if (result == 0)
        result = copy_option(&client->certificate, options->certificate);
    if (result == 0)
        result = copy_option(&client->key, options->key);
    if (result == 0)
        result = copy_option(&client->proxy, options->proxy);
    if (result == 0)
        result = copy_option(&client->no_proxy, options->no_proxy);
    if (result == 0)
        result = copy_option(&client->user_agent, options->user_agent != NULL
                                                      ? options->user_agent
                                                      : "libawait/" AWAITD_VERSION);
    if (result == 0 && options->proxy != NULL) {
        struct aw_http_origin name;
        result = http_origin_of_proxy(options->proxy, &name);
        if (result == 0)
            result = http_origin_get(client, &name, &client->proxy_origin);
    }
    return result;
}

static void free_client(struct aw_http_client *client)
{
    if (client->multi != NULL)
        http_curl.multi_cleanup(client->multi); /* takes every socket off its watch */
    aw_group_cancel(&client->group);
    AW_IGNORE(aw_group_wait(&client->group));
    http_origins_free(client);
    free(client->ca_file);
    free(client->certificate);
    free(client->key);
    free(client->proxy);
    free(client->no_proxy);
    free(client->user_agent);
    free(client);
    http_curl.global_cleanup();
}

static int start(struct aw_http_client *client, uint32_t connections_max)
{
    client->multi = http_curl.multi_init();
    if (client->multi == NULL)
        return -ENOMEM;
    /* idle connections too: without a limit each host would keep some for ever */
    http_curl.multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)connections_max);
    http_curl.multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)connections_max);
    return http_loop_start(client);
}

int aw_http_client_open(struct aw_http_client **ret_client, const struct aw_http_options *options,
                        struct aw_error *reterr)
{
    const struct aw_http_options none = {0};
    options = options != NULL ? options : &none;
    if (aw_current() == NULL)
        return aw_error_set_code(reterr, -EPERM, "REQUEST",
                                 "an HTTP client can only be opened inside aw_run");
    int result = check_options(options, reterr);
    if (result < 0)
        return result;
    result = http_curl_load(reterr);
    if (result < 0)
        return result;
    if (http_curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return aw_error_set_code(reterr, -ENOMEM, "FAILED", "libcurl cannot start");
    struct aw_http_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        http_curl.global_cleanup();
        return aw_error_set_code(reterr, -ENOMEM, "FAILED", "no memory for an HTTP client");
    }
    uint32_t connections_max = or_default(options->connections_max, CONNECTIONS_DEFAULT);
    aw_group_init(&client->group, AW_GROUP_COLLECT);
    TAILQ_INIT(&client->origins);
    aw_semaphore_init(&client->places, connections_max);
    aw_event_init(&client->idle);
    aw_event_set(&client->idle);
    result = take_options(client, options);
    if (result == 0)
        result = start(client, connections_max);
    if (result < 0) {
        free_client(client);
        return aw_error_set_code(reterr, result, "FAILED", "cannot open an HTTP client: %s",
                                 aw_error_text(result));
    }
    *ret_client = client;
    return 0;
}

/* --- closing --------------------------------------------------------------------------------- */

/* A stream between two reads: it stays its owner's, without a client. */
static void cut_off(struct http_transfer *transfer)
{
    http_transfer_detach(transfer);
    transfer->failure = -ESHUTDOWN;
    aw_event_set(&transfer->progress);
}

void aw_http_client_close(struct aw_http_client *client)
{
    if (client == NULL)
        return;
    struct aw_scope shield;
    aw_shield_enter(&shield, AW_NEVER); /* the calls end by themselves: they are cancelled */
    client->closing = true;
    struct http_client_call *call;
    LIST_FOREACH(call, &client->calls, link)
    {
        aw_scope_cancel(&call->scope);
    }
    while (!LIST_EMPTY(&client->calls)) {
        AW_IGNORE(aw_event_wait(&client->idle));
        if (!LIST_EMPTY(&client->calls))
            aw_event_clear(&client->idle);
    }
    while (!LIST_EMPTY(&client->transfers))
        cut_off(LIST_FIRST(&client->transfers));
    free_client(client);
    aw_scope_leave(&shield);
}
