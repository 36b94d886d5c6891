/* multi.h - MULTI ... EXEC | DISCARD: the SUBMITs in between are checked and kept, and stored all
 * or none by EXEC.
 *
 * Anything wrong in between, also a command that has no place there, makes EXEC refuse all, as it
 * does in Redis. What is kept belongs to the connection and ends with it. */
#ifndef SERVER_MULTI_H
#define SERVER_MULTI_H

#include "protocol/argument.h"
#include "protocol/buffer.h"

struct command;
struct connection;

#define MULTI_BYTES_MAX (64u << 20) /* of the SUBMITs that are kept */

/* Whether the command (NULL: refused already, the error is in `reply`) is executed although a MULTI
 * is open. If not it is SUBMIT, or `reply` holds the error. */
bool multi_passes(struct connection *connection, const struct command *command,
                  struct buffer *reply);

/* Checks and keeps a SUBMIT: answers QUEUED, or an error. */
void multi_queue(struct connection *connection, struct argument *arguments, uint32_t count,
                 struct buffer *reply);

void multi_forget(struct connection *connection);

#endif
