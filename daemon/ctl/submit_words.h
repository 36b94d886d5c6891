/* submit_words.h - the options and arguments of a job, from the command line to the protocol's
 * words; for every command that hands a job over. */
#ifndef CTL_SUBMIT_WORDS_H
#define CTL_SUBMIT_WORDS_H

#include "ctl/command.h"
#include "ctl/words.h"

/* Adds the verb, the words of the options that are set, the target and the job's arguments. */
enum exit_code submit_words(struct words *words, const char *verb, const struct command *command,
                            const struct invocation *invocation);

#endif
