/* journal.h - lines with fields for systemd's journal, in its own protocol (one datagram an entry).
 *
 * States: closed; open (journal_start found the journal's socket): entries go into a buffer of
 * 64 KiB that a task of the group sends, so that a busy journal holds up nobody. When sending fails
 * it is closed again, and the texts that are left become plain lines of the log. */
#ifndef ADMIN_JOURNAL_H
#define ADMIN_JOURNAL_H

#include "admin/log.h"

#include <await.h>

/* Where the journal listens. */
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Opens it; without such a socket it stays closed. The group must outlive journal_stop. */
void journal_start(struct aw_group *group, const char *path);

/* Whether the entry was taken; otherwise it is the caller's to write as a plain line. `priority` is
 * that of syslog(3); the text has no control characters. Never suspends. */
bool journal_take(int priority, const char *text, const struct log_subject *subject);

/* Waits until all has been sent, or the scope of the caller ends, and closes. */
AW_SUSPENDS void journal_stop(void);

#endif
