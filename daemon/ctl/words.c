/* words.c - see words.h. */
#include "ctl/words.h"

#include "ctl/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void words_add_bytes(struct words *words, const char *data, size_t size)
{
    if (words->count == words->capacity) {
        words->capacity = words->capacity * 2 + 16;
        words->data = memory_need(
            realloc((void *)(uintptr_t)words->data, words->capacity * sizeof *words->data));
        words->sizes = memory_need(realloc(words->sizes, words->capacity * sizeof *words->sizes));
    }
    char *copy = memory_need(malloc(size + 1));
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    words->data[words->count] = copy;
    words->sizes[words->count++] = size;
}

void words_add(struct words *words, const char *text)
{
    words_add_bytes(words, text, strlen(text));
}

void words_add_number(struct words *words, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, number);
    words_add(words, text);
}

void words_free(struct words *words)
{
    for (size_t index = 0; index < words->count; index++)
        free((void *)(uintptr_t)words->data[index]);
    free((void *)(uintptr_t)words->data);
    free(words->sizes);
    *words = (struct words){0};
}
