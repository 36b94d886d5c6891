/* redis_receipt.c - see redis_receipt.h. */
#include "targets/redis_receipt.h"

#include "protocol/word.h"

#include <await/redis_key.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Lua's unpack takes no more. */
#define SCRIPT_ARGUMENTS_MAX 7000u

static const char script[] =
    "local set = redis.pcall('SET', KEYS[1], '1', 'NX', 'EX', ARGV[1]) "
    "if type(set) == 'table' and set.err then return set end "
    "if not set then return redis.status_reply('" REDIS_RECEIPT_EXISTS "') end "
    "local reply = redis.pcall(unpack(ARGV, 2)) "
    "if type(reply) == 'table' and reply.err then redis.call('DEL', KEYS[1]) end "
    "return reply";

#define SCRIPTS "a script cannot run another one; write what it does as single commands"
#define BLOCKS "it would block, which a script cannot; use its form that does not"
#define SERVER "it is about the server, not about data, and cannot run in a script"

struct rule {
    const char *command;
    const char *reason;
};

static const struct rule rules[] = {
    {"EVAL", SCRIPTS},      {"EVALSHA", SCRIPTS},   {"EVAL_RO", SCRIPTS},  {"EVALSHA_RO", SCRIPTS},
    {"FCALL", SCRIPTS},     {"FCALL_RO", SCRIPTS},  {"SCRIPT", SCRIPTS},   {"FUNCTION", SCRIPTS},
    {"BLPOP", BLOCKS},      {"BRPOP", BLOCKS},      {"BRPOPLPUSH", BLOCKS}, {"BLMOVE", BLOCKS},
    {"BLMPOP", BLOCKS},     {"BZPOPMIN", BLOCKS},   {"BZPOPMAX", BLOCKS},  {"BZMPOP", BLOCKS},
    {"CLIENT", SERVER},     {"CONFIG", SERVER},     {"ACL", SERVER},       {"SAVE", SERVER},
    {"BGSAVE", SERVER},     {"BGREWRITEAOF", SERVER}, {"MODULE", SERVER},  {"LATENCY", SERVER},
    {"SLOWLOG", SERVER},    {"CLUSTER", SERVER},    {"FAILOVER", SERVER},  {"REPLICAOF", SERVER},
    {"SLAVEOF", SERVER},    {"FLUSHALL", "it would delete its own receipt"},
    {"FLUSHDB", "it would delete its own receipt"},
};

static bool is(const struct argument *argument, const char *word)
{
    return word_equal(argument->data, argument->size, word);
}

static bool is_stream_read(const struct argument *command)
{
    return is(command, "XREAD") || is(command, "XREADGROUP");
}

/* XREADGROUP's first words are GROUP, group and consumer, which may have any name. */
static bool blocks(const struct argument *arguments, uint32_t count)
{
    for (uint32_t i = is(&arguments[0], "XREAD") ? 1 : 4; i < count; i++) {
        if (is(&arguments[i], "STREAMS"))
            return false;
        if (is(&arguments[i], "BLOCK"))
            return true;
    }
    return false;
}

int redis_receipt_check(const struct argument *arguments, uint32_t count, struct aw_error *reterr)
{
    const char *reason = NULL;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0] && !reason; i++)
        if (is(&arguments[0], rules[i].command))
            reason = rules[i].reason;
    if (!reason && is_stream_read(&arguments[0]) && blocks(arguments, count))
        reason = BLOCKS;
    if (reason)
        return aw_error_set(reterr, -EINVAL, "%.*s is refused on an exactly-once target: %s",
                            (int)arguments[0].size, arguments[0].data, reason);
    if (count > SCRIPT_ARGUMENTS_MAX)
        return aw_error_set(reterr, -EINVAL, "%u arguments; on an exactly-once target a command "
                            "has at most %u", count, SCRIPT_ARGUMENTS_MAX);
    return 0;
}

/* A tag cannot stand in braces when it holds the closing one: a number of the same slot does. One
 * number in 16,384 is of that slot. */
static uint32_t number_in_slot(uint32_t slot)
{
    for (uint32_t number = 0;; number++) {
        char text[12];
        int size = snprintf(text, sizeof text, "%" PRIu32, number);
        if (aw_redis_slot(text, (size_t)size) == slot)
            return number;
    }
}

static void append_tag(struct buffer *out, const char *key, size_t size)
{
    size_t tag_size = 0;
    const char *tag = key + aw_redis_hash_tag(key, size, &tag_size);
    if (tag_size == 0 || memchr(tag, '}', tag_size))
        buffer_printf(out, "%" PRIu32, number_in_slot(aw_redis_slot(key, size)));
    else
        buffer_append(out, tag, tag_size);
}

int redis_receipt_fill(const struct target *target, const struct execution *execution,
                       const char **words, size_t *sizes, uint32_t *ret_first, struct buffer *key)
{
    const char **command = words + REDIS_RECEIPT_WORDS_MAX;
    const size_t *command_sizes = sizes + REDIS_RECEIPT_WORDS_MAX;
    size_t at = aw_redis_first_key(execution->argument_count, command, command_sizes);
    buffer_append_text(key, "awaitd:{");
    if (at > 0)
        append_tag(key, command[at], command_sizes[at]);
    buffer_printf(key, "}:%s:%" PRIu64, target->settings.store, execution->job_id);
    if (key->failed)
        return -ENOMEM;
    const char *const texts[] = {"EVAL", script, at > 0 ? "2" : "1"};
    uint32_t i = *ret_first = at > 0 ? 0 : 1;
    for (size_t word = 0; word < sizeof texts / sizeof texts[0]; word++, i++) {
        words[i] = texts[word];
        sizes[i] = strlen(texts[word]);
    }
    words[i] = key->data;
    sizes[i++] = key->size;
    if (at > 0) {
        words[i] = command[at];
        sizes[i++] = command_sizes[at];
    }
    words[i] = REDIS_RECEIPT_TTL_S;
    sizes[i] = strlen(REDIS_RECEIPT_TTL_S);
    return 0;
}
