/* word.c - see word.h. */
#include "protocol/word.h"

#include <string.h>
#include <strings.h>

#define WORD_SIZE_MAX 32 /* longer words are not guessed at */
#define TYPING_ERRORS_MAX 2

static int lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte;
}

bool word_equal_whole(const char *data, size_t size, const char *word)
{
    return strlen(word) == size && strncasecmp(data, word, size) == 0;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t smaller = a < b ? a : b;
    return smaller < c ? smaller : c;
}

/* Levenshtein's distance; both words fit WORD_SIZE_MAX. */
static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t row[WORD_SIZE_MAX + 1];
    for (size_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t changed = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));
            diagonal = row[j];
            row[j] = smallest(changed, row[j] + 1, row[j - 1] + 1);
        }
    }
    return row[b_size];
}

const char *word_nearest(const char *data, size_t size, const char *const *known)
{
    if (size > WORD_SIZE_MAX)
        return NULL;
    const char *nearest = NULL;
    size_t least = TYPING_ERRORS_MAX + 1;
    for (; *known; known++) {
        size_t known_size = strlen(*known);
        if (known_size > WORD_SIZE_MAX)
            continue;
        size_t errors = distance(data, size, *known, known_size);
        if (errors < least && errors * 2 < known_size) {
            least = errors;
            nearest = *known;
        }
    }
    return nearest;
}
