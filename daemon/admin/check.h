/* check.h - awaitd --check beyond the configuration: the state folder, and whether each target
 * answers. */
#ifndef ADMIN_CHECK_H
#define ADMIN_CHECK_H

#include "config/config.h"
#include "protocol/buffer.h"

enum check_result {
    CHECK_FINE,
    CHECK_TARGET, /* a target does not answer: the daemon would start, and its jobs wait */
    CHECK_STATE,  /* the daemon could not keep its queue */
};

/* Appends a line for each thing that was looked at: what is, or what is wrong and how to mend it.
 * The worst of it is returned. Nothing is created or changed. */
AW_SUSPENDS enum check_result check_surroundings(const struct config *configuration,
                                                 struct buffer *out);

#endif
