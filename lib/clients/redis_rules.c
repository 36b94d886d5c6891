/* redis_rules.c - see redis_rules.h. The table is data: one line a command that is not for sharing.
 * */
#include "clients/redis_rules.h"

#include <string.h>
#include <strings.h>

#define TRANSACTION "transactions need a connection of their own, but connections are shared; " \
                    "use a Lua script (EVAL), which is atomic too"
#define SUBSCRIPTION "subscriptions turn a connection into a one-way stream, but connections are " \
                     "shared; read a stream (XREAD) or a list (BLPOP) instead"
#define SESSION "it changes the state of its connection, but connections are shared; "
#define ACCOUNT SESSION "give user, password and database in the URI"
#define CLUSTER SESSION "connect to the node itself"
#define REPLICATION "it turns the connection into a replication stream; use redis-cli"
#define OWN_WRITES "it speaks of earlier writes of its own connection, but connections are " \
                   "shared: its answer would mean nothing; set min-replicas-to-write or " \
                   "appendfsync always on the server instead"
#define OPERATOR "it stops or stalls the server for everybody; run it with redis-cli"

struct rule {
    const char *command;
    const char *subcommand; /* NULL: any */
    const char *reason;     /* NULL: it blocks */
};

static const struct rule rules[] = {
    {"BLPOP", NULL, NULL},
    {"BRPOP", NULL, NULL},
    {"BRPOPLPUSH", NULL, NULL},
    {"BLMOVE", NULL, NULL},
    {"BLMPOP", NULL, NULL},
    {"BZPOPMIN", NULL, NULL},
    {"BZPOPMAX", NULL, NULL},
    {"BZMPOP", NULL, NULL},
    {"MULTI", NULL, TRANSACTION},
    {"EXEC", NULL, TRANSACTION},
    {"DISCARD", NULL, TRANSACTION},
    {"WATCH", NULL, TRANSACTION},
    {"UNWATCH", NULL, TRANSACTION},
    {"SUBSCRIBE", NULL, SUBSCRIPTION},
    {"PSUBSCRIBE", NULL, SUBSCRIPTION},
    {"SSUBSCRIBE", NULL, SUBSCRIPTION},
    {"UNSUBSCRIBE", NULL, SUBSCRIPTION},
    {"PUNSUBSCRIBE", NULL, SUBSCRIPTION},
    {"SUNSUBSCRIBE", NULL, SUBSCRIPTION},
    {"MONITOR", NULL, SUBSCRIPTION},
    {"SELECT", NULL, ACCOUNT},
    {"AUTH", NULL, ACCOUNT},
    {"HELLO", NULL, ACCOUNT},
    {"QUIT", NULL, SESSION "leave it out"},
    {"RESET", NULL, SESSION "leave it out"},
    {"CLIENT", "REPLY", SESSION "leave it out"},
    {"CLIENT", "TRACKING", SESSION "leave it out"},
    {"CLIENT", "CACHING", SESSION "leave it out"},
    {"CLIENT", "SETNAME", SESSION "leave it out"},
    {"CLIENT", "SETINFO", SESSION "leave it out"},
    {"CLIENT", "NO-EVICT", SESSION "leave it out"},
    {"CLIENT", "NO-TOUCH", SESSION "leave it out"},
    {"SCRIPT", "DEBUG", SESSION "use redis-cli --ldb"},
    {"ASKING", NULL, CLUSTER},
    {"READONLY", NULL, CLUSTER},
    {"READWRITE", NULL, CLUSTER},
    {"WAIT", NULL, OWN_WRITES},
    {"WAITAOF", NULL, OWN_WRITES},
    {"SYNC", NULL, REPLICATION},
    {"PSYNC", NULL, REPLICATION},
    {"REPLCONF", NULL, REPLICATION},
    {"DEBUG", NULL, OPERATOR},
    {"SHUTDOWN", NULL, OPERATOR},
};

/* XREAD and XREADGROUP block only with the option BLOCK; it stands before STREAMS and behind so
 * many words. */
static const struct stream_read {
    const char *command;
    size_t first;
} stream_reads[] = {{"XREAD", 1}, {"XREADGROUP", 4 /* GROUP group consumer */}};

/* The lengths of the rules' words, a bit each, by first letter: every command is looked up, twice
 * if it is a job, and nearly none is here. */
static _Thread_local struct {
    uint32_t lengths[32];
    bool filled;
} known;

static void know(const char *command)
{
    known.lengths[command[0] & 31] |= UINT32_C(1) << strlen(command);
}

static void fill_known(void)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) know(rules[i].command);
    for (size_t i = 0; i < sizeof stream_reads / sizeof stream_reads[0]; i++)
        know(stream_reads[i].command);
    known.filled = true;
}

static bool may_have_rule(const char *command, size_t size)
{
    if (!known.filled) fill_known();
    return size > 0 && size < 32 && (known.lengths[command[0] & 31] >> size & 1);
}

static bool equals(const char *argument, size_t size, const char *word)
{
    /* the first letter decides for nearly all of the table */
    return size > 0 && (argument[0] | 0x20) == (word[0] | 0x20) && size == strlen(word) &&
           strncasecmp(argument, word, size) == 0;
}

static bool stream_read_blocks(size_t count, const char *const arguments[], const size_t sizes[])
{
    const struct stream_read *read = stream_reads;
    while (read < stream_reads + sizeof stream_reads / sizeof stream_reads[0] &&
           !equals(arguments[0], sizes[0], read->command))
        read++;
    if (read == stream_reads + sizeof stream_reads / sizeof stream_reads[0]) return false;
    for (size_t i = read->first; i < count && !equals(arguments[i], sizes[i], "STREAMS"); i++)
        if (equals(arguments[i], sizes[i], "BLOCK")) return true;
    return false;
}

const char *redis_lease_refusal(size_t count, const char *const arguments[], const size_t sizes[])
{
    static const char *const allowed[] = {"SELECT", "WAIT", "WAITAOF", "ASKING", "READONLY",
                                          "READWRITE", NULL};
    const char *reason = NULL;
    if (redis_use_of(count, arguments, sizes, &reason) != REDIS_USE_REFUSED ||
        strcmp(reason, TRANSACTION) == 0)
        return NULL;
    for (size_t i = 0; allowed[i]; i++)
        if (equals(arguments[0], sizes[0], allowed[i])) return NULL;
    return strcmp(reason, OPERATOR) == 0
               ? reason
               : "it would end the lease's conversation with the server, or change what its "
                 "answers look like";
}

enum redis_use redis_use_of(size_t count, const char *const arguments[], const size_t sizes[],
                            const char **ret_reason)
{
    if (!may_have_rule(arguments[0], sizes[0])) return REDIS_USE_SHARED;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const struct rule *rule = &rules[i];
        if (!equals(arguments[0], sizes[0], rule->command)) continue;
        if (rule->subcommand && (count < 2 || !equals(arguments[1], sizes[1], rule->subcommand)))
            continue;
        if (!rule->reason) return REDIS_USE_BLOCKING;
        *ret_reason = rule->reason;
        return REDIS_USE_REFUSED;
    }
    return stream_read_blocks(count, arguments, sizes) ? REDIS_USE_BLOCKING : REDIS_USE_SHARED;
}
