/* command_cron.c - CRON SET, LIST, GET, DEL and RUN. */
#include "server/command.h"

#include "protocol/name.h"
#include "protocol/value.h"
#include "protocol/word.h"
#include "server/access.h"
#include "server/connection.h"
#include "server/server.h"

#include <errno.h>

#define SET_USAGE "CRON SET <name> <expression> [TZ zone] [MISFIRE skip|once|all] SUBMIT ..."

static void answer_failure(int result, const struct aw_error *error, struct buffer *reply)
{
    if (error->message[0])
        value_error(reply, error->code[0] ? error->code : "ERR", "%s", error->message);
    else if (result == -ECANCELED || result == -ETIME)
        value_error(reply, "UNAVAILABLE", "awaitd is stopping");
    else
        value_error(reply, "ERR", "%s", aw_error_text(result));
}

static void refuse_unknown(const struct argument *name, struct buffer *reply)
{
    value_error(reply, "ERR", "no schedule '%.*s'; CRON LIST shows them", argument_shown_size(name),
                name->data);
}

/* --- SET ------------------------------------------------------------------------------- */

static bool parse_misfire(const struct argument *word, enum misfire *ret_misfire,
                          struct buffer *reply)
{
    static const char *const names[] = {"skip", "once", "all"};
    for (int i = 0; i <= MISFIRE_ALL; i++)
        if (word_equal(word->data, word->size, names[i])) {
            *ret_misfire = (enum misfire)i;
            return true;
        }
    value_error(reply, "ERR", "MISFIRE needs skip, once or all, got '%.*s'",
                argument_shown_size(word), word->data);
    return false;
}

/* The words behind CRON SET; false: the error is in `reply`. */
static bool parse_set(struct argument *arguments, uint32_t count,
                      struct schedule_settings *settings, struct buffer *reply)
{
    const char *reason;
    bool has_misfire = false;
    uint32_t at = 2;
    *settings = (struct schedule_settings){
        .name = arguments[0], .expression = arguments[1], .misfire = MISFIRE_ONCE};
    if (!name_is_valid(arguments[0].data, arguments[0].size, &reason)) {
        value_error(reply, "ERR", "CRON SET needs a schedule's name, but '%.*s' %s",
                    argument_shown_size(&arguments[0]), arguments[0].data, reason);
        return false;
    }
    for (; at < count && !word_equal(arguments[at].data, arguments[at].size, "SUBMIT"); at += 2) {
        const struct argument *option = &arguments[at];
        const struct argument *word = &arguments[at + 1];
        bool zone = word_equal(option->data, option->size, "TZ");
        if (!zone && !word_equal(option->data, option->size, "MISFIRE")) {
            value_error(reply, "ERR", "CRON SET has no option '%.*s'; it takes TZ, MISFIRE and "
                        "then SUBMIT with the job", argument_shown_size(option), option->data);
            return false;
        }
        if (at + 1 == count) {
            value_error(reply, "ERR", "%s needs a value", zone ? "TZ" : "MISFIRE");
            return false;
        }
        if (zone ? settings->zone.data != NULL : has_misfire) {
            value_error(reply, "ERR", "%s is given twice", zone ? "TZ" : "MISFIRE");
            return false;
        }
        if (zone)
            settings->zone = *word;
        else if (!parse_misfire(word, &settings->misfire, reply))
            return false;
        has_misfire = has_misfire || !zone;
    }
    if (at >= count) {
        value_error(reply, "ERR", "CRON SET lacks the job: " SET_USAGE);
        return false;
    }
    settings->words = arguments + at + 1;
    settings->word_count = count - at - 1;
    return true;
}

/* Whether the client may have jobs of that target made; words that cannot be parsed are refused
 * by who stores them. */
static int check_access(struct connection *connection, const struct schedule_settings *settings,
                        struct aw_error *reterr)
{
    struct submit_options options;
    if (submit_options_parse(SUBMIT_COMMAND, settings->words, settings->word_count, &options,
                             NULL) < 0)
        return 0;
    int result = access_check(connection, &options.target, reterr);
    submit_options_free(&options);
    return result;
}

static void set(struct connection *connection, struct argument *arguments, uint32_t count,
                struct buffer *reply)
{
    struct schedule_settings settings;
    struct aw_error error = {0};
    if (!parse_set(arguments, count, &settings, reply))
        return;
    int result = check_access(connection, &settings, &error);
    if (result == 0)
        result = broker_schedule_set(connection->server->broker, &settings, &error);
    if (result < 0)
        answer_failure(result, &error, reply);
    else
        value_simple(reply, "OK");
}

/* --- the others ------------------------------------------------------------------------ */

static void list(struct connection *connection, struct argument *arguments, uint32_t count,
                 struct buffer *reply)
{
    (void)arguments;
    (void)count;
    struct aw_error error = {0};
    int result = broker_schedule_list(connection->server->broker, reply);
    if (result < 0)
        answer_failure(result, &error, reply);
}

static void get(struct connection *connection, struct argument *arguments, uint32_t count,
                struct buffer *reply)
{
    (void)count;
    if (broker_schedule_describe(connection->server->broker, arguments[0], reply) < 0)
        refuse_unknown(&arguments[0], reply);
}

static void delete(struct connection *connection, struct argument *arguments, uint32_t count,
                   struct buffer *reply)
{
    (void)count;
    struct aw_error error = {0};
    int result = broker_schedule_delete(connection->server->broker, arguments[0], &error);
    if (result < 0)
        answer_failure(result, &error, reply);
    else
        value_integer(reply, result);
}

static void run(struct connection *connection, struct argument *arguments, uint32_t count,
                struct buffer *reply)
{
    (void)count;
    uint64_t id;
    struct aw_error error = {0};
    int result = broker_schedule_run(connection->server->broker, arguments[0], &id, &error);
    if (result == -ENOENT)
        refuse_unknown(&arguments[0], reply);
    else if (result < 0)
        answer_failure(result, &error, reply);
    else
        value_bulk_number(reply, id);
}

static const struct subcommand {
    const char *name;
    uint32_t words_min; /* behind the name */
    uint32_t words_max;
    unsigned rights;
    command_function execute; /* with the words behind the name */
    const char *usage;
} subcommands[] = {
    {"SET", 2, UINT32_MAX, ALLOW_SUBMIT | ALLOW_ADMIN, set, SET_USAGE},
    {"LIST", 0, 0, ALLOW_SUBMIT | ALLOW_OBSERVE | ALLOW_ADMIN, list, "CRON LIST"},
    {"GET", 1, 1, ALLOW_SUBMIT | ALLOW_OBSERVE | ALLOW_ADMIN, get, "CRON GET <name>"},
    {"DEL", 1, 1, ALLOW_SUBMIT | ALLOW_ADMIN, delete, "CRON DEL <name>"},
    {"RUN", 1, 1, ALLOW_SUBMIT | ALLOW_ADMIN, run, "CRON RUN <name>"},
};
#define SUBCOMMANDS (sizeof subcommands / sizeof subcommands[0])

void command_cron(struct connection *connection, struct argument *arguments, uint32_t count,
                  struct buffer *reply)
{
    const struct argument *word = &arguments[1];
    const struct subcommand *subcommand = subcommands;
    while (subcommand < subcommands + SUBCOMMANDS &&
           !word_equal(word->data, word->size, subcommand->name))
        subcommand++;
    if (subcommand == subcommands + SUBCOMMANDS) {
        value_error(reply, "ERR", "CRON takes SET, LIST, GET, DEL or RUN, not '%.*s'",
                    argument_shown_size(word), word->data);
    } else if (!(connection->allowed & subcommand->rights)) {
        char text[40];
        command_rights_text(connection->allowed, text);
        value_error(reply, "NOPERM", "this socket does not allow CRON %s (allowed: %s)",
                    subcommand->name, text);
    } else if (count - 2 < subcommand->words_min || count - 2 > subcommand->words_max) {
        value_error(reply, "ERR", "wrong number of arguments: %s", subcommand->usage);
    } else {
        subcommand->execute(connection, arguments + 2, count - 2, reply);
    }
}
