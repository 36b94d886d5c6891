/* postgres_job.h - a job's arguments as PostgreSQL statements:
 *
 *     <sql> [param ...]
 *     TX <n-statements> <sql> <n-params> param ... <sql> <n-params> param ... */
#ifndef TARGETS_POSTGRES_JOB_H
#define TARGETS_POSTGRES_JOB_H

#include "targets/target.h"

#include <await/pg.h>

#define POSTGRES_JOB_VALUES 16u

struct postgres_job { /* stays where it was parsed: it points into itself */
    struct aw_pg_statement *statements; /* texts and values point into the arguments */
    uint32_t statement_count;
    struct aw_pg_value *values;
    struct aw_pg_statement first; /* place for most jobs; else `statements` and `values` are */
    struct aw_pg_value few[POSTGRES_JOB_VALUES]; /* allocated */
    bool leased;               /* for a connection of its own */
    bool several;              /* TX: the result is an array, one element a statement */
    bool explicit_transaction; /* something in it could commit a part by itself */
    bool atomic; /* all or nothing, whatever happens: not a lone CALL, DO, VACUUM ... */
};

/* 0; -EINVAL: the arguments do not have that form, or a statement may not run here; -ENOMEM. */
AW_MUST_CHECK int postgres_job_parse(struct postgres_job *ret_job, const struct argument *arguments,
                                     uint32_t count, struct aw_error *reterr);
/* The same for one statement on a leased connection, where BEGIN, SET and so on are allowed. */
AW_MUST_CHECK int postgres_job_parse_leased(struct postgres_job *ret_job,
                                            const struct argument *arguments, uint32_t count,
                                            struct aw_error *reterr);
void postgres_job_free(struct postgres_job *job);

#endif
