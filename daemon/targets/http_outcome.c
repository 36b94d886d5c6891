/* http_outcome.c - see http_outcome.h. */
#include "targets/http_outcome.h"

#include "targets/http_retry_after.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SHOWN_BODY_BYTES 200

/* --- the result ------------------------------------------------------------------------------- */

static bool is_first_of_its_name(const struct aw_http_response *response, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcasecmp(response->headers[i].name, response->headers[index].name) == 0)
            return false;
    return true;
}

/* The values of all headers of that name: joined as RFC 9110 5.2 allows; those of Set-Cookie, which
 * hold commas of their own, by line breaks. */
static void write_values(struct buffer *out, const struct aw_http_response *response, size_t index)
{
    const char *name = response->headers[index].name;
    const char *between = strcasecmp(name, "Set-Cookie") == 0 ? "\n" : ", ";
    struct buffer joined = {0};
    buffer_append_text(&joined, response->headers[index].value);
    for (size_t i = index + 1; i < response->header_count; i++) {
        if (strcasecmp(response->headers[i].name, name) != 0)
            continue;
        buffer_append_text(&joined, between);
        buffer_append_text(&joined, response->headers[i].value);
    }
    if (joined.failed)
        out->failed = true;
    else
        value_bulk(out, joined.data, joined.size);
    buffer_free(&joined);
}

static void write_name(struct buffer *out, const char *name)
{
    char lower[256];
    size_t size = strlen(name);
    if (size >= sizeof lower) {
        value_bulk(out, name, size);
        return;
    }
    for (size_t i = 0; i < size; i++)
        lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
    value_bulk(out, lower, size);
}

static void write_result(struct buffer *out, const struct aw_http_response *response)
{
    size_t names = 0;
    for (size_t i = 0; i < response->header_count; i++)
        names += is_first_of_its_name(response, i);
    value_array(out, 3);
    value_integer(out, response->status);
    value_map(out, names);
    for (size_t i = 0; i < response->header_count; i++) {
        if (!is_first_of_its_name(response, i))
            continue;
        write_name(out, response->headers[i].name);
        write_values(out, response, i);
    }
    value_bulk(out, response->body, response->body_size);
}

static void succeed(const struct http_circumstances *circumstances,
                    const struct aw_http_response *response, struct outcome *outcome)
{
    struct buffer result = {0};
    write_result(&result, response);
    if (!result.failed && result.size <= circumstances->result_size_max) {
        outcome_set(outcome, OUTCOME_DONE, "", "%s", "");
        outcome->result = result;
        return;
    }
    if (result.failed)
        outcome_set(outcome, OUTCOME_DEAD, "NOMEMORY",
                    "the server answered %d, but there was no memory for the result",
                    response->status);
    else
        outcome_set(outcome, OUTCOME_DEAD, "RESULTTOOBIG",
                    "the server answered %d, but the result of %zu bytes is above the limit of %zu",
                    response->status, result.size, circumstances->result_size_max);
    buffer_free(&result);
}

/* --- answers that are failures --------------------------------------------------------------- */

/* For messages: without the query, which may hold a token, and credentials. */
static void show_request(const struct aw_http_request *request, char *text, size_t size)
{
    struct aw_http_origin origin = {.host = "?"};
    AW_IGNORE(aw_http_origin_of(request->url, &origin));
    const char *authority = strstr(request->url, "://");
    const char *path = authority ? authority + 3 : request->url;
    path += strcspn(path, "/?#");
    snprintf(text, size, "%s http%s://%s:%u%.*s", request->method, origin.tls ? "s" : "",
             origin.host, origin.port, (int)strcspn(path, "?#"), path);
}

/* The start of a body that is text, for the error's message. */
static void show_body(const struct aw_http_response *response, char text[SHOWN_BODY_BYTES + 1])
{
    size_t size = response->body_size < SHOWN_BODY_BYTES ? response->body_size : SHOWN_BODY_BYTES;
    if (memchr(response->body, '\0', size))
        size = 0;
    memcpy(text, response->body, size);
    text[size] = '\0';
}

static bool may_pass(int status)
{
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

static void fail(const struct http_circumstances *circumstances,
                 const struct aw_http_response *response, struct outcome *outcome)
{
    char request[AW_ERROR_MESSAGE_SIZE];
    char body[SHOWN_BODY_BYTES + 1];
    char code[8];
    int status = response->status;
    show_request(circumstances->request, request, sizeof request);
    show_body(response, body);
    snprintf(code, sizeof code, "%d", status);
    bool in_doubt = circumstances->settings->delivery == TARGET_AT_MOST_ONCE && status >= 500 &&
                    status != 503;
    enum outcome_kind kind = in_doubt           ? OUTCOME_INTERRUPTED
                             : may_pass(status) ? OUTCOME_RETRY
                                                : OUTCOME_DEAD;
    outcome_set(outcome, kind, code, "%s%s%s answered %s%s%s", response->reason,
                response->reason[0] ? ": " : "", request, code, body[0] ? ": " : "", body);
    const char *retry_after = aw_http_header(response, "Retry-After");
    if (kind != OUTCOME_RETRY || !retry_after ||
        !http_retry_after(retry_after, aw_wall_ms(), &outcome->delay_ms))
        return;
    outcome->has_delay = true;
    if (outcome->delay_ms > circumstances->settings->http.retry_after_max_ms)
        outcome->delay_ms = circumstances->settings->http.retry_after_max_ms;
}

void http_outcome_of_response(const struct http_circumstances *circumstances,
                              const struct aw_http_response *response, struct outcome *outcome)
{
    if (response->status >= 200 && response->status < 400)
        succeed(circumstances, response, outcome);
    else
        fail(circumstances, response, outcome);
}

/* --- no answer ------------------------------------------------------------------------------- */

static bool is_one_of(const char *word, const char *const words[])
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

static enum outcome_kind kind_of(const struct http_circumstances *circumstances, int number,
                                 const char *word)
{
    static const char *const unreached[] = {"RESOLVE", "CONNECT", "TLS", NULL};
    static const char *const wrong[] = {"REQUEST", "REDIRECTS", "REFUSED", "TOOBIG", NULL};
    bool at_most_once = circumstances->settings->delivery == TARGET_AT_MOST_ONCE;
    if (number == -EMFILE || number == -ENFILE || strcmp(word, "CLOSED") == 0)
        return OUTCOME_UNAVAILABLE; /* our own trouble */
    if (is_one_of(word, unreached))
        return circumstances->base ? OUTCOME_UNAVAILABLE : OUTCOME_RETRY;
    if (is_one_of(word, wrong))
        return OUTCOME_DEAD;
    if (strcmp(word, "WITHDRAWN") == 0)
        return OUTCOME_STOPPED;
    if (strcmp(word, "STOPPED") == 0)
        return at_most_once ? OUTCOME_INTERRUPTED : OUTCOME_STOPPED;
    if (strcmp(word, "LOST") == 0 || at_most_once)
        return OUTCOME_INTERRUPTED;
    return OUTCOME_RETRY; /* TIMEOUT, PROTOCOL, FAILED */
}

void http_outcome_of_error(const struct http_circumstances *circumstances, int number,
                           const struct aw_error *error, struct outcome *outcome)
{
    const char *word = error->code[0] ? error->code : "FAILED";
    enum outcome_kind kind = kind_of(circumstances, number, word);
    if (strcmp(word, "TOOBIG") == 0)
        word = "RESULTTOOBIG";
    else if (strcmp(word, "LOST") == 0)
        word = "CONNECTIONLOST";
    else if (kind == OUTCOME_UNAVAILABLE)
        word = "UNAVAILABLE";
    if (kind == OUTCOME_STOPPED)
        word = "STOPPED";
    outcome_set(outcome, kind, word, "%s", error->message);
}
