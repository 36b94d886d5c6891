/* connection.h - a blocking conversation with the daemon over its Unix socket, in RESP2.
 *
 * Errors are told to the user here, in one line with the remedy, and come back as exit codes. */
#ifndef CTL_CONNECTION_H
#define CTL_CONNECTION_H

#include "ctl/command.h"
#include "ctl/words.h"

#include <hiredis/hiredis.h>

#define REPLY_DEPTH_MAX 40 /* arrays inside each other in a reply; the daemon sends at most 32 */

struct connection { /* all-zero is closed */
    const char *path;
    redisContext *context;
};

/* Connects; at most timeout_ms for this and for each send later (0: no limit). */
enum exit_code connection_open(struct connection *connection, const char *path,
                               uint64_t timeout_ms);

/* As connection_open, for a daemon that is being restarted: tries again for up to patience_ms. */
enum exit_code connection_reopen(struct connection *connection, uint64_t patience_ms);

/* Connects to connection->path without a word: 0, or a negative errno for connection_complain. */
int connection_try(struct connection *connection, uint64_t timeout_ms);
void connection_complain(const char *path, int error);

/* Sends one command and receives its reply (the caller's to free with freeReplyObject).
 * timeout_ms of waiting for it, 0: for ever. With `quiet_loss` a lost connection is not told,
 * only returned as EXIT_UNREACHABLE. An error reply is a reply. */
enum exit_code connection_call(struct connection *connection, const struct words *words,
                               uint64_t timeout_ms, bool quiet_loss, redisReply **ret_reply);

/* The two halves of connection_call, for pipelines: what was sent leaves with the next receive. */
enum exit_code connection_send(struct connection *connection, const struct words *words);
enum exit_code connection_receive(struct connection *connection, uint64_t timeout_ms,
                                  redisReply **ret_reply);

void connection_close(struct connection *connection);

/* Opens, calls, closes: for commands that ask one thing. */
enum exit_code connection_ask(const struct invocation *invocation, const struct words *words,
                              uint64_t timeout_ms, redisReply **ret_reply);

#endif
