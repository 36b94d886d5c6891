/* websocket_receive.c - frames to messages. wslay gives a frame in pieces as its bytes come; each
 * is checked and put away at once, so that an interruption finds nothing half done, and a message
 * takes the memory of what has come, not of what was announced. */
#include "clients/websocket_internal.h"

#include "core/park.h"

#include <await/clock.h>
#include <await/scope.h>

#include <errno.h>
#include <string.h>
#include <wslay/wslay.h>

/* --- bytes ----------------------------------------------------------------------------------- */
/* The silence has lasted too long once: asks. Twice: -ETIMEDOUT. */
static int ask_whether_alive(struct aw_websocket *socket)
{
    if (socket->pinged) {
        websocket_fail_sending(socket, -ETIMEDOUT);
        aw_group_cancel(&socket->writers); /* it may wait for the dead peer to read */
        return -ETIMEDOUT;
    }
    socket->pinged = true;
    return websocket_is_ending(socket) ? 0 : websocket_queue_ping(socket);
}

static int read_bytes(struct aw_websocket *socket, void *buffer, size_t size)
{
    uint32_t interval_ms = socket->options.ping_interval_ms;
    if (interval_ms == 0)
        return aw_stream_read_some(socket->stream, buffer, size);
    for (;;) {
        struct aw_scope scope;
        uint64_t silence_ms = (uint64_t)interval_ms * (socket->pinged ? 2 : 1);
        aw_scope_enter(&scope, socket->heard_ns + silence_ms * AW_NS_PER_MS);
        int result = aw_stream_read_some(socket->stream, buffer, size);
        aw_scope_leave(&scope);
        if (result != -ETIME || aw_interrupted() != 0) {
            if (result > 0) {
                socket->heard_ns = aw_now_ns();
                socket->pinged = false;
            }
            return result;
        }
        result = ask_whether_alive(socket);
        if (result < 0)
            return result;
    }
}

ssize_t websocket_pull(uint8_t *buffer, size_t size, int flags, void *user_data)
{
    (void)flags;
    struct aw_websocket *socket = user_data;
    int result = read_bytes(socket, buffer, size);
    socket->pull_result = result == 0 ? -ECONNRESET : result;
    return result > 0 ? result : -1;
}

/* --- failures -------------------------------------------------------------------------------- */
/* Ends receiving for good. With a code the peer is told, as far as that is possible. */
static int fail(struct aw_websocket *socket, int number, const char *word, int code,
                const char *text)
{
    if (socket->failure.number == 0)
        socket->failure = (struct websocket_failure){number, word, text};
    if (code != 0)
        AW_IGNORE(aw_websocket_end(socket, code, text)); /* no memory for it: it just closes */
    return number;
}

static int break_rules(struct aw_websocket *socket, const char *text)
{
    return fail(socket, -EPROTO, "PROTOCOL", AW_WEBSOCKET_PROTOCOL_ERROR, text);
}

static int no_memory(struct aw_websocket *socket)
{
    return fail(socket, -ENOMEM, "FAILED", AW_WEBSOCKET_INTERNAL_ERROR, "no memory");
}

static int bad_text(struct aw_websocket *socket)
{
    return fail(socket, -EPROTO, "PROTOCOL", AW_WEBSOCKET_BAD_DATA, "text that is not UTF-8");
}

/* --- control frames -------------------------------------------------------------------------- */
static int take_farewell(struct aw_websocket *socket)
{
    const uint8_t *payload = socket->control;
    size_t size = socket->control_size;
    struct websocket_utf8 text = {0};
    int code = size >= 2 ? payload[0] << 8 | payload[1] : AW_WEBSOCKET_NO_CODE;
    if (size == 1 || (size > 1 && !websocket_is_code(code)))
        return break_rules(socket, "a farewell with an impossible code");
    if (size > 2 &&
        (!websocket_utf8_take(&text, payload + 2, size - 2) || !websocket_utf8_is_whole(&text)))
        return bad_text(socket);
    socket->code = code;
    if (size > 2)
        memcpy(socket->reason, payload + 2, size - 2);
    socket->farewell_received = true;
    if (websocket_is_ending(socket))
        return 0; /* said already, or nobody there to hear it */
    return websocket_queue_farewell(socket, payload, size >= 2 ? 2 : 0) < 0 ? no_memory(socket) : 0;
}

static void take_pong(struct aw_websocket *socket)
{
    uint64_t number;
    if (socket->control_size != sizeof number)
        return; /* one that nobody asked for */
    memcpy(&number, socket->control, sizeof number);
    if (number <= socket->pong_number || number > socket->ping_number)
        return;
    socket->pong_number = number;
    wait_list_grant_all(&socket->ponged);
}

/* 1: goes on; 0: the farewell. */
static int take_control(struct aw_websocket *socket)
{
    if (socket->opcode == WSLAY_CONNECTION_CLOSE)
        return take_farewell(socket);
    if (socket->opcode == WSLAY_PONG)
        take_pong(socket);
    else if (websocket_queue_pong(socket, socket->control, socket->control_size) < 0)
        return no_memory(socket);
    return 1;
}

/* --- frames ---------------------------------------------------------------------------------- */
static int begin_frame(struct aw_websocket *socket, const struct wslay_frame_iocb *piece)
{
    if (piece->rsv != 0)
        return break_rules(socket, "a reserved bit is set: no extension was agreed on");
    if ((piece->mask != 0) == socket->is_client)
        return break_rules(socket, socket->is_client ? "a server masks no frames"
                                                     : "a client masks its frames");
    socket->in_frame = true;
    socket->opcode = piece->opcode;
    socket->is_last = piece->fin != 0;
    socket->frame_left = piece->payload_length;
    switch (piece->opcode) {
    case WSLAY_CONNECTION_CLOSE:
    case WSLAY_PING:
    case WSLAY_PONG: socket->control_size = 0; return 0;
    case WSLAY_CONTINUATION_FRAME:
        if (!socket->in_message)
            return break_rules(socket, "a continuation of nothing");
        break;
    case WSLAY_TEXT_FRAME:
    case WSLAY_BINARY_FRAME:
        if (socket->in_message)
            return break_rules(socket, "a message inside another");
        socket->in_message = true;
        socket->kind = piece->opcode == WSLAY_TEXT_FRAME ? AW_WEBSOCKET_TEXT : AW_WEBSOCKET_BINARY;
        socket->text = (struct websocket_utf8){0};
        break;
    default: return break_rules(socket, "a frame of an unknown kind");
    }
    if (piece->payload_length > socket->options.message_size_max - socket->message.size)
        return fail(socket, -EMSGSIZE, "TOOBIG", AW_WEBSOCKET_TOO_BIG,
                    "a message larger than is taken");
    return 0;
}

static int put_away(struct aw_websocket *socket, const struct wslay_frame_iocb *piece)
{
    size_t size = piece->data_length;
    socket->frame_left -= size;
    if (wslay_is_ctrl_frame(socket->opcode)) {
        if (size > 0) /* wslay has checked that it has 125 bytes at most */
            memcpy(socket->control + socket->control_size, piece->data, size);
        socket->control_size += size;
        return 0;
    }
    if (socket->kind == AW_WEBSOCKET_TEXT && !websocket_utf8_take(&socket->text, piece->data, size))
        return bad_text(socket);
    if (websocket_buffer_reserve(&socket->message, size + 1) < 0)
        return no_memory(socket);
    if (size > 0)
        memcpy(socket->message.data + socket->message.size, piece->data, size);
    socket->message.size += size;
    return 0;
}

/* 2: goes on; 1: a message is whole; 0: the farewell. */
static int end_frame(struct aw_websocket *socket)
{
    socket->in_frame = false;
    if (wslay_is_ctrl_frame(socket->opcode)) {
        int result = take_control(socket);
        return result == 1 ? 2 : result;
    }
    if (!socket->is_last)
        return 2;
    if (socket->kind == AW_WEBSOCKET_TEXT && !websocket_utf8_is_whole(&socket->text))
        return bad_text(socket);
    socket->in_message = false;
    socket->is_given = true;
    socket->message.data[socket->message.size] = '\0';
    return 1;
}

/* One piece; results as end_frame. */
static int read_piece(struct aw_websocket *socket)
{
    struct wslay_frame_iocb piece = {0};
    socket->pull_result = 0;
    ssize_t taken = wslay_frame_recv(socket->frames, &piece);
    if (taken == WSLAY_ERR_WANT_READ)
        return socket->pull_result < 0 ? socket->pull_result : 2;
    if (taken < 0)
        return break_rules(socket, "a frame whose header cannot be");
    int result = socket->in_frame ? 0 : begin_frame(socket, &piece);
    if (result == 0)
        result = put_away(socket, &piece);
    if (result < 0)
        return result;
    return socket->frame_left > 0 ? 2 : end_frame(socket);
}

static void forget_message(struct aw_websocket *socket)
{
    if (!socket->is_given)
        return;
    socket->is_given = false;
    socket->message.size = 0;
    if (socket->message.capacity > WEBSOCKET_KEPT_BYTES)
        websocket_buffer_free(&socket->message);
}

/* What has failed for good, as far as it is not noted yet. */
static int note(struct aw_websocket *socket, int result)
{
    if (socket->failure.number == 0 && result == -ETIMEDOUT)
        return fail(socket, result, "SILENT", 0, "the peer does not answer");
    if (socket->failure.number == 0 && result == -ECONNRESET)
        return fail(socket, result, "LOST", 0, "the connection ended without a farewell");
    return result;
}

static int read_message(struct aw_websocket *socket)
{
    int result = aw_interrupted();
    if (result < 0)
        return result;
    do
        result = read_piece(socket);
    while (result == 2);
    return result < 0 ? note(socket, result) : result;
}

int websocket_read(struct aw_websocket *socket)
{
    forget_message(socket);
    if (socket->failure.number < 0)
        return socket->failure.number;
    if (socket->farewell_received)
        return 0;
    if (socket->options.ping_interval_ms == 0)
        return read_message(socket);
    /* while nobody receives, the peer's silence does not count */
    socket->heard_ns += aw_now_ns() - socket->left_ns;
    int result = read_message(socket);
    socket->left_ns = aw_now_ns();
    return result;
}

int aw_websocket_receive(struct aw_websocket *socket, struct aw_websocket_message *ret_message,
                         struct aw_error *reterr)
{
    if (socket->receiving)
        return aw_error_set(reterr, -EBUSY, "WebSocket: another task receives");
    socket->receiving = true;
    int result = websocket_read(socket);
    socket->receiving = false;
    if (result == 1)
        *ret_message = (struct aw_websocket_message){
            socket->kind, (const char *)socket->message.data, socket->message.size};
    if (result >= 0)
        return result;
    const struct websocket_failure *failure = &socket->failure;
    return aw_error_set_code(reterr, result, failure->number ? failure->code : "", "WebSocket: %s",
                             failure->number ? failure->text : aw_error_text(result));
}
