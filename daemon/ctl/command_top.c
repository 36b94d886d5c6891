/* command_top.c - top: queues and targets on one screen, drawn anew at an interval. */
#include "ctl/connection.h"
#include "ctl/fields.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INTERVAL_DEFAULT_MS 2000u
#define CLEAR_SCREEN "\033[H\033[J"

static const struct option top_options[] = {
    {"interval", 'i', OPTION_DURATION, "DURATION", NULL, "between two looks (default 2s)"},
    {"count", 'n', OPTION_NUMBER, "N", NULL, "how many looks (no end on a terminal, else 1)"},
    {0},
};

/* What is shown of the STATS of each; a narrower list than all that the daemon tells. */
static const char *const queue_columns[] = {"queue",
                                            "paused",
                                            "ready",
                                            "running",
                                            "scheduled",
                                            "blocked",
                                            "dead",
                                            "submitted_per_s_1m",
                                            "done_per_s_1m",
                                            "failed_per_s_1m",
                                            "waiting_p90_ms",
                                            "running_p90_ms",
                                            NULL};
static const char *const target_columns[] = {"target",         "type",          "up",
                                             "paused",         "running",       "capacity",
                                             "ready",          "done_per_s_1m", "failed_per_s_1m",
                                             "running_p90_ms", "reason",        NULL};

struct screen {
    const struct invocation *invocation;
    struct connection connection;
};

static enum exit_code ask(struct screen *screen, const char *first, const char *second,
                          const redisReply *third, redisReply **ret_reply)
{
    struct words words = {0};
    words_add(&words, first);
    if (second != NULL)
        words_add(&words, second);
    if (third != NULL)
        words_add_bytes(&words, third->str, third->len);
    enum exit_code code = connection_call(&screen->connection, &words,
                                          screen->invocation->reply_timeout_ms, false, ret_reply);
    words_free(&words);
    if (code == EXIT_OK && (*ret_reply)->type == REDIS_REPLY_ERROR) {
        code = reply_complain(*ret_reply, NULL);
        freeReplyObject(*ret_reply);
        *ret_reply = NULL;
    }
    return code;
}

/* The value of a field in a map, NULL: it has none. */
static const redisReply *field_of(const redisReply *map, const char *name)
{
    for (size_t i = 0; i + 1 < map->elements; i += 2)
        if (reply_is(map->element[i], name))
            return map->element[i + 1];
    return NULL;
}

static void add_cell(struct table *table, const redisReply *value)
{
    char number[32];
    if (value == NULL || value->type == REDIS_REPLY_NIL) {
        table_add(table, "", 0);
    } else if (value->type == REDIS_REPLY_INTEGER) {
        int length = snprintf(number, sizeof number, "%lld", value->integer);
        table_add(table, number, (size_t)length);
    } else {
        table_add(table, value->str, value->len);
    }
}

static void begin_table(const struct screen *screen, const char *const *columns,
                        struct table *table)
{
    struct table_style style = output_table_style(&screen->invocation->output);
    size_t count = 0;
    while (columns[count] != NULL)
        count++;
    style.header = true;
    table_init(table, &style, count);
    for (size_t i = 0; i < count; i++)
        table_name(table, i, columns[i], strlen(columns[i]));
}

/* Lists what there is ("QUEUES"), and shows the STATS ("QUEUE STATS name") of each. */
static enum exit_code show_all(struct screen *screen, const char *list_word, const char *word,
                               const char *const *columns)
{
    redisReply *list = NULL;
    enum exit_code code = ask(screen, list_word, NULL, NULL, &list);
    struct table table;
    if (code != EXIT_OK)
        return code;
    begin_table(screen, columns, &table);
    for (size_t i = 0; i < list->elements && code == EXIT_OK; i++) {
        const redisReply *name = field_of(list->element[i], columns[0]);
        redisReply *stats = NULL;
        if (name == NULL || name->type != REDIS_REPLY_STRING)
            continue;
        code = ask(screen, word, "STATS", name, &stats);
        if (code != EXIT_OK)
            break;
        for (size_t column = 0; columns[column] != NULL; column++)
            add_cell(&table, field_of(stats, columns[column]));
        freeReplyObject(stats);
    }
    table_print(&table, stdout);
    table_free(&table);
    freeReplyObject(list);
    return code;
}

static enum exit_code look(struct screen *screen)
{
    if (screen->invocation->output.terminal)
        fputs(CLEAR_SCREEN, stdout);
    enum exit_code code = show_all(screen, "QUEUES", "QUEUE", queue_columns);
    putchar('\n');
    if (code == EXIT_OK)
        code = show_all(screen, "TARGETS", "TARGET", target_columns);
    (void)fflush(stdout); /* exit_code.c looks for errors of the output at the end */
    return code;
}

static enum exit_code run_top(const struct invocation *invocation)
{
    const struct option_value *interval = option_of(&command_top, invocation, "interval");
    const struct option_value *count = option_of(&command_top, invocation, "count");
    uint64_t interval_ms = interval->set ? interval->number : INTERVAL_DEFAULT_MS;
    uint64_t looks = count->set ? count->number : invocation->output.terminal ? UINT64_MAX : 1;
    struct screen screen = {.invocation = invocation};
    enum exit_code code =
        connection_open(&screen.connection, invocation->socket_path, invocation->reply_timeout_ms);
    if (code != EXIT_OK)
        return code;
    for (uint64_t i = 0; i < looks && code == EXIT_OK; i++) {
        if (i > 0)
            (void)usleep((useconds_t)(interval_ms * 1000));
        code = look(&screen);
    }
    connection_close(&screen.connection);
    return code;
}

const struct command command_top = {
    .name = "top",
    .arguments = "[option ...]",
    .summary = "watch queues and targets: what waits, runs and fails, and how fast",
    .help = "  awaitctl top\n"
            "  awaitctl top --interval 500ms\n"
            "  awaitctl top --count 1 > snapshot.txt\n",
    .options = top_options,
    .argument_min = 0,
    .argument_max = 0,
    .run = run_top,
};
