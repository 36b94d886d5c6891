/* input.h - a command's argument out of a file or standard input. */
#ifndef CTL_INPUT_H
#define CTL_INPUT_H

#include "ctl/command.h"
#include "ctl/words.h"

#define INPUT_SIZE_MAX (64UL * 1024 * 1024) /* bytes of one file */

/* Adds the argument to the command: "-" stands for all of standard input, "@path" for that file's
 * bytes, "@@rest" for the text "@rest"; anything else for itself. */
enum exit_code input_add(struct words *words, const char *argument);

#endif
