/* command_client.c - CLIENT: who is connected, under which name. */
#include "server/command.h"

#include "protocol/number.h"
#include "protocol/value.h"
#include "protocol/word.h"
#include "server/connection.h"
#include "server/server.h"

#include <string.h>

static bool is(const struct argument *argument, const char *word)
{
    return word_equal(argument->data, argument->size, word);
}

/* A name that can stand in CLIENT LIST: visible characters only, as Redis has it. */
static bool take_name(const struct argument *argument, char *ret_name, size_t capacity)
{
    if (argument->size >= capacity)
        return false;
    for (uint32_t i = 0; i < argument->size; i++)
        if (argument->data[i] < '!' || argument->data[i] > '~')
            return false;
    if (argument->size > 0)
        memcpy(ret_name, argument->data, argument->size);
    ret_name[argument->size] = '\0';
    return true;
}

static void describe(const struct connection *client, struct buffer *text)
{
    buffer_printf(text, "id=%llu addr=%s:%d fd=%d name=%s age=%llu db=0 pid=%d uid=%u gid=%u "
                  "socket=%s cmd=%s cmds=%llu qbuf=%zu oll=%u omem=%zu resp=%d lib-name=%s "
                  "lib-ver=%s\n",
                  (unsigned long long)client->id, client->socket_name, client->fd, client->fd,
                  client->name,
                  (unsigned long long)((aw_now_ns() - client->accepted_ns) / AW_NS_PER_S),
                  (int)client->peer.pid, (unsigned)client->peer.uid, (unsigned)client->peer.gid,
                  client->socket_name, client->last_command ? client->last_command : "NULL",
                  (unsigned long long)client->commands, client->input.size, client->reply_count,
                  client->out.size, client->version, client->library_name,
                  client->library_version);
}

static void answer_text(struct buffer *text, struct buffer *reply)
{
    if (text->failed)
        reply->failed = true;
    else
        value_bulk(reply, text->data, text->size);
    buffer_free(text);
}

static bool may_see_others(const struct connection *connection, const char *command,
                           unsigned rights, struct buffer *reply)
{
    if (connection->allowed & rights)
        return true;
    char text[40];
    command_rights_text(connection->allowed, text);
    value_error(reply, "NOPERM", "this socket does not allow CLIENT %s (allowed: %s)", command,
                text);
    return false;
}

static void list(struct connection *connection, struct argument *arguments, uint32_t count,
                 struct buffer *reply)
{
    (void)arguments;
    (void)count;
    if (!may_see_others(connection, "LIST", ALLOW_OBSERVE | ALLOW_ADMIN, reply))
        return;
    struct buffer text = {0};
    for (const struct connection *each = connection->server->connections; each; each = each->next)
        if (!each->gone) /* its tasks may take another moment to end */
            describe(each, &text);
    answer_text(&text, reply);
}

static void info(struct connection *connection, struct argument *arguments, uint32_t count,
                 struct buffer *reply)
{
    (void)arguments;
    (void)count;
    struct buffer text = {0};
    describe(connection, &text);
    answer_text(&text, reply);
}

static void kill_client(struct connection *connection, struct argument *arguments, uint32_t count,
                        struct buffer *reply)
{
    uint64_t id;
    if (!may_see_others(connection, "KILL", ALLOW_ADMIN, reply))
        return;
    if (count != 4 || !is(&arguments[2], "ID") ||
        number_parse_unsigned(arguments[3].data, arguments[3].size, 1, UINT64_MAX, &id) < 0) {
        value_error(reply, "ERR", "CLIENT KILL takes ID <client-id>; CLIENT LIST shows the ids");
        return;
    }
    struct connection *client = connection->server->connections;
    while (client && (client->id != id || client->gone))
        client = client->next;
    value_integer(reply, client ? 1 : 0);
    if (client == connection)
        connection_close_soon(client);
    else if (client)
        connection_drop(client);
}

static void set_name(struct connection *connection, struct argument *arguments, uint32_t count,
                     struct buffer *reply)
{
    (void)count;
    if (take_name(&arguments[2], connection->name, sizeof connection->name))
        value_simple(reply, "OK");
    else
        value_error(reply, "ERR", "Client names cannot contain spaces, newlines or special "
                    "characters, nor have more than %d bytes", CLIENT_NAME_SIZE - 1);
}

static void get_name(struct connection *connection, struct argument *arguments, uint32_t count,
                     struct buffer *reply)
{
    (void)arguments;
    (void)count;
    if (connection->name[0])
        value_bulk_text(reply, connection->name);
    else
        value_null(reply);
}

static void set_info(struct connection *connection, struct argument *arguments, uint32_t count,
                     struct buffer *reply)
{
    (void)count;
    char *field = is(&arguments[2], "LIB-NAME")  ? connection->library_name
                  : is(&arguments[2], "LIB-VER") ? connection->library_version
                                                 : NULL;
    if (!field)
        value_error(reply, "ERR", "Unrecognized option '%.*s'; known: LIB-NAME LIB-VER",
                    argument_shown_size(&arguments[2]), arguments[2].data);
    else if (!take_name(&arguments[3], field, LIBRARY_NAME_SIZE))
        value_error(reply, "ERR", "%.*s cannot contain spaces, newlines or special characters, nor "
                    "have more than %d bytes", argument_shown_size(&arguments[2]),
                    arguments[2].data, LIBRARY_NAME_SIZE - 1);
    else
        value_simple(reply, "OK");
}

static void id_of(struct connection *connection, struct argument *arguments, uint32_t count,
                  struct buffer *reply)
{
    (void)arguments;
    (void)count;
    value_integer(reply, (int64_t)connection->id);
}

static const struct {
    const char *name;
    uint32_t words_min;
    uint32_t words_max;
    command_function execute;
} subcommands[] = {
    {"GETNAME", 2, 2, get_name}, {"ID", 2, 2, id_of},      {"INFO", 2, 2, info},
    {"KILL", 2, 8, kill_client}, {"LIST", 2, 8, list},     {"SETINFO", 4, 4, set_info},
    {"SETNAME", 3, 3, set_name},
};

void command_client(struct connection *connection, struct argument *arguments, uint32_t count,
                    struct buffer *reply)
{
    for (size_t i = 0; i < sizeof subcommands / sizeof subcommands[0]; i++) {
        if (!is(&arguments[1], subcommands[i].name))
            continue;
        if (count < subcommands[i].words_min || count > subcommands[i].words_max)
            value_error(reply, "ERR", "wrong number of arguments for 'client|%s' command",
                        subcommands[i].name);
        else
            subcommands[i].execute(connection, arguments, count, reply);
        return;
    }
    value_error(reply, "ERR",
                "unknown subcommand '%.*s' of CLIENT; known: GETNAME ID INFO KILL LIST "
                "SETINFO SETNAME",
                argument_shown_size(&arguments[1]), arguments[1].data);
}
