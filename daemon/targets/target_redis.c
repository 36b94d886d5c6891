/* target_redis.c - a Redis server as a target: the arguments are the command, the reply is the
 * result.
 *
 * Of the configured `connections`, half (rounded up) are shared by all ordinary commands, `leases`
 * are for leases, and the rest, at least one, are lent to blocking commands (BLPOP ...).
 *
 * Exactly-once: see redis_receipt.h. At-most-once: a command that was sent and not answered is
 * INTERRUPTED, also when it was its job that was stopped. */
#include "protocol/value.h"
#include "targets/redis_receipt.h"
#include "targets/target.h"

#include <await/redis.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct redis_target {
    struct aw_redis_pool *pool;
};

/* --- arguments -------------------------------------------------------------------------------- */

#define WORDS_INSIDE 16 /* so many need no memory of their own */

struct words {
    const char **data;
    size_t *sizes;
    const char *few_data[WORDS_INSIDE];
    size_t few_sizes[WORDS_INSIDE];
};

static void words_free(struct words *words)
{
    if (words->data == words->few_data)
        return;
    free(words->data);
    free(words->sizes);
}

/* Leaves `before` words at the start for the caller to fill. */
static int words_make(struct words *words, const struct argument *arguments, uint32_t count,
                      uint32_t before)
{
    words->data = words->few_data;
    words->sizes = words->few_sizes;
    if (before + count > WORDS_INSIDE) {
        words->data = malloc((before + count) * sizeof *words->data);
        words->sizes = malloc((before + count) * sizeof *words->sizes);
    }
    if (!words->data || !words->sizes) {
        words_free(words);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        words->data[before + i] = arguments[i].data ? arguments[i].data : "";
        words->sizes[before + i] = arguments[i].size;
    }
    return 0;
}

static int redis_check(struct target *target, const struct argument *arguments, uint32_t count,
                       struct aw_error *reterr)
{
    if (count == 0)
        return aw_error_set(reterr, -EINVAL, "needs a Redis command, such as SET key value");
    for (uint32_t i = 0; i < count; i++)
        if (arguments[i].null)
            return aw_error_set(reterr, -EINVAL,
                                "argument %u is NULL, which Redis commands do not know", i + 1);
    struct words words;
    int result = words_make(&words, arguments, count, 0);
    if (result < 0) return aw_error_set(reterr, result, "no memory for the command");
    result = aw_redis_check(count, words.data, words.sizes, reterr);
    words_free(&words);
    if (result == 0 && target->settings.delivery == TARGET_EXACTLY_ONCE)
        result = redis_receipt_check(arguments, count, reterr);
    return result == -EOPNOTSUPP ? -EINVAL : result;
}

/* --- replies ---------------------------------------------------------------------------------- */

/* Writes an error inside an array: its first word, then the rest. */
static void write_nested_error(struct buffer *out, const char *text)
{
    char word[AW_ERROR_CODE_SIZE];
    size_t length = strcspn(text, " ");
    if (length == 0 || length >= sizeof word) {
        value_error(out, "ERR", "%s", text);
        return;
    }
    memcpy(word, text, length);
    word[length] = '\0';
    value_error(out, word, "%s", text[length] ? text + length + 1 : "");
}

/* Recursion ends at AW_REDIS_DEPTH_MAX. */
static void write_reply(struct buffer *out, const struct aw_redis_reply *reply)
{
    switch (reply->type) {
    case AW_REDIS_STATUS:
        value_simple(out, reply->text);
        break;
    case AW_REDIS_ERROR:
        write_nested_error(out, reply->text);
        break;
    case AW_REDIS_INTEGER:
        value_integer(out, reply->integer);
        break;
    case AW_REDIS_STRING:
        value_bulk(out, reply->text, reply->size);
        break;
    case AW_REDIS_NULL:
        value_null(out);
        break;
    case AW_REDIS_ARRAY:
        value_array(out, reply->count);
        for (size_t i = 0; i < reply->count; i++) write_reply(out, reply->elements[i]);
        break;
    }
}

static void succeed(const struct execution *execution, const struct aw_redis_reply *reply,
                    struct outcome *outcome)
{
    struct buffer result = {0};
    write_reply(&result, reply);
    if (result.failed) {
        outcome_set(outcome, OUTCOME_DEAD, "NOMEMORY",
                    "the command ran, but there was no memory for its result");
    } else if (result.size > execution->result_size_max) {
        outcome_set(outcome, OUTCOME_DEAD, "RESULTTOOBIG",
                    "the command ran, but its result of %zu bytes is above the limit of %zu",
                    result.size, execution->result_size_max);
    } else {
        outcome_done(outcome);
        outcome->result = result;
        return;
    }
    buffer_free(&result);
}

/* --- failures --------------------------------------------------------------------------------- */

static bool is_one_of(const char *word, const char *const words[])
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0) return true;
    return false;
}

/* The server answered with an error: is it the job's fault, the moment's or the server's? */
static void fail_by_word(const struct aw_error *error, struct outcome *outcome)
{
    /* At these the pool has already gone down; but for MISCONF, which forbids only writing: the
     * server could not save, as a rule because its disk is full. */
    static const char *const unavailable[] = {"LOADING", "MASTERDOWN", "CLUSTERDOWN", "MISCONF",
                                              NULL};
    static const char *const passing[] = {"TRYAGAIN", "READONLY",   "BUSY",
                                          "OOM",      "NOREPLICAS", "UNKILLABLE", NULL};
    static const char *const redirects[] = {"MOVED", "ASK", NULL};
    static const char *const slots[] = {"CROSSSLOT", NULL};
    if (is_one_of(error->code, unavailable)) {
        outcome_set(outcome, OUTCOME_UNAVAILABLE, error->code, "%s", error->message);
    } else if (is_one_of(error->code, passing)) {
        outcome_set(outcome, OUTCOME_RETRY, error->code, "%s", error->message);
    } else if (is_one_of(error->code, redirects)) {
        outcome_set(outcome, OUTCOME_DEAD, error->code,
                    "%s: the key lives on another node of the cluster, which only a target with a "
                    "uri redis+cluster:// follows", error->message);
    } else if (is_one_of(error->code, slots)) {
        outcome_set(outcome, OUTCOME_DEAD, error->code,
                    "%s: a cluster keeps them on different nodes; give keys that belong together "
                    "the same part in braces, as in {user1}:a {user1}:b", error->message);
    } else {
        outcome_set(outcome, OUTCOME_DEAD, error->code, "%s", error->message);
    }
}

static void fail(int result, const struct aw_error *error, struct outcome *outcome)
{
    switch (result) {
    case -EREMOTEIO:
        fail_by_word(error, outcome);
        break;
    case -ENOTCONN:
    case -ESHUTDOWN:
        outcome_set(outcome, OUTCOME_UNAVAILABLE, "UNAVAILABLE", "%s", error->message);
        break;
    case -ECONNRESET:
        outcome_set(outcome, OUTCOME_INTERRUPTED, "CONNECTIONLOST", "%s", error->message);
        break;
    case -ECANCELED:
    case -ETIME:
        outcome_set(outcome, OUTCOME_STOPPED, "STOPPED", "%s", error->message);
        break;
    case -EMSGSIZE:
        outcome_set(outcome, OUTCOME_DEAD, "RESULTTOOBIG", "%s", error->message);
        break;
    case -ENOMEM:
        outcome_set(outcome, OUTCOME_RETRY, "NOMEMORY", "%s", error->message);
        break;
    default: /* -E2BIG, -EINVAL, -EOPNOTSUPP: the command itself */
        outcome_set(outcome, OUTCOME_DEAD, "ERR", "%s", error->message);
        break;
    }
}

/* --- the type --------------------------------------------------------------------------------- */

static void pool_changed(void *context, bool up, const char *reason)
{
    struct target *target = context;
    if (up)
        target_set_up(target);
    else
        target_set_down(target, reason);
}

static int redis_start(struct target *target, struct aw_error *reterr)
{
    const struct target_settings *settings = &target->settings;
    struct redis_target *state = calloc(1, sizeof *state);
    if (!state) return aw_error_set(reterr, -ENOMEM, "no memory for the target");
    char client_name[64];
    snprintf(client_name, sizeof client_name, "awaitd:%.40s", settings->name);
    uint32_t shared = settings->connections / 2 + settings->connections % 2;
    uint32_t rest = settings->connections - shared;
    uint32_t blocking = rest > settings->leases ? rest - settings->leases : 1;
    const struct aw_tls_options tls = {.authorities = settings->http.ca_file};
    struct aw_redis_options options = {
        .uri = settings->uri,
        .tls = &tls,
        .password = settings->password,
        .client_name = client_name,
        .connections_max = shared,
        .blocking_connections_max = blocking,
        .leased_connections_max = settings->leases,
        .in_flight_max = settings->pipeline,
        .connect_timeout_ms = settings->connect_timeout_ms,
        .changed = pool_changed,
        .context = target,
    };
    int result = aw_redis_pool_create(&options, target->group, &state->pool, reterr);
    if (result < 0) {
        free(state);
        return result;
    }
    target->state = state;
    return 0;
}

/* The same value may be shorter as RESP3 than on Redis' wire (nulls): the exact limit is checked on
 * what is stored. */
static size_t wire_max(const struct execution *execution)
{
    return execution->result_size_max <= SIZE_MAX / 2 ? execution->result_size_max * 2 : SIZE_MAX;
}

/* Sends the command, with its receipt when `receipted`. */
static int send_command(struct target *target, const struct execution *execution, bool receipted,
                        struct aw_redis_reply **ret_reply, struct aw_error *reterr)
{
    struct redis_target *state = target->state;
    uint32_t before = receipted ? REDIS_RECEIPT_WORDS_MAX : 0;
    struct words words;
    struct buffer key = {0};
    if (words_make(&words, execution->arguments, execution->argument_count, before) < 0)
        return aw_error_set(reterr, -ENOMEM, "no memory to send the command");
    int result = 0;
    uint32_t first = 0; /* of the words that are sent */
    if (receipted)
        result = redis_receipt_fill(target, execution, words.data, words.sizes, &first, &key);
    if (result < 0)
        (void)aw_error_set(reterr, result, "no memory to send the command");
    if (result == 0)
        result = aw_redis_command(state->pool, before - first + execution->argument_count,
                                  words.data + first, words.sizes + first, wire_max(execution),
                                  ret_reply, reterr);
    buffer_free(&key);
    words_free(&words);
    return result;
}

/* It was sent, and what came of it is not known: no other run may repeat it. */
static void doubt(const struct target *target, const struct aw_error *error,
                  struct outcome *outcome)
{
    if (target->settings.delivery == TARGET_AT_MOST_ONCE && outcome->kind == OUTCOME_STOPPED &&
        strcmp(error->code, "WITHDRAWN") != 0)
        outcome->kind = OUTCOME_INTERRUPTED;
}

static bool was_done_before(const struct aw_redis_reply *reply)
{
    return reply->type == AW_REDIS_STATUS && strcmp(reply->text, REDIS_RECEIPT_EXISTS) == 0;
}

static void redis_execute(struct target *target, const struct execution *execution,
                          struct outcome *ret_outcome)
{
    /* RUN has no job, and nobody runs it again */
    bool receipted = target->settings.delivery == TARGET_EXACTLY_ONCE && execution->job_id != 0;
    struct aw_redis_reply *reply = NULL;
    struct aw_error error = {0};
    /* may have been submitted before the target was exactly-once */
    int result = receipted ? redis_receipt_check(execution->arguments, execution->argument_count,
                                                 &error)
                           : 0;
    if (result == 0)
        result = send_command(target, execution, receipted, &reply, &error);
    if (result < 0) {
        fail(result, &error, ret_outcome);
        doubt(target, &error, ret_outcome);
        return;
    }
    if (receipted && was_done_before(reply)) {
        outcome_done(ret_outcome);
        value_simple(&ret_outcome->result, "OK"); /* its reply was lost the first time */
    } else {
        succeed(execution, reply, ret_outcome);
    }
    aw_redis_reply_free(reply);
}

/* --- leases ----------------------------------------------------------------------------------- */

static int redis_enter(struct target *target, struct aw_event *lost, void **ret_session,
                       struct aw_error *reterr)
{
    struct redis_target *state = target->state;
    struct aw_redis_lease *lease = NULL;
    int result = aw_redis_lease_enter(state->pool, lost, &lease, reterr);
    *ret_session = lease;
    return result;
}

static int check_leased(const struct execution *execution, const struct words *words,
                        struct aw_error *reterr)
{
    for (uint32_t i = 0; i < execution->argument_count; i++)
        if (execution->arguments[i].null)
            return aw_error_set(reterr, -EINVAL,
                                "argument %u is NULL, which Redis commands do not know", i + 1);
    return aw_redis_lease_check(execution->argument_count, words->data, words->sizes, reterr);
}

static int redis_execute_in(struct target *target, void *session,
                            const struct execution *execution, struct outcome *ret_outcome,
                            struct aw_error *reterr)
{
    struct words words;
    struct aw_error error = {0};
    struct aw_redis_reply *reply = NULL;
    if (words_make(&words, execution->arguments, execution->argument_count, 0) < 0)
        return aw_error_set_code(reterr, -ENOMEM, "ERR", "no memory for the command");
    int result = check_leased(execution, &words, &error);
    if (result < 0) {
        words_free(&words);
        return aw_error_set_code(reterr, -EINVAL, "ERR", "target %s: %s", target->settings.name,
                                 error.message);
    }
    result = aw_redis_lease_command(session, execution->argument_count, words.data, words.sizes,
                                    wire_max(execution), &reply, &error);
    words_free(&words);
    if (result < 0)
        fail(result, &error, ret_outcome);
    else
        succeed(execution, reply, ret_outcome);
    aw_redis_reply_free(reply);
    return 0;
}

static bool redis_is_alive(struct target *target, void *session, struct aw_error *reterr)
{
    (void)target;
    return aw_redis_lease_is_alive(session, reterr);
}

static bool redis_exit(struct target *target, void *session)
{
    (void)target;
    return aw_redis_lease_exit(session);
}

static void redis_stop(struct target *target)
{
    struct redis_target *state = target->state;
    if (!state) return;
    aw_redis_pool_close(state->pool);
    free(state);
    target->state = NULL;
}

const struct target_type target_type_redis = {
    .name = "redis",
    .check = redis_check,
    .start = redis_start,
    .execute = redis_execute,
    .enter = redis_enter,
    .execute_in = redis_execute_in,
    .is_alive = redis_is_alive,
    .exit = redis_exit,
    .stop = redis_stop,
};
