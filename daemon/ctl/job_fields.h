/* job_fields.h - a job as the daemon describes it: a flat list of field, value, field, value.
 *
 * Fields are found by name, so that a newer daemon may add some. Times are milliseconds there; on a
 * terminal they are shown as people say them. */
#ifndef CTL_JOB_FIELDS_H
#define CTL_JOB_FIELDS_H

#include "ctl/reply.h"

bool job_is_fields(const redisReply *reply);

/* Every field on a line of its own. */
void job_print(const struct output *output, const redisReply *job);

/* An object; ids stay strings (they are above 2^53). */
void job_json(struct json *json, const redisReply *job);

/* The table of `jobs`. */
void job_table_init(struct table *table, const struct table_style *style);
void job_table_add(struct table *table, const redisReply *job);

/* A table of such lists: a column for each name (the last one is NULL), in that order. */
void fields_table_init(struct table *table, const struct table_style *style,
                       const char *const *names);
void fields_table_add(struct table *table, const char *const *names, const redisReply *fields);

#endif
