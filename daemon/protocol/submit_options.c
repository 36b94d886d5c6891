/* submit_options.c - see submit_options.h. */
#include "protocol/submit_options.h"

#include "protocol/name.h"
#include "protocol/submit_option_words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int read_options(struct option_reader *reader, enum submit_command command)
{
    uint32_t seen = 0;
    while (reader->at < reader->end) {
        const struct submit_option *option = submit_option_find(reader->at);
        if (!option)
            return 0;
        uint32_t bit = UINT32_C(1) << submit_option_index(option);
        if (command == RUN_COMMAND && !option->run)
            return aw_error_set(reader->error, -EINVAL,
                                "RUN takes no option %s; it takes TIMEOUT, FORMAT and NULL",
                                option->word);
        if ((seen & bit) && !option->repeats)
            return aw_error_set(reader->error, -EINVAL, "%s is given twice", option->word);
        seen |= bit;
        reader->option = option->word;
        reader->at++;
        int result = option->read(reader);
        if (result < 0)
            return result;
    }
    return 0;
}

static int read_target(struct option_reader *reader, enum submit_command command)
{
    const char *name = command == RUN_COMMAND ? "RUN" : "SUBMIT";
    if (reader->at == reader->end)
        return aw_error_set(reader->error, -EINVAL,
                            "%s needs a target's name: %s [option ...] <target> <arg> ...", name,
                            name);
    const char *reason;
    if (!name_is_valid(reader->at->data, reader->at->size, &reason))
        return aw_error_set(reader->error, -EINVAL,
                            "%s needs an option or a target's name, but '%.*s' %s", name,
                            submit_option_shown(reader->at), reader->at->data, reason);
    reader->options->target = *reader->at++;
    return 0;
}

/* Marks argument `index` in the set of those that have a NULL or BIND. */
static int mark(struct option_reader *reader, uint8_t *marks, uint32_t index, const char *option)
{
    uint32_t count = reader->options->argument_count;
    if (index >= count)
        return aw_error_set(reader->error, -EINVAL,
                            "%s needs an argument from 1 to %u, got '%llu'", option, count,
                            (unsigned long long)index + 1);
    if (marks[index / 8] & (1u << index % 8))
        return aw_error_set(reader->error, -EINVAL, "argument %u has more than one NULL or BIND",
                            index + 1);
    marks[index / 8] |= (uint8_t)(1u << index % 8);
    return 0;
}

/* The arguments that NULL and BIND name exist and are named once. */
static int check_marks(struct option_reader *reader)
{
    struct submit_options *options = reader->options;
    if (options->null_count == 0 && options->bind_count == 0)
        return 0;
    uint8_t *marks = calloc(options->argument_count / 8 + 1, 1);
    if (!marks)
        return -ENOMEM;
    int result = 0;
    for (uint32_t i = 0; i < options->null_count && result == 0; i++)
        result = mark(reader, marks, options->nulls[i], "NULL");
    for (uint32_t i = 0; i < options->bind_count && result == 0; i++)
        result = mark(reader, marks, options->binds[i].argument, "BIND");
    free(marks);
    return result;
}

static int parse(enum submit_command command, uint32_t multi_number, struct argument *arguments,
                 uint32_t count, struct submit_options *ret_options, struct aw_error *reterr)
{
    struct submit_options options = {
        .queue = "default",
        .queue_size = sizeof "default" - 1,
        .priority = PRIORITY_DEFAULT,
    };
    struct option_reader reader = {.options = &options,
                            .at = arguments,
                            .end = arguments + count,
                            .multi_number = multi_number,
                            .error = reterr};
    int result = read_options(&reader, command);
    if (result == 0)
        result = read_target(&reader, command);
    if (result == 0) {
        options.argument_count = (uint32_t)(reader.end - reader.at);
        options.arguments = arguments + (count - options.argument_count);
        result = check_marks(&reader);
    }
    if (result < 0) {
        submit_options_free(&options);
        if (result == -ENOMEM)
            aw_error_set(reterr, result, "out of memory");
        return result;
    }
    for (uint32_t i = 0; i < options.null_count; i++)
        options.arguments[options.nulls[i]].null = true;
    *ret_options = options;
    return 0;
}

int submit_options_parse(enum submit_command command, struct argument *arguments, uint32_t count,
                         struct submit_options *ret_options, struct aw_error *reterr)
{
    return parse(command, 0, arguments, count, ret_options, reterr);
}

int submit_options_parse_in_multi(uint32_t number, struct argument *arguments, uint32_t count,
                                  struct submit_options *ret_options, struct aw_error *reterr)
{
    return parse(SUBMIT_COMMAND, number, arguments, count, ret_options, reterr);
}

void submit_options_free(struct submit_options *options)
{
    free(options->after);
    free(options->binds);
    free(options->nulls);
    options->after = NULL;
    options->binds = NULL;
    options->nulls = NULL;
}
