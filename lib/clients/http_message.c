/* http_message.c - what is sent, checked and in the form libcurl wants it, and the head of what
 * comes back. */
#include "clients/http_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- requests --------------------------------------------------------------------------------- */

#define refuse(reterr, ...) aw_error_set_code(reterr, -EINVAL, "REQUEST", __VA_ARGS__)

static int check_header(const struct aw_http_header *header, struct aw_error *reterr)
{
    if (!http_is_token(header->name))
        return refuse(reterr, "the header name \"%.60s\" is empty or holds characters that names "
                      "cannot have", header->name ? header->name : "");
    if (!http_is_value(header->value))
        return refuse(reterr, "the value of the header %.60s is missing or holds a line break or "
                      "another control character", header->name);
    if (http_name_is(header->name, "Content-Length") ||
        http_name_is(header->name, "Transfer-Encoding"))
        return refuse(reterr, "the header %s follows from the body and cannot be set",
                      header->name);
    return 0;
}

static int check_headers(const struct aw_http_request *request, struct aw_error *reterr)
{
    if (request->header_count > HTTP_HEADERS_MAX)
        return aw_error_set_code(reterr, -EINVAL, "REQUEST",
                                 "the request has %zu headers, at most %u are possible",
                                 request->header_count, HTTP_HEADERS_MAX);
    size_t size = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        int result = check_header(&request->headers[i], reterr);
        if (result < 0)
            return result;
        size += strlen(request->headers[i].name) + strlen(request->headers[i].value) + 4;
    }
    if (size > HTTP_HEADERS_SIZE_MAX)
        return aw_error_set_code(reterr, -EINVAL, "REQUEST",
                                 "the request's headers have %zu bytes, at most %u are possible",
                                 size, HTTP_HEADERS_SIZE_MAX);
    return 0;
}

static int check_body(const struct aw_http_request *request, const char *method,
                      struct aw_error *reterr)
{
    bool has_body = request->body != NULL || request->write_body != NULL;
    if (!has_body && request->body_size > 0)
        return refuse(reterr, "the body is %s", "missing");
    if (request->body != NULL && request->write_body != NULL)
        return refuse(reterr, "the request has both %s and %s", "body", "write_body");
    if (has_body && strcmp(method, "HEAD") == 0)
        return refuse(reterr, "a %s request has no body", method);
    return 0;
}

static bool has_header(const struct aw_http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (http_name_is(request->headers[i].name, name))
            return true;
    return false;
}

static int check_credentials(const struct aw_http_request *request, struct aw_error *reterr)
{
    int ways = (request->user != NULL) + (request->bearer != NULL) +
               has_header(request, "Authorization");
    if (ways > 1)
        return refuse(reterr, "the request has %d kinds of credentials: give one of user, bearer "
                      "and the header Authorization", ways);
    if (request->user != NULL &&
        (!http_is_value(request->user) || strchr(request->user, ':') != NULL))
        return refuse(reterr, "the user's name holds a %s", "':' or a control character");
    if (request->user == NULL && request->password != NULL)
        return refuse(reterr, "there is a password without a %s", "user");
    if (request->bearer != NULL && (!http_is_value(request->bearer) || request->bearer[0] == '\0'))
        return refuse(reterr, "the token is %s", "empty or holds a control character");
    return 0;
}

int aw_http_check(const struct aw_http_request *request, struct aw_error *reterr)
{
    struct aw_http_origin origin;
    const char *method = request->method != NULL ? request->method : "GET";
    if (!http_is_token(method) || strlen(method) > 32 || strcmp(method, "CONNECT") == 0)
        return refuse(reterr, "\"%.40s\" is no method of a request", method);
    if (request->url == NULL || !http_is_value(request->url))
        return refuse(reterr, "the URL is %s",
                      request->url == NULL ? "missing" : "not one line of text");
    int result = aw_http_origin_of(request->url, &origin);
    if (result == -ENOMEM)
        return aw_error_set_code(reterr, result, "FAILED", "no memory for the request");
    if (result < 0)
        return refuse(reterr, "the URL must be http://host[:port]/path or https://..., and is "
                      "\"%.100s\"", request->url);
    result = check_body(request, method, reterr);
    if (result == 0)
        result = check_headers(request, reterr);
    return result == 0 ? check_credentials(request, reterr) : result;
}

static int add(struct curl_slist **list, const char *name, const char *value)
{
    char *line;
    /* libcurl's ways to say it: "Name;" sends an empty one, "Name:" takes its own one away */
    int length = value == NULL      ? asprintf(&line, "%s:", name)
                 : value[0] == '\0' ? asprintf(&line, "%s;", name)
                                    : asprintf(&line, "%s: %s", name, value);
    if (length < 0)
        return -ENOMEM;
    struct curl_slist *longer = http_curl.slist_append(*list, line);
    free(line);
    if (longer == NULL)
        return -ENOMEM;
    *list = longer;
    return 0;
}

static int add_token(struct curl_slist **list, const char *token)
{
    char *value;
    if (asprintf(&value, "Bearer %s", token) < 0)
        return -ENOMEM;
    int result = add(list, "Authorization", value);
    free(value);
    return result;
}

/* Credentials go only where the caller sent them; what describes a body goes with it. */
static bool stays_behind(const struct http_exchange *exchange, const char *name)
{
    if (exchange->left_home && (http_name_is(name, "Authorization") ||
                                http_name_is(name, "Cookie") || http_name_is(name, "Host") ||
                                http_name_is(name, "Proxy-Authorization")))
        return true;
    bool had_body = exchange->request->body != NULL || exchange->request->write_body != NULL;
    return had_body && !exchange->has_body && strncasecmp(name, "Content-", 8) == 0;
}

int http_message_list(const struct http_exchange *exchange, struct curl_slist **ret_list)
{
    const struct aw_http_request *request = exchange->request;
    struct curl_slist *list = NULL;
    bool has_type = false;
    bool has_expect = false;
    int result = 0;
    for (size_t i = 0; i < request->header_count && result == 0; i++) {
        const struct aw_http_header *header = &request->headers[i];
        if (stays_behind(exchange, header->name))
            continue;
        has_type = has_type || http_name_is(header->name, "Content-Type");
        has_expect = has_expect || http_name_is(header->name, "Expect");
        result = add(&list, header->name, header->value);
    }
    /* libcurl would claim a form, and would wait a second for a 100 that few servers send */
    if (result == 0 && !has_type)
        result = add(&list, "Content-Type", NULL);
    if (result == 0 && !has_expect)
        result = add(&list, "Expect", NULL);
    if (result == 0 && request->bearer != NULL && !exchange->left_home)
        result = add_token(&list, request->bearer);
    if (result == 0 && exchange->has_body && request->write_body != NULL &&
        request->body_size == 0)
        result = add(&list, "Transfer-Encoding", "chunked");
    if (result < 0) {
        http_curl.slist_free_all(list);
        return result;
    }
    *ret_list = list;
    return 0;
}

/* --- responses -------------------------------------------------------------------------------- */

static char *copy_text(const char *text, size_t size)
{
    char *copy = malloc(size + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

static size_t skip_blanks(const char *line, size_t at, size_t size)
{
    while (at < size && (line[at] == ' ' || line[at] == '\t'))
        at++;
    return at;
}

/* "HTTP/1.1 404 Not Found": a response begins, after a 100 perhaps. */
static int take_status(struct http_head *head, const char *line, size_t size)
{
    aw_http_response_free(&head->response);
    head->text_size = 0;
    size_t at = 0;
    while (at < size && line[at] != ' ')
        at++;
    at = skip_blanks(line, at, size);
    int status = 0;
    for (int i = 0; i < 3 && at < size && line[at] >= '0' && line[at] <= '9'; i++)
        status = status * 10 + (line[at++] - '0');
    at = skip_blanks(line, at, size);
    head->response.status = status;
    head->response.reason = copy_text(line + at, size - at);
    return head->response.reason != NULL ? 0 : -ENOMEM;
}

/* Keeps the line; one that begins with a blank goes on with the one before. */
static int take_field(struct http_head *head, const char *line, size_t size)
{
    if (head->text_size + size + 1 > head->text_capacity) {
        size_t capacity = (head->text_size + size + 1) * 2 + 512;
        char *text = realloc(head->text, capacity);
        if (text == NULL)
            return -ENOMEM;
        head->text = text;
        head->text_capacity = capacity;
    }
    if ((line[0] == ' ' || line[0] == '\t') && head->text_size > 0)
        head->text[head->text_size - 1] = ' ';
    memcpy(head->text + head->text_size, line, size);
    head->text_size += size;
    head->text[head->text_size++] = '\0';
    return 0;
}

static size_t count_fields(const struct http_head *head)
{
    size_t count = 0;
    for (size_t at = 0; at < head->text_size; at++)
        count += head->text[at] == '\0';
    return count;
}

/* The head is complete: its headers and their text in one piece of memory. */
static int build(struct http_head *head)
{
    size_t most = count_fields(head);
    if (most == 0)
        return 0;
    struct aw_http_header *headers = malloc(most * sizeof *headers + head->text_size);
    if (headers == NULL)
        return -ENOMEM;
    char *text = (char *)(headers + most);
    memcpy(text, head->text, head->text_size);
    size_t count = 0;
    for (size_t at = 0; at < head->text_size;) {
        char *line = text + at;
        size_t size = strlen(line);
        char *colon = memchr(line, ':', size);
        at += size + 1;
        if (colon == NULL)
            continue; /* libcurl lets it pass; it says nothing */
        char *end = line + size;
        while (end > colon + 1 && (end[-1] == ' ' || end[-1] == '\t'))
            *--end = '\0';
        *colon = '\0';
        headers[count].name = line;
        headers[count].value =
            line + skip_blanks(line, (size_t)(colon + 1 - line), (size_t)(end - line));
        count++;
    }
    head->response.headers = headers;
    head->response.header_count = count;
    return 0;
}

int http_head_line(struct http_head *head, const char *line, size_t size)
{
    while (size > 0 && (line[size - 1] == '\r' || line[size - 1] == '\n'))
        size--;
    head->size_bytes += size + 2;
    if (head->size_bytes > HTTP_HEAD_SIZE_MAX)
        return -EMSGSIZE;
    if (head->complete)
        return 0; /* a trailer */
    if (size >= 5 && memcmp(line, "HTTP/", 5) == 0)
        return take_status(head, line, size);
    if (memchr(line, '\0', size) != NULL)
        return -EPROTO;
    if (size > 0)
        return take_field(head, line, size);
    if (head->response.status / 100 == 1)
        return 0; /* the real one follows */
    int result = build(head);
    head->complete = result == 0;
    return result;
}

void aw_http_response_free(struct aw_http_response *response)
{
    free(response->reason);
    free(response->headers); /* with their text */
    free(response->body);
    free(response->url);
    *response = (struct aw_http_response){0};
}

const char *aw_http_header(const struct aw_http_response *response, const char *name)
{
    for (size_t i = 0; i < response->header_count; i++)
        if (http_name_is(response->headers[i].name, name))
            return response->headers[i].value;
    return NULL;
}
