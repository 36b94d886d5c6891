/* word.h - words people type: comparing, and guessing which one was meant. */
#ifndef PROTOCOL_WORD_H
#define PROTOCOL_WORD_H

#include <await/base.h>

/* Whether the bytes are this word, whatever the case of ASCII letters. */
bool word_equal_whole(const char *data, size_t size, const char *word);

static inline bool word_equal(const char *data, size_t size, const char *word)
{
    /* each argument is compared with many words: most differ in the first letter, whose case is one
     * bit */
    if (size > 0 && ((data[0] ^ word[0]) & ~0x20) != 0)
        return false;
    return word_equal_whole(data, size, word);
}

/* The known word that is nearest in typing errors (at most 2, and fewer than half its letters; case
 * does not count), or NULL. `known` ends with a NULL. */
const char *word_nearest(const char *data, size_t size, const char *const *known);

#endif
