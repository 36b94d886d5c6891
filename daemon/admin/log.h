/* log.h - the daemon's log: lines on the standard error output, for the journal or a terminal.
 *
 * States: direct (before log_start, after log_stop, and when dying): a line is written at once,
 * which can block. Started: a line goes into a buffer of 64 KiB that a task writes out, so that no
 * reader of the log can hold up the loop; what does not fit is dropped, counted, and the count is
 * reported.
 *
 * Under systemd a line begins with its level for the journal (<3>); elsewhere with the time, UTC.
 * Secrets never go into a line: callers log names and reasons, not arguments of jobs. */
#ifndef ADMIN_LOG_H
#define ADMIN_LOG_H

#include "config/config.h"

#include <await.h>

/* Lines above the level are not written; LOG_LEVEL_INFO unless told. */
void log_set_level(enum config_log_level level);
enum config_log_level log_get_level(void);

/* One line, cut at 2,000 bytes; control characters become spaces. Never suspends. */
void log_line(enum config_log_level level, const char *format, ...) AW_PRINTF(2, 3);

/* What a line is about: fields of its own in systemd's journal (AWAITD_JOB=, AWAITD_QUEUE=,
 * AWAITD_TARGET=, AWAITD_ERROR=), which journalctl finds lines by. 0 and NULL: nothing. */
struct log_subject {
    uint64_t job;
    const char *queue;
    const char *target;
    const char *error; /* the code */
};

/* As log_line; elsewhere than in the journal the subject is not written: the text names it too. */
void log_about(enum config_log_level level, const struct log_subject *subject, const char *format,
               ...) AW_PRINTF(3, 4);

/* From now on a task of the group writes. The group must outlive log_stop. */
void log_start(struct aw_group *group);

/* Waits until all is written (at most two seconds), then writes directly. */
AW_SUSPENDS void log_stop(void);

/* Writes what is pending and the line, directly, and ends the process with status 70: for states in
 * which going on could break a promise (the queue's storage failed). */
_Noreturn void log_fatal(const char *format, ...) AW_PRINTF(1, 2);

#endif
