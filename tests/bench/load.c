/* load.c - durable jobs end to end: pipelined clients submit them, and the clock runs until the
 * daemon has marked the last one done.
 *
 *   load SOCKET CLIENTS JOBS DEPTH WORD...
 *
 * WORD... is what follows SUBMIT. Each client keeps at most 2 x DEPTH submissions unanswered.
 * Prints the seconds until the last id had come, and until the last job was done. A job that ends
 * in any other way is an error. */
#include <await.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INFO_BYTES 65536
#define POLL_MS 5u
#define HANG_MS 600000u

struct load {
    const char *socket;
    long clients;
    long jobs;
    long depth;
    long unsent;
    char *block; /* DEPTH commands */
    size_t command_size;
};

static int say(int result, const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, aw_error_text(result));
    return result;
}

static int open_stream(const struct load *load, struct aw_stream **ret_stream)
{
    struct aw_error error = {0};
    int result = aw_stream_connect_unix(ret_stream, load->socket, NULL, &error);
    if (result < 0)
        fprintf(stderr, "load: %s\n", error.message);
    return result;
}

/* The size line and the id. */
static int read_id(struct aw_stream *stream)
{
    char *line;
    int result = aw_stream_read_line(stream, 0, &line, NULL);
    if (result > 0 && line[0] != '$') {
        fprintf(stderr, "load: refused: %s\n", line);
        return -EPROTO;
    }
    if (result > 0)
        result = aw_stream_read_line(stream, 0, &line, NULL);
    return result > 0 ? 0 : result < 0 ? result : -ENODATA;
}

static int submit(struct load *load, struct aw_stream *stream)
{
    long waiting = 0;
    int result = 0;
    while (result == 0 && (waiting > 0 || load->unsent > 0)) {
        long count = load->unsent < load->depth ? load->unsent : load->depth;
        if (count > 0 && waiting <= load->depth) {
            load->unsent -= count;
            waiting += count;
            result = aw_stream_write_all(stream, load->block, load->command_size * (size_t)count);
            continue;
        }
        long answers = waiting > load->depth ? load->depth : waiting;
        for (long i = 0; i < answers && result == 0; i++)
            result = read_id(stream);
        waiting -= answers;
    }
    return result;
}

static int client_main(void *argument)
{
    struct load *load = argument;
    struct aw_stream *stream;
    int result = open_stream(load, &stream);
    if (result < 0)
        return result;
    result = submit(load, stream);
    aw_stream_abort(stream);
    return result;
}

static long field(const char *info, const char *name)
{
    const char *found = strstr(info, name);
    return found ? atol(found + strlen(name)) : -1;
}

/* How many jobs have been done since the daemon's start. */
static int count_done(struct aw_stream *stream, long *ret_done)
{
    static char info[INFO_BYTES];
    char *line;
    int result = aw_stream_write_all(stream, "INFO\r\n", 6);
    if (result == 0)
        result = aw_stream_read_line(stream, 0, &line, NULL);
    if (result <= 0)
        return result < 0 ? result : -ENODATA;
    long size = line[0] == '$' ? atol(line + 1) : -1;
    if (size < 0 || (size_t)size + 2 > sizeof info)
        return -EPROTO;
    result = aw_stream_read_exactly(stream, info, (size_t)size + 2);
    if (result < 0)
        return result;
    info[size] = '\0';
    *ret_done = field(info, "total_done:");
    long failed = field(info, "total_dead:");
    if (*ret_done < 0 || failed != 0) {
        fprintf(stderr, "load: %ld jobs have failed\n", failed);
        return -EPROTO;
    }
    return 0;
}

static int wait_done(struct aw_stream *stream, long wanted)
{
    long done = 0;
    int result = count_done(stream, &done);
    while (result == 0 && done < wanted) {
        result = aw_sleep(POLL_MS);
        if (result == 0)
            result = count_done(stream, &done);
    }
    return result;
}

static int measure(struct load *load, struct aw_stream *watch)
{
    long before;
    int result = count_done(watch, &before);
    if (result < 0)
        return say(result, "INFO");
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_FAIL_FAST);
    uint64_t began_ns = aw_now_ns();
    for (long i = 0; i < load->clients && result == 0; i++)
        result = aw_group_spawn(&group, client_main, load);
    if (result < 0)
        aw_group_cancel(&group);
    int ended = aw_group_wait(&group);
    uint64_t submitted_ns = aw_now_ns();
    if (result == 0)
        result = ended;
    if (result < 0)
        return say(result, "submitting");
    result = wait_done(watch, before + load->jobs);
    if (result < 0)
        return say(result, "waiting for the jobs to be done");
    printf("%.6f %.6f\n", (double)(submitted_ns - began_ns) / 1e9,
           (double)(aw_now_ns() - began_ns) / 1e9);
    return 0;
}

static int load_main(void *argument)
{
    struct load *load = argument;
    struct aw_stream *watch;
    int result = open_stream(load, &watch);
    if (result < 0)
        return result;
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(HANG_MS));
    result = measure(load, watch);
    aw_scope_leave(&scope);
    aw_stream_abort(watch);
    return result;
}

/* DEPTH times the same command in RESP. */
static int encode(struct load *load, int count, char **words)
{
    char *command = NULL;
    FILE *text = open_memstream(&command, &load->command_size);
    if (!text)
        return -ENOMEM;
    fprintf(text, "*%d\r\n$6\r\nSUBMIT\r\n", count + 1);
    for (int i = 0; i < count; i++)
        fprintf(text, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
    if (fclose(text) != 0)
        return -ENOMEM;
    load->block = malloc(load->command_size * (size_t)load->depth);
    for (long i = 0; load->block && i < load->depth; i++)
        memcpy(load->block + (size_t)i * load->command_size, command, load->command_size);
    free(command);
    return load->block ? 0 : -ENOMEM;
}

int main(int count, char **arguments)
{
    struct load load = {0};
    if (count >= 6) {
        load.socket = arguments[1];
        load.clients = atol(arguments[2]);
        load.jobs = load.unsent = atol(arguments[3]);
        load.depth = atol(arguments[4]);
    }
    if (load.clients < 1 || load.jobs < 1 || load.depth < 1) {
        fprintf(stderr, "usage: load SOCKET CLIENTS JOBS DEPTH WORD...\n");
        return 2;
    }
    int result = encode(&load, count - 5, arguments + 5);
    if (result == 0)
        result = aw_run(load_main, &load);
    free(load.block);
    return result < 0 ? 1 : 0;
}
