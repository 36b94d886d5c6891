/* http_stream.c - responses read piece by piece: above a mark of unread bytes the transfer pauses,
 * so that the server's sending stops; below another it goes on. */
#include "clients/http_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct aw_http_stream {
    struct http_transfer transfer;
};

int aw_http_open(struct aw_http_client *client, const struct aw_http_request *request,
                 struct aw_http_stream **ret_stream, struct aw_error *reterr)
{
    struct aw_http_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return aw_error_set_code(reterr, -ENOMEM, "FAILED", "no memory for the stream");
    int result = http_exchange_run(client, request, HTTP_BODY_STREAM, &stream->transfer, reterr);
    if (result < 0) {
        free(stream);
        return result;
    }
    *ret_stream = stream;
    return 0;
}

const struct aw_http_response *aw_http_stream_head(const struct aw_http_stream *stream)
{
    return &stream->transfer.head.response;
}

static size_t unread(const struct http_transfer *transfer)
{
    return transfer->body_size - transfer->body_start;
}

static bool is_readable(const struct http_transfer *transfer)
{
    return unread(transfer) > 0 || transfer->done || transfer->failure < 0;
}

static int take(struct http_transfer *transfer, void *buffer, size_t size)
{
    size_t taken = unread(transfer) < size ? unread(transfer) : size;
    memcpy(buffer, transfer->body + transfer->body_start, taken);
    transfer->body_start += taken;
    if (transfer->paused && transfer->added && unread(transfer) <= HTTP_STREAM_LOW_BYTES) {
        transfer->paused = false; /* before: it may pause again at once */
        if (http_curl.easy_pause(transfer->easy, CURLPAUSE_CONT) != CURLE_OK &&
            transfer->failure == 0)
            transfer->failure = -EIO;
    }
    return (int)taken;
}

/* Waits inside the client, so that closing it ends the wait. */
static int wait_readable(struct http_transfer *transfer, struct aw_error *reterr)
{
    struct aw_http_client *client = transfer->client;
    struct http_client_call call;
    if (is_readable(transfer))
        return 0;
    http_call_enter(client, &call, AW_NEVER);
    int result = http_transfer_wait(transfer, is_readable);
    if (result < 0)
        result = http_call_interrupted(client, &call, result, true, reterr);
    http_call_leave(client, &call);
    return result;
}

int aw_http_stream_read(struct aw_http_stream *stream, void *buffer, size_t size,
                        struct aw_error *reterr)
{
    struct http_transfer *transfer = &stream->transfer;
    if (size == 0 || size > INT_MAX)
        return aw_error_set_code(reterr, -EINVAL, "REQUEST",
                                 "cannot read %zu bytes of a response at once", size);
    if (transfer->reading)
        return aw_error_set_code(reterr, -EBUSY, "FAILED",
                                 "another task reads this response already");
    transfer->reading = true;
    int result = wait_readable(transfer, reterr);
    transfer->reading = false;
    if (result < 0)
        return result;
    if (unread(transfer) > 0)
        return take(transfer, buffer, size);
    return http_transfer_outcome(transfer, transfer->head.response.url, reterr);
}

void aw_http_stream_close(struct aw_http_stream *stream)
{
    if (stream == NULL)
        return;
    http_transfer_end(&stream->transfer);
    free(stream);
}
