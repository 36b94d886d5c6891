/* fuzz_submit_options.c - any words are options and a target, or an error with a message. The
 * input is split into words at line feeds. */
#include "protocol/submit_options.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct submit_options *options, const struct argument *end)
{
    if (options->arguments + options->argument_count != end || options->target.size == 0 ||
        options->queue_size == 0 || (options->has_delay && options->has_at))
        abort();
    for (uint32_t i = 0; i < options->null_count; i++)
        if (options->nulls[i] >= options->argument_count ||
            !options->arguments[options->nulls[i]].null)
            abort();
    for (uint32_t i = 0; i < options->bind_count; i++)
        if (options->binds[i].argument >= options->argument_count || options->binds[i].job_id == 0)
            abort();
    if (options->has_backoff && options->backoff_min_ms > options->backoff_max_ms)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Each word in memory of its exact size. */
    struct argument words[WORDS_MAX];
    char *copies[WORDS_MAX];
    uint32_t count = 0;
    for (size_t at = 0; at < size && count < WORDS_MAX; count++) {
        const uint8_t *stop = memchr(data + at, '\n', size - at);
        size_t word_size = stop ? (size_t)(stop - data) - at : size - at;
        copies[count] = malloc(word_size ? word_size : 1);
        if (!copies[count])
            abort();
        memcpy(copies[count], data + at, word_size);
        words[count] = (struct argument){.data = copies[count], .size = (uint32_t)word_size};
        at += word_size + 1;
    }
    for (int command = SUBMIT_COMMAND; command <= RUN_COMMAND; command++) {
        struct submit_options options;
        struct aw_error error = {0};
        for (uint32_t i = 0; i < count; i++)
            words[i].null = false;
        int result = submit_options_parse((enum submit_command)command, words, count, &options,
                                          &error);
        if (result == 0) {
            check(&options, words + count);
            submit_options_free(&options);
        } else if (error.message[0] == '\0') {
            abort();
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        (void)submit_option_nearest(&words[i]);
        free(copies[i]);
    }
    return 0;
}
