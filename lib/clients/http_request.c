/* http_request.c - whole responses. */
#include "clients/http_internal.h"

#include <errno.h>
#include <stdlib.h>

int aw_http_request(struct aw_http_client *client, const struct aw_http_request *request,
                    struct aw_http_response *ret_response, struct aw_error *reterr)
{
    struct http_transfer transfer = {0};
    int result = http_exchange_run(client, request, HTTP_BODY_COLLECT, &transfer, reterr);
    if (result < 0)
        return result;
    if (transfer.body == NULL) {
        transfer.body = calloc(1, 1);
        if (transfer.body == NULL) {
            http_transfer_end(&transfer);
            return aw_error_set_code(reterr, -ENOMEM, "FAILED", "no memory for the response");
        }
    }
    *ret_response = transfer.head.response;
    ret_response->body = transfer.body;
    ret_response->body_size = transfer.body_size;
    transfer.head.response = (struct aw_http_response){0};
    transfer.body = NULL;
    http_transfer_end(&transfer);
    return 0;
}

int aw_http_get(struct aw_http_client *client, const char *url,
                struct aw_http_response *ret_response, struct aw_error *reterr)
{
    struct aw_http_request request = {.url = url};
    return aw_http_request(client, &request, ret_response, reterr);
}

int aw_http_post(struct aw_http_client *client, const char *url, const char *content_type,
                 const void *body, size_t body_size, struct aw_http_response *ret_response,
                 struct aw_error *reterr)
{
    struct aw_http_header type = {.name = "Content-Type", .value = content_type};
    struct aw_http_request request = {
        .method = "POST",
        .url = url,
        .headers = &type,
        .header_count = content_type != NULL ? 1 : 0,
        .body = body,
        .body_size = body_size,
    };
    return aw_http_request(client, &request, ret_response, reterr);
}
