/* words.h - one command for the daemon, word by word. Owns copies of its words. */
#ifndef CTL_WORDS_H
#define CTL_WORDS_H

#include <stddef.h>
#include <stdint.h>

struct words { /* all-zero is empty */
    const char **data; /* hiredis wants it so; the words are this struct's own */
    size_t *sizes;
    size_t count;
    size_t capacity;
};

void words_add(struct words *words, const char *text);
void words_add_bytes(struct words *words, const char *data, size_t size);
void words_add_number(struct words *words, uint64_t number);
void words_free(struct words *words);

#endif
