/* redis_command.c - see redis_command.h. */
#include "clients/redis_command.h"

#include <stdlib.h>

#define HEADER_SIZE_MAX 24 /* "$" or "*", at most 20 digits, CR LF; and CR LF behind an argument */

void redis_list_append(struct redis_command_list *list, struct redis_command *command)
{
    command->list = list;
    command->next = NULL;
    command->previous = list->last;
    if (list->last)
        list->last->next = command;
    else
        list->first = command;
    list->last = command;
    list->count++;
}

void redis_list_prepend(struct redis_command_list *list, struct redis_command *command)
{
    command->list = list;
    command->previous = NULL;
    command->next = list->first;
    if (list->first)
        list->first->previous = command;
    else
        list->last = command;
    list->first = command;
    list->count++;
}

void redis_list_remove(struct redis_command *command)
{
    struct redis_command_list *list = command->list;
    if (command->previous)
        command->previous->next = command->next;
    else
        list->first = command->next;
    if (command->next)
        command->next->previous = command->previous;
    else
        list->last = command->previous;
    list->count--;
    command->list = NULL;
    command->next = NULL;
    command->previous = NULL;
}

struct redis_command *redis_list_take(struct redis_command_list *list)
{
    struct redis_command *command = list->first;
    if (command) redis_list_remove(command);
    return command;
}

void redis_command_answer(struct redis_command *command, int result, const char *code,
                          const char *text, struct aw_redis_reply *reply)
{
    if (command->abandoned) {
        aw_redis_reply_free(reply);
        free(command);
        return;
    }
    command->state = REDIS_ANSWERED;
    command->result = result;
    command->reply = reply;
    if (result < 0) aw_error_set_code(command->reterr, result, code, "%s", text);
    aw_event_set(&command->answered);
}

size_t redis_command_size(size_t count, const size_t sizes[])
{
    size_t total = HEADER_SIZE_MAX;
    for (size_t i = 0; i < count; i++)
        if (__builtin_add_overflow(total, sizes[i], &total) ||
            __builtin_add_overflow(total, (size_t)HEADER_SIZE_MAX, &total))
            return SIZE_MAX;
    return total;
}
