/* pg_statement_cache.c - see the header. A hundred entries are searched in a row: the hashes
 * decide, and that is far below the cost of a round trip. */
#include "clients/pg_internal.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash_text(const char *text, size_t size)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

void pg_statement_cache_init(struct pg_statement_cache *cache, uint32_t capacity)
{
    *cache = (struct pg_statement_cache){.capacity = capacity};
    if (capacity > 0) {
        cache->entries = calloc(capacity, sizeof *cache->entries);
        if (cache->entries == NULL) {
            cache->capacity = 0;
        }
    }
}

void pg_statement_cache_clear(struct pg_statement_cache *cache)
{
    for (uint32_t i = 0; i < cache->count; i++) {
        free(cache->entries[i].text);
    }
    free(cache->entries);
    *cache = (struct pg_statement_cache){.names = cache->names};
}

void pg_statement_name(uint64_t name, char ret_text[PG_NAME_SIZE])
{
    /* by hand: printf took a tenth of the time of a small statement */
    char digits[PG_NAME_SIZE];
    char *first = digits + sizeof digits;
    name %= UINT64_C(1000000000000000);
    do {
        *--first = (char)('0' + name % 10);
        name /= 10;
    } while (name > 0);
    size_t count = (size_t)(digits + sizeof digits - first);
    memcpy(ret_text, "aw_", 3);
    memcpy(ret_text + 3, first, count);
    ret_text[3 + count] = '\0';
}

/* A free entry, or the least recently used one emptied; NULL without memory for the text. */
static struct pg_cached_statement *take_entry(struct pg_statement_cache *cache, const char *text,
                                              size_t text_size, uint64_t *evicted)
{
    char *copy = malloc(text_size > 0 ? text_size : 1);
    if (copy == NULL) {
        return NULL;
    }
    memcpy(copy, text, text_size);
    struct pg_cached_statement *entry = &cache->entries[0];
    if (cache->count < cache->capacity) {
        entry = &cache->entries[cache->count++];
    } else {
        for (uint32_t i = 1; i < cache->count; i++) {
            if (cache->entries[i].used < entry->used) {
                entry = &cache->entries[i];
            }
        }
        *evicted = entry->name;
        free(entry->text);
    }
    *entry = (struct pg_cached_statement){.text = copy, .text_size = text_size};
    return entry;
}

struct pg_cache_hit pg_statement_cache_use(struct pg_statement_cache *cache, const char *text,
                                           size_t text_size)
{
    struct pg_cache_hit hit = {.answer = PG_CACHE_UNPREPARED};
    if (cache->capacity == 0 || text_size > PG_CACHED_TEXT_MAX) {
        hit.leaves_nothing = aw_pg_leaves_nothing(text, text_size);
        return hit;
    }
    uint64_t hash = hash_text(text, text_size);
    cache->clock++;
    for (uint32_t i = 0; i < cache->count; i++) {
        struct pg_cached_statement *entry = &cache->entries[i];
        if (entry->hash != hash || entry->text_size != text_size ||
            memcmp(entry->text, text, text_size) != 0) {
            continue;
        }
        entry->used = cache->clock;
        hit.answer = entry->name != 0 ? PG_CACHE_READY : PG_CACHE_PREPARE;
        entry->name = entry->name != 0 ? entry->name : ++cache->names;
        hit.name = entry->name;
        hit.leaves_nothing = entry->leaves_nothing;
        return hit;
    }
    struct pg_cached_statement *entry = take_entry(cache, text, text_size, &hit.evicted);
    hit.leaves_nothing = aw_pg_leaves_nothing(text, text_size);
    if (entry != NULL) {
        entry->hash = hash;
        entry->used = cache->clock;
        entry->leaves_nothing = hit.leaves_nothing;
    }
    return hit;
}

void pg_statement_cache_forget(struct pg_statement_cache *cache, uint64_t name)
{
    for (uint32_t i = 0; i < cache->count; i++) {
        if (cache->entries[i].name == name) {
            cache->entries[i].name = 0;
            return;
        }
    }
}
