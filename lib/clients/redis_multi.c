/* redis_multi.c - MULTI, the commands and EXEC, sent together and answered in order.
 *
 * All are queued in one turn, so the writer sends them in one go; each has a reply of its own. A
 * caller who is interrupted loses the lease: the replies would belong to nobody. Whether the unit
 * ran then hangs on EXEC alone: while that is unsent, or the connection ends before it arrived,
 * Redis drops what it has queued. */
#include "clients/redis_pool.h"

#include <await/redis_multi.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
    struct aw_redis_lease *lease;
    struct redis_command **commands; /* MULTI, the calls, EXEC; NULL once given up */
    struct aw_error *errors;         /* of each */
    size_t **sizes;                  /* of each; NULL where the caller gave them */
    size_t count;
};

static const struct aw_redis_call multi_call = {1, (const char *[]){"MULTI"}, (const size_t[]){5}};
static const struct aw_redis_call exec_call = {1, (const char *[]){"EXEC"}, (const size_t[]){4}};

/* --- making ----------------------------------------------------------------------------- */

static const struct aw_redis_call *call_at(const struct unit *unit,
                                           const struct aw_redis_call calls[], size_t index)
{
    if (index == 0)
        return &multi_call;
    return index + 1 == unit->count ? &exec_call : &calls[index - 1];
}

static int measure(const struct aw_redis_call *call, size_t **ret_sizes, struct aw_error *reterr)
{
    size_t *sizes = calloc(call->count > 0 ? call->count : 1, sizeof *sizes);
    if (!sizes)
        return aw_error_set(reterr, -ENOMEM, "no memory for a Redis command");
    for (size_t i = 0; i < call->count; i++)
        sizes[i] = strlen(call->arguments[i]);
    *ret_sizes = sizes;
    return 0;
}

/* Transactions inside the unit would end it. */
static int check_inside(const struct aw_redis_call *call, const size_t sizes[],
                        struct aw_error *reterr)
{
    static const char *const refused[] = {"MULTI", "EXEC", "DISCARD", "WATCH", NULL};
    for (size_t i = 0; refused[i]; i++)
        if (sizes[0] == strlen(refused[i]) &&
            strncasecmp(call->arguments[0], refused[i], sizes[0]) == 0)
            return aw_error_set(reterr, -EOPNOTSUPP, "%s is refused inside a unit", refused[i]);
    return 0;
}

static int make_command(struct unit *unit, const struct aw_redis_call calls[], size_t index,
                        size_t reply_size_max, struct aw_error *reterr)
{
    const struct aw_redis_call *call = call_at(unit, calls, index);
    const size_t *sizes = call->sizes;
    int result = sizes ? 0 : measure(call, &unit->sizes[index], reterr);
    if (result < 0)
        return result;
    sizes = sizes ? sizes : unit->sizes[index];
    result = aw_redis_lease_check(call->count, call->arguments, sizes, reterr);
    if (result == 0 && index > 0 && index + 1 < unit->count)
        result = check_inside(call, sizes, reterr);
    if (result == 0)
        result = redis_command_make(unit->lease->pool, call->count, call->arguments, sizes,
                                    index + 1 == unit->count ? reply_size_max : 0,
                                    &unit->commands[index], reterr);
    if (result == 0)
        unit->commands[index]->reterr = &unit->errors[index];
    return result;
}

static int make_unit(struct unit *unit, struct aw_redis_lease *lease, size_t call_count,
                     const struct aw_redis_call calls[], size_t reply_size_max,
                     struct aw_error *reterr)
{
    *unit = (struct unit){.lease = lease, .count = call_count + 2};
    unit->commands = calloc(unit->count, sizeof *unit->commands);
    unit->errors = calloc(unit->count, sizeof *unit->errors);
    unit->sizes = calloc(unit->count, sizeof *unit->sizes);
    if (!unit->commands || !unit->errors || !unit->sizes)
        return aw_error_set(reterr, -ENOMEM, "no memory for a Redis transaction");
    int result = 0;
    for (size_t i = 0; i < unit->count && result == 0; i++)
        result = make_command(unit, calls, i, reply_size_max, reterr);
    return result;
}

static void free_unit(struct unit *unit)
{
    for (size_t i = 0; i < unit->count; i++) {
        if (unit->commands && unit->commands[i])
            free(unit->commands[i]);
        if (unit->sizes)
            free(unit->sizes[i]);
    }
    free(unit->commands);
    free(unit->errors);
    free(unit->sizes);
}

/* --- running ---------------------------------------------------------------------------- */

/* The caller was interrupted: the lease ends, and with it what is still open. */
static int give_up(struct unit *unit, int number, struct aw_error *reterr)
{
    struct redis_command *exec = unit->commands[unit->count - 1];
    bool unsent = exec->state == REDIS_QUEUED;
    redis_connection_break(unit->lease->connection, -ESHUTDOWN, "its commands were given up");
    for (size_t i = 0; i < unit->count; i++) {
        struct redis_command *command = unit->commands[i];
        unit->commands[i] = NULL;
        if (command->state != REDIS_ANSWERED) {
            AW_IGNORE(redis_command_leave(command, number, NULL));
            continue;
        }
        if (command->result == 0)
            aw_redis_reply_free(command->reply);
        free(command);
    }
    return aw_error_set_code(reterr, number, unsent ? "WITHDRAWN" : "UNKNOWN", "%s",
                             unsent ? "interrupted before EXEC was sent: nothing ran"
                                    : "interrupted after EXEC was sent: it may have run");
}

/* Why EXEC says that it was aborted is with the first command that was refused. */
static const struct aw_error *first_error(const struct unit *unit)
{
    for (size_t i = 0; i < unit->count; i++)
        if (unit->commands[i]->result < 0)
            return &unit->errors[i];
    return NULL;
}

static int take_outcome(struct unit *unit, struct aw_redis_reply **ret_reply,
                        struct aw_error *reterr)
{
    for (size_t i = 0; i + 1 < unit->count; i++)
        if (unit->commands[i]->result == 0)
            aw_redis_reply_free(unit->commands[i]->reply);
    struct redis_command *exec = unit->commands[unit->count - 1];
    if (exec->result == 0 && exec->reply->type == AW_REDIS_ARRAY) {
        *ret_reply = exec->reply;
        return 0;
    }
    if (exec->result == 0) {
        bool changed = exec->reply->type == AW_REDIS_NULL;
        aw_redis_reply_free(exec->reply);
        return changed ? aw_error_set(reterr, -EAGAIN, "a watched key was changed: nothing ran")
                       : aw_error_set(reterr, -EPROTO, "EXEC gave an answer that Redis does not");
    }
    const struct aw_error *error =
        exec->result == -EREMOTEIO ? first_error(unit) : &unit->errors[unit->count - 1];
    return aw_error_set_code(reterr, exec->result, error->code, "%s", error->message);
}

static int run_unit(struct unit *unit, struct aw_redis_reply **ret_reply, struct aw_error *reterr)
{
    for (size_t i = 0; i < unit->count; i++)
        redis_connection_queue(unit->lease->connection, unit->commands[i]);
    /* Answered in order, also when the connection is lost: the last one's answer is the end. */
    for (size_t i = 0; i < unit->count; i++) {
        int result = aw_event_wait(&unit->commands[i]->answered);
        if (unit->commands[i]->state != REDIS_ANSWERED)
            return give_up(unit, result, reterr);
    }
    return take_outcome(unit, ret_reply, reterr);
}

int aw_redis_lease_multi(struct aw_redis_lease *lease, size_t call_count,
                         const struct aw_redis_call calls[], size_t reply_size_max,
                         struct aw_redis_reply **ret_reply, struct aw_error *reterr)
{
    struct aw_error error = {0};
    if (call_count == 0 || call_count > AW_REDIS_CALLS_MAX)
        return aw_error_set(reterr, -EINVAL, "a Redis transaction has 1 to %d commands",
                            AW_REDIS_CALLS_MAX);
    if (!aw_redis_lease_is_alive(lease, &error))
        return aw_error_set_code(reterr, -ENOTCONN, error.code, "%s", error.message);
    struct unit unit;
    int result = make_unit(&unit, lease, call_count, calls, reply_size_max, reterr);
    if (result == 0)
        result = run_unit(&unit, ret_reply, reterr);
    free_unit(&unit);
    return result;
}

/* --- with a lease ----------------------------------------------------------------------- */

static int enter(void *object)
{
    struct aw_redis_holder *holder = object;
    holder->error = (struct aw_error){0};
    aw_event_init(&holder->changed);
    return aw_redis_lease_enter(holder->pool, &holder->changed, &holder->lease, &holder->error);
}

static int leave(void *object, int outcome)
{
    struct aw_redis_holder *holder = object;
    (void)outcome; /* an open MULTI is discarded either way */
    (void)aw_redis_lease_exit(holder->lease);
    holder->lease = NULL;
    return 0;
}

struct aw_with aw_redis_with_lease(struct aw_redis_holder *holder)
{
    static const struct aw_manager manager = {.enter = enter, .exit = leave};
    return aw_with(&manager, holder);
}

int aw_redis_multi(struct aw_redis_pool *pool, size_t call_count,
                   const struct aw_redis_call calls[], size_t reply_size_max,
                   struct aw_redis_reply **ret_reply, struct aw_error *reterr)
{
    struct aw_redis_holder holder = {.pool = pool};
    int result = 0;
    AW_WITH(result, aw_redis_with_lease(&holder))
    {
        result = aw_redis_lease_multi(holder.lease, call_count, calls, reply_size_max, ret_reply,
                                      reterr);
    }
    if (result < 0 && holder.error.number < 0 && reterr)
        *reterr = holder.error;
    return result;
}
