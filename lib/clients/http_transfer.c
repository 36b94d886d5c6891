/* http_transfer.c - one exchange with one server.
 *
 *   waiting for a place at the host, then one of the client's, then for the host's addresses
 *   -> added to the multi handle -> head complete -> done
 *
 * The places go back when libcurl has finished, not when the reader has: what is left is only
 * memory. Ending it at any point closes its connection unless the response was complete. */
#include "clients/http_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

bool http_is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* --- what libcurl calls ---------------------------------------------------------------------- */

static size_t fail(struct http_transfer *transfer, int number)
{
    transfer->failure = number;
    return 0; /* fewer than given: libcurl ends the transfer */
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct http_transfer *transfer = context;
    struct http_head *head = &transfer->head;
    bool was_complete = head->complete;
    int result = http_head_line(head, line, size * count);
    if (result < 0)
        return fail(transfer, result);
    if (head->complete && !was_complete) {
        if (transfer->follows && http_is_redirect(head->response.status) &&
            aw_http_header(&head->response, "Location") != NULL)
            transfer->body_mode = HTTP_BODY_DROP;
        aw_event_set(&transfer->progress);
    }
    return size * count;
}

/* Room for `size` more bytes and a NUL. */
static int reserve(struct http_transfer *transfer, size_t size)
{
    if (transfer->body_start > 0) {
        transfer->body_size -= transfer->body_start;
        memmove(transfer->body, transfer->body + transfer->body_start, transfer->body_size);
        transfer->body_start = 0;
    }
    size_t needed = transfer->body_size + size + 1;
    if (needed <= transfer->body_capacity)
        return 0;
    size_t capacity = transfer->body_capacity * 2 > needed ? transfer->body_capacity * 2 : needed;
    char *body = realloc(transfer->body, capacity);
    if (body == NULL)
        return -ENOMEM;
    transfer->body = body;
    transfer->body_capacity = capacity;
    return 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct http_transfer *transfer = context;
    size_t bytes = size * count;
    switch (transfer->body_mode) {
    case HTTP_BODY_DROP:
        transfer->dropped += bytes;
        if (transfer->dropped > HTTP_REDIRECT_BODY_MAX)
            aw_event_set(&transfer->progress);
        return bytes;
    case HTTP_BODY_COLLECT:
        if (bytes > transfer->body_max - transfer->body_size)
            return fail(transfer, -EMSGSIZE);
        break;
    case HTTP_BODY_STREAM:
        if (transfer->upload.writing) { /* its reader may be the one who writes: no pause */
            if (bytes > transfer->body_max - transfer->body_size)
                return fail(transfer, -EMSGSIZE);
            break;
        }
        if (transfer->body_size - transfer->body_start >= HTTP_STREAM_HIGH_BYTES) {
            transfer->paused = true;
            return CURL_WRITEFUNC_PAUSE;
        }
        aw_event_set(&transfer->progress);
        break;
    }
    if (reserve(transfer, bytes) < 0)
        return fail(transfer, -ENOMEM);
    memcpy(transfer->body + transfer->body_size, data, bytes);
    transfer->body_size += bytes;
    transfer->body[transfer->body_size] = '\0';
    return bytes;
}

/* The request goes out next: a CONNECT to the proxy and both handshakes are over. */
static int on_connected(void *context, char *address, char *own_address, int port, int own_port)
{
    (void)address;
    (void)own_address;
    (void)port;
    (void)own_port;
    struct http_transfer *transfer = context;
    transfer->reached = true;
    return CURL_PREREQFUNC_OK;
}

/* --- setting up ------------------------------------------------------------------------------ */

static CURLcode set_body(struct http_transfer *transfer, const struct http_exchange *exchange)
{
    CURL *easy = transfer->easy;
    const struct aw_http_request *request = exchange->request;
    if (exchange->has_body && request->write_body != NULL)
        return http_upload_set_up(transfer, request);
    bool has_bytes = exchange->has_body && request->body != NULL;
    CURLcode code = http_curl.easy_setopt(easy, CURLOPT_POST, 1L);
    if (code == CURLE_OK)
        code = http_curl.easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                                     (curl_off_t)(has_bytes ? request->body_size : 0));
    if (code == CURLE_OK)
        code = http_curl.easy_setopt(easy, CURLOPT_POSTFIELDS, has_bytes ? request->body : "");
    return code;
}

static CURLcode set_method(struct http_transfer *transfer, const struct http_exchange *exchange)
{
    CURL *easy = transfer->easy;
    const char *method = exchange->method;
    bool is_post = strcmp(method, "POST") == 0;
    if (strcmp(method, "HEAD") == 0)
        return http_curl.easy_setopt(easy, CURLOPT_NOBODY, 1L);
    bool has_body = exchange->has_body || is_post || strcmp(method, "PUT") == 0 ||
                    strcmp(method, "PATCH") == 0;
    CURLcode code = has_body ? set_body(transfer, exchange) : CURLE_OK;
    if (code == CURLE_OK && !is_post && (has_body || strcmp(method, "GET") != 0))
        code = http_curl.easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    return code;
}

static CURLcode set_limits(CURL *easy, const struct aw_http_client *client)
{
    CURLcode code = http_curl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_HTTP_VERSION,
                                          (long)CURL_HTTP_VERSION_1_1);
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                                          (long)client->connect_timeout_ms);
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 3600L);
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_USERAGENT, client->user_agent);
    return code;
}

static CURLcode set_tls(CURL *easy, const struct aw_http_client *client)
{
    const char *key = client->key != NULL ? client->key : client->certificate;
    CURLcode code = CURLE_OK;
    if (client->ca_file != NULL) {
        code = code ? code : http_curl.easy_setopt(easy, CURLOPT_CAINFO, client->ca_file);
        code = code ? code : http_curl.easy_setopt(easy, CURLOPT_PROXY_CAINFO, client->ca_file);
    }
    if (client->certificate != NULL) {
        code = code ? code : http_curl.easy_setopt(easy, CURLOPT_SSLCERT, client->certificate);
        code = code ? code : http_curl.easy_setopt(easy, CURLOPT_SSLKEY, key);
    }
    if (client->accept_anybody) {
        code = code ? code : http_curl.easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        code = code ? code : http_curl.easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
        code = code ? code : http_curl.easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYPEER, 0L);
        code = code ? code : http_curl.easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYHOST, 0L);
    }
    return code;
}

/* The lists of hosts are ours to look at: "" keeps libcurl from looking at the environment's. */
static CURLcode set_proxy(CURL *easy, const char *proxy)
{
    CURLcode code = http_curl.easy_setopt(easy, CURLOPT_PROXY, proxy != NULL ? proxy : "");
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_NOPROXY, "");
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    return code;
}

static CURLcode set_credentials(CURL *easy, const struct http_exchange *exchange)
{
    const struct aw_http_request *request = exchange->request;
    if (request->user == NULL || exchange->left_home)
        return CURLE_OK;
    CURLcode code = http_curl.easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_USERNAME, request->user);
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_PASSWORD,
                                          request->password != NULL ? request->password : "");
    return code;
}

static CURLcode set_callbacks(struct http_transfer *transfer)
{
    CURL *easy = transfer->easy;
    CURLcode code = http_curl.easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->message);
    return code;
}

static int set_up(struct http_transfer *transfer, const struct http_exchange *exchange)
{
    struct aw_http_client *client = transfer->client;
    int result = http_message_list(exchange, &transfer->headers);
    if (result == 0)
        result = http_origin_list(transfer->proxy != NULL ? transfer->proxy : transfer->origin,
                                  &transfer->resolve);
    transfer->easy = result == 0 ? http_curl.easy_init() : NULL;
    if (transfer->easy == NULL)
        return -ENOMEM;
    CURL *easy = transfer->easy;
    CURLcode code = set_limits(easy, client);
    code = code ? code : set_tls(easy, client);
    code = code ? code : set_proxy(easy, transfer->proxy != NULL ? client->proxy : NULL);
    code = code ? code : set_credentials(easy, exchange);
    code = code ? code : set_callbacks(transfer);
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_URL, exchange->url);
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_RESOLVE, transfer->resolve);
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_FRESH_CONNECT,
                                          exchange->fresh ? 1L : 0L);
    code = code ? code : set_method(transfer, exchange);
    return code == CURLE_OK ? 0 : code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EIO;
}

/* --- its life -------------------------------------------------------------------------------- */

static int take_places(struct http_transfer *transfer, const struct aw_http_origin *name)
{
    struct aw_http_client *client = transfer->client;
    struct http_origin *origin;
    int result = http_origin_get(client, name, &origin);
    if (result < 0)
        return result;
    /* the host's first: those that wait for a slow host hold none of the others' places */
    result = aw_semaphore_acquire(&origin->places);
    if (result == 0) {
        result = aw_semaphore_acquire(&client->places);
        if (result < 0)
            aw_semaphore_release(&origin->places);
    }
    if (result < 0) {
        http_origin_put(origin);
        return result;
    }
    transfer->origin = origin;
    return 0;
}

static void give_places_back(struct http_transfer *transfer)
{
    if (transfer->origin == NULL)
        return;
    aw_semaphore_release(&transfer->client->places);
    aw_semaphore_release(&transfer->origin->places);
    http_origin_put(transfer->origin);
    transfer->origin = NULL;
}

int http_transfer_start(struct http_transfer *transfer, struct aw_http_client *client,
                        const struct http_exchange *exchange, struct aw_error *reterr)
{
    struct aw_http_origin name;
    transfer->client = client;
    aw_event_init(&transfer->progress);
    int result = aw_http_origin_of(exchange->url, &name);
    if (result == 0)
        result = take_places(transfer, &name);
    if (result == 0 && client->proxy_origin != NULL &&
        http_proxy_skips(client->no_proxy != NULL ? client->no_proxy : "", name.host) == 0)
        transfer->proxy = client->proxy_origin;
    if (result == 0)
        result = http_origin_resolve(transfer->proxy != NULL ? transfer->proxy : transfer->origin,
                                     reterr);
    if (result < 0) {
        give_places_back(transfer);
        return result;
    }
    result = set_up(transfer, exchange);
    if (result == 0 && http_curl.multi_add_handle(client->multi, transfer->easy) != CURLM_OK)
        result = -ENOMEM;
    if (result < 0)
        return aw_error_set_code(reterr, result, "FAILED", "cannot set up the request: %s",
                                 aw_error_text(result));
    transfer->added = true;
    LIST_INSERT_HEAD(&client->transfers, transfer, link);
    return 0;
}

static void take_off(struct http_transfer *transfer)
{
    if (transfer->added) {
        http_curl.multi_remove_handle(transfer->client->multi, transfer->easy);
        LIST_REMOVE(transfer, link);
        transfer->added = false;
    }
    give_places_back(transfer);
}

/* The handle is not kept: it is large, and may not outlive the client. */
static void drop_handle(struct http_transfer *transfer)
{
    transfer->sent = http_transfer_sent(transfer);
    take_off(transfer);
    http_curl.easy_cleanup(transfer->easy);
    transfer->easy = NULL;
    transfer->client = NULL;
}

void http_transfer_detach(struct http_transfer *transfer)
{
    drop_handle(transfer);
}

void http_transfer_done(struct http_transfer *transfer, CURLcode code)
{
    transfer->done = true;
    transfer->code = code;
    http_curl.easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &transfer->os_error);
    long connections = 1;
    http_curl.easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &connections);
    transfer->reused = connections == 0;
    http_curl.easy_getinfo(transfer->easy, CURLINFO_HTTP_CONNECTCODE, &transfer->proxy_status);
    drop_handle(transfer);
    aw_event_set(&transfer->progress);
}

bool http_transfer_sent(const struct http_transfer *transfer)
{
    long sent = 0;
    if (transfer->easy != NULL)
        http_curl.easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &sent);
    return transfer->sent || (transfer->reached && sent > 0);
}

void http_transfer_end(struct http_transfer *transfer)
{
    if (transfer->client != NULL)
        take_off(transfer);
    if (transfer->easy != NULL)
        http_curl.easy_cleanup(transfer->easy);
    http_curl.slist_free_all(transfer->headers);
    http_curl.slist_free_all(transfer->resolve);
    aw_http_response_free(&transfer->head.response);
    free(transfer->head.text);
    free(transfer->body);
    free(transfer->upload.bytes);
    *transfer = (struct http_transfer){0};
}
