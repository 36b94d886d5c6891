/* check_process.h - awaitd --check of what the process itself may do: kernel, sandbox, limits. */
#ifndef ADMIN_CHECK_PROCESS_H
#define ADMIN_CHECK_PROCESS_H

#include "config/config.h"
#include "protocol/buffer.h"

#include <await.h>

/* Appends a line for each. None of them keeps the daemon from starting: that the ring works has
 * been shown by getting here. */
AW_SUSPENDS void check_process(const struct config *configuration, struct buffer *out);

#endif
