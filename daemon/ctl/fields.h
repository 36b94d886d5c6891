/* fields.h - what QUEUES, TARGETS and their STATS answer: maps of plain values, as flat lists of
 * name, value, name, value. They are shown as they come, so that a newer daemon may add some. */
#ifndef CTL_FIELDS_H
#define CTL_FIELDS_H

#include "ctl/reply.h"

bool fields_are(const redisReply *reply);
/* A list of maps that all have the names of the first one. */
bool fields_are_list(const redisReply *reply);

/* Each field on a line of its own, or one object. */
void fields_print(const struct output *output, const redisReply *map);
/* A table with a row for each, or an array of objects. */
void fields_print_list(const struct output *output, const redisReply *list);

#endif
