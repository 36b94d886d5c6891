/* submit_option_words.c - see submit_option_words.h: one function an option. */
#include "protocol/submit_option_words.h"

#include "protocol/name.h"
#include "protocol/number.h"
#include "protocol/word.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 40 /* bytes of a wrong word that an error repeats */
#define LIST_CAPACITY_MIN 8

int submit_option_shown(const struct argument *word)
{
    return word->size > SHOWN_MAX ? SHOWN_MAX : (int)word->size;
}

/* "<option> needs <what>, got '<word>'" for the word at the reader. */
static int refuse(struct option_reader *reader, const char *what)
{
    if (reader->at == reader->end)
        return aw_error_set(reader->error, -EINVAL, "%s needs %s, got nothing", reader->option,
                            what);
    return aw_error_set(reader->error, -EINVAL, "%s needs %s, got '%.*s'", reader->option, what,
                        submit_option_shown(reader->at), reader->at->data);
}

/* Takes a number; `what` is "a number", "milliseconds" ... */
static int take_number(struct option_reader *reader, const char *what, uint64_t min, uint64_t max,
                       uint64_t *ret_number)
{
    if (reader->at == reader->end)
        return aw_error_set(reader->error, -EINVAL, "%s needs %s from %llu to %llu, got nothing",
                            reader->option, what, (unsigned long long)min,
                            (unsigned long long)max);
    if (number_parse_unsigned(reader->at->data, reader->at->size, min, max, ret_number) < 0)
        return aw_error_set(reader->error, -EINVAL, "%s needs %s from %llu to %llu, got '%.*s'",
                            reader->option, what, (unsigned long long)min, (unsigned long long)max,
                            submit_option_shown(reader->at), reader->at->data);
    reader->at++;
    return 0;
}

static int take_number_32(struct option_reader *reader, const char *what, uint32_t min,
                          uint32_t max, uint32_t *ret_number)
{
    uint64_t number = 0;
    int result = take_number(reader, what, min, max, &number);
    if (result == 0)
        *ret_number = (uint32_t)number;
    return result;
}

/* The list with room for one more; its capacity is the power of two at or above its count. NULL: no
 * memory, and the list is as it was. */
static void *grow_list(void *list, uint32_t count, size_t element_size)
{
    if (count != 0 && (count < LIST_CAPACITY_MIN || (count & (count - 1)) != 0))
        return list;
    uint32_t capacity = count < LIST_CAPACITY_MIN ? LIST_CAPACITY_MIN : count * 2;
    return realloc(list, capacity * element_size);
}

/* --- one function an option ------------------------------------------------------------------- */

static int read_queue(struct option_reader *reader)
{
    if (reader->at == reader->end)
        return refuse(reader, "a queue's name");
    const char *reason;
    if (!name_is_valid(reader->at->data, reader->at->size, &reason))
        return aw_error_set(reader->error, -EINVAL, "QUEUE needs a queue's name, but '%.*s' %s",
                            submit_option_shown(reader->at), reader->at->data, reason);
    reader->options->queue = reader->at->data;
    reader->options->queue_size = reader->at->size;
    reader->options->has_queue = true;
    reader->at++;
    return 0;
}

static int read_priority(struct option_reader *reader)
{
    reader->options->has_priority = true;
    return take_number_32(reader, "a number", 0, UINT32_MAX, &reader->options->priority);
}

static int read_delay(struct option_reader *reader)
{
    if (reader->options->has_at)
        return aw_error_set(reader->error, -EINVAL, "DELAY and AT exclude each other");
    reader->options->has_delay = true;
    return take_number(reader, "milliseconds", 0, DURATION_MAX_MS, &reader->options->delay_ms);
}

static int read_at(struct option_reader *reader)
{
    if (reader->options->has_delay)
        return aw_error_set(reader->error, -EINVAL, "DELAY and AT exclude each other");
    reader->options->has_at = true;
    return take_number(reader, "milliseconds since 1970", 0, TIME_MAX_MS, &reader->options->at_ms);
}

static int read_timeout(struct option_reader *reader)
{
    reader->options->has_timeout = true;
    return take_number(reader, "milliseconds", 0, DURATION_MAX_MS, &reader->options->timeout_ms);
}

static int read_expire(struct option_reader *reader)
{
    reader->options->has_expire = true;
    return take_number(reader, "milliseconds", 1, DURATION_MAX_MS, &reader->options->expire_ms);
}

static int read_retry(struct option_reader *reader)
{
    reader->options->has_retry = true;
    return take_number_32(reader, "a number", 0, RETRY_MAX, &reader->options->retry);
}

static int read_backoff(struct option_reader *reader)
{
    struct submit_options *options = reader->options;
    options->has_backoff = true;
    int result = take_number(reader, "a minimum in milliseconds", 1, DURATION_MAX_MS,
                             &options->backoff_min_ms);
    if (result < 0)
        return result;
    return take_number(reader, "a maximum in milliseconds", options->backoff_min_ms,
                       DURATION_MAX_MS, &options->backoff_max_ms);
}

static int take_key(struct option_reader *reader, struct argument *ret_key)
{
    if (reader->at == reader->end || reader->at->size == 0 || reader->at->size > KEY_SIZE_MAX)
        return refuse(reader, "a key of 1 to 256 bytes");
    *ret_key = *reader->at++;
    return 0;
}

static int read_key(struct option_reader *reader)
{
    reader->options->has_key = true;
    return take_key(reader, &reader->options->key);
}

static int read_serial(struct option_reader *reader)
{
    reader->options->has_serial = true;
    return take_key(reader, &reader->options->serial);
}

static bool looks_like_id(const struct argument *word)
{
    return word->size > 0 &&
           ((word->data[0] >= '0' && word->data[0] <= '9') || word->data[0] == '$');
}

/* Takes a job's id, or "$n" inside a MULTI. */
static int take_job_id(struct option_reader *reader, const char *what, uint64_t *ret_id)
{
    const struct argument *word = reader->at;
    if (word == reader->end || word->size == 0 || word->data[0] != '$')
        return take_number(reader, what, 1, INT64_MAX, ret_id);
    uint64_t number;
    if (reader->multi_number == 0)
        return aw_error_set(reader->error, -EINVAL,
                            "%s %.*s refers to a job of a MULTI, and there is none",
                            reader->option, submit_option_shown(word), word->data);
    if (number_parse_unsigned(word->data + 1, word->size - 1, 1, MULTI_JOBS_MAX, &number) < 0)
        return aw_error_set(reader->error, -EINVAL,
                            "%s needs $1 to $%u for a job of this MULTI, got '%.*s'",
                            reader->option, MULTI_JOBS_MAX, submit_option_shown(word), word->data);
    if (number >= reader->multi_number)
        return aw_error_set(reader->error, -EINVAL,
                            "%s %.*s would be a cycle: job %u of this MULTI can wait only for "
                            "those before it",
                            reader->option, submit_option_shown(word), word->data,
                            reader->multi_number);
    *ret_id = SUBMIT_REFERENCE | number;
    reader->at++;
    return 0;
}

/* Ids go on up to the first word that does not look like a number; names never do. */
static int read_after(struct option_reader *reader)
{
    struct submit_options *options = reader->options;
    do {
        uint64_t job_id = 0;
        int result = take_job_id(reader, "job ids", &job_id);
        if (result < 0)
            return result;
        if (options->after_count == AFTER_MAX)
            return aw_error_set(reader->error, -EINVAL, "AFTER takes at most %d job ids",
                                AFTER_MAX);
        uint64_t *after = grow_list(options->after, options->after_count, sizeof *after);
        if (!after)
            return -ENOMEM;
        options->after = after;
        options->after[options->after_count++] = job_id;
    } while (reader->at < reader->end && looks_like_id(reader->at));
    return 0;
}

/* Takes one of two words: 0 the first, 1 the second. */
static int take_choice(struct option_reader *reader, const char *first, const char *second,
                       const char *what)
{
    if (reader->at == reader->end)
        return refuse(reader, what);
    bool is_first = word_equal(reader->at->data, reader->at->size, first);
    if (!is_first && !word_equal(reader->at->data, reader->at->size, second))
        return refuse(reader, what);
    reader->at++;
    return is_first ? 0 : 1;
}

static int read_onfail(struct option_reader *reader)
{
    int choice = take_choice(reader, "cancel", "run", "run or cancel");
    if (choice < 0)
        return choice;
    reader->options->has_onfail = true;
    reader->options->onfail = choice == 0 ? ONFAIL_CANCEL : ONFAIL_RUN;
    return 0;
}

static int read_format(struct option_reader *reader)
{
    int choice = take_choice(reader, "rows", "json", "rows or json");
    if (choice < 0)
        return choice;
    reader->options->has_format = true;
    reader->options->format = choice == 0 ? FORMAT_ROWS : FORMAT_JSON;
    return 0;
}

static int read_bind(struct option_reader *reader)
{
    struct submit_options *options = reader->options;
    struct submit_bind bind = {0};
    int result = take_number_32(reader, "an argument", 1, UINT32_MAX, &bind.argument);
    if (result == 0)
        result = take_job_id(reader, "a job id", &bind.job_id);
    if (result == 0)
        result = take_number_32(reader, "a row", 0, UINT32_MAX, &bind.row);
    if (result == 0)
        result = take_number_32(reader, "a column", 0, UINT32_MAX, &bind.column);
    if (result < 0)
        return result;
    struct submit_bind *binds = grow_list(options->binds, options->bind_count, sizeof *binds);
    if (!binds)
        return -ENOMEM;
    options->binds = binds;
    bind.argument--;
    options->binds[options->bind_count++] = bind;
    return 0;
}

static int read_null(struct option_reader *reader)
{
    struct submit_options *options = reader->options;
    uint32_t argument = 0;
    int result = take_number_32(reader, "an argument", 1, UINT32_MAX, &argument);
    if (result < 0)
        return result;
    uint32_t *nulls = grow_list(options->nulls, options->null_count, sizeof *nulls);
    if (!nulls)
        return -ENOMEM;
    options->nulls = nulls;
    options->nulls[options->null_count++] = argument - 1;
    return 0;
}

static int read_keep(struct option_reader *reader)
{
    reader->options->has_keep = true;
    return take_number(reader, "milliseconds", 0, DURATION_MAX_MS, &reader->options->keep_ms);
}

static int read_coalesce(struct option_reader *reader)
{
    reader->options->has_coalesce = true;
    return take_number_32(reader, "a number", 0, COALESCE_MAX, &reader->options->coalesce);
}

/* --- the table -------------------------------------------------------------------------------- */

static const struct submit_option submit_option_table[] = {
    {"QUEUE", 5, false, false, read_queue},
    {"PRIORITY", 8, false, false, read_priority},
    {"DELAY", 5, false, false, read_delay},
    {"AT", 2, false, false, read_at},
    {"TIMEOUT", 7, false, true, read_timeout},
    {"EXPIRE", 6, false, false, read_expire},
    {"RETRY", 5, false, false, read_retry},
    {"BACKOFF", 7, false, false, read_backoff},
    {"KEY", 3, false, false, read_key},
    {"SERIAL", 6, false, false, read_serial},
    {"AFTER", 5, true, false, read_after},
    {"ONFAIL", 6, false, false, read_onfail},
    {"BIND", 4, true, false, read_bind},
    {"NULL", 4, true, true, read_null},
    {"KEEP", 4, false, false, read_keep},
    {"FORMAT", 6, false, true, read_format},
    {"COALESCE", 8, false, false, read_coalesce},
};
_Static_assert(sizeof submit_option_table / sizeof *submit_option_table == SUBMIT_OPTIONS,
               "the header says how many");

const struct submit_option *submit_option_find(const struct argument *word)
{
    for (size_t i = 0; i < SUBMIT_OPTIONS; i++)
        if (submit_option_table[i].size == word->size &&
            word_equal(word->data, word->size, submit_option_table[i].word))
            return &submit_option_table[i];
    return NULL;
}

uint32_t submit_option_index(const struct submit_option *option)
{
    return (uint32_t)(option - submit_option_table);
}

const char *submit_option_nearest(const struct argument *word)
{
    const char *words[SUBMIT_OPTIONS + 1];
    for (size_t i = 0; i < SUBMIT_OPTIONS; i++)
        words[i] = submit_option_table[i].word;
    words[SUBMIT_OPTIONS] = NULL;
    return word_nearest(word->data, word->size, words);
}
