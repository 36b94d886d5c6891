/* record.h - jobs out of a file, one after the other: CSV (RFC 4180) or JSON lines.
 *
 * A CSV record's fields are arguments. A line of JSON is an array of arguments, or an object:
 * {"target": ..., "args": [...]} and the options of SUBMIT in any case ("queue", "delay" ...),
 * those of several words as an array. Numbers and booleans are taken as they are written; null is
 * SQL NULL. Empty lines are left out. */
#ifndef CTL_RECORD_H
#define CTL_RECORD_H

#include "ctl/words.h"
#include "ctl/text.h"

#include <stdio.h>

#define RECORD_SIZE_MAX (64UL * 1024 * 1024) /* bytes of one record */
#define RECORD_FIELDS_MAX 100000u

struct record { /* all-zero is empty */
    struct words options;   /* of SUBMIT */
    struct words target;    /* one word, or none */
    struct words arguments;
    size_t *nulls;          /* indexes of the arguments that are NULL */
    size_t null_count;
};

enum record_result { RECORD_READ, RECORD_END, RECORD_WRONG };

/* Reads the next record; *line is the number of the last line read, and becomes that of the
 * record's first one in *ret_line. RECORD_WRONG: a sentence is in *reterr. */
enum record_result record_read_csv(FILE *file, size_t *line, size_t *ret_line,
                                   struct record *record, struct text *reterr);
enum record_result record_read_json(FILE *file, size_t *line, size_t *ret_line,
                                    struct record *record, struct text *reterr);

/* Parses one line of JSON. */
enum record_result record_parse_json(const char *data, size_t size, struct record *record,
                                     struct text *reterr);

void record_free(struct record *record);

#endif
