/* http_exchange.c - a request up to its response, across redirects, under its deadline.
 *
 * Redirects are followed here, not by libcurl: each new host is resolved off the loop, waits for
 * its own places, and may be refused by the caller. */
#include "clients/http_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Whether what the caller waits for has come. */
static bool has_come(const struct http_transfer *transfer)
{
    if (transfer->done || transfer->failure < 0)
        return true;
    switch (transfer->body_mode) {
    case HTTP_BODY_DROP:
        return transfer->dropped > HTTP_REDIRECT_BODY_MAX;
    case HTTP_BODY_STREAM:
        return transfer->head.complete;
    case HTTP_BODY_COLLECT:
        break;
    }
    return false;
}

int http_transfer_wait(struct http_transfer *transfer, bool (*come)(const struct http_transfer *))
{
    while (!come(transfer)) {
        int result = aw_event_wait(&transfer->progress);
        aw_event_clear(&transfer->progress);
        if (result < 0 && !come(transfer))
            return result;
    }
    return 0;
}

/* A kept connection was closed: libcurl tries again by itself when it sees that before or after it
 * sends, but not when it sees it in the middle of a body. */
static bool was_stale(const struct http_transfer *transfer)
{
    return transfer->done && transfer->code == CURLE_SEND_ERROR && transfer->reused &&
           transfer->head.size_bytes == 0 && transfer->failure == 0;
}

/* 0, an interruption, or the failure in *reterr. */
static int try_hop(struct aw_http_client *client, struct http_exchange *exchange,
                   enum http_body_mode mode, struct http_transfer *transfer,
                   struct aw_error *reterr)
{
    const struct aw_http_request *request = exchange->request;
    *transfer = (struct http_transfer){.body_mode = mode, .follows = client->redirects_max > 0};
    transfer->body_max =
        request->response_size_max != 0 ? request->response_size_max : client->response_size_max;
    int result = http_transfer_start(transfer, client, exchange, reterr);
    if (result == 0 && transfer->upload.bytes != NULL)
        result = http_upload_run(transfer, request, reterr);
    if (result == 0)
        result = http_transfer_wait(transfer, has_come);
    if (result < 0)
        return result;
    if (!transfer->done && transfer->failure == 0)
        return 0; /* the rest is for the stream, or for nobody */
    return http_transfer_outcome(transfer, exchange->url, reterr);
}

static int run_hop(struct aw_http_client *client, struct http_exchange *exchange,
                   enum http_body_mode mode, struct http_transfer *transfer,
                   struct aw_error *reterr)
{
    exchange->fresh = exchange->request->fresh_connection;
    int result = try_hop(client, exchange, mode, transfer, reterr);
    if (result == 0 || !was_stale(transfer))
        return result;
    http_transfer_end(transfer);
    *reterr = (struct aw_error){0};
    exchange->fresh = true;
    return try_hop(client, exchange, mode, transfer, reterr);
}

static int check_next(struct http_exchange *exchange, const char *url, struct aw_error *reterr)
{
    const struct aw_http_request *request = exchange->request;
    struct aw_http_origin first;
    struct aw_http_origin next;
    char shown[160];
    http_url_show(url, shown, sizeof shown);
    if (aw_http_origin_of(url, &next) < 0 || aw_http_origin_of(request->url, &first) < 0)
        return aw_error_set_code(reterr, -EPROTO, "PROTOCOL",
                                 "redirected to %s, which is no http:// or https:// URL", shown);
    if (request->check_url != NULL && request->check_url(url, request->context) < 0)
        return aw_error_set_code(reterr, -EPERM, "REFUSED",
                                 "redirected to %s, which is not allowed", shown);
    exchange->left_home = exchange->left_home || !http_same_origin(&first, &next);
    return 0;
}

/* What the next hop sends, as browsers and RFC 9110 have it. */
static void choose_method(struct http_exchange *exchange, int status)
{
    bool is_post = strcmp(exchange->method, "POST") == 0;
    bool is_head = strcmp(exchange->method, "HEAD") == 0;
    if ((status == 303 && !is_head) || ((status == 301 || status == 302) && is_post)) {
        exchange->method = "GET";
        exchange->has_body = false;
    }
}

static int follow(struct aw_http_client *client, struct http_exchange *exchange,
                  const struct aw_http_response *response, struct aw_error *reterr)
{
    const char *location = aw_http_header(response, "Location");
    char shown[160];
    http_url_show(exchange->url, shown, sizeof shown);
    if (exchange->hops >= client->redirects_max)
        return aw_error_set_code(reterr, -ELOOP, "REDIRECTS",
                                 "%s redirected once more after %u redirects", shown,
                                 client->redirects_max);
    char *url = NULL;
    int result = aw_http_url_join(exchange->url, location, &url);
    if (result == -ENOMEM)
        return aw_error_set_code(reterr, result, "FAILED", "no memory to follow a redirect");
    if (result < 0)
        return aw_error_set_code(reterr, -EPROTO, "PROTOCOL",
                                 "%s redirected to what is no URL: \"%.100s\"", shown, location);
    result = check_next(exchange, url, reterr);
    if (result < 0) {
        free(url);
        return result;
    }
    choose_method(exchange, response->status);
    free(exchange->url);
    exchange->url = url;
    exchange->hops++;
    return 0;
}

/* After a redirect the words that say "no server has seen it" would not be true. */
static void doubt(struct aw_error *error)
{
    static const char *const words[] = {"RESOLVE", "CONNECT", "TLS", "REQUEST"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(error->code, words[i]) == 0)
            memcpy(error->code, "LOST", sizeof "LOST");
}

static int run_hops(struct aw_http_client *client, struct http_exchange *exchange,
                    enum http_body_mode mode, struct http_transfer *transfer,
                    struct aw_error *reterr)
{
    for (;;) {
        int result = run_hop(client, exchange, mode, transfer, reterr);
        if (result < 0 && exchange->hops > 0)
            doubt(reterr);
        if (result < 0 || transfer->body_mode != HTTP_BODY_DROP)
            return result;
        result = follow(client, exchange, &transfer->head.response, reterr);
        if (result < 0)
            return result;
        http_transfer_end(transfer);
    }
}

int http_exchange_run(struct aw_http_client *client, const struct aw_http_request *request,
                      enum http_body_mode mode, struct http_transfer *transfer,
                      struct aw_error *reterr)
{
    struct aw_error ignored;
    reterr = reterr != NULL ? reterr : &ignored;
    *reterr = (struct aw_error){0};
    int result = aw_http_check(request, reterr);
    if (result < 0)
        return result;
    struct http_exchange exchange = {
        .request = request,
        .method = request->method != NULL ? request->method : "GET",
        .url = strdup(request->url),
        .has_body = request->body != NULL || request->write_body != NULL,
    };
    if (exchange.url == NULL)
        return aw_error_set_code(reterr, -ENOMEM, "FAILED", "no memory for the request");
    uint32_t timeout_ms = request->timeout_ms != 0 ? request->timeout_ms : client->timeout_ms;
    struct http_client_call call;
    http_call_enter(client, &call, timeout_ms != 0 ? aw_after_ms(timeout_ms) : AW_NEVER);
    result = run_hops(client, &exchange, mode, transfer, reterr);
    if (result == -ECANCELED || result == -ETIME) {
        bool sent = exchange.hops > 0 || http_transfer_sent(transfer);
        result = http_call_interrupted(client, &call, result, sent, reterr);
    } else if (result == 0) {
        transfer->head.response.url = strdup(exchange.url);
        if (transfer->head.response.url == NULL)
            result = aw_error_set_code(reterr, -ENOMEM, "FAILED", "no memory for the response");
    } else if (reterr->number == 0) {
        aw_error_set_code(reterr, result, "FAILED", "cannot send a request: %s",
                          aw_error_text(result));
    }
    if (result < 0) /* while the client is certainly there */
        http_transfer_end(transfer);
    http_call_leave(client, &call);
    free(exchange.url);
    return result;
}
