/* websocket.c - a WebSocket's life; see await/websocket.h. */
#include "clients/websocket_internal.h"

#include <await/clock.h>
#include <await/scope.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

/* --- wslay's callbacks for sending: the room was made before --------------------------------- */
static ssize_t put(const uint8_t *data, size_t size, int flags, void *user_data)
{
    (void)flags;
    struct websocket_buffer *queued = &((struct aw_websocket *)user_data)->queued;
    memcpy(queued->data + queued->size, data, size);
    queued->size += size;
    return (ssize_t)size;
}

static int make_mask(uint8_t *mask, size_t size, void *user_data)
{
    struct aw_websocket *socket = user_data;
    if (socket->masks_left < size) {
        aw_random_bytes(socket->masks, sizeof socket->masks);
        socket->masks_left = sizeof socket->masks;
    }
    socket->masks_left -= size;
    memcpy(mask, socket->masks + socket->masks_left, size);
    return 0;
}

/* --- life ------------------------------------------------------------------------------------ */
static void release(struct aw_websocket *socket)
{
    wslay_frame_context_free(socket->frames);
    websocket_buffer_free(&socket->message);
    websocket_buffer_free(&socket->queued);
    websocket_buffer_free(&socket->sending);
    free(socket->protocol);
    free(socket);
}

int websocket_create(struct aw_websocket **ret_socket, struct aw_stream *stream, bool is_client,
                     char *protocol, const struct aw_websocket_options *options)
{
    struct wslay_frame_callbacks callbacks = {put, websocket_pull, make_mask};
    struct aw_websocket *socket = calloc(1, sizeof *socket);
    if (socket == NULL)
        return -ENOMEM;
    if (wslay_frame_context_init(&socket->frames, &callbacks, socket) != 0) {
        free(socket);
        return -ENOMEM;
    }
    socket->stream = stream;
    socket->is_client = is_client;
    socket->protocol = protocol;
    socket->options = *options;
    socket->options.protocols = NULL; /* the caller's, not kept */
    socket->options.headers = NULL;
    socket->options.origin = NULL;
    socket->options.tls = NULL;
    socket->code = AW_WEBSOCKET_ABNORMAL;
    socket->pong_size = -1;
    socket->heard_ns = aw_now_ns();
    socket->left_ns = socket->heard_ns;
    aw_lock_init(&socket->turn);
    aw_group_init(&socket->writers, AW_GROUP_COLLECT);
    *ret_socket = socket;
    return 0;
}

/* The writer stands on the stream's buffers: it ends before they go. */
static void end_writer(struct aw_websocket *socket)
{
    aw_group_cancel(&socket->writers);
    AW_IGNORE(aw_group_wait(&socket->writers)); /* waits for the writer in any case */
}

void aw_websocket_abort(struct aw_websocket *socket)
{
    if (socket == NULL)
        return;
    end_writer(socket);
    if (socket->owns_stream)
        aw_stream_abort(socket->stream);
    release(socket);
}

void websocket_drain(struct aw_stream *stream)
{
    char bytes[4096];
    while (aw_stream_read_some(stream, bytes, sizeof bytes) > 0) {
    }
}

/* The rest of an orderly end; the caller's scope bounds it. */
static int finish(struct aw_websocket *socket)
{
    int result = websocket_wait_flushed(socket);
    if (result == -ECANCELED || result == -ETIME)
        return result;
    int received = 1;
    while (received > 0)
        received = websocket_read(socket);
    if (received == -ECANCELED || received == -ETIME)
        return received;
    if (received == 0)
        result = websocket_wait_flushed(socket); /* the answer to the peer's farewell */
    if (socket->send_error == 0 && received < 0 && received != -ECONNRESET &&
        aw_stream_end(socket->stream) == 0)
        websocket_drain(socket->stream);
    /* the server closes first (RFC 6455 7.1.1), so that the waiting in TIME_WAIT is its */
    if (received == 0 && socket->is_client)
        websocket_drain(socket->stream);
    return received < 0 ? received : result;
}

static int close_within(struct aw_websocket *socket)
{
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(socket->options.close_timeout_ms));
    int result = -EBUSY;
    if (!socket->receiving) {
        socket->receiving = true;
        result = finish(socket);
    }
    if (result == 0 && socket->owns_stream) {
        end_writer(socket);
        AW_IGNORE(aw_stream_close(socket->stream)); /* with TLS's own farewell, if it can be sent */
        socket->owns_stream = false;
    }
    bool expired = aw_scope_expired(&scope);
    aw_scope_leave(&scope);
    if (result == 0 || !expired || aw_interrupted() != 0)
        return result;
    return result == -ETIME ? -ETIMEDOUT : result;
}

int aw_websocket_close(struct aw_websocket *socket, int code, const char *reason)
{
    if (socket == NULL)
        return 0;
    int result = aw_websocket_end(socket, code, reason);
    if (result == -EINVAL)
        result = aw_websocket_end(socket, AW_WEBSOCKET_INTERNAL_ERROR, NULL);
    int finished = close_within(socket);
    aw_websocket_abort(socket);
    return finished < 0 ? finished : result;
}

/* --- a block --------------------------------------------------------------------------------- */
static int enter(void *object)
{
    struct aw_websocket_call *call = object;
    if (call->uri == NULL)
        return call->socket != NULL ? 0 : -EINVAL;
    return aw_websocket_connect(&call->socket, call->uri, call->options, call->error);
}

static int leave(void *object, int outcome)
{
    struct aw_websocket_call *call = object;
    struct aw_websocket *socket = call->socket;
    call->socket = NULL;
    return aw_websocket_close(socket, outcome < 0 ? AW_WEBSOCKET_GOING_AWAY : AW_WEBSOCKET_NORMAL,
                              NULL);
}

struct aw_with aw_websocket_with(struct aw_websocket_call *call)
{
    /* close bounds itself */
    static const struct aw_manager manager = {
        .enter = enter, .exit = leave, .exit_timeout_ms = AW_NEVER};
    return aw_with(&manager, call);
}

bool websocket_is_code(int code)
{
    if (code == 1004 || code == AW_WEBSOCKET_NO_CODE || code == AW_WEBSOCKET_ABNORMAL)
        return false;
    return (code >= 1000 && code <= 1014) || (code >= 3000 && code <= 4999);
}

/* --- what it is ------------------------------------------------------------------------------ */
const char *aw_websocket_protocol(const struct aw_websocket *socket)
{
    return socket->protocol ? socket->protocol : "";
}

int aw_websocket_close_code(const struct aw_websocket *socket)
{
    return socket->code;
}

const char *aw_websocket_close_reason(const struct aw_websocket *socket)
{
    return socket->reason;
}
