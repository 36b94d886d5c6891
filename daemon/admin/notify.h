/* notify.h - what the service manager is told (sd_notify(3)); does nothing where there is none. */
#ifndef ADMIN_NOTIFY_H
#define ADMIN_NOTIFY_H

#include "queue/broker.h"

#include <await.h>

/* Recovery is over and clients are served. */
void notify_ready(void);

/* What runs may go on for `timeout_ms`, and the service manager waits for that too. */
void notify_stopping(uint64_t timeout_ms);

/* Says what opening the queue is doing (queue/opening.h), as a task of the group that is cancelled
 * once it is open, and asks for more time as long as it gets on: a recovery may take as long as it
 * needs, one that hangs runs into the service manager's timeout. The loop must be watched. */
AW_MUST_CHECK int notify_start_opening(struct aw_group *group);

/* The configuration is read again; notify_ready says that this is over. */
void notify_reloading(void);

/* Feeds the watchdog, as a task of the group, while the loop turns and the queue's store answers: a
 * stuck disk or loop stops the feeding, and the service manager restarts the daemon. Does nothing
 * when no watchdog is asked for. */
AW_MUST_CHECK int notify_start_watchdog(struct aw_group *group, struct broker *broker);

#endif
