/* bulk.h - submit --from-csv and --from-json: many jobs out of a file, pipelined. */
#ifndef CTL_BULK_H
#define CTL_BULK_H

#include "ctl/connection.h"

struct bulk_source {
    const char *path;         /* "-": standard input */
    bool json;
    bool skip_first;          /* CSV: the first record holds names */
    bool transaction;         /* all or none */
    const struct words *base; /* "SUBMIT", options, and perhaps the target and first arguments */
    size_t arguments_before;  /* how many words of `base` are the job's, the target included */
};

/* Submits a job for each record. Prints the ids, one a line, or on a terminal their number; stops
 * at the first error and says in which line it is. */
enum exit_code bulk_submit(const struct invocation *invocation, const struct bulk_source *source);

#endif
