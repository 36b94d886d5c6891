/* command_session.c - what Redis clients send by themselves: PING ECHO HELLO AUTH QUIT RESET SELECT
 * CONFIG GET COMMAND. */
#include "server/command.h"

#include "protocol/value.h"
#include "protocol/word.h"
#include "server/connection.h"
#include "server/leases.h"
#include "server/multi.h"
#include "server/server.h"
#include "server/subscriptions.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is(const struct argument *argument, const char *word)
{
    return word_equal(argument->data, argument->size, word);
}

void command_ping(struct connection *connection, struct argument *arguments, uint32_t count,
                  struct buffer *reply)
{
    if (connection_only_listens(connection)) {
        value_array(reply, 2); /* so that it cannot be taken for a message */
        value_bulk_text(reply, "pong");
        value_bulk(reply, count > 1 ? arguments[1].data : "", count > 1 ? arguments[1].size : 0);
        return;
    }
    if (count > 1)
        value_bulk(reply, arguments[1].data, arguments[1].size);
    else
        value_simple(reply, "PONG");
}

void command_echo(struct connection *connection, struct argument *arguments, uint32_t count,
                  struct buffer *reply)
{
    (void)connection;
    (void)count;
    value_bulk(reply, arguments[1].data, arguments[1].size);
}

void command_auth(struct connection *connection, struct argument *arguments, uint32_t count,
                  struct buffer *reply)
{
    (void)connection;
    (void)arguments;
    (void)count;
    value_error(reply, "ERR",
                "AUTH called without any password configured: no password is set; who "
                "may connect is decided by the socket's mode and owner");
}

void command_quit(struct connection *connection, struct argument *arguments, uint32_t count,
                  struct buffer *reply)
{
    (void)arguments;
    (void)count;
    value_simple(reply, "OK");
    connection_close_soon(connection);
}

void command_reset(struct connection *connection, struct argument *arguments, uint32_t count,
                   struct buffer *reply)
{
    (void)arguments;
    (void)count;
    leases_end_all(connection);
    multi_forget(connection);
    subscriptions_remove_all(connection);
    connection->version = 2;
    connection->name[0] = '\0';
    value_simple(reply, "RESET");
}

void command_select(struct connection *connection, struct argument *arguments, uint32_t count,
                    struct buffer *reply)
{
    (void)connection;
    (void)count;
    if (is(&arguments[1], "0"))
        value_simple(reply, "OK");
    else
        value_error(reply, "ERR", "DB index is out of range");
}

/* --- HELLO ----------------------------------------------------------------------------- */

static void describe_server(const struct connection *connection, struct buffer *reply)
{
    value_map(reply, 7);
    value_bulk_text(reply, "server");
    value_bulk_text(reply, "awaitd");
    value_bulk_text(reply, "version");
    value_bulk_text(reply, AWAITD_VERSION);
    value_bulk_text(reply, "proto");
    value_integer(reply, connection->version);
    value_bulk_text(reply, "id");
    value_integer(reply, (int64_t)connection->id);
    value_bulk_text(reply, "mode");
    value_bulk_text(reply, "standalone");
    value_bulk_text(reply, "role");
    value_bulk_text(reply, "master");
    value_bulk_text(reply, "modules");
    value_array(reply, 0);
}

/* HELLO [version [AUTH user password] [SETNAME name]]; nothing changes unless all of it is right.
 */
void command_hello(struct connection *connection, struct argument *arguments, uint32_t count,
                   struct buffer *reply)
{
    int version = connection->version;
    if (count > 1) {
        if (!is(&arguments[1], "2") && !is(&arguments[1], "3")) {
            value_error(reply, "NOPROTO", "unsupported protocol version");
            return;
        }
        version = arguments[1].data[0] - '0';
    }
    struct argument *name = NULL;
    for (uint32_t i = 2; i < count; i++) {
        if (is(&arguments[i], "AUTH") && count - i > 2) {
            command_auth(connection, arguments, count, reply);
            return;
        }
        if (!is(&arguments[i], "SETNAME") || i + 1 >= count) {
            value_error(reply, "ERR", "Syntax error in HELLO option '%.*s'",
                        argument_shown_size(&arguments[i]), arguments[i].data);
            return;
        }
        name = &arguments[++i];
    }
    if (name) {
        struct argument words[3] = {{.data = "CLIENT", .size = 6}, {.data = "SETNAME", .size = 7},
                                    *name};
        size_t before = reply->size;
        command_client(connection, words, 3, reply);
        if (reply->size > before && reply->data[before] == '-')
            return;
        reply->size = before;
    }
    connection->version = version;
    describe_server(connection, reply);
}

/* --- CONFIG ---------------------------------------------------------------------------- */

void command_config(struct connection *connection, struct argument *arguments, uint32_t count,
                    struct buffer *reply)
{
    char clients_max[16];
    snprintf(clients_max, sizeof clients_max, "%u",
             connection->server->configuration->clients_max);
    const char *const settings[][2] = {
        {"appendfsync", "always"}, {"appendonly", "yes"}, {"databases", "1"},
        {"maxclients", clients_max}, {"save", ""}, {"timeout", "0"},
    };
    if (!is(&arguments[1], "GET") || count < 3) {
        value_error(reply, "ERR", "CONFIG knows only GET <name> ...; awaitd is configured in its "
                    "configuration file");
        return;
    }
    bool wanted[sizeof settings / sizeof settings[0]] = {false};
    size_t pairs = 0;
    for (uint32_t i = 2; i < count; i++) {
        char pattern[64];
        if (arguments[i].size >= sizeof pattern)
            continue;
        snprintf(pattern, sizeof pattern, "%.*s", (int)arguments[i].size, arguments[i].data);
        for (size_t k = 0; k < sizeof settings / sizeof settings[0]; k++) {
            if (wanted[k] || fnmatch(pattern, settings[k][0], FNM_CASEFOLD) != 0)
                continue;
            wanted[k] = true;
            pairs++;
        }
    }
    value_map(reply, pairs);
    for (size_t k = 0; k < sizeof settings / sizeof settings[0]; k++) {
        if (!wanted[k])
            continue;
        value_bulk_text(reply, settings[k][0]);
        value_bulk_text(reply, settings[k][1]);
    }
}

/* --- COMMAND --------------------------------------------------------------------------- */

static void write_name(const struct command *command, struct buffer *reply)
{
    char name[32];
    size_t size = 0;
    for (; size < sizeof name && command->name[size]; size++)
        name[size] = (char)tolower((unsigned char)command->name[size]);
    value_bulk(reply, name, size);
}

static void write_entry(const struct command *command, struct buffer *reply)
{
    bool fixed = command->words_max == command->words_min;
    value_array(reply, 6);
    write_name(command, reply);
    value_integer(reply, fixed ? command->words_min : -command->words_min);
    value_array(reply, 1);
    value_simple(reply, command->flags & COMMAND_WAITS ? "blocking" : "fast");
    value_integer(reply, 0); /* first key, last key, step: there are no keys */
    value_integer(reply, 0);
    value_integer(reply, 0);
}

static void write_documentation(const struct command *command, struct buffer *reply)
{
    write_name(command, reply);
    value_map(reply, 3);
    value_bulk_text(reply, "summary");
    value_bulk_text(reply, command->summary);
    value_bulk_text(reply, "since");
    value_bulk_text(reply, "0.1.0");
    value_bulk_text(reply, "group");
    value_bulk_text(reply, command->rights ? "jobs" : "connection");
}

typedef void (*command_writer)(const struct command *command, struct buffer *reply);

static void write_all(command_writer writer, struct buffer *reply)
{
    for (size_t i = 0; i < command_count; i++)
        writer(&command_table[i], reply);
}

static void answer_documentation(const struct argument *names, uint32_t count,
                                 struct buffer *reply)
{
    if (count == 0) {
        value_map(reply, command_count);
        write_all(write_documentation, reply);
        return;
    }
    size_t found = 0;
    for (uint32_t i = 0; i < count; i++)
        found += command_lookup(&names[i]) != NULL;
    value_map(reply, found);
    for (uint32_t i = 0; i < count; i++) {
        const struct command *command = command_lookup(&names[i]);
        if (command)
            write_documentation(command, reply);
    }
}

static void answer_information(const struct argument *names, uint32_t count, struct buffer *reply)
{
    value_array(reply, count > 0 ? count : command_count);
    if (count == 0)
        write_all(write_entry, reply);
    for (uint32_t i = 0; i < count; i++) {
        const struct command *command = command_lookup(&names[i]);
        if (command)
            write_entry(command, reply);
        else
            value_null(reply);
    }
}

void command_command(struct connection *connection, struct argument *arguments, uint32_t count,
                     struct buffer *reply)
{
    (void)connection;
    if (count == 1) {
        answer_information(NULL, 0, reply);
    } else if (is(&arguments[1], "COUNT")) {
        value_integer(reply, (int64_t)command_count);
    } else if (is(&arguments[1], "LIST")) {
        value_array(reply, command_count);
        write_all(write_name, reply);
    } else if (is(&arguments[1], "INFO")) {
        answer_information(arguments + 2, count - 2, reply);
    } else if (is(&arguments[1], "DOCS")) {
        answer_documentation(arguments + 2, count - 2, reply);
    } else {
        value_error(reply, "ERR",
                    "unknown subcommand '%.*s' of COMMAND; known: COUNT DOCS INFO LIST",
                    argument_shown_size(&arguments[1]), arguments[1].data);
    }
}
