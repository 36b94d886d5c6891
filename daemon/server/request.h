/* request.h - from received bytes to executed commands.
 *
 * Two tasks of a connection may execute, never both at once: the reader, which must not suspend in
 * a command, and the handler, which may. The reader hands over at the first command that waits. */
#ifndef SERVER_REQUEST_H
#define SERVER_REQUEST_H

#include "server/connection.h"

enum request_progress {
    REQUESTS_INCOMPLETE, /* all complete requests are executed: more bytes are needed */
    REQUESTS_NO_ROOM,    /* wait with request_wait_room, then go on */
    REQUESTS_STOPPED,    /* blocked, closing or gone */
};

/* Executes the requests at `data`; the caller drops the first *ret_used bytes. Does not suspend. */
enum request_progress request_execute(struct connection *connection, char *data, size_t size,
                                      size_t *ret_used);

/* Waits until more may be executed, or the connection closes. 0, -ECANCELED, -ETIME. */
AW_MUST_CHECK AW_SUSPENDS int request_wait_room(struct connection *connection);

#endif
