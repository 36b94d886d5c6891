/* job_ids.c - see job_ids.h. */
#include "server/job_ids.h"

#include "protocol/number.h"
#include "protocol/submit_options.h"
#include "protocol/value.h"
#include "protocol/word.h"
#include "server/command.h"

#include <stdlib.h>

/* Takes "TIMEOUT ms" off the end of the words; -1 when it is malformed. */
static int take_timeout(const struct argument *arguments, uint32_t *count, struct job_ids *ids,
                        struct buffer *reply)
{
    if (word_equal(arguments[*count - 1].data, arguments[*count - 1].size, "TIMEOUT")) {
        value_error(reply, "ERR", "TIMEOUT needs a number of milliseconds");
        return -1;
    }
    if (*count < 2 ||
        !word_equal(arguments[*count - 2].data, arguments[*count - 2].size, "TIMEOUT"))
        return 0;
    const struct argument *number = &arguments[*count - 1];
    if (number_parse_unsigned(number->data, number->size, 0, DURATION_MAX_MS, &ids->timeout_ms) <
        0) {
        value_error(reply, "ERR", "TIMEOUT: '%.*s' is not a number of milliseconds up to %llu",
                    argument_shown_size(number), number->data,
                    (unsigned long long)DURATION_MAX_MS);
        return -1;
    }
    ids->has_timeout = true;
    *count -= 2;
    return 0;
}

bool job_ids_parse(const struct argument *arguments, uint32_t count, bool may_have_timeout,
                   struct job_ids *ret_ids, struct buffer *reply)
{
    struct job_ids ids = {0};
    if (may_have_timeout && count > 0 && take_timeout(arguments, &count, &ids, reply) < 0)
        return false;
    if (count == 0) {
        value_error(reply, "ERR", "a job id is missing");
        return false;
    }
    ids.ids = malloc(count * sizeof *ids.ids);
    if (!ids.ids) {
        value_error(reply, "ERR", "out of memory");
        return false;
    }
    for (; ids.count < count; ids.count++) {
        const struct argument *word = &arguments[ids.count];
        if (number_parse_unsigned(word->data, word->size, 1, UINT64_MAX, &ids.ids[ids.count]) < 0) {
            value_error(reply, "ERR", "'%.*s' is not a job id", argument_shown_size(word),
                        word->data);
            free(ids.ids);
            return false;
        }
    }
    *ret_ids = ids;
    return true;
}
