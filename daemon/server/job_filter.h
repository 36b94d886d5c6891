/* job_filter.h - the words that choose jobs: those of JOBS and of the commands' bulk forms. */
#ifndef SERVER_JOB_FILTER_H
#define SERVER_JOB_FILTER_H

#include "queue/broker.h"

enum job_filter_kind {
    JOB_FILTER_LIST, /* JOBS: any words, a page at a time */
    JOB_FILTER_BULK, /* after WHERE: at least one word that chooses, no cursor */
};

/* Parses "[QUEUE q] [STATE s] [TARGET t] [MATCH glob] [LIMIT n] [CURSOR c]"; `command` is for
 * messages. False: the error is in `reply`. */
bool job_filter_parse(enum job_filter_kind kind, const char *command,
                      const struct argument *arguments, uint32_t count,
                      struct job_filter *ret_filter, struct buffer *reply);

/* The error reply for a broker's negative errno. */
void job_failure_answer(int result, struct buffer *reply);

#endif
