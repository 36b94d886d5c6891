/* multi.c - see multi.h. */
#include "server/multi.h"

#include "protocol/submit_options.h"
#include "protocol/value.h"
#include "server/command.h"
#include "server/access.h"
#include "server/connection.h"
#include "server/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The words of a SUBMIT behind its name, copied. */
struct kept_submit {
    uint32_t count;
    struct argument arguments[];
};

struct multi {
    bool failed; /* EXEC will refuse */
    uint32_t count;
    uint32_t capacity;
    size_t bytes;
    struct kept_submit **submits;
};

void multi_forget(struct connection *connection)
{
    struct multi *multi = connection->multi;
    connection->multi = NULL;
    if (!multi)
        return;
    for (uint32_t i = 0; i < multi->count; i++)
        free(multi->submits[i]);
    free(multi->submits);
    free(multi);
}

bool multi_passes(struct connection *connection, const struct command *command,
                  struct buffer *reply)
{
    if (!command) {
        connection->multi->failed = true;
        return false;
    }
    if (command->execute == command_exec || command->execute == command_discard ||
        command->execute == command_reset || command->execute == command_quit)
        return true;
    if (command->execute == command_submit)
        return false;
    connection->multi->failed = true;
    if (command->execute == command_multi)
        value_error(reply, "ERR", "MULTI calls can not be nested");
    else
        value_error(reply, "ERR", "%s is not possible inside MULTI; SUBMIT, EXEC and DISCARD are",
                    command->name);
    return false;
}

/* --- keeping --------------------------------------------------------------------------- */

static size_t bytes_of(const struct argument *arguments, uint32_t count)
{
    size_t bytes = sizeof(struct kept_submit) + count * sizeof arguments[0];
    for (uint32_t i = 0; i < count; i++)
        bytes += arguments[i].size;
    return bytes;
}

static bool make_room(struct multi *multi)
{
    if (multi->count < multi->capacity)
        return true;
    uint32_t capacity = multi->capacity ? multi->capacity * 2 : 16;
    struct kept_submit **submits = realloc(multi->submits, capacity * sizeof(*submits));
    if (!submits)
        return false;
    multi->submits = submits;
    multi->capacity = capacity;
    return true;
}

static bool keep(struct multi *multi, const struct argument *arguments, uint32_t count)
{
    size_t bytes = bytes_of(arguments, count);
    struct kept_submit *submit = make_room(multi) ? malloc(bytes) : NULL;
    if (!submit)
        return false;
    char *at = (char *)&submit->arguments[count];
    submit->count = count;
    for (uint32_t i = 0; i < count; i++) {
        submit->arguments[i] = (struct argument){.data = at, .size = arguments[i].size};
        if (arguments[i].size > 0)
            memcpy(at, arguments[i].data, arguments[i].size);
        at += arguments[i].size;
    }
    multi->submits[multi->count++] = submit;
    multi->bytes += bytes;
    return true;
}

/* Whether SUBMIT would take it, as far as is known now. */
static int check(struct connection *connection, struct argument *arguments, uint32_t count,
                 struct aw_error *reterr)
{
    struct multi *multi = connection->multi;
    if (multi->count == MULTI_JOBS_MAX)
        return aw_error_set(reterr, -E2BIG, "a MULTI takes at most %u jobs", MULTI_JOBS_MAX);
    if (multi->bytes + bytes_of(arguments, count) > MULTI_BYTES_MAX)
        return aw_error_set(reterr, -E2BIG, "a MULTI takes at most %u MiB", MULTI_BYTES_MAX >> 20);
    struct submit_options options;
    int result =
        submit_options_parse_in_multi(multi->count + 1, arguments, count, &options, reterr);
    if (result < 0)
        return result;
    result = access_check(connection, &options.target, reterr);
    if (result == 0)
        result = broker_may_submit(connection->server->broker, options.target, options.arguments,
                               options.argument_count, reterr);
    submit_options_free(&options);
    return result;
}

void multi_queue(struct connection *connection, struct argument *arguments, uint32_t count,
                 struct buffer *reply)
{
    struct multi *multi = connection->multi;
    struct aw_error error;
    error.code[0] = '\0';
    error.message[0] = '\0';
    int result = check(connection, arguments + 1, count - 1, &error);
    if (result == 0 && !multi->failed && !keep(multi, arguments + 1, count - 1))
        result = aw_error_set_code(&error, -ENOMEM, "FULL", "no memory for the job");
    if (result == 0) {
        value_simple(reply, "QUEUED");
        return;
    }
    multi->failed = true;
    value_error(reply, error.code[0] ? error.code : "ERR", "%s",
                error.message[0] ? error.message : aw_error_text(result));
}

/* --- the commands ---------------------------------------------------------------------- */

void command_multi(struct connection *connection, struct argument *arguments, uint32_t count,
                   struct buffer *reply)
{
    (void)arguments;
    (void)count;
    connection->multi = calloc(1, sizeof *connection->multi);
    if (connection->multi)
        value_simple(reply, "OK");
    else
        value_error(reply, "ERR", "out of memory");
}

void command_discard(struct connection *connection, struct argument *arguments, uint32_t count,
                     struct buffer *reply)
{
    (void)arguments;
    (void)count;
    if (!connection->multi) {
        value_error(reply, "ERR", "DISCARD without MULTI");
        return;
    }
    multi_forget(connection);
    value_simple(reply, "OK");
}

static void submitted(void *context, const uint64_t *ids, uint32_t count,
                      const struct aw_error *error)
{
    struct reply *place = context;
    if (error) {
        if (place->connection)
            command_failed_later(place->connection->server, "EXEC");
        output_fill_error(place, error->code[0] ? error->code : "ERR", error->message);
        return;
    }
    struct buffer value = {0};
    value_array(&value, count);
    for (uint32_t i = 0; i < count; i++)
        value_bulk_number(&value, ids[i]);
    output_fill_value(place, &value);
}

static int add(struct submission_group *group, uint32_t number, struct kept_submit *submit,
               struct aw_error *reterr)
{
    struct submit_options options;
    int result = submit_options_parse_in_multi(number, submit->arguments, submit->count, &options,
                                               reterr);
    if (result < 0)
        return result;
    result = broker_group_add(group, &options, reterr);
    submit_options_free(&options);
    return result;
}

static void submit_all(struct connection *connection, struct multi *multi, struct buffer *reply)
{
    struct submission_group *group =
        broker_group_begin(connection->server->broker, multi->count);
    struct reply *place = group ? output_take(connection) : NULL;
    struct aw_error error;
    error.code[0] = '\0';
    error.message[0] = '\0';
    uint32_t number = 0;
    int result = place ? 0 : -ENOMEM;
    while (number < multi->count && result == 0) {
        number++;
        result = add(group, number, multi->submits[number - 1], &error);
    }
    if (result == 0) {
        output_put(connection, place);
        broker_group_submit(group, submitted, place);
        return;
    }
    if (place)
        output_give_back(connection, place);
    if (group)
        broker_group_abandon(group);
    if (number == 0)
        value_error(reply, "FULL", "no memory for the MULTI");
    else
        value_error(reply, error.code[0] ? error.code : "ERR", "job %u of the MULTI: %s", number,
                    error.message[0] ? error.message : aw_error_text(result));
}

void command_exec(struct connection *connection, struct argument *arguments, uint32_t count,
                  struct buffer *reply)
{
    (void)arguments;
    (void)count;
    struct multi *multi = connection->multi;
    if (!multi)
        value_error(reply, "ERR", "EXEC without MULTI");
    else if (multi->failed)
        value_error(reply, "EXECABORT", "Transaction discarded because of previous errors.");
    else if (multi->count == 0)
        value_array(reply, 0);
    else
        submit_all(connection, multi, reply);
    multi_forget(connection);
}
