/* server.h - accepts connections on a listener and runs a task for each.
 *
 *     struct aw_server *server;
 *     result = aw_server_start(&server, listener, handler, argument, NULL);
 *     ...
 *     aw_server_stop(server, aw_after_ms(5000));
 *
 * or aw_serve, which does both around waiting for its task to be cancelled. The server's tasks are
 * children of the task that started it. At the bound on connections it stops accepting until one
 * ends; who waits then waits in the listener's backlog. When the process is out of descriptors,
 * memory or tasks it pauses and goes on. */
#ifndef AWAIT_SERVER_H
#define AWAIT_SERVER_H

#include <await/base.h>
#include <await/clock.h>
#include <await/stream.h>

struct aw_server;

/* What runs for each connection, in a task of its own. The stream is the server's: it is closed
 * when the handler returns, after what is pending has been sent (dropped when the task was
 * cancelled). The result goes nowhere. A handler may not stop its own server: it would wait for
 * itself. */
typedef int (*aw_server_handler)(struct aw_stream *stream, void *argument);

struct aw_server_options {
    uint32_t connections_max;        /* 0: 16,384 */
    struct aw_stream_options stream; /* of each connection */
};

/* Starts accepting on the listener (a descriptor from aw_listen_tcp or aw_listen_unix), which the
 * server owns on success and closes when it stops; on failure it is still the caller's. Each
 * connection runs handler(stream, argument). `options` may be NULL. -ENOMEM, -EBADF, -EINVAL (the
 * streams' limits), and errors as aw_spawn. Never suspends. Every started server needs one
 * aw_server_stop. */
AW_API AW_MUST_CHECK int aw_server_start(struct aw_server **ret_server, int listener,
                                         aw_server_handler handler, void *argument,
                                         const struct aw_server_options *options);

/* Stops: closes the listener, waits until the deadline for the connections to end by themselves,
 * cancels those that are left, waits for them and frees the server. An interrupted caller does not
 * wait for the deadline, but does for the rest. Returns 0, or the error that had ended accepting.
 */
AW_API AW_SUSPENDS int aw_server_stop(struct aw_server *server, uint64_t deadline_ns);

/* Waits until accepting has ended by itself, which only an error of the listener does, and returns
 * that error; -ECANCELED or -ETIME when the caller is interrupted. aw_server_stop is still due. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_server_wait(struct aw_server *server);

/* Serves with `handler` until the calling task is interrupted (-ECANCELED, -ETIME) or accepting
 * fails; then stops, giving the connections grace_ms to end by themselves. Never returns 0; errors
 * as aw_server_start and aw_server_wait. The listener is closed in any case. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_serve(int listener, aw_server_handler handler,
                                              void *argument,
                                              const struct aw_server_options *options,
                                              uint64_t grace_ms);

/* How many connections are open, and how many have been accepted so far. Never suspend. */
AW_API uint32_t aw_server_connections(const struct aw_server *server);
AW_API uint64_t aw_server_accepted(const struct aw_server *server);

#endif
