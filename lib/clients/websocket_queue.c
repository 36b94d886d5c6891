/* websocket_queue.c - frames into the queue, and the task that sends them. */
#include "clients/websocket_internal.h"

#include "core/park.h"

#include <await/socket.h>
#include <await/stream.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

#define HEADER_SIZE_MAX 14u /* of a frame */
#define BUFFER_START_BYTES ((size_t)512)

int websocket_buffer_reserve(struct websocket_buffer *buffer, size_t size)
{
    size_t wanted = buffer->size + size;
    if (wanted <= buffer->capacity)
        return 0;
    size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_START_BYTES;
    while (capacity < wanted)
        capacity *= 2;
    uint8_t *grown = realloc(buffer->data, capacity);
    if (grown == NULL)
        return -ENOMEM;
    buffer->data = grown;
    buffer->capacity = capacity;
    return 0;
}

void websocket_buffer_free(struct websocket_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct websocket_buffer){0};
}

static void shrink(struct websocket_buffer *buffer)
{
    if (buffer->size == 0 && buffer->capacity > WEBSOCKET_KEPT_BYTES)
        websocket_buffer_free(buffer);
}

size_t aw_websocket_pending(const struct aw_websocket *socket)
{
    return socket->queued.size + socket->sending.size;
}

int websocket_sendable(const struct aw_websocket *socket)
{
    if (socket->send_error < 0)
        return socket->send_error;
    if (socket->farewell_queued)
        return -EPIPE;
    return socket->torn ? -ECONNABORTED : 0;
}

bool websocket_is_ending(const struct aw_websocket *socket)
{
    return socket->send_error < 0 || socket->farewell_queued;
}

void websocket_fail_sending(struct aw_websocket *socket, int error)
{
    if (socket->send_error == 0)
        socket->send_error = error;
    wait_list_grant_all(&socket->room);
    wait_list_grant_all(&socket->flushed);
    wait_list_grant_all(&socket->ponged);
}

/* --- the writer ------------------------------------------------------------------------------ */
static int send_batch(struct aw_websocket *socket)
{
    struct websocket_buffer batch = socket->queued;
    socket->queued = socket->sending; /* empty */
    socket->sending = batch;
    int result = aw_stream_write_all(socket->stream, batch.data, batch.size);
    socket->sending.size = 0;
    if (result < 0)
        return result;
    shrink(&socket->sending);
    if (socket->pong_size >= 0) {
        result = websocket_queue_pong(socket, socket->pong, (size_t)socket->pong_size);
        socket->pong_size = -1;
    }
    wait_list_grant_all(&socket->room);
    return result;
}

static int write_out(void *argument)
{
    struct aw_websocket *socket = argument;
    aw_task_set_name(NULL, "websocket writer");
    int result = aw_yield(); /* what others are about to send goes along */
    while (result == 0 && socket->queued.size > 0)
        result = send_batch(socket);
    if (result < 0) {
        websocket_fail_sending(socket, result);
        /* frames are lost: both sides hear the end of the connection, nobody waits for an answer */
        if (result != -ECANCELED)
            AW_IGNORE(aw_shutdown(aw_stream_descriptor(socket->stream), SHUT_RDWR));
    }
    socket->writing = false;
    shrink(&socket->queued);
    wait_list_grant_all(&socket->flushed);
    return 0;
}

static int start_writer(struct aw_websocket *socket)
{
    if (socket->writing)
        return 0;
    int result = aw_group_spawn(&socket->writers, write_out, socket);
    socket->writing = result == 0;
    return result;
}

int websocket_wait_flushed(struct aw_websocket *socket)
{
    while (socket->send_error == 0 && socket->writing) {
        int result = wait_list_park(&socket->flushed, "websocket flush");
        if (result < 0)
            return result;
    }
    return socket->send_error;
}

int aw_websocket_flush(struct aw_websocket *socket)
{
    return websocket_wait_flushed(socket);
}

/* --- frames ---------------------------------------------------------------------------------- */
int websocket_queue_frame(struct aw_websocket *socket, uint8_t opcode, bool is_last,
                          const void *data, size_t size)
{
    int result = websocket_buffer_reserve(&socket->queued, size + HEADER_SIZE_MAX);
    if (result == 0)
        result = start_writer(socket);
    if (result < 0)
        return result;
    struct wslay_frame_iocb frame = {
        .fin = is_last,
        .opcode = opcode,
        .payload_length = size,
        .mask = socket->is_client,
        .data = data,
        .data_length = size,
    };
    /* into memory that is there: it can only be complete */
    return wslay_frame_send(socket->frames, &frame) == (ssize_t)size ? 0 : -EIO;
}

int websocket_queue_pong(struct aw_websocket *socket, const void *data, size_t size)
{
    if (websocket_is_ending(socket))
        return 0; /* nobody waits for it any more */
    if (aw_websocket_pending(socket) <= socket->options.send_queue_max)
        return websocket_queue_frame(socket, WSLAY_PONG, true, data, size);
    memcpy(socket->pong, data, size);
    socket->pong_size = (int)size;
    return 0;
}

int websocket_queue_ping(struct aw_websocket *socket)
{
    uint64_t number = socket->ping_number + 1;
    int result = websocket_queue_frame(socket, WSLAY_PING, true, &number, sizeof number);
    if (result == 0)
        socket->ping_number = number;
    return result;
}

int websocket_queue_farewell(struct aw_websocket *socket, const void *payload, size_t size)
{
    int result = websocket_queue_frame(socket, WSLAY_CONNECTION_CLOSE, true, payload, size);
    if (result < 0)
        return result;
    socket->farewell_queued = true;
    wait_list_grant_all(&socket->room); /* who waited to send hears that it is over */
    wait_list_grant_all(&socket->ponged);
    return 0;
}

int aw_websocket_end(struct aw_websocket *socket, int code, const char *reason)
{
    size_t size = reason ? strlen(reason) : 0;
    uint8_t payload[2 + AW_WEBSOCKET_REASON_SIZE_MAX] = {(uint8_t)(code >> 8), (uint8_t)code};
    struct websocket_utf8 text = {0};
    if (!websocket_is_code(code) || size > AW_WEBSOCKET_REASON_SIZE_MAX ||
        !websocket_utf8_take(&text, reason, size) || !websocket_utf8_is_whole(&text))
        return -EINVAL;
    if (socket->farewell_queued)
        return 0;
    if (socket->send_error < 0)
        return socket->send_error;
    if (size > 0)
        memcpy(payload + 2, reason, size);
    return websocket_queue_farewell(socket, payload, 2 + size);
}
