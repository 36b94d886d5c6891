/* completion.h - shell completion, made from the tables of commands and options. */
#ifndef CTL_COMPLETION_H
#define CTL_COMPLETION_H

#include "ctl/command.h"

struct completion {
    const struct command *const *commands;
    size_t command_count;
    const struct option *global_options;
};

void completion_bash(const struct completion *completion, FILE *out);
void completion_zsh(const struct completion *completion, FILE *out);

#endif
