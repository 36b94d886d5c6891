/* pipe_signal.h - SIGPIPE kept away from the loop's thread, so that writing to a pipe nobody reads
 * is -EPIPE and not the end of the process. Sockets need none of it (MSG_NOSIGNAL). */
#ifndef IO_PIPE_SIGNAL_H
#define IO_PIPE_SIGNAL_H

#include <await/base.h>

/* From now until aw_run returns; may be repeated. Children start with the signal unblocked. */
AW_MUST_CHECK int pipe_signal_hold(void);

#endif
