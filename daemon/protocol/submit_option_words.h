/* submit_option_words.h - the words of SUBMIT's options and what follows each; private to
 * submit_options.c. */
#ifndef PROTOCOL_SUBMIT_OPTION_WORDS_H
#define PROTOCOL_SUBMIT_OPTION_WORDS_H

#include "protocol/submit_options.h"

/* Where the parse is. */
struct option_reader {
    struct submit_options *options;
    const struct argument *at; /* the next word */
    const struct argument *end;
    const char *option; /* the word of the option that is being read, for errors */
    uint32_t multi_number; /* of this job in its MULTI, 0: there is none */
    struct aw_error *error;
};

typedef int (*option_function)(struct option_reader *reader);

struct submit_option {
    const char *word;
    uint8_t size;
    bool repeats;
    bool run; /* RUN takes it too */
    option_function read;
};

#define SUBMIT_OPTIONS 17u

/* The option of that word in any case, or NULL; its place in the table is below SUBMIT_OPTIONS. */
const struct submit_option *submit_option_find(const struct argument *word);
uint32_t submit_option_index(const struct submit_option *option);

/* How many bytes of a wrong word an error repeats. */
int submit_option_shown(const struct argument *word);

#endif
