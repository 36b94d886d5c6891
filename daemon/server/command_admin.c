/* command_admin.c - BACKUP, RELOAD, SHUTDOWN: what an operator does to the whole daemon. */
#include "server/command.h"

#include "admin/control.h"
#include "protocol/number.h"
#include "protocol/submit_options.h"
#include "protocol/value.h"
#include "protocol/word.h"
#include "server/connection.h"
#include "server/server.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void answer_error(struct buffer *reply, int result, const struct aw_error *error)
{
    value_error(reply, error->code[0] ? error->code : "ERR", "%s",
                error->message[0] ? error->message : aw_error_text(result));
}

void command_backup(struct connection *connection, struct argument *arguments, uint32_t count,
                    struct buffer *reply)
{
    (void)count;
    char path[PATH_MAX];
    if (arguments[1].size >= sizeof path || memchr(arguments[1].data, '\0', arguments[1].size)) {
        value_error(reply, "ERR", "backup: that is no path");
        return;
    }
    memcpy(path, arguments[1].data, arguments[1].size);
    path[arguments[1].size] = '\0';
    struct aw_error error = {0};
    int result = broker_backup(connection->server->broker, path, &error);
    if (result < 0)
        answer_error(reply, result, &error);
    else
        value_simple(reply, "OK");
}

static void answer_restart(struct buffer *reply, const char *report)
{
    char line[RELOAD_REPORT_SIZE + 64];
    (void)snprintf(line, sizeof line, "OK, but this needs a restart: %s", report);
    value_simple(reply, line);
}

void command_reload(struct connection *connection, struct argument *arguments, uint32_t count,
                    struct buffer *reply)
{
    (void)arguments;
    (void)count;
    char report[RELOAD_REPORT_SIZE];
    struct aw_error error = {0};
    int result = control_reload(connection->server->control, report, &error);
    if (result < 0)
        answer_error(reply, result, &error);
    else if (report[0])
        answer_restart(reply, report);
    else
        value_simple(reply, "OK");
}

void command_shutdown(struct connection *connection, struct argument *arguments, uint32_t count,
                      struct buffer *reply)
{
    uint64_t timeout_ms = 0;
    if (count >= 2 && !word_equal(arguments[1].data, arguments[1].size, "drain")) {
        value_error(reply, "ERR", "use SHUTDOWN, or SHUTDOWN DRAIN [ms]");
        return;
    }
    if (count == 2)
        timeout_ms = connection->server->configuration->stop_timeout_ms;
    if (count == 3 && number_parse_unsigned(arguments[2].data, arguments[2].size, 0,
                                            DURATION_MAX_MS, &timeout_ms) < 0) {
        value_error(reply, "ERR", "DRAIN needs milliseconds, got '%.*s'",
                    argument_shown_size(&arguments[2]), arguments[2].data);
        return;
    }
    value_simple(reply, "OK");
    control_stop(connection->server->control, timeout_ms);
}
