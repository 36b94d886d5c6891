/* waiting.h - asking for the results of stored jobs, also over a restart of the daemon.
 *
 * Jobs outlive the daemon, so a lost connection is no answer: it is made again, and the question
 * put again with the time that is left. */
#ifndef CTL_WAITING_H
#define CTL_WAITING_H

#include "ctl/connection.h"

struct waiting {
    const char *verb;       /* AWAIT, GATHER or RACE */
    const char *const *ids;
    size_t id_count;
    bool limited;
    uint64_t timeout_ms;    /* when limited */
};

/* The reply to the question (the caller's to free), on an open connection. */
enum exit_code wait_for(struct connection *connection, const struct waiting *waiting,
                        redisReply **ret_reply);

#endif
