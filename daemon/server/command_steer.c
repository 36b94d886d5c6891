/* command_steer.c - CANCEL, RETRY, DELETE and PROMOTE: jobs by their ids, or those that pass a
 * filter. Each answers how many jobs it changed.
 *
 * Each command changes jobs in some states only. In its bulk form a STATE of another kind is an
 * error, and no STATE means all of these; but RETRY then means the dead ones: somebody cancelled
 * the others, or they may have taken effect. */
#include "server/command.h"

#include "protocol/value.h"
#include "protocol/word.h"
#include "server/connection.h"
#include "server/job_filter.h"
#include "server/job_ids.h"
#include "server/server.h"

#include <stdio.h>
#include <stdlib.h>

#define STATE(name) (1u << JOB_##name)

struct steer_command {
    const char *name;
    int action; /* enum steer_action; -1: CANCEL */
    unsigned states;
    unsigned states_default; /* of the bulk form */
};

static const struct steer_command cancel_command = {
    "CANCEL", -1, STATE(SCHEDULED) | STATE(BLOCKED) | STATE(READY) | STATE(RUNNING),
    STATE(SCHEDULED) | STATE(BLOCKED) | STATE(READY) | STATE(RUNNING)};
static const struct steer_command retry_command = {
    "RETRY", STEER_RETRY, STATE(DEAD) | STATE(CANCELLED) | STATE(UNCERTAIN), STATE(DEAD)};
static const struct steer_command delete_command = {
    "DELETE", STEER_DELETE, ((1u << JOB_STATES) - 1) & ~STATE(RUNNING),
    ((1u << JOB_STATES) - 1) & ~STATE(RUNNING)};
static const struct steer_command promote_command = {"PROMOTE", STEER_PROMOTE, STATE(SCHEDULED),
                                                     STATE(SCHEDULED)};

static bool check_states(const struct steer_command *command, struct job_filter *filter,
                         struct buffer *reply)
{
    if (!filter->states)
        filter->states = command->states_default;
    if (!(filter->states & ~command->states))
        return true;
    char known[160];
    size_t size = 0;
    known[0] = '\0';
    for (int i = 0; i < JOB_STATES && size < sizeof known; i++)
        if (command->states & 1u << i)
            size += (size_t)snprintf(known + size, sizeof known - size, " %s",
                                     job_state_name((enum job_state)i));
    value_error(reply, "ERR", "%s changes no job in that state; it changes:%s", command->name,
                known);
    return false;
}

static void steer_where(struct broker *broker, const struct steer_command *command,
                        const struct argument *arguments, uint32_t count, struct buffer *reply)
{
    struct job_filter filter;
    char name[32];
    uint64_t changed;
    (void)snprintf(name, sizeof name, "%s WHERE", command->name);
    if (!job_filter_parse(JOB_FILTER_BULK, name, arguments, count, &filter, reply) ||
        !check_states(command, &filter, reply))
        return;
    int result = command->action < 0
                     ? broker_cancel_where(broker, &filter, &changed)
                     : broker_steer_where(broker, (enum steer_action)command->action, &filter,
                                          &changed);
    if (result < 0)
        job_failure_answer(result, reply);
    else
        value_integer(reply, (int64_t)changed);
}

static void steer(struct connection *connection, const struct steer_command *command,
                  const struct argument *arguments, uint32_t count, struct buffer *reply)
{
    struct broker *broker = connection->server->broker;
    if (word_equal(arguments[1].data, arguments[1].size, "WHERE")) {
        steer_where(broker, command, arguments + 2, count - 2, reply);
        return;
    }
    struct job_ids ids;
    if (!job_ids_parse(arguments + 1, count - 1, false, &ids, reply))
        return;
    int result = command->action < 0
                     ? broker_cancel(broker, ids.ids, ids.count)
                     : broker_steer(broker, (enum steer_action)command->action, ids.ids,
                                    ids.count);
    free(ids.ids);
    if (result < 0)
        job_failure_answer(result, reply);
    else
        value_integer(reply, result);
}

void command_cancel(struct connection *connection, struct argument *arguments, uint32_t count,
                    struct buffer *reply)
{
    steer(connection, &cancel_command, arguments, count, reply);
}

void command_retry(struct connection *connection, struct argument *arguments, uint32_t count,
                   struct buffer *reply)
{
    steer(connection, &retry_command, arguments, count, reply);
}

void command_delete(struct connection *connection, struct argument *arguments, uint32_t count,
                    struct buffer *reply)
{
    steer(connection, &delete_command, arguments, count, reply);
}

void command_promote(struct connection *connection, struct argument *arguments, uint32_t count,
                     struct buffer *reply)
{
    steer(connection, &promote_command, arguments, count, reply);
}
