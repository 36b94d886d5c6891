/* pipe.h - pipes and connected socket pairs. The descriptors are CLOEXEC and the caller's to
 * aw_close; buffered reading and writing is in stream.h. */
#ifndef AWAIT_PIPE_H
#define AWAIT_PIPE_H

#include <await/base.h>

/* pipe2(2): what is written to ret_ends[1] can be read from ret_ends[0]. From the first call in a
 * loop until aw_run returns SIGPIPE is blocked on the loop's thread, so that a write to a pipe
 * nobody reads gives -EPIPE. Never suspends. */
AW_API AW_MUST_CHECK int aw_pipe(int ret_ends[2]);

/* socketpair(2) of Unix sockets: `type` is SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET. Never
 * suspends. */
AW_API AW_MUST_CHECK int aw_socket_pair(int type, int ret_ends[2]);

#endif
