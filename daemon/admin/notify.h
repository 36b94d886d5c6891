/* notify.h - what the service manager is told (sd_notify(3)); does nothing where there is none. */
#ifndef ADMIN_NOTIFY_H
#define ADMIN_NOTIFY_H

#include "queue/broker.h"

#include <await.h>

/* Recovery is over and clients are served. */
void notify_ready(void);

void notify_stopping(void);

/* The configuration is read again; notify_ready says that this is over. */
void notify_reloading(void);

/* Feeds the watchdog, as a task of the group, while the loop turns and the queue's store answers: a
 * stuck disk or loop stops the feeding, and the service manager restarts the daemon. Does nothing
 * when no watchdog is asked for. */
AW_MUST_CHECK int notify_start_watchdog(struct aw_group *group, struct broker *broker);

#endif
