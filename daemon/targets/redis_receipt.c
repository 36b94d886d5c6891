/* redis_receipt.c - see redis_receipt.h. */
#include "targets/redis_receipt.h"

#include "protocol/word.h"

#include <errno.h>
#include <inttypes.h>
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

/* The argument that is the command's first key. A command without keys gives what stands there: its
 * receipt then has any slot. */
static const struct argument *first_key(const struct argument *arguments, uint32_t count)
{
    static const char *const second[] = {"BITOP",  "OBJECT", "XGROUP", "XINFO",  "MEMORY",
                                         "ZUNION", "ZINTER", "ZDIFF",  "ZMPOP",  "LMPOP",
                                         "SINTERCARD", "ZINTERCARD"};
    uint32_t at = 1;
    for (size_t i = 0; i < sizeof second / sizeof second[0]; i++)
        if (is(&arguments[0], second[i]))
            at = 2;
    if (is_stream_read(&arguments[0])) {
        while (at + 1 < count && !is(&arguments[at], "STREAMS"))
            at++;
        at++;
    }
    return at < count ? &arguments[at] : NULL;
}

/* The part of a key that decides about its slot. */
static struct argument hash_tag(const struct argument *key)
{
    const char *open = key->size > 0 ? memchr(key->data, '{', key->size) : NULL;
    if (!open)
        return *key;
    const char *begin = open + 1;
    const char *close = memchr(begin, '}', key->size - (size_t)(begin - key->data));
    if (!close || close == begin)
        return *key;
    return (struct argument){.data = begin, .size = (uint32_t)(close - begin)};
}

int redis_receipt_fill(const struct target *target, const struct execution *execution,
                       const char **words, size_t *sizes, struct buffer *key)
{
    const struct argument *first = first_key(execution->arguments, execution->argument_count);
    buffer_append_text(key, "awaitd:{");
    if (first && first->size > 0) {
        struct argument tag = hash_tag(first);
        buffer_append(key, tag.data, tag.size);
    }
    buffer_printf(key, "}:%s:%" PRIu64, target->settings.store, execution->job_id);
    if (key->failed)
        return -ENOMEM;
    const char *const texts[REDIS_RECEIPT_WORDS] = {"EVAL", script, "1", key->data,
                                                    REDIS_RECEIPT_TTL_S};
    for (uint32_t i = 0; i < REDIS_RECEIPT_WORDS; i++) {
        words[i] = texts[i];
        sizes[i] = i == 3 ? key->size : strlen(texts[i]);
    }
    return 0;
}
