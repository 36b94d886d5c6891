/* redis_key.c - see redis_key.h. The table is data: the commands whose first key is not their first
 * argument. It only has to be right mostly: a server that does not hold a key says who does. */
#include <await/redis_key.h>

#include <string.h>
#include <strings.h>

#define KEYLESS 0
#define BEHIND_STREAMS 255

struct position {
    const char *command;
    unsigned at;  /* of the first key */
    bool counted; /* the argument before it is the number of keys */
};

static const struct position positions[] = {
    {"ACL", KEYLESS, false},
    {"AUTH", KEYLESS, false},
    {"BGREWRITEAOF", KEYLESS, false},
    {"BGSAVE", KEYLESS, false},
    {"BITOP", 2, false},
    {"BLMPOP", 3, true},
    {"BZMPOP", 3, true},
    {"CLIENT", KEYLESS, false},
    {"CLUSTER", KEYLESS, false},
    {"COMMAND", KEYLESS, false},
    {"CONFIG", KEYLESS, false},
    {"DBSIZE", KEYLESS, false},
    {"ECHO", KEYLESS, false},
    {"EVAL", 3, true},
    {"EVALSHA", 3, true},
    {"EVALSHA_RO", 3, true},
    {"EVAL_RO", 3, true},
    {"FCALL", 3, true},
    {"FCALL_RO", 3, true},
    {"FLUSHALL", KEYLESS, false},
    {"FLUSHDB", KEYLESS, false},
    {"FUNCTION", KEYLESS, false},
    {"INFO", KEYLESS, false},
    {"KEYS", KEYLESS, false},
    {"LASTSAVE", KEYLESS, false},
    {"LATENCY", KEYLESS, false},
    {"LMPOP", 2, true},
    {"LOLWUT", KEYLESS, false},
    {"MEMORY", 2, false},
    {"MIGRATE", 3, false},
    {"MODULE", KEYLESS, false},
    {"OBJECT", 2, false},
    {"PING", KEYLESS, false},
    {"PUBLISH", KEYLESS, false},
    {"PUBSUB", KEYLESS, false},
    {"RANDOMKEY", KEYLESS, false},
    {"ROLE", KEYLESS, false},
    {"SAVE", KEYLESS, false},
    {"SCAN", KEYLESS, false},
    {"SCRIPT", KEYLESS, false},
    {"SINTERCARD", 2, true},
    {"SLOWLOG", KEYLESS, false},
    {"TIME", KEYLESS, false},
    {"WAIT", KEYLESS, false},
    {"XGROUP", 2, false},
    {"XINFO", 2, false},
    {"XREAD", BEHIND_STREAMS, false},
    {"XREADGROUP", BEHIND_STREAMS, false},
    {"ZDIFF", 2, true},
    {"ZINTER", 2, true},
    {"ZINTERCARD", 2, true},
    {"ZMPOP", 2, true},
    {"ZUNION", 2, true},
};

static bool equals(const char *argument, size_t size, const char *word)
{
    return size == strlen(word) && strncasecmp(argument, word, size) == 0;
}

/* XREAD's and XREADGROUP's own words end at STREAMS; the latter's first three are GROUP, group and
 * consumer, which may have any name. */
static size_t behind_streams(size_t count, const char *const arguments[], const size_t sizes[])
{
    size_t at = equals(arguments[0], sizes[0], "XREAD") ? 1 : 4;
    while (at < count && !equals(arguments[at], sizes[at], "STREAMS"))
        at++;
    return at + 1;
}

size_t aw_redis_first_key(size_t count, const char *const arguments[], const size_t sizes[])
{
    size_t at = 1;
    for (size_t i = 0; i < sizeof positions / sizeof positions[0]; i++) {
        const struct position *position = &positions[i];
        if (!equals(arguments[0], sizes[0], position->command))
            continue;
        at =
            position->at == BEHIND_STREAMS ? behind_streams(count, arguments, sizes) : position->at;
        if (position->counted && at < count && equals(arguments[at - 1], sizes[at - 1], "0"))
            at = KEYLESS;
        break;
    }
    return at < count ? at : KEYLESS;
}

size_t aw_redis_hash_tag(const char *key, size_t size, size_t *ret_size)
{
    *ret_size = size;
    const char *open = size > 0 ? memchr(key, '{', size) : NULL;
    if (!open)
        return 0;
    size_t begin = (size_t)(open - key) + 1;
    const char *close = memchr(key + begin, '}', size - begin);
    if (!close || close == key + begin)
        return 0;
    *ret_size = (size_t)(close - key) - begin;
    return begin;
}

/* Four bits at a time, the upper ones first; polynomial 0x1021. */
static uint16_t crc16_nibble(uint16_t crc, unsigned nibble)
{
    static const uint16_t table[16] = {
        0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
        0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef,
    };
    return (uint16_t)((crc << 4) ^ table[(crc >> 12) ^ nibble]);
}

uint32_t aw_redis_slot(const char *key, size_t size)
{
    size_t tag = 0;
    size_t at = aw_redis_hash_tag(key, size, &tag);
    uint16_t crc = 0;
    for (size_t i = at; i < at + tag; i++) {
        unsigned byte = (unsigned char)key[i];
        crc = crc16_nibble(crc, byte >> 4);
        crc = crc16_nibble(crc, byte & 15);
    }
    return crc % AW_REDIS_SLOTS;
}
