/* command_enter.c - enter: the lines of standard input as statements on one leased connection.
 *
 * The lease belongs to the connection to the daemon, so to this process: however it ends, what is
 * open is rolled back. */
#include "ctl/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct option enter_options[] = {
    {"transaction", 'x', OPTION_FLAG, NULL, NULL,
     "all lines in one transaction: BEGIN ... COMMIT, with --words MULTI ... EXEC"},
    {"words", 'w', OPTION_FLAG, NULL, NULL, "a line is a command of words (Redis), not one of SQL"},
    {"file", 'f', OPTION_TEXT, "PATH", NULL, "read that file instead of standard input"},
    {"timeout", 't', OPTION_DURATION, "DURATION", "TIMEOUT",
     "wait so long for the connection, and have it so long (default and most: lease_max)"},
    {0},
};

struct session {
    struct connection connection;
    const struct invocation *invocation;
    const char *target;
    bool words;
};

static bool is_flag_set(const struct invocation *invocation, const char *name)
{
    return option_of(&command_enter, invocation, name)->set;
}

/* Sends one command; prints what comes back if `shown`. With ret_reply the reply is the caller's.
 */
static enum exit_code say(struct session *session, const struct words *words, const char *subject,
                          bool shown, redisReply **ret_reply)
{
    redisReply *reply = NULL;
    enum exit_code code = connection_call(&session->connection, words, 0, false, &reply);
    if (code != EXIT_OK)
        return code;
    if (reply->type == REDIS_REPLY_ERROR)
        code = reply_complain(reply, subject);
    else if (shown)
        reply_print(&session->invocation->output, reply);
    if (ret_reply)
        *ret_reply = reply;
    else
        freeReplyObject(reply);
    return code;
}

static enum exit_code enter(struct session *session)
{
    const struct option_value *timeout = option_of(&command_enter, session->invocation, "timeout");
    struct words words = {0};
    words_add(&words, "ENTER");
    words_add(&words, session->target);
    if (timeout->set) {
        words_add(&words, "TIMEOUT");
        words_add_number(&words, timeout->number);
    }
    enum exit_code code = say(session, &words, NULL, false, NULL);
    words_free(&words);
    return code;
}

static void add_words(struct words *words, const char *line, size_t size)
{
    static const char blanks[] = " \t";
    const char *end = line + size;
    while (line < end) {
        line += strspn(line, blanks);
        size_t length = strcspn(line, blanks);
        if (length > 0)
            words_add_bytes(words, line, length);
        line += length;
    }
}

static enum exit_code run_line(struct session *session, const char *line, size_t size,
                               const char *subject, bool shown)
{
    struct words words = {0};
    words_add(&words, "RUN");
    words_add(&words, session->target);
    if (session->words)
        add_words(&words, line, size);
    else
        words_add_bytes(&words, line, size);
    enum exit_code code = say(session, &words, subject, shown, NULL);
    words_free(&words);
    return code;
}

static size_t without_line_break(char *line, size_t size)
{
    while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r'))
        line[--size] = '\0';
    return size;
}

static enum exit_code run_lines(struct session *session, FILE *stream, const char *name)
{
    char *line = NULL;
    size_t capacity = 0;
    enum exit_code code = EXIT_OK;
    unsigned long number = 0;
    ssize_t read;
    while (code == EXIT_OK && (read = getline(&line, &capacity, stream)) >= 0) {
        size_t size = without_line_break(line, (size_t)read);
        char subject[48];
        snprintf(subject, sizeof subject, "line %lu", ++number);
        if (strlen(line) != size)
            code = complain(EXIT_USAGE, "%s of %s holds a NUL byte", subject, name);
        else if (line[strspn(line, " \t")] != '\0')
            code = run_line(session, line, size, subject, true);
    }
    if (code == EXIT_OK && ferror(stream))
        code = complain(EXIT_USAGE, "cannot read %s: %s", name, strerror(errno));
    free(line);
    return code;
}

/* Says EXIT; a transaction that the lines have left open is their mistake. */
static enum exit_code leave(struct session *session)
{
    struct words words = {0};
    redisReply *reply = NULL;
    words_add(&words, "EXIT");
    enum exit_code code = say(session, &words, NULL, false, &reply);
    if (code == EXIT_OK && reply_is(reply, "ROLLBACK"))
        code = complain(EXIT_FAILED, "a transaction was left open and has been rolled back");
    if (reply)
        freeReplyObject(reply);
    words_free(&words);
    return code;
}

static enum exit_code run_text(struct session *session, const char *text)
{
    return run_line(session, text, strlen(text), text, false);
}

/* After an error the connection is closed without more words, which rolls back. */
static enum exit_code converse(struct session *session, FILE *stream, const char *name)
{
    bool transaction = is_flag_set(session->invocation, "transaction");
    enum exit_code code = enter(session);
    if (code == EXIT_OK && transaction)
        code = run_text(session, session->words ? "MULTI" : "BEGIN");
    if (code == EXIT_OK)
        code = run_lines(session, stream, name);
    if (code == EXIT_OK && transaction && session->words)
        code = run_line(session, "EXEC", 4, "EXEC", true);
    else if (code == EXIT_OK && transaction)
        code = run_text(session, "COMMIT");
    return code == EXIT_OK ? leave(session) : code;
}

static enum exit_code run_enter(const struct invocation *invocation)
{
    const struct option_value *file = option_of(&command_enter, invocation, "file");
    FILE *stream = file->set ? fopen(file->text, "re") : stdin;
    if (stream == NULL)
        return complain(EXIT_USAGE, "cannot open %s: %s", file->text, strerror(errno));
    struct session session = {.invocation = invocation,
                              .target = invocation->arguments[0],
                              .words = is_flag_set(invocation, "words")};
    enum exit_code code = connection_open(&session.connection, invocation->socket_path,
                                          invocation->reply_timeout_ms);
    if (code == EXIT_OK)
        code = converse(&session, stream, file->set ? file->text : "standard input");
    connection_close(&session.connection);
    if (file->set)
        fclose(stream);
    return code;
}

const struct command command_enter = {
    .name = "enter",
    .arguments = "[option ...] <target>",
    .summary = "run the lines of standard input on one connection of one's own",
    .help = "Each line is one statement, and its result is printed before the next one runs. The\n"
            "first error ends it, and rolls back what is open; so does the end of the process.\n"
            "\n"
            "  awaitctl enter --transaction main < transfer.sql\n"
            "  printf '%s\\n' 'INCR visits' 'EXPIRE visits 60' |\n"
            "      awaitctl enter --words --transaction cache\n",
    .options = enter_options,
    .argument_min = 1,
    .argument_max = 1,
    .run = run_enter,
};
