/* command.c - see command.h. */
#include "ctl/command.h"

#include <stdlib.h>
#include <string.h>

const struct option_value *option_of(const struct command *command,
                                     const struct invocation *invocation, const char *name)
{
    for (int index = 0; command->options[index].name != NULL; index++)
        if (strcmp(command->options[index].name, name) == 0)
            return &invocation->values[index];
    abort();
}
