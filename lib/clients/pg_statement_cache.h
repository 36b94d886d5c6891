/* pg_statement_cache.h - which statements a connection has prepared, by their text.
 *
 * A text seen for the first time runs unprepared; the second time it is prepared. The least
 * recently used one gives way when the cache is full, and its name must then be deallocated on
 * the server first.
 *
 * An entry counts as prepared as soon as its PREPARE was sent, since the server works in order.
 * If that PREPARE fails the entry must be forgotten; runs already sent that relied on it fail
 * with 26000 and are repeated unprepared. */
#ifndef CLIENTS_PG_STATEMENT_CACHE_H
#define CLIENTS_PG_STATEMENT_CACHE_H

#include <await/base.h>

#define PG_CACHED_TEXT_MAX 15360u
#define PG_NAME_SIZE 24

enum pg_cache_answer {
    PG_CACHE_UNPREPARED, /* send the text */
    PG_CACHE_PREPARE,    /* prepare it under `name` first */
    PG_CACHE_READY,      /* send `name` */
};

struct pg_cached_statement {
    char *text;
    size_t text_size;
    uint64_t hash;
    uint64_t used; /* the cache's clock at the last use */
    uint64_t name; /* 0: seen once, not prepared */
    bool leaves_nothing; /* pg_tidy_text.c */
};

struct pg_statement_cache {
    struct pg_cached_statement *entries;
    uint32_t count;
    uint32_t capacity; /* 0: switched off */
    uint64_t clock;
    uint64_t names;
};

/* What the cache says of a text. */
struct pg_cache_hit {
    enum pg_cache_answer answer;
    uint64_t name;
    uint64_t evicted;    /* to be deallocated first, or 0 */
    bool leaves_nothing; /* in its session, as far as the text says */
};

/* Never fails: without memory the cache is off. */
void pg_statement_cache_init(struct pg_statement_cache *cache, uint32_t capacity);
/* Frees everything and switches it off. */
void pg_statement_cache_clear(struct pg_statement_cache *cache);

struct pg_cache_hit pg_statement_cache_use(struct pg_statement_cache *cache, const char *text,
                                           size_t text_size);
void pg_statement_cache_forget(struct pg_statement_cache *cache, uint64_t name);

/* "aw_17" */
void pg_statement_name(uint64_t name, char ret_text[PG_NAME_SIZE]);

#endif
