/* command.c - the table of commands and finding one in it; see command.h. */
#include "server/command.h"

#include "protocol/value.h"
#include "protocol/word.h"
#include "server/server.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SIZE_MAX_SHOWN 64
#define COMMAND_NAME_MAX 16

const struct command command_table[] = {
    {"ACK", 3, 4, ALLOW_WORK, COMMAND_WAITS, command_ack, "A worker has done its job"},
    {"AUTH", 2, 3, 0, 0, command_auth, "Refused: access is by socket"},
    {"AWAIT", 2, 4, ALLOW_SUBMIT | ALLOW_OBSERVE, COMMAND_WAITS, command_await,
     "Waits for a job and gives its result"},
    {"BACKUP", 2, 2, ALLOW_ADMIN, COMMAND_WAITS, command_backup, "Copies the queue into a file"},
    {"CANCEL", 2, -1, ALLOW_ADMIN, COMMAND_WAITS, command_cancel,
     "Cancels jobs and says how many"},
    {"CLIENT", 2, -1, 0, 0, command_client, "Names, lists and disconnects clients"},
    {"COMMAND", 1, -1, 0, 0, command_command, "Lists the commands"},
    {"CONFIG", 2, -1, 0, 0, command_config, "Gives the settings that Redis clients ask for"},
    {"CRON", 2, -1, ALLOW_SUBMIT | ALLOW_OBSERVE | ALLOW_ADMIN, COMMAND_WAITS, command_cron,
     "Sets, lists, deletes and runs recurring jobs"},
    {"DELETE", 2, -1, ALLOW_ADMIN, COMMAND_WAITS, command_delete,
     "Deletes jobs that do not run and says how many"},
    {"DISCARD", 1, 1, ALLOW_SUBMIT, 0, command_discard, "Forgets the jobs since MULTI"},
    {"ECHO", 2, 2, 0, 0, command_echo, "Gives its argument back"},
    {"ENTER", 2, 4, ALLOW_SUBMIT, COMMAND_WAITS, command_enter,
     "Gives this client a connection of its own"},
    {"EXEC", 1, 1, ALLOW_SUBMIT, 0, command_exec, "Stores the jobs since MULTI, all or none"},
    {"EXIT", 1, 2, ALLOW_SUBMIT, COMMAND_WAITS, command_exit,
     "Gives the connection of ENTER back"},
    {"EXTEND", 4, 4, ALLOW_WORK, COMMAND_WAITS, command_extend, "A worker needs more time"},
    {"GATHER", 2, -1, ALLOW_SUBMIT | ALLOW_OBSERVE, COMMAND_WAITS, command_gather,
     "Waits for several jobs and gives all results"},
    {"HELLO", 1, -1, 0, 0, command_hello, "Chooses the protocol's version"},
    {"INFO", 1, 2, 0, COMMAND_WAITS, command_info, "Tells about the daemon"},
    {"JOB", 2, 2, ALLOW_SUBMIT | ALLOW_OBSERVE, COMMAND_WAITS, command_job,
     "Gives every field of a job"},
    {"JOBS", 1, -1, ALLOW_OBSERVE | ALLOW_ADMIN, COMMAND_WAITS, command_jobs, "Lists jobs"},
    {"METRICS", 1, 1, ALLOW_OBSERVE | ALLOW_ADMIN, COMMAND_WAITS, command_metrics,
     "Gives everything that is counted as Prometheus text"},
    {"MULTI", 1, 1, ALLOW_SUBMIT, 0, command_multi, "Begins several jobs, all or none"},
    {"NACK", 3, 7, ALLOW_WORK, COMMAND_WAITS, command_nack, "A worker gives its job back"},
    {"PING", 1, 2, 0, COMMAND_LISTENING, command_ping, "Answers PONG"},
    {"PROGRESS", 4, 5, ALLOW_WORK, COMMAND_WAITS, command_progress,
     "A worker tells how far it is"},
    {"PROMOTE", 2, -1, ALLOW_ADMIN, COMMAND_WAITS, command_promote,
     "Makes scheduled jobs ready and says how many"},
    {"PSUBSCRIBE", 2, -1, ALLOW_OBSERVE | ALLOW_ADMIN, COMMAND_LISTENING, command_psubscribe,
     "Listens to channels by pattern"},
    {"PUNSUBSCRIBE", 1, -1, 0, COMMAND_LISTENING, command_punsubscribe,
     "Listens to patterns no more"},
    {"QUEUE", 3, 3, ALLOW_OBSERVE | ALLOW_ADMIN, COMMAND_WAITS, command_queue,
     "Pauses, resumes, purges and measures a queue"},
    {"QUEUES", 1, 1, ALLOW_OBSERVE | ALLOW_ADMIN, 0, command_queues, "Lists the queues"},
    {"QUIT", 1, -1, 0, COMMAND_LISTENING, command_quit, "Closes the connection"},
    {"RACE", 2, -1, ALLOW_SUBMIT | ALLOW_OBSERVE, COMMAND_WAITS, command_race,
     "Waits for the first of several jobs to finish"},
    {"RELOAD", 1, 1, ALLOW_ADMIN, COMMAND_WAITS, command_reload, "Reads the configuration again"},
    {"RESERVE", 2, -1, ALLOW_WORK, COMMAND_WAITS, command_reserve, "Takes jobs for a worker"},
    {"RESET", 1, 1, 0, COMMAND_WAITS | COMMAND_LISTENING, command_reset,
     "Makes the connection as if new"},
    {"RETRY", 2, -1, ALLOW_ADMIN, COMMAND_WAITS, command_retry,
     "Makes failed jobs ready again and says how many"},
    {"RUN", 2, -1, ALLOW_SUBMIT, COMMAND_WAITS | COMMAND_OUTLIVES, command_run,
     "Runs something at once, not stored"},
    {"SELECT", 2, 2, 0, 0, command_select, "Accepts database 0"},
    {"SHUTDOWN", 1, 3, ALLOW_ADMIN, 0, command_shutdown, "Stops the daemon"},
    {"SUBMIT", 2, -1, ALLOW_SUBMIT, 0, command_submit, "Stores a job and gives its id"},
    {"SUBSCRIBE", 2, -1, ALLOW_SUBMIT | ALLOW_OBSERVE | ALLOW_ADMIN, COMMAND_LISTENING,
     command_subscribe, "Listens to channels"},
    {"TARGET", 3, 4, ALLOW_OBSERVE | ALLOW_ADMIN, COMMAND_WAITS, command_target,
     "Pauses, resumes, measures and prepares a target"},
    {"TARGETS", 1, 1, ALLOW_OBSERVE | ALLOW_ADMIN, 0, command_targets, "Lists the targets"},
    {"UNSUBSCRIBE", 1, -1, 0, COMMAND_LISTENING, command_unsubscribe,
     "Listens to channels no more"},
};
const size_t command_count = sizeof command_table / sizeof command_table[0];

/* refuse_unknown's list ends with a NULL, the statistics with those of unknown commands */
_Static_assert(sizeof command_table / sizeof command_table[0] < COMMANDS_MAX, "room for all");

static int compare(const void *name, const void *command)
{
    return strcmp(name, ((const struct command *)command)->name);
}

const struct command *command_lookup(const struct argument *name)
{
    char capitals[COMMAND_NAME_MAX];
    if (name->size >= sizeof capitals)
        return NULL;
    for (uint32_t i = 0; i < name->size; i++)
        capitals[i] = (char)toupper((unsigned char)name->data[i]);
    capitals[name->size] = '\0';
    if (memchr(capitals, '\0', name->size))
        return NULL;
    return bsearch(capitals, command_table, command_count, sizeof command_table[0], compare);
}

struct command_statistics *command_statistics_of(struct server *server,
                                                 const struct command *command)
{
    return &server->commands[command ? (size_t)(command - command_table) : COMMAND_UNKNOWN];
}

void command_failed_later(struct server *server, const char *name)
{
    const struct argument argument = {.data = name, .size = (uint32_t)strlen(name)};
    command_statistics_of(server, command_lookup(&argument))->errors++;
}

int argument_shown_size(const struct argument *argument)
{
    uint32_t size = argument->size < NAME_SIZE_MAX_SHOWN ? argument->size : NAME_SIZE_MAX_SHOWN;
    return (int)size;
}

void command_rights_text(unsigned rights, char text[40])
{
    snprintf(text, 40, "%s%s%s%s", rights & ALLOW_SUBMIT ? " submit" : "",
             rights & ALLOW_WORK ? " work" : "", rights & ALLOW_OBSERVE ? " observe" : "",
             rights & ALLOW_ADMIN ? " admin" : "");
    if (text[0])
        memmove(text, text + 1, strlen(text));
    else
        snprintf(text, 40, "nothing");
}

static void refuse_unknown(const struct argument *name, struct buffer *reply)
{
    const char *known[COMMANDS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < command_count; i++)
        known[count++] = command_table[i].name;
    known[count] = NULL;
    const char *nearest = word_nearest(name->data, name->size, known);
    if (nearest)
        value_error(reply, "ERR", "unknown command '%.*s'; did you mean %s?",
                    argument_shown_size(name), name->data, nearest);
    else
        value_error(reply, "ERR", "unknown command '%.*s'", argument_shown_size(name), name->data);
}

const struct command *command_find(const struct argument *arguments, uint32_t count,
                                   unsigned allowed, struct buffer *reply)
{
    const struct command *command = command_lookup(&arguments[0]);
    if (!command) {
        refuse_unknown(&arguments[0], reply);
        return NULL;
    }
    if (count < (uint32_t)command->words_min ||
        (command->words_max >= 0 && count > (uint32_t)command->words_max)) {
        char name[COMMAND_NAME_MAX] = "";
        for (size_t i = 0; command->name[i] && i + 1 < sizeof name; i++)
            name[i] = (char)tolower((unsigned char)command->name[i]);
        value_error(reply, "ERR", "wrong number of arguments for '%s' command", name);
        return NULL;
    }
    if (command->rights && !(command->rights & allowed)) {
        char text[40];
        command_rights_text(allowed, text);
        value_error(reply, "NOPERM", "this socket does not allow %s (allowed: %s)", command->name,
                    text);
        return NULL;
    }
    return command;
}
