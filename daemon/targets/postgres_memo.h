/* postgres_memo.h - what was found out about statements' texts, so that the text that comes with
 * every job is read once and then only compared. */
#ifndef TARGETS_POSTGRES_MEMO_H
#define TARGETS_POSTGRES_MEMO_H

#include <stdbool.h>
#include <stddef.h>

#define POSTGRES_MEMO_PLACES 32u

struct postgres_memo {
    struct {
        char *text; /* NULL: free */
        size_t size;
        bool leaves_nothing;
    } places[POSTGRES_MEMO_PLACES];
};

/* aw_pg_leaves_nothing. A memo of zeros is empty. */
bool postgres_memo_leaves_nothing(struct postgres_memo *memo, const char *text, size_t size);
void postgres_memo_free(struct postgres_memo *memo);

#endif
