/* control.h - what an operator asks of the running daemon, by a signal or by a command: to stop, or
 * to read its configuration again. */
#ifndef ADMIN_CONTROL_H
#define ADMIN_CONTROL_H

#include "config/config.h"
#include "config/config_reload.h"

#include <await.h>

struct broker;

struct control {
    const char *path;           /* of the configuration file */
    struct config *configuration;
    struct broker *broker;      /* NULL while there is none: nothing is reloaded then */
    uint64_t stop_timeout_ms;   /* of the stop that was asked for last */
    uint32_t stops;             /* how often it was asked for: the second time ends the waiting */
    bool reloading;
    struct aw_event asked;      /* to stop */
};

void control_init(struct control *control, const char *path, struct config *configuration);

/* Asks for a stop in which what runs gets that long to finish. Never suspends. */
void control_stop(struct control *control, uint64_t timeout_ms);

/* Waits until a stop has been asked for `times` times: 0, or how the caller was interrupted. */
AW_MUST_CHECK AW_SUSPENDS int control_wait_stop(struct control *control, uint32_t times);

/* Reads the configuration again and puts it in the place of the old one, whole, or leaves the old
 * one as it is: negative errno and one line in *reterr. `report` says what needs a restart. */
AW_MUST_CHECK AW_SUSPENDS int control_reload(struct control *control,
                                             char report[RELOAD_REPORT_SIZE],
                                             struct aw_error *reterr);

/* Takes signals until the task is cancelled: TERM and INT stop, HUP reloads. `descriptor` is of
 * aw_signal_open. */
AW_SUSPENDS void control_take_signals(struct control *control, int descriptor);

#endif
