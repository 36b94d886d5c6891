/* time_zone.c - see time_zone.h. The file's second block (64-bit times) and the rule behind it are
 * used; the first block only where a file has no second one. */
#include "cron/time_zone.h"

#include "cron/zone_rule.h"

#include <await/file.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_SIZE 44u
#define TYPE_SIZE 6u
#define TYPES_MAX 256u
#define OFFSET_MAX_S (26 * 3600)

struct zone_change {
    int64_t at_s;
    int32_t offset_s; /* from then on */
};

struct time_zone {
    int32_t first_offset_s; /* before the first change */
    bool has_rule;          /* after the last one; else its offset stays */
    struct zone_rule rule;
    uint32_t count;
    struct zone_change changes[];
};

/* The counts of a block's header. */
struct block {
    const unsigned char *data; /* behind the header */
    size_t size;               /* from there to the end of the file */
    unsigned char version;
    uint32_t utc_count, standard_count, leap_count, time_count, type_count, text_size;
};

static uint32_t big_32(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static int64_t time_at(const struct block *block, uint32_t index, size_t time_size)
{
    const unsigned char *bytes = block->data + index * time_size;
    if (time_size == 4)
        return (int32_t)big_32(bytes);
    return (int64_t)((uint64_t)big_32(bytes) << 32 | big_32(bytes + 4));
}

static uint64_t block_size(const struct block *block, size_t time_size)
{
    return (uint64_t)block->time_count * (time_size + 1) + (uint64_t)block->type_count * TYPE_SIZE +
           block->text_size + (uint64_t)block->leap_count * (time_size + 4) +
           block->standard_count + block->utc_count;
}

static bool read_header(const unsigned char *data, size_t size, struct block *ret_block)
{
    if (size < HEADER_SIZE || memcmp(data, "TZif", 4) != 0)
        return false;
    *ret_block = (struct block){
        .data = data + HEADER_SIZE,
        .size = size - HEADER_SIZE,
        .version = data[4],
        .utc_count = big_32(data + 20),
        .standard_count = big_32(data + 24),
        .leap_count = big_32(data + 28),
        .time_count = big_32(data + 32),
        .type_count = big_32(data + 36),
        .text_size = big_32(data + 40),
    };
    return ret_block->type_count >= 1 && ret_block->type_count <= TYPES_MAX;
}

static bool read_offset(const struct block *block, size_t time_size, uint32_t type,
                        int32_t *ret_offset_s)
{
    if (type >= block->type_count)
        return false;
    const unsigned char *types = block->data + (size_t)block->time_count * (time_size + 1);
    *ret_offset_s = (int32_t)big_32(types + type * TYPE_SIZE);
    return *ret_offset_s > -OFFSET_MAX_S && *ret_offset_s < OFFSET_MAX_S;
}

static bool read_changes(const struct block *block, size_t time_size, struct time_zone *zone)
{
    const unsigned char *types = block->data + (size_t)block->time_count * time_size;
    if (!read_offset(block, time_size, 0, &zone->first_offset_s))
        return false;
    for (uint32_t i = 0; i < block->time_count; i++) {
        struct zone_change *change = &zone->changes[i];
        change->at_s = time_at(block, i, time_size);
        if ((i > 0 && change->at_s <= change[-1].at_s) ||
            !read_offset(block, time_size, types[i], &change->offset_s))
            return false;
    }
    zone->count = block->time_count;
    return true;
}

/* "\n<rule>\n" behind the second block; the rule may be empty. */
static bool read_footer(const unsigned char *data, size_t size, struct time_zone *zone)
{
    if (size < 2 || data[0] != '\n')
        return false;
    const unsigned char *end = memchr(data + 1, '\n', size - 1);
    if (!end)
        return false;
    size_t rule_size = (size_t)(end - data - 1);
    zone->has_rule = rule_size > 0;
    return rule_size == 0 || zone_rule_parse((const char *)data + 1, rule_size, &zone->rule) == 0;
}

/* The block to use, with the size of its times. */
static bool find_block(const void *data, size_t size, struct block *ret_block,
                       size_t *ret_time_size)
{
    *ret_time_size = 4;
    if (!read_header(data, size, ret_block) || block_size(ret_block, 4) > ret_block->size)
        return false;
    if (ret_block->version < '2')
        return true;
    *ret_time_size = 8;
    size_t first = (size_t)block_size(ret_block, 4);
    return read_header(ret_block->data + first, ret_block->size - first, ret_block) &&
           block_size(ret_block, 8) <= ret_block->size;
}

int time_zone_parse(const void *data, size_t size, struct time_zone **ret_zone,
                    struct aw_error *reterr)
{
    struct block block;
    size_t time_size;
    if (!find_block(data, size, &block, &time_size))
        return aw_error_set(reterr, -EBADMSG, "is no time zone file, or damaged");
    if (block.leap_count > 0)
        return aw_error_set(reterr, -ENOTSUP, "counts leap seconds, which the system clock does "
                                              "not; take the zone outside of right/");
    struct time_zone *zone =
        calloc(1, sizeof *zone + block.time_count * sizeof zone->changes[0]);
    if (!zone)
        return aw_error_set(reterr, -ENOMEM, "no memory for the time zone");
    size_t used = (size_t)block_size(&block, time_size);
    if (!read_changes(&block, time_size, zone) ||
        (time_size == 8 && !read_footer(block.data + used, block.size - used, zone))) {
        free(zone);
        return aw_error_set(reterr, -EBADMSG, "is a damaged time zone file");
    }
    *ret_zone = zone;
    return 0;
}

bool time_zone_name_is_valid(const char *name, size_t size)
{
    if (size == 0 || size > TIME_ZONE_NAME_SIZE_MAX || name[0] == '/' || name[size - 1] == '/')
        return false;
    for (size_t i = 0; i < size; i++) {
        char letter = name[i];
        bool plain = (letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z') ||
                     (letter >= '0' && letter <= '9') || letter == '_' || letter == '-' ||
                     letter == '+';
        bool slash = letter == '/' && name[i - 1] != '/';
        if (!plain && !slash)
            return false;
    }
    return true;
}

int time_zone_load(const char *name, struct time_zone **ret_zone, struct aw_error *reterr)
{
    char path[sizeof TIME_ZONE_FOLDER + 1 + TIME_ZONE_NAME_SIZE_MAX];
    char *data;
    size_t size;
    if (strcmp(name, "UTC") == 0) {
        *ret_zone = calloc(1, sizeof **ret_zone);
        return *ret_zone ? 0 : aw_error_set(reterr, -ENOMEM, "no memory for the time zone");
    }
    if (!time_zone_name_is_valid(name, strlen(name)))
        return aw_error_set(reterr, -ENOENT,
                            "'%.64s' is no time zone's name, such as Europe/Berlin",
                            name);
    (void)snprintf(path, sizeof path, TIME_ZONE_FOLDER "/%s", name);
    int result = aw_read_file(path, TIME_ZONE_FILE_SIZE_MAX, &data, &size);
    if (result == -ENOENT || result == -ENOTDIR || result == -EISDIR)
        return aw_error_set(reterr, -ENOENT,
                            "no time zone '%s' in " TIME_ZONE_FOLDER
                            "; see timedatectl list-timezones, or install tzdata",
                            name);
    if (result < 0)
        return aw_error_set(reterr, result, "time zone '%s': cannot read %s: %s", name, path,
                            aw_error_text(result));
    struct aw_error error = {0};
    result = time_zone_parse(data, size, ret_zone, &error);
    free(data);
    if (result < 0)
        return aw_error_set(reterr, result, "time zone '%s': %s %s", name, path, error.message);
    return 0;
}

void time_zone_free(struct time_zone *zone)
{
    free(zone);
}

/* How many changes are at or before the instant. */
static uint32_t changes_until(const struct time_zone *zone, int64_t instant_s)
{
    uint32_t low = 0;
    uint32_t high = zone->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (zone->changes[middle].at_s <= instant_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void time_zone_period(const struct time_zone *zone, int64_t instant_s,
                      struct zone_period *ret_period)
{
    uint32_t past = changes_until(zone, instant_s);
    int64_t begin_s = past > 0 ? zone->changes[past - 1].at_s : INT64_MIN;
    if (past == zone->count && zone->has_rule) {
        zone_rule_period(&zone->rule, instant_s, ret_period);
        if (ret_period->begin_s < begin_s)
            ret_period->begin_s = begin_s;
        return;
    }
    *ret_period = (struct zone_period){
        .begin_s = begin_s,
        .end_s = past < zone->count ? zone->changes[past].at_s : INT64_MAX,
        .offset_s = past > 0 ? zone->changes[past - 1].offset_s : zone->first_offset_s,
    };
}
