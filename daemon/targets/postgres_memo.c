/* postgres_memo.c - see postgres_memo.h. A text has one place, and the last that came keeps it. */
#include "targets/postgres_memo.h"

#include <await/pg.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 4096u

/* Statements differ in their lengths nearly always. */
static size_t place_of(const char *text, size_t size)
{
    return (size + 7u * (unsigned char)text[size / 2]) % POSTGRES_MEMO_PLACES;
}

bool postgres_memo_leaves_nothing(struct postgres_memo *memo, const char *text, size_t size)
{
    if (size == 0 || size > TEXT_MAX) {
        return aw_pg_leaves_nothing(text, size);
    }
    size_t place = place_of(text, size);
    if (memo->places[place].text != NULL && memo->places[place].size == size &&
        memcmp(memo->places[place].text, text, size) == 0) {
        return memo->places[place].leaves_nothing;
    }
    bool leaves_nothing = aw_pg_leaves_nothing(text, size);
    char *copy = malloc(size);
    if (copy != NULL) {
        memcpy(copy, text, size);
        free(memo->places[place].text);
        memo->places[place].text = copy;
        memo->places[place].size = size;
        memo->places[place].leaves_nothing = leaves_nothing;
    }
    return leaves_nothing;
}

void postgres_memo_free(struct postgres_memo *memo)
{
    for (size_t i = 0; i < POSTGRES_MEMO_PLACES; i++) {
        free(memo->places[i].text);
        memo->places[i].text = NULL;
    }
}
