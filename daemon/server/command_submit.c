/* command_submit.c - SUBMIT and RUN. */
#include "server/command.h"

#include "protocol/submit_options.h"
#include "protocol/value.h"
#include "server/access.h"
#include "server/connection.h"
#include "server/leases.h"
#include "server/server.h"

#include <errno.h>

/* The job is stored, or it is not: fills the reply's place. */
static void submitted(void *context, uint64_t id, const struct aw_error *error)
{
    struct reply *reply = context;
    if (error && reply->connection)
        command_failed_later(reply->connection->server, "SUBMIT");
    if (error)
        output_fill_error(reply, error->code[0] ? error->code : "ERR", error->message);
    else
        output_fill_id(reply, id);
}

/* Parses the words after the command's name. False: the error is in `reply`. */
static bool parse_options(enum submit_command command, struct argument *arguments, uint32_t count,
                          struct submit_options *options, struct buffer *reply)
{
    struct aw_error error = {0};
    int result = submit_options_parse(command, arguments + 1, count - 1, options, &error);
    if (result < 0) {
        value_error(reply, "ERR", "%s", error.message);
        return false;
    }
    return true;
}

void command_submit(struct connection *connection, struct argument *arguments, uint32_t count,
                    struct buffer *reply)
{
    struct submit_options options;
    if (!parse_options(SUBMIT_COMMAND, arguments, count, &options, reply))
        return;
    struct reply *place = output_take(connection);
    struct aw_error error;
    error.code[0] = '\0';
    error.message[0] = '\0';
    int result;
    if (!place)
        result = aw_error_set_code(&error, -ENOMEM, "FULL", "out of memory");
    else if ((result = access_check(connection, &options.target, &error)) == 0)
        result = broker_submit(connection->server->broker, &options, options.target,
                               options.arguments, options.argument_count, submitted, place,
                               &error);
    submit_options_free(&options);
    if (result == 0) {
        output_put(connection, place);
        return;
    }
    if (place)
        output_give_back(connection, place);
    value_error(reply, error.code[0] ? error.code : "ERR", "%s",
                error.message[0] ? error.message : aw_error_text(result));
}

/* --- RUN ------------------------------------------------------------------------------- */

static void answer_outcome(const struct submit_options *options, const struct outcome *outcome,
                           bool timed_out, struct buffer *reply)
{
    switch (outcome->kind) {
    case OUTCOME_DONE:
        buffer_append(reply, outcome->result.data, outcome->result.size);
        break;
    case OUTCOME_RETRY:
    case OUTCOME_DEAD:
        if (outcome->code[0])
            value_error(reply, "FAILED", "%s %s", outcome->code, outcome->message);
        else
            value_error(reply, "FAILED", "%s", outcome->message);
        break;
    case OUTCOME_UNAVAILABLE:
        value_error(reply, "UNAVAILABLE", "target %.*s: %s", argument_shown_size(&options->target),
                    options->target.data, outcome->message);
        break;
    case OUTCOME_INTERRUPTED:
        value_error(reply, "UNAVAILABLE",
                    "connection lost while running; whether it took effect is unknown");
        break;
    case OUTCOME_STOPPED:
        if (timed_out)
            value_error(reply, "TIMEOUT", "ran longer than %llu ms",
                        (unsigned long long)options->timeout_ms);
        else
            value_error(reply, "UNAVAILABLE", "awaitd is stopping");
        break;
    }
}

static int run_leased(struct connection *connection, struct lease *lease,
                      const struct submit_options *options, struct outcome *outcome,
                      struct aw_error *reterr)
{
    const struct execution execution = {
        .arguments = options->arguments,
        .argument_count = options->argument_count,
        .format = options->format,
        .result_size_max = connection->server->configuration->result_size_max,
    };
    return lease_execute(lease, &execution, outcome, reterr);
}

void command_run(struct connection *connection, struct argument *arguments, uint32_t count,
                 struct buffer *reply)
{
    struct submit_options options;
    if (!parse_options(RUN_COMMAND, arguments, count, &options, reply))
        return;
    struct aw_error error = {0};
    struct outcome outcome = {0};
    struct aw_scope scope;
    aw_scope_enter(&scope, options.timeout_ms > 0 ? aw_after_ms(options.timeout_ms) : AW_NEVER);
    struct lease *lease = leases_find(connection, &options.target);
    int result = access_check(connection, &options.target, &error);
    if (result == 0)
        result = lease ? run_leased(connection, lease, &options, &outcome, &error)
                       : broker_run(connection->server->broker, options.format, options.target,
                                    options.arguments, options.argument_count, &outcome, &error);
    bool timed_out = aw_scope_expired(&scope);
    aw_scope_leave(&scope);
    if ((result == -ECANCELED || result == -ETIME) && !error.code[0]) {
        outcome.kind = OUTCOME_STOPPED;
        result = 0;
    }
    if (result < 0)
        value_error(reply,
                    error.code[0] ? error.code : result == -ENOENT ? "NOTARGET" : "ERR", "%s",
                    error.message[0] ? error.message : aw_error_text(result));
    else
        answer_outcome(&options, &outcome, timed_out, reply);
    buffer_free(&outcome.result);
    submit_options_free(&options);
}
