/* bulk.c - see bulk.h.
 *
 * Up to WINDOW commands are on their way at a time. After an error nothing more is sent; what had
 * been sent behind the wrong record is submitted (without --transaction), and counted. */
#include "ctl/bulk.h"

#include "ctl/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WINDOW 1000u
#define BAR_WIDTH 30
#define BAR_PAUSE_MS 100

struct bulk {
    const struct invocation *invocation;
    const struct bulk_source *source;
    struct connection connection;
    FILE *file;
    long long size; /* of the file, -1: unknown */
    size_t line;
    size_t lines[WINDOW]; /* of the records on their way */
    size_t sent;
    size_t answered;
    size_t submitted;
    enum exit_code code; /* the first error */
    bool ended;
    bool bar;
    long long drawn_ms;
};

/* --- the bar --------------------------------------------------------------------------- */

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void draw(struct bulk *bulk, bool always)
{
    if (!bulk->bar || (!always && now_ms() < bulk->drawn_ms + BAR_PAUSE_MS))
        return;
    bulk->drawn_ms = now_ms();
    long long at = ftell(bulk->file);
    if (bulk->size > 0 && at >= 0) {
        int filled = (int)(at * BAR_WIDTH / bulk->size);
        filled = filled < BAR_WIDTH ? filled : BAR_WIDTH;
        fprintf(stderr, "\r[%.*s%*s] %3d%% ", filled, "##############################",
                BAR_WIDTH - filled, "", (int)(at * 100 / bulk->size));
    } else {
        fputc('\r', stderr);
    }
    fprintf(stderr, "%zu jobs", bulk->answered);
}

static void clear_bar(const struct bulk *bulk)
{
    if (bulk->bar)
        fputs("\r\033[K", stderr);
}

/* --- one record ------------------------------------------------------------------------ */

static void add_all(struct words *words, const struct words *more, size_t first)
{
    for (size_t i = first; i < more->count; i++)
        words_add_bytes(words, more->data[i], more->sizes[i]);
}

static enum exit_code build(const struct bulk *bulk, const struct record *record, size_t line,
                            struct words *words)
{
    const struct bulk_source *source = bulk->source;
    if (record->target.count > 0 && source->arguments_before > 0)
        return complain(EXIT_USAGE, "line %zu: the target is given here and on the command line",
                        line);
    size_t before = source->arguments_before + record->target.count;
    if (before + record->arguments.count == 0)
        return complain(EXIT_USAGE, "line %zu: the target is missing", line);
    words_add(words, "SUBMIT");
    add_all(words, &record->options, 0);
    for (size_t i = 0; i < record->null_count; i++) {
        words_add(words, "NULL");
        words_add_number(words, before + record->nulls[i]);
    }
    add_all(words, source->base, 1);
    add_all(words, &record->target, 0);
    add_all(words, &record->arguments, 0);
    return EXIT_OK;
}

/* Reads and sends the next record. */
static enum exit_code send_next(struct bulk *bulk)
{
    struct record record = {0};
    struct words words = {0};
    struct text error = {0};
    size_t line;
    enum record_result result =
        bulk->source->json ? record_read_json(bulk->file, &bulk->line, &line, &record, &error)
                           : record_read_csv(bulk->file, &bulk->line, &line, &record, &error);
    enum exit_code code = EXIT_OK;
    if (result == RECORD_WRONG)
        code = complain(EXIT_USAGE, "%s, line %zu: %s", bulk->source->path, line, error.data);
    else if (result == RECORD_END)
        bulk->ended = true;
    else
        code = build(bulk, &record, line, &words);
    if (code == EXIT_OK && words.count > 0)
        code = connection_send(&bulk->connection, &words);
    if (code == EXIT_OK && words.count > 0)
        bulk->lines[bulk->sent++ % WINDOW] = line;
    text_free(&error);
    words_free(&words);
    record_free(&record);
    return code;
}

/* --- answers --------------------------------------------------------------------------- */

static void note_error(struct bulk *bulk, enum exit_code code)
{
    if (bulk->code == EXIT_OK)
        bulk->code = code;
}

static void print_id(const redisReply *reply)
{
    if (!isatty(STDOUT_FILENO))
        printf("%s\n", reply->str != NULL ? reply->str : "");
}

/* Receives one answer; a lost connection ends everything. */
static bool receive_next(struct bulk *bulk)
{
    redisReply *reply;
    enum exit_code code = connection_receive(&bulk->connection,
                                             bulk->invocation->reply_timeout_ms, &reply);
    if (code != EXIT_OK) {
        note_error(bulk, code);
        return false;
    }
    size_t line = bulk->lines[bulk->answered++ % WINDOW];
    if (reply->type == REDIS_REPLY_ERROR) {
        char subject[64];
        snprintf(subject, sizeof subject, "line %zu", line);
        clear_bar(bulk);
        code = bulk->code == EXIT_OK ? reply_complain(reply, subject) : bulk->code;
        note_error(bulk, code);
    } else if (!bulk->source->transaction) {
        bulk->submitted++;
        print_id(reply);
    }
    freeReplyObject(reply);
    draw(bulk, false);
    return true;
}

static enum exit_code say(struct bulk *bulk, const char *verb, redisReply **ret_reply)
{
    struct words words = {0};
    words_add(&words, verb);
    enum exit_code code = connection_call(&bulk->connection, &words,
                                          bulk->invocation->reply_timeout_ms, false, ret_reply);
    words_free(&words);
    if (code != EXIT_OK || (*ret_reply)->type != REDIS_REPLY_ERROR)
        return code;
    code = reply_complain(*ret_reply, NULL);
    freeReplyObject(*ret_reply);
    return code;
}

static void finish_transaction(struct bulk *bulk)
{
    redisReply *reply;
    enum exit_code code = say(bulk, bulk->code == EXIT_OK ? "EXEC" : "DISCARD", &reply);
    note_error(bulk, code);
    if (code != EXIT_OK)
        return;
    for (size_t i = 0; i < reply->elements; i++)
        print_id(reply->element[i]);
    bulk->submitted = reply->elements;
    freeReplyObject(reply);
}

/* --- all of it ------------------------------------------------------------------------- */

static void skip_names(struct bulk *bulk)
{
    struct record record = {0};
    struct text error = {0};
    size_t line;
    if (record_read_csv(bulk->file, &bulk->line, &line, &record, &error) == RECORD_WRONG)
        note_error(bulk, complain(EXIT_USAGE, "%s, line %zu: %s", bulk->source->path, line,
                                  error.data));
    text_free(&error);
    record_free(&record);
}

static void transfer(struct bulk *bulk)
{
    redisReply *reply;
    bool connected = true;
    if (bulk->source->transaction) {
        note_error(bulk, say(bulk, "MULTI", &reply));
        if (bulk->code != EXIT_OK)
            return;
        freeReplyObject(reply);
    }
    if (bulk->source->skip_first)
        skip_names(bulk);
    while (connected && (bulk->answered < bulk->sent || (!bulk->ended && bulk->code == EXIT_OK))) {
        while (!bulk->ended && bulk->code == EXIT_OK && bulk->sent - bulk->answered < WINDOW)
            note_error(bulk, send_next(bulk));
        /* half a window at a time, so that requests leave in large pieces */
        size_t keep = bulk->ended || bulk->code != EXIT_OK ? 0 : WINDOW / 2;
        while (connected && bulk->sent - bulk->answered > keep)
            connected = receive_next(bulk);
    }
    if (connected && bulk->source->transaction)
        finish_transaction(bulk);
}

static void report(const struct bulk *bulk)
{
    bool failed = bulk->code != EXIT_OK;
    clear_bar(bulk);
    bool unknown = bulk->code == EXIT_UNREACHABLE || bulk->code == EXIT_TIMEOUT;
    if (failed && bulk->source->transaction)
        fprintf(stderr, "awaitctl: %s\n", unknown ? "whether the jobs were submitted is unknown"
                                                  : "nothing was submitted");
    else if (failed)
        fprintf(stderr, "awaitctl: stopped; %zu jobs were submitted\n", bulk->submitted);
    else if (isatty(STDOUT_FILENO))
        printf("%zu jobs submitted\n", bulk->submitted);
}

static long long size_of(FILE *file)
{
    if (fseek(file, 0, SEEK_END) != 0)
        return -1;
    long long size = ftell(file);
    return fseek(file, 0, SEEK_SET) == 0 ? size : -1;
}

enum exit_code bulk_submit(const struct invocation *invocation, const struct bulk_source *source)
{
    bool standard = strcmp(source->path, "-") == 0;
    struct bulk *bulk = memory_need(calloc(1, sizeof *bulk));
    bulk->invocation = invocation;
    bulk->source = source;
    bulk->bar = isatty(STDERR_FILENO) == 1;
    bulk->file = standard ? stdin : fopen(source->path, "re");
    enum exit_code code = EXIT_OK;
    if (bulk->file == NULL)
        code = complain(EXIT_USAGE, "cannot open %s: %s", source->path, strerror(errno));
    if (code == EXIT_OK)
        code = connection_open(&bulk->connection, invocation->socket_path,
                               invocation->reply_timeout_ms);
    if (code == EXIT_OK) {
        bulk->size = standard ? -1 : size_of(bulk->file);
        transfer(bulk);
        report(bulk);
        code = bulk->code;
    }
    connection_close(&bulk->connection);
    if (bulk->file != NULL && !standard)
        fclose(bulk->file);
    free(bulk);
    return code;
}
