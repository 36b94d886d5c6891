/* websocket.h - WebSocket (RFC 6455): messages over a stream, as client and as server.
 *
 *     result = aw_websocket_connect(&socket, "wss://example.org/chat", NULL, &error);
 *     result = aw_websocket_send(socket, AW_WEBSOCKET_TEXT, "hello", 5);
 *     while ((result = aw_websocket_receive(socket, &message, &error)) > 0)
 *         use(message.data, message.size);
 *     aw_websocket_close(socket, AW_WEBSOCKET_NORMAL, NULL);
 *
 * One task receives at a time (-EBUSY for a second one), any number send. Sending puts whole
 * messages into a queue with a limit, and a task of the socket's own empties it; who sends waits
 * only for room. Pings are answered, pongs and the peer's farewell are noticed while some task
 * receives, and only then: so one always should. Extensions (compression) are declined.
 *
 * The life of a socket: open; ending, once either side has said farewell (aw_websocket_end, or the
 * peer's close frame, which is answered by itself): nothing more can be sent, receiving goes on
 * until the peer's farewell; closed. aw_websocket_close goes through the rest of it and frees the
 * socket; each socket needs one aw_websocket_close or aw_websocket_abort. No task may use a socket
 * that is being closed.
 *
 * Errors, with what is known in error->code:
 *
 *   -EINVAL       "REQUEST"    the URI, a header, a protocol or a limit cannot be
 *   -EKEYREJECTED, -EPROTO ... "TLS"     see aw_stream_start_tls
 *   -ENOENT, -ECONNREFUSED ... "CONNECT" see aw_connect_tcp
 *   -EACCES       the status, "403"      the server answered, but not with 101
 *   -EPROTO       "HANDSHAKE"  the peer's half of the handshake is not WebSocket
 *   -EMSGSIZE     "HANDSHAKE"  its head is longer than AW_WEBSOCKET_HEAD_SIZE_MAX
 *   -ETIMEDOUT    "HANDSHAKE"  handshake_timeout_ms is over
 *   -EPROTO       "PROTOCOL"   the peer broke the rules of frames (1002) or of UTF-8 (1007)
 *   -EMSGSIZE     "TOOBIG"     the peer's message is larger than message_size_max (1009)
 *   -ETIMEDOUT    "SILENT"     the peer did not answer a ping
 *   -ECONNRESET   "LOST"       the connection ended without a farewell
 *   -ENOMEM       "FAILED"
 *   -ECANCELED, -ETIME         interrupted
 *
 * After -EPROTO, -EMSGSIZE and -ENOMEM of a receive the peer has been told why (a close frame with
 * the code in brackets) and every later receive gives the same. */
#ifndef AWAIT_WEBSOCKET_H
#define AWAIT_WEBSOCKET_H

#include <await/base.h>
#include <await/error.h>
#include <await/http.h>
#include <await/stream.h>
#include <await/tls.h>
#include <await/with.h>

struct aw_websocket;

#define AW_WEBSOCKET_HEAD_SIZE_MAX 16384u /* bytes of a handshake's head */
#define AW_WEBSOCKET_HEADERS_MAX 100u
#define AW_WEBSOCKET_REASON_SIZE_MAX 123u /* bytes of a farewell's reason */

enum aw_websocket_kind { AW_WEBSOCKET_TEXT = 1, AW_WEBSOCKET_BINARY = 2 };

/* Codes of a farewell, RFC 6455 section 7.4 and the registry of IANA. 3000 to 3999 are for
 * libraries, 4000 to 4999 for programs; NO_CODE and ABNORMAL are never sent. */
enum aw_websocket_code {
    AW_WEBSOCKET_NORMAL = 1000,
    AW_WEBSOCKET_GOING_AWAY = 1001,
    AW_WEBSOCKET_PROTOCOL_ERROR = 1002,
    AW_WEBSOCKET_UNSUPPORTED = 1003,
    AW_WEBSOCKET_NO_CODE = 1005,  /* the peer's farewell had none */
    AW_WEBSOCKET_ABNORMAL = 1006, /* no farewell has come */
    AW_WEBSOCKET_BAD_DATA = 1007,
    AW_WEBSOCKET_POLICY = 1008,
    AW_WEBSOCKET_TOO_BIG = 1009,
    AW_WEBSOCKET_INTERNAL_ERROR = 1011,
    AW_WEBSOCKET_RESTART = 1012,
    AW_WEBSOCKET_TRY_LATER = 1013,
};

struct aw_websocket_options {
    size_t message_size_max;       /* bytes of a received message; 0: 1 MiB; at most 1 GiB */
    size_t send_queue_max;         /* bytes that wait to be sent; 0: 256 KiB; at most 1 GiB. A
                                      frame that is larger waits until the queue is empty */
    size_t fragment_size;          /* longer messages are sent in frames of this size; 0: in one */
    uint32_t ping_interval_ms;     /* ping a peer that has been silent so long, and give it up when
                                      it stays silent as long again; 0: never */
    uint32_t handshake_timeout_ms; /* connecting and TLS included; 0: 10,000 */
    uint32_t close_timeout_ms;     /* how long aw_websocket_close waits for the peer; 0: 3,000 */
    const char *protocols;         /* subprotocols in order of preference, "chat.v2, chat"; NULL:
                                      none. A server takes its first one that the client offered */
    const struct aw_http_header *headers; /* more headers of the own half of the handshake, such as
                                             Authorization or Set-Cookie; at most 64 */
    size_t header_count;
    const char *origin;         /* client: the Origin header; NULL: none */
    struct aw_tls_context *tls; /* client, for wss: NULL: one that trusts the system's
                                   authorities, which are then read at each connect */
};

struct aw_websocket_message {
    enum aw_websocket_kind kind;
    const char *data; /* the socket's memory, valid until the next receive; ends with a NUL that
                         size does not count. Text is valid UTF-8 */
    size_t size;
};

/* --- client ---------------------------------------------------------------------------------- */
/* Connects to ws://host[:port][/path][?query] or wss://... and shakes hands. `options` may be NULL.
 * A redirect is not followed: the error names its Location. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_websocket_connect(
    struct aw_websocket **ret_socket, const char *uri, const struct aw_websocket_options *options,
    struct aw_error *reterr);

/* As aw_websocket_connect, over a stream that is open already (a Unix socket, a tunnel): the URI
 * only says what to ask for. With wss TLS is the caller's to have started. The stream stays the
 * caller's, to be closed after the socket and used by nobody else meanwhile; after a failure it can
 * only be closed. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_websocket_start(struct aw_websocket **ret_socket,
                                                        struct aw_stream *stream, const char *uri,
                                                        const struct aw_websocket_options *options,
                                                        struct aw_error *reterr);

/* --- server ---------------------------------------------------------------------------------- */
/* What a client asks for. The strings are the request's. */
struct aw_websocket_request {
    const char *target;    /* "/chat?room=1", at least "/" */
    const char *host;      /* the Host header */
    const char *origin;    /* of a browser's page; NULL: none. Check it if cookies mean anything */
    const char *protocols; /* the subprotocols offered, "chat, superchat"; "" when none */
    const struct aw_http_header *headers; /* all, in the order they came */
    size_t header_count;
};

/* Reads a request off a stream, such as aw_server's (after aw_stream_accept_tls for wss), within
 * handshake_timeout_ms (0: 10,000). What is no WebSocket handshake is answered by itself, with 400,
 * 405, 408, 426 or 431, and gives -EPROTO, -EMSGSIZE or -ETIMEDOUT: close the stream then. -ENODATA
 * "LOST": the client left before it had sent anything. The caller frees the request. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_websocket_request_read(
    struct aw_websocket_request **ret_request, struct aw_stream *stream,
    uint32_t handshake_timeout_ms, struct aw_error *reterr);

/* The value of the first header of that name, in any case; NULL: there is none. */
AW_API const char *aw_websocket_request_header(const struct aw_websocket_request *request,
                                               const char *name);

/* NULL does nothing. Never suspends. */
AW_API void aw_websocket_request_free(struct aw_websocket_request *request);

/* Answers 101 and opens the socket. The request is not needed any more afterwards; the stream stays
 * the caller's, to be closed after the socket and used by nobody else meanwhile. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_websocket_accept(struct aw_websocket **ret_socket,
                                                         struct aw_stream *stream,
                                                         const struct aw_websocket_request *request,
                                                         const struct aw_websocket_options *options,
                                                         struct aw_error *reterr);

/* Answers with an HTTP status from 300 to 599 and a text (NULL: the status's own words) instead: 0
 * once it is sent. Close the stream then. -EINVAL: the status; -ENOMEM; and as aw_stream_write. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_websocket_refuse(struct aw_stream *stream, int status,
                                                         const char *text);

/* --- receiving ------------------------------------------------------------------------------- */
/* Waits for the next message, whole, however many frames it came in: 1; 0 once the peer has said
 * farewell (aw_websocket_close_code says how), also when asked again. An interrupted call loses
 * nothing. -EBUSY: another task receives. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_websocket_receive(struct aw_websocket *socket,
                                                          struct aw_websocket_message *ret_message,
                                                          struct aw_error *reterr);

/* The peer's farewell: its code (NO_CODE, ABNORMAL: see above) and its reason, "" when there is
 * none, the socket's. Never suspend. */
AW_API int aw_websocket_close_code(const struct aw_websocket *socket);
AW_API const char *aw_websocket_close_reason(const struct aw_websocket *socket);

/* --- sending --------------------------------------------------------------------------------- */
/* Queues a message of a `kind`, text or binary: 0 once all of it is queued. Waits in turn while the
 * queue is full. -EPIPE: the socket is ending; -ECONNRESET, -ETIMEDOUT ...: the connection has
 * failed, and every later send gives the same; -EILSEQ: a text that is not UTF-8; -EDEADLK: the
 * same task is in the middle of a message in parts; -EINVAL: the kind; -ENOMEM, -EAGAIN (tasks_max):
 * nothing is queued. An interrupted call has queued nothing, unless fragment_size had split the
 * message and some of it was: then the message is torn, and every later send gives -ECONNABORTED.
 */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_websocket_send(struct aw_websocket *socket,
                                                       enum aw_websocket_kind kind,
                                                       const void *data, size_t size);

/* As aw_websocket_send (kind, data, errors), but never suspends: -EAGAIN when the queue has no room
 * for the whole message or another task is sending. For one message to many peers, of which some
 * are slow. */
AW_API AW_MUST_CHECK int aw_websocket_try_send(struct aw_websocket *socket,
                                               enum aw_websocket_kind kind, const void *data,
                                               size_t size);

/* Sends a message of a `kind` piece by piece, each in a frame of its own, `last` with the last one.
 * A text may be cut anywhere. The messages of other tasks wait until it is complete, so the same
 * task sends all of it, and without long pauses. A piece that fails (see aw_websocket_send) after
 * the first has torn the message. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_websocket_send_part(struct aw_websocket *socket,
                                                            enum aw_websocket_kind kind,
                                                            const void *data, size_t size,
                                                            bool last);

/* Waits until all that was queued has been handed to the stream's connection. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_websocket_flush(struct aw_websocket *socket);

/* Sends a ping and waits for its pong; *ret_elapsed_ns (may be NULL) is how long that took. Another
 * task must receive meanwhile, else no pong is seen. Errors as aw_websocket_send. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_websocket_ping(struct aw_websocket *socket,
                                                       uint64_t *ret_elapsed_ns);

/* How many bytes are queued. Never suspends. */
AW_API size_t aw_websocket_pending(const struct aw_websocket *socket);

/* The subprotocol both sides agreed on, "" when there is none. Never suspends. */
AW_API const char *aw_websocket_protocol(const struct aw_websocket *socket);

/* --- the end --------------------------------------------------------------------------------- */
/* Says farewell behind what is queued, with a code from enum aw_websocket_code (but 1005 and 1006)
 * or from 3000 to 4999, and a reason (NULL: none; UTF-8, at most AW_WEBSOCKET_REASON_SIZE_MAX
 * bytes). Receiving goes on until the peer's own. 0 also if it was said before; -EINVAL, -ENOMEM,
 * and as aw_websocket_send. Never suspends. */
AW_API AW_MUST_CHECK int aw_websocket_end(struct aw_websocket *socket, int code,
                                          const char *reason);

/* Says farewell unless that is done, sends what is queued, waits at most close_timeout_ms for the
 * peer's farewell (messages that come before it are dropped), closes the connection that
 * aw_websocket_connect opened, and frees the socket, always. 0: both sides have said farewell. When
 * interrupted it only does what needs no waiting. NULL does nothing. A code or reason that cannot
 * be sent counts as AW_WEBSOCKET_INTERNAL_ERROR. */
AW_API AW_SUSPENDS int aw_websocket_close(struct aw_websocket *socket, int code,
                                          const char *reason);

/* Closes and frees the socket without a farewell; what is queued is dropped. Also when interrupted.
 * NULL does nothing. */
AW_API AW_SUSPENDS void aw_websocket_abort(struct aw_websocket *socket);

struct aw_websocket_call {
    const char *uri; /* NULL: `socket` is an open one, such as aw_websocket_accept's */
    const struct aw_websocket_options *options; /* may be NULL */
    struct aw_error *error;                     /* of connecting; may be NULL */
    struct aw_websocket *socket;                /* in the block; NULL after it */
};

/* A block with a connection: connected before it, closed after it, with AW_WEBSOCKET_NORMAL, or
 * AW_WEBSOCKET_GOING_AWAY when the body failed or was left. `call` must outlive the block. */
AW_API struct aw_with aw_websocket_with(struct aw_websocket_call *call);

#endif
