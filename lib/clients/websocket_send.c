/* websocket_send.c - messages to frames. `turn` keeps the frames of a message together. */
#include "clients/websocket_internal.h"

#include "core/park.h"

#include <await/clock.h>
#include <await/scope.h>

#include <errno.h>
#include <wslay/wslay.h>

#define HEADER_SIZE_MAX 14u /* of a frame */

static bool is_utf8(const void *data, size_t size)
{
    struct websocket_utf8 text = {0};
    return websocket_utf8_take(&text, data, size) && websocket_utf8_is_whole(&text);
}

static int check(const struct aw_websocket *socket, enum aw_websocket_kind kind)
{
    if (kind != AW_WEBSOCKET_TEXT && kind != AW_WEBSOCKET_BINARY)
        return -EINVAL;
    return websocket_sendable(socket);
}

static bool has_room(const struct aw_websocket *socket, size_t size)
{
    size_t pending = aw_websocket_pending(socket);
    return pending == 0 || (size <= socket->options.send_queue_max &&
                            pending <= socket->options.send_queue_max - size);
}

/* The frame as soon as there is room for it. */
static int send_frame(struct aw_websocket *socket, uint8_t opcode, bool is_last, const void *data,
                      size_t size)
{
    for (;;) {
        int result = websocket_sendable(socket);
        if (result < 0)
            return result;
        if (has_room(socket, size + HEADER_SIZE_MAX))
            return websocket_queue_frame(socket, opcode, is_last, data, size);
        result = wait_list_park(&socket->room, "websocket queue");
        if (result < 0)
            return result;
    }
}

/* Frames of a message are out and the others never will be. */
static void tear(struct aw_websocket *socket)
{
    socket->torn = true;
}

static int send_fragments(struct aw_websocket *socket, uint8_t opcode, const uint8_t *data,
                          size_t size)
{
    size_t fragment = socket->options.fragment_size;
    size_t done = 0;
    for (;;) {
        bool is_last = fragment == 0 || size - done <= fragment;
        size_t step = is_last ? size - done : fragment;
        int result = send_frame(socket, done == 0 ? opcode : WSLAY_CONTINUATION_FRAME, is_last,
                                data + done, step);
        if (result < 0) {
            if (done > 0)
                tear(socket);
            return result;
        }
        if (is_last)
            return 0;
        done += step;
    }
}

int aw_websocket_send(struct aw_websocket *socket, enum aw_websocket_kind kind, const void *data,
                      size_t size)
{
    int result = check(socket, kind);
    if (result == 0)
        result = aw_interrupted();
    if (result == 0 && kind == AW_WEBSOCKET_TEXT && !is_utf8(data, size))
        result = -EILSEQ;
    if (result == 0)
        result = aw_lock_acquire(&socket->turn);
    if (result < 0)
        return result;
    result = send_fragments(socket, (uint8_t)kind, data, size);
    aw_lock_release(&socket->turn);
    return result;
}

int aw_websocket_try_send(struct aw_websocket *socket, enum aw_websocket_kind kind,
                          const void *data, size_t size)
{
    int result = check(socket, kind);
    if (result < 0)
        return result;
    size_t fragment = socket->options.fragment_size;
    size_t frames = fragment > 0 && size > fragment ? (size - 1) / fragment + 1 : 1;
    size_t framed = size + frames * HEADER_SIZE_MAX;
    if (kind == AW_WEBSOCKET_TEXT && !is_utf8(data, size))
        return -EILSEQ;
    if (socket->turn.owner != NULL || !has_room(socket, framed))
        return -EAGAIN;
    /* all of it or nothing: the frames that follow the first find their memory there */
    result = websocket_buffer_reserve(&socket->queued, framed);
    if (result < 0)
        return result;
    const uint8_t *bytes = data;
    for (size_t i = 0; i < frames && result == 0; i++) {
        bool is_last = i + 1 == frames;
        size_t begin = i * fragment;
        result = websocket_queue_frame(socket, i == 0 ? (uint8_t)kind : WSLAY_CONTINUATION_FRAME,
                                       is_last, bytes + begin, is_last ? size - begin : fragment);
    }
    return result;
}

int aw_websocket_send_part(struct aw_websocket *socket, enum aw_websocket_kind kind,
                           const void *data, size_t size, bool last)
{
    bool goes_on = socket->in_parts && socket->turn.owner == aw_current();
    int result = check(socket, kind);
    if (result == 0)
        result = aw_interrupted();
    if (result == 0 && !goes_on)
        result = aw_lock_acquire(&socket->turn);
    if (result < 0 && !goes_on)
        return result;
    if (!goes_on)
        socket->part_text = (struct websocket_utf8){0};
    if (result == 0 && kind == AW_WEBSOCKET_TEXT &&
        (!websocket_utf8_take(&socket->part_text, data, size) ||
         (last && !websocket_utf8_is_whole(&socket->part_text))))
        result = -EILSEQ;
    if (result == 0)
        result = send_frame(socket, goes_on ? WSLAY_CONTINUATION_FRAME : (uint8_t)kind, last, data,
                            size);
    if (result < 0 && goes_on)
        tear(socket);
    socket->in_parts = result == 0 && !last;
    if (!socket->in_parts)
        aw_lock_release(&socket->turn);
    return result;
}

int aw_websocket_ping(struct aw_websocket *socket, uint64_t *ret_elapsed_ns)
{
    int result = websocket_sendable(socket);
    if (result == 0)
        result = aw_interrupted();
    uint64_t began_ns = aw_now_ns();
    if (result == 0)
        result = websocket_queue_ping(socket);
    uint64_t number = socket->ping_number;
    while (result == 0 && socket->pong_number < number) {
        result = wait_list_park(&socket->ponged, "websocket pong");
        if (result == 0 && socket->pong_number < number)
            result = websocket_sendable(socket);
    }
    if (result == 0 && ret_elapsed_ns != NULL)
        *ret_elapsed_ns = aw_now_ns() - began_ns;
    return result;
}
