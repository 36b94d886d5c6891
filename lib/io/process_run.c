/* process_run.c - a child from start to end, with its input and its collected output.
 *
 * Three tasks move the bytes at once, since a child may stop reading until its output is read. The
 * first that fails stops the others, and closing the process ends the child. */
#include <await/process.h>

#include <await/group.h>
#include <await/task.h>

#include <errno.h>
#include <stdlib.h>

struct feed {
    struct aw_stream *stream;
    const void *data;
    size_t size;
};

struct collection {
    struct aw_stream *stream;
    size_t size_max;
    char *data;
    size_t size;
};

static int feed_input(void *argument)
{
    const struct feed *feed = argument;
    int result = aw_stream_write_all(feed->stream, feed->data, feed->size);
    if (result == 0)
        result = aw_stream_end(feed->stream);
    /* it has read what it wanted; whether that was enough its status tells */
    return result == -EPIPE ? 0 : result;
}

static int collect(void *argument)
{
    struct collection *collection = argument;
    return aw_stream_read_to_end(collection->stream, collection->size_max, &collection->data,
                                 &collection->size);
}

/* The child's output may be held open by what it started: its own end is waited for after it. */
static int converse(struct aw_process *process, struct feed *feed, struct collection *collections,
                    int *ret_status)
{
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_FAIL_FAST);
    int result = 0;
    if (feed->stream != NULL)
        result = aw_group_spawn(&group, feed_input, feed);
    for (int i = 0; i < 2 && result == 0; i++)
        if (collections[i].stream != NULL)
            result = aw_group_spawn(&group, collect, &collections[i]);
    if (result < 0)
        aw_group_cancel(&group);
    int moved = aw_group_wait(&group);
    if (result == 0)
        result = moved;
    return result < 0 ? result : aw_process_wait(process, ret_status);
}

static int hand_over(struct collection *collections, int status, struct aw_process_output *output)
{
    for (int i = 0; i < 2; i++)
        if (collections[i].data == NULL && (collections[i].data = calloc(1, 1)) == NULL)
            return -ENOMEM;
    *output = (struct aw_process_output){
        .status = status,
        .output = collections[0].data,
        .output_size = collections[0].size,
        .errors = collections[1].data,
        .errors_size = collections[1].size,
    };
    return 0;
}

int aw_process_run(const struct aw_process_options *options, const void *input, size_t input_size,
                   size_t size_max, struct aw_process_output *ret_output, struct aw_error *reterr)
{
    struct aw_process_options own = *options;
    if (own.input == AW_PROCESS_NULL && input_size > 0)
        own.input = AW_PROCESS_PIPE;
    if (own.output == AW_PROCESS_NULL)
        own.output = AW_PROCESS_PIPE;
    if (own.errors == AW_PROCESS_NULL)
        own.errors = AW_PROCESS_PIPE;
    struct aw_process *process;
    int result = aw_process_spawn(&process, &own, reterr);
    if (result < 0)
        return result;
    struct feed feed = {aw_process_input(process), input, input_size};
    struct collection collections[2] = {
        {.stream = aw_process_output(process), .size_max = size_max},
        {.stream = aw_process_errors(process), .size_max = size_max},
    };
    int status = 0;
    result = converse(process, &feed, collections, &status);
    aw_process_close(process);
    if (result == 0)
        result = hand_over(collections, status, ret_output);
    if (result < 0) {
        free(collections[0].data);
        free(collections[1].data);
        return aw_error_set(reterr, result, "cannot run %s to its end: %s%s",
                            own.arguments[0], aw_error_text(result),
                            result == -EFBIG ? "; it writes more than is taken" : "");
    }
    return 0;
}

void aw_process_output_free(struct aw_process_output *output)
{
    free(output->output);
    free(output->errors);
    *output = (struct aw_process_output){0};
}
