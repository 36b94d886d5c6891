/* websocket_internal.h - the parts of a WebSocket to each other.
 *
 *   websocket_uri.c        ws:// and wss://
 *   websocket_head.c       heads of HTTP messages
 *   websocket_handshake.c  what both halves of a handshake share
 *   websocket_connect.c    the client's half
 *   websocket_accept.c     the server's half
 *   websocket_receive.c    frames to messages; pings, pongs, the peer's farewell
 *   websocket_queue.c      frames into the queue, and the task that sends them
 *   websocket_send.c       messages to frames, in turn
 *   websocket_utf8.c       text
 *   websocket.c            the socket's life
 *
 * wslay packs and unpacks frames: headers, lengths, masks. What a sequence of frames means is ours,
 * since its own event layer queues without a bound, takes a message's announced size as allocated,
 * and refuses codes that have been registered since.
 *
 * `queued` holds finished frames in order; the writer swaps it with `sending` and sends that, while
 * `queued` fills again. The writer runs only while there is something to send. */
#ifndef CLIENTS_WEBSOCKET_INTERNAL_H
#define CLIENTS_WEBSOCKET_INTERNAL_H

#include "clients/websocket_utf8.h"

#include <await/group.h>
#include <await/sync.h>
#include <await/websocket.h>
#include <sys/types.h>

struct wslay_frame_context;

#define WEBSOCKET_CONTROL_SIZE_MAX 125u
#define WEBSOCKET_KEPT_BYTES ((size_t)16384) /* a buffer that grew larger is given back */

struct websocket_buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

struct websocket_failure { /* of receiving: given to every later receive */
    int number;
    const char *code;
    const char *text;
};

struct aw_websocket {
    struct aw_stream *stream;
    bool owns_stream;
    bool is_client;
    char *protocol; /* owned; NULL: none */
    struct wslay_frame_context *frames;
    struct aw_websocket_options options; /* the numbers, defaults filled in; the pointers are not
                                            kept */

    /* receiving: touched by the receiving task only */
    bool receiving;
    bool in_frame;
    bool in_message;             /* frames of one have come, the last has not */
    bool is_given;               /* the message is the caller's until the next receive */
    uint8_t opcode;              /* of the frame */
    bool is_last;                /* frame of its message */
    uint64_t frame_left;         /* bytes of it to come */
    enum aw_websocket_kind kind; /* of the message */
    struct websocket_utf8 text;
    struct websocket_buffer message;
    uint8_t control[WEBSOCKET_CONTROL_SIZE_MAX];
    size_t control_size;
    int pull_result;   /* why wslay got no bytes */
    uint64_t heard_ns; /* when bytes last came */
    uint64_t left_ns;  /* when the last receive ended */
    bool pinged;       /* since it was heard */
    struct websocket_failure failure;
    bool farewell_received;
    int code;
    char reason[AW_WEBSOCKET_REASON_SIZE_MAX + 1];

    /* sending */
    struct aw_lock turn; /* held for a message, so that its frames stay together */
    bool in_parts;       /* the holder sends a message piece by piece */
    struct websocket_utf8 part_text;
    struct websocket_buffer queued;
    struct websocket_buffer sending;
    struct aw_group writers; /* at most one */
    bool writing;
    int send_error;
    bool farewell_queued;
    bool torn;     /* a message was begun that will not be complete */
    int pong_size; /* of a pong that found the queue full; -1: none */
    uint8_t pong[WEBSOCKET_CONTROL_SIZE_MAX];
    uint64_t ping_number; /* of the last ping, which carries it */
    uint64_t pong_number;
    uint8_t masks[64]; /* random bytes for masking keys */
    size_t masks_left;
    struct aw_wait_list room; /* who waits for a shorter queue; also told of an end */
    struct aw_wait_list flushed;
    struct aw_wait_list ponged;
};

/* --- websocket.c */
/* Makes a socket of a stream that has shaken hands. `protocol` (NULL: none) is taken on success.
 * The options are valid. -ENOMEM. */
AW_MUST_CHECK int websocket_create(struct aw_websocket **ret_socket, struct aw_stream *stream,
                                   bool is_client, char *protocol,
                                   const struct aw_websocket_options *options);

/* Reads and drops what comes until the peer closes. What it still sends would make the kernel reset
 * the connection when it is closed, and what it was told be lost on its way. */
AW_SUSPENDS void websocket_drain(struct aw_stream *stream);

/* Whether a farewell may have this code: those of RFC 6455 and of IANA's registry, but the ones
 * that only stand for a farewell that has not come, and those for libraries and programs. */
bool websocket_is_code(int code);

/* --- websocket_queue.c */
/* Whether the farewell was said or the connection has failed: no frame of any kind follows. */
bool websocket_is_ending(const struct aw_websocket *socket);

/* Whether a message can be sent: 0, the error of the connection, -EPIPE, -ECONNABORTED (torn). */
AW_MUST_CHECK int websocket_sendable(const struct aw_websocket *socket);

/* Queues the farewell, once. -ENOMEM ... */
AW_MUST_CHECK int websocket_queue_farewell(struct aw_websocket *socket, const void *payload,
                                           size_t size);

/* Puts a frame into the queue, whatever its size, and starts the writer. 0, -ENOMEM, -EAGAIN and
 * what else aw_group_spawn gives: nothing was queued. */
AW_MUST_CHECK int websocket_queue_frame(struct aw_websocket *socket, uint8_t opcode, bool is_last,
                                        const void *data, size_t size);

/* Queues a pong; behind a full queue only the last one is kept (RFC 6455 5.5.3 allows it), so that
 * a peer that sends pings and reads nothing costs no memory. */
AW_MUST_CHECK int websocket_queue_pong(struct aw_websocket *socket, const void *data, size_t size);

/* Queues a ping that carries its number. */
AW_MUST_CHECK int websocket_queue_ping(struct aw_websocket *socket);

/* Nothing can be sent any more: tells everybody who waits. The first error counts. */
void websocket_fail_sending(struct aw_websocket *socket, int error);

/* Waits until all is sent. */
AW_MUST_CHECK AW_SUSPENDS int websocket_wait_flushed(struct aw_websocket *socket);

/* Makes room for `size` more bytes. -ENOMEM. */
AW_MUST_CHECK int websocket_buffer_reserve(struct websocket_buffer *buffer, size_t size);
void websocket_buffer_free(struct websocket_buffer *buffer);

/* --- websocket_receive.c */
/* wslay's callback for more bytes; suspends. */
AW_SUSPENDS ssize_t websocket_pull(uint8_t *buffer, size_t size, int flags, void *user_data);

/* The next message: 1; 0: the peer's farewell; or an error. The caller has set `receiving`. */
AW_MUST_CHECK AW_SUSPENDS int websocket_read(struct aw_websocket *socket);

#endif
