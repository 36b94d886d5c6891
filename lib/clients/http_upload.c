/* http_upload.c - a request's body that is written piece by piece: libcurl takes what is there and
 * pauses, the writer waits while HTTP_UPLOAD_HIGH_BYTES wait for the server. */
#include "clients/http_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- what libcurl calls ----------------------------------------------------------------------- */

static size_t on_read(char *buffer, size_t size, size_t count, void *context)
{
    struct http_transfer *transfer = context;
    struct aw_http_body *upload = &transfer->upload;
    size_t left = upload->size - upload->sent;
    if (left == 0 && !upload->ended) {
        upload->paused = true;
        return CURL_READFUNC_PAUSE;
    }
    size_t taken = left < size * count ? left : size * count;
    memcpy(buffer, upload->bytes + upload->sent, taken);
    upload->sent += taken;
    aw_event_set(&transfer->progress);
    return taken;
}

CURLcode http_upload_set_up(struct http_transfer *transfer, const struct aw_http_request *request)
{
    struct aw_http_body *upload = &transfer->upload;
    *upload = (struct aw_http_body){.transfer = transfer, .promised = request->body_size};
    upload->bytes = malloc(HTTP_UPLOAD_HIGH_BYTES);
    if (upload->bytes == NULL)
        return CURLE_OUT_OF_MEMORY;
    CURL *easy = transfer->easy;
    curl_off_t size = request->body_size > 0 ? (curl_off_t)request->body_size : -1;
    CURLcode code = http_curl.easy_setopt(easy, CURLOPT_POST, 1L);
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, size);
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_READDATA, transfer);
    /* a kept connection could turn out to be closed: what was written is not there twice */
    code = code ? code : http_curl.easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    return code;
}

/* --- the writer ------------------------------------------------------------------------------- */

static bool is_over(const struct http_transfer *transfer)
{
    return transfer->done || transfer->failure < 0;
}

static bool can_write(const struct http_transfer *transfer)
{
    const struct aw_http_body *upload = &transfer->upload;
    return is_over(transfer) || upload->size - upload->sent < HTTP_UPLOAD_HIGH_BYTES;
}

static void go_on(struct http_transfer *transfer)
{
    if (!transfer->upload.paused || !transfer->added)
        return;
    transfer->upload.paused = false; /* before: it may pause again at once */
    if (http_curl.easy_pause(transfer->easy, CURLPAUSE_CONT) != CURLE_OK && transfer->failure == 0)
        transfer->failure = -EIO;
}

/* As many bytes as there is room for. */
static size_t keep(struct aw_http_body *upload, const char *data, size_t size)
{
    if (upload->size == HTTP_UPLOAD_HIGH_BYTES) {
        upload->size -= upload->sent;
        memmove(upload->bytes, upload->bytes + upload->sent, upload->size);
        upload->dropped += upload->sent;
        upload->sent = 0;
    }
    size_t room = HTTP_UPLOAD_HIGH_BYTES - upload->size;
    size_t kept = size < room ? size : room;
    memcpy(upload->bytes + upload->size, data, kept);
    upload->size += kept;
    return kept;
}

static uint64_t written(const struct aw_http_body *upload)
{
    return upload->dropped + upload->size;
}

int aw_http_body_write(struct aw_http_body *upload, const void *data, size_t size)
{
    struct http_transfer *transfer = upload->transfer;
    if (upload->promised > 0 && size > upload->promised - written(upload))
        return -EINVAL;
    for (const char *rest = data; size > 0;) {
        int result = http_transfer_wait(transfer, can_write);
        if (result < 0)
            return result;
        if (is_over(transfer))
            return -EPIPE;
        size_t kept = keep(upload, rest, size);
        rest += kept;
        size -= kept;
        go_on(transfer);
    }
    return 0;
}

int http_upload_run(struct http_transfer *transfer, const struct aw_http_request *request,
                    struct aw_error *reterr)
{
    struct aw_http_body *upload = &transfer->upload;
    upload->writing = true;
    int result = request->write_body(upload, request->context);
    upload->writing = false;
    if (is_over(transfer) && (result >= 0 || result == -EPIPE))
        return 0; /* answered early, or broken: its outcome tells */
    if (result == -ECANCELED || result == -ETIME)
        return result;
    if (result < 0)
        return aw_error_set_code(reterr, result, "FAILED",
                                 "the request's body could not be written: %s",
                                 aw_error_text(result));
    if (upload->promised > 0 && written(upload) < upload->promised)
        return aw_error_set_code(reterr, -EINVAL, "FAILED",
                                 "the request's body has %llu bytes, not the %llu promised",
                                 (unsigned long long)written(upload),
                                 (unsigned long long)upload->promised);
    upload->ended = true;
    go_on(transfer);
    return 0;
}
