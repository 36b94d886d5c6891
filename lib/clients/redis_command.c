/* redis_command.c - see redis_command.h. */
#include "clients/redis_command.h"

#include <stdlib.h>
#include <string.h>

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

/* A count or a length: its mark, the number, the end of the line. */
static char *write_number(char *at, char mark, size_t number)
{
    char digits[HEADER_SIZE_MAX];
    char *first = digits + sizeof digits;
    *--first = '\n';
    *--first = '\r';
    do {
        *--first = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    *--first = mark;
    size_t size = (size_t)(digits + sizeof digits - first);
    memcpy(at, first, size);
    return at + size;
}

size_t redis_command_write(char *buffer, size_t count, const char *const arguments[],
                           const size_t sizes[])
{
    char *at = write_number(buffer, '*', count);
    for (size_t i = 0; i < count; i++) {
        at = write_number(at, '$', sizes[i]);
        if (sizes[i] > 0)
            memcpy(at, arguments[i], sizes[i]);
        at += sizes[i];
        *at++ = '\r';
        *at++ = '\n';
    }
    return (size_t)(at - buffer);
}
