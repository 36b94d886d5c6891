/* worker_link.h - a conversation with the daemon that nobody stands waiting for: commands go out
 * and replies come in as poll(2) allows, in the order of the commands.
 *
 * closed -> open -> lost (closed again, to be opened at retry_at_ms, later after each failure).
 * The worker has two: one waits in RESERVE, which would hold back the replies of the other. */
#ifndef CTL_WORKER_LINK_H
#define CTL_WORKER_LINK_H

#include "ctl/connection.h"

#define LINK_PAUSE_MIN_MS 100
#define LINK_PAUSE_MAX_MS 5000

struct worker_link { /* all-zero but for the path is closed, and may be opened at once */
    struct connection connection;
    uint64_t timeout_ms;  /* of connecting */
    uint64_t retry_at_ms;
    uint64_t pause_ms;    /* before the last try */
    bool writing;         /* commands wait for room */
};

bool link_is_open(const struct worker_link *link);

/* Opens it: 0, or a negative errno, and the next try is put off. */
int link_open(struct worker_link *link);

/* Closes it, to be opened again after a pause that grows until something was heard. */
void link_lose(struct worker_link *link);
void link_close(struct worker_link *link);

/* Queues a command; link_transfer sends it. */
void link_send(struct worker_link *link, const struct words *words);

/* What to poll for; the descriptor is connection.context->fd. */
short link_events(const struct worker_link *link);

/* Sends and receives what is possible now: 0, or -1 when the connection is lost. */
int link_transfer(struct worker_link *link, short events);

/* The next whole reply (the caller's): 1; none yet: 0; what comes is no RESP: -1. */
int link_next(struct worker_link *link, redisReply **ret_reply);

#endif
