/* options.h - command-line options as data: one table parses them, explains them in --help and
 * says which word of the protocol each one stands for. */
#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H

#include "ctl/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum option_kind {
    OPTION_FLAG,
    OPTION_TEXT,
    OPTION_NUMBER,        /* decimal, 0...2^63-1 */
    OPTION_NUMBER_LIST,   /* 1,3,4: kept as text, digits and commas only */
    OPTION_BIND_LIST,     /* 2:ID:0:1,3:ID:0:0: argument, job, row, column; kept as text */
    OPTION_DURATION,      /* duration.h; the value in ms */
    OPTION_DURATION_OPTIONAL, /* --name or --name=DURATION */
    OPTION_DURATION_PAIR, /* MIN,MAX */
    OPTION_MOMENT,        /* duration.h; the value in Unix ms */
};

struct option {
    const char *name;       /* without the dashes; a NULL name ends the table */
    char letter;            /* the short form, 0 for none */
    enum option_kind kind;
    const char *value_name; /* in --help: "DURATION" */
    const char *word;       /* the protocol's option it stands for, NULL: awaitctl's own */
    const char *help;
};

struct option_value {
    bool set;
    bool has_value;      /* of an OPTION_DURATION_OPTIONAL */
    const char *text;
    uint64_t number;     /* ms for durations */
    uint64_t number_max; /* the MAX of a pair */
};

/* A table with the place its values go to; values[i] belongs to options[i]. */
struct option_set {
    const struct option *options;
    struct option_value *values;
};

#define OPTIONS_MAX 24 /* in one table */

/* Parses argv up to its end, or with `stop_at_first` up to the first argument that is no option.
 * What is no option is collected in `positional` (room for argc). "--" ends the options. Returns
 * the number of arguments consumed, or -1 with a sentence in *reterr. */
int options_parse(const struct option_set *sets, int set_count, int argc,
                  const char *const *argv, bool stop_at_first, const char **positional,
                  int *ret_positional_count, struct text *reterr);

void options_print_help(const struct option *options, FILE *out);

#endif
