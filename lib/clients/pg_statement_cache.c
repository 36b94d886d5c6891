/* pg_statement_cache.c - see the header. A hundred entries are searched in a row: the hashes
 * decide, and that is far below the cost of a round trip. */
#include "clients/pg_internal.h"

#include <stdlib.h>
#include <string.h>

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 32);
}

/* Eight bytes at a time: byte by byte, a long text took longer than all else that is sent for it.
 * Whoever makes texts collide pays with a comparison, and there are a hundred at most. */
static uint64_t hash_text(const char *text, size_t size)
{
    uint64_t hash = size;
    uint64_t word = 0;
    size_t at = 0;
    for (; size - at >= sizeof word; at += sizeof word) {
        memcpy(&word, text + at, sizeof word);
        hash = mix(hash, word);
    }
    word = 0;
    memcpy(&word, text + at, size - at);
    return mix(hash, word);
}

void pg_statement_cache_init(struct pg_statement_cache *cache, uint32_t capacity)
{
    *cache = (struct pg_statement_cache){.capacity = capacity};
    aw_random_bytes(&cache->names, sizeof cache->names);
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
    static const char digits[] = "0123456789abcdef";
    /* by hand: printf took a tenth of the time of a small statement */
    memcpy(ret_text, "aw_", 3);
    for (int i = 0; i < 16; i++) {
        ret_text[3 + i] = digits[(name >> (60 - 4 * i)) & 15];
    }
    ret_text[19] = '\0';
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

bool pg_statement_cache_forget(struct pg_statement_cache *cache, uint64_t name)
{
    for (uint32_t i = 0; i < cache->count; i++) {
        if (cache->entries[i].name == name) {
            cache->entries[i].name = 0;
            return true;
        }
    }
    return false;
}
