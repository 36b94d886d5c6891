/* http_json.c - see await/http_json.h. */
#include "clients/http_internal.h"
#include "clients/json.h"

#include <await/http_json.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SHOWN_BODY 160 /* bytes of what a server said, in a message */

/* --- the request ------------------------------------------------------------------------------ */

static bool names(const struct aw_http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (request->headers[i].name != NULL && http_name_is(request->headers[i].name, name))
            return true;
    return false;
}

/* The request with the headers of JSON; `headers` has room for two more. */
static struct aw_http_request dress(const struct aw_http_request *request,
                                    struct aw_http_header *headers, bool has_value)
{
    struct aw_http_request dressed = *request;
    size_t count = request->header_count;
    if (count > 0)
        memcpy(headers, request->headers, count * sizeof *headers);
    if (!names(request, "Accept"))
        headers[count++] = (struct aw_http_header){"Accept", "application/json"};
    if (has_value && !names(request, "Content-Type"))
        headers[count++] = (struct aw_http_header){"Content-Type", "application/json"};
    dressed.headers = headers;
    dressed.header_count = count;
    if (has_value && request->method == NULL)
        dressed.method = "POST";
    return dressed;
}

static int send_value(struct aw_http_client *client, const struct aw_http_request *request,
                      const json_t *value, struct aw_http_response *ret_response,
                      struct aw_error *reterr)
{
    if (value != NULL && (request->body != NULL || request->write_body != NULL))
        return aw_error_set_code(reterr, -EINVAL, "REQUEST",
                                 "the request has a body beside its value");
    if (request->header_count > HTTP_HEADERS_MAX)
        return aw_http_check(request, reterr);
    struct aw_http_header *headers = calloc(request->header_count + 2, sizeof *headers);
    if (headers == NULL)
        return aw_error_set_code(reterr, -ENOMEM, "FAILED", "no memory for the request");
    struct aw_http_request dressed = dress(request, headers, value != NULL);
    char *text = NULL;
    int result = value != NULL ? json_to_text(value, &text, &dressed.body_size, reterr) : 0;
    if (value != NULL)
        dressed.body = text;
    if (result == 0)
        result = aw_http_request(client, &dressed, ret_response, reterr);
    free(text);
    free(headers);
    return result;
}

/* --- the response ----------------------------------------------------------------------------- */

/* "application/json", "text/json", "application/problem+json; charset=utf-8" */
static bool is_json(const char *type)
{
    size_t size = type != NULL ? strcspn(type, "; \t") : 0;
    return (size == 16 && strncasecmp(type, "application/json", size) == 0) ||
           (size == 9 && strncasecmp(type, "text/json", size) == 0) ||
           (size > 17 && strncasecmp(type, "application/", 12) == 0 &&
            strncasecmp(type + size - 5, "+json", 5) == 0);
}

static int refuse_status(const struct aw_http_response *response, const char *url,
                         struct aw_error *reterr)
{
    const char *type = aw_http_header(response, "Content-Type");
    bool is_text = type != NULL && (strncasecmp(type, "text/", 5) == 0 || is_json(type));
    const char *said = is_text ? response->body : "";
    char code[16];
    snprintf(code, sizeof code, "%d", response->status);
    return aw_error_set_code(reterr, -EREMOTEIO, code, "%s answered %d %s%s%.*s", url,
                             response->status, response->reason, said[0] != '\0' ? ": " : "",
                             SHOWN_BODY, said);
}

static int take_value(const struct aw_http_response *response, json_t **ret_value,
                      struct aw_error *reterr)
{
    char url[160];
    http_url_show(response->url, url, sizeof url);
    if (response->status < 200 || response->status > 299)
        return refuse_status(response, url, reterr);
    if (ret_value == NULL)
        return 0;
    if (response->body_size == 0) {
        *ret_value = NULL;
        return 0;
    }
    const char *type = aw_http_header(response, "Content-Type");
    if (!is_json(type))
        return aw_error_set_code(reterr, -EPROTO, "TYPE",
                                 "the response from %s is not JSON: its Content-Type is %.80s", url,
                                 type != NULL ? type : "missing");
    struct aw_error error = {0};
    int result = json_from_text(response->body, response->body_size, ret_value, &error);
    if (result < 0 && error.number != 0)
        return aw_error_set_code(reterr, result, error.code, "the response from %s: %s", url,
                                 error.message);
    if (result < 0)
        return aw_error_set_code(reterr, result, "STOPPED", "the response from %s was not read: %s",
                                 url, aw_error_text(result));
    return 0;
}

int aw_http_request_json(struct aw_http_client *client, const struct aw_http_request *request,
                         const json_t *value, struct aw_http_response *ret_response,
                         json_t **ret_value, struct aw_error *reterr)
{
    struct aw_http_response response = {0};
    int result = json_library_load(reterr);
    if (result == 0)
        result = send_value(client, request, value, &response, reterr);
    if (result < 0)
        return result;
    result = take_value(&response, ret_value, reterr);
    if (ret_response != NULL)
        *ret_response = response;
    else
        aw_http_response_free(&response);
    return result;
}

/* --- the usual ones --------------------------------------------------------------------------- */

static int request_json(struct aw_http_client *client, const char *method, const char *url,
                        const json_t *value, json_t **ret_value, struct aw_error *reterr)
{
    struct aw_http_request request = {.method = method, .url = url};
    return aw_http_request_json(client, &request, value, NULL, ret_value, reterr);
}

int aw_http_get_json(struct aw_http_client *client, const char *url, json_t **ret_value,
                     struct aw_error *reterr)
{
    return request_json(client, "GET", url, NULL, ret_value, reterr);
}

int aw_http_post_json(struct aw_http_client *client, const char *url, const json_t *value,
                      json_t **ret_value, struct aw_error *reterr)
{
    return request_json(client, "POST", url, value, ret_value, reterr);
}

int aw_http_put_json(struct aw_http_client *client, const char *url, const json_t *value,
                     json_t **ret_value, struct aw_error *reterr)
{
    return request_json(client, "PUT", url, value, ret_value, reterr);
}

int aw_http_patch_json(struct aw_http_client *client, const char *url, const json_t *value,
                       json_t **ret_value, struct aw_error *reterr)
{
    return request_json(client, "PATCH", url, value, ret_value, reterr);
}

int aw_http_delete_json(struct aw_http_client *client, const char *url, json_t **ret_value,
                        struct aw_error *reterr)
{
    return request_json(client, "DELETE", url, NULL, ret_value, reterr);
}
