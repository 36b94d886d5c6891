/* redis_connection.c - see redis_connection.h.
 *
 * The connection's task is the reader; the writer is its child. Whoever notices the end first says
 * why (redis_connection_break) and cancels the reader's scope; the reader then cleans up alone. */
#include "clients/redis_connection.h"

#include "clients/redis_handshake.h"
#include "clients/redis_pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE 16384
#define OUTPUT_KEPT_MAX 65536           /* a bigger output buffer is given back when it is empty */
#define READONLY_AGE_MIN_MS 5000        /* of a connection that is replaced after READONLY */

uint32_t redis_connection_room(const struct redis_connection *connection)
{
    if (connection->state != REDIS_CONNECTION_READY || connection->retiring || connection->broken)
        return 0;
    uint32_t load = connection->queued.count + connection->in_flight.count;
    uint32_t max = connection->pool->lanes[connection->lane].in_flight_max;
    return load < max ? max - load : 0;
}

void redis_connection_queue(struct redis_connection *connection, struct redis_command *command)
{
    command->connection = connection;
    redis_list_append(&connection->queued, command);
    aw_event_set(&connection->work);
}

void redis_connection_break(struct redis_connection *connection, int number, const char *reason)
{
    if (connection->broken) return;
    connection->broken = number;
    snprintf(connection->broken_reason, sizeof connection->broken_reason, "%s", reason);
    aw_scope_cancel(&connection->scope);
}

/* Puts what was not sent back at the head of the lane, in order. */
static void give_back(struct redis_connection *connection)
{
    struct redis_command_list *waiting = &connection->pool->lanes[connection->lane].waiting;
    while (connection->queued.last) {
        struct redis_command *command = connection->queued.last;
        redis_list_remove(command);
        command->connection = NULL;
        if (connection->lane == REDIS_LANE_LEASED) { /* it belongs to this connection only */
            redis_command_answer(command, -ENOTCONN, NULL, connection->broken_reason, NULL);
            continue;
        }
        redis_list_prepend(waiting, command);
    }
}

void redis_connection_retire(struct redis_connection *connection)
{
    if (connection->state != REDIS_CONNECTION_READY || connection->retiring) return;
    connection->retiring = true;
    give_back(connection);
    redis_pool_rebalance(connection->pool, connection->lane);
    if (!connection->in_flight.first) redis_connection_break(connection, -ESHUTDOWN, "retired");
}

/* --- writer ----------------------------------------------------------------------------------- */

static int reserve_output(struct redis_connection *connection, size_t more)
{
    size_t needed = connection->output_size + more;
    if (needed <= connection->output_capacity) return 0;
    size_t capacity = connection->output_capacity ? connection->output_capacity : 4096;
    while (capacity < needed) capacity *= 2;
    char *output = realloc(connection->output, capacity);
    if (!output) return -ENOMEM;
    connection->output = output;
    connection->output_capacity = capacity;
    return 0;
}

/* Appends the command's bytes to the output. */
static int format(struct redis_connection *connection, const struct redis_command *command)
{
    size_t most = redis_command_size(command->count, command->sizes);
    int result = reserve_output(connection, most);
    if (result < 0)
        return result;
    size_t size = redis_command_write(connection->output + connection->output_size, command->count,
                                      command->arguments, command->sizes);
    connection->output_size += size;
    connection->gathered_position += (uint64_t)size;
    return 0;
}

/* Its bytes are the last of the output. */
static void enter_flight(struct redis_connection *connection, struct redis_command *command)
{
    command->state = REDIS_SENT;
    command->sent_ns = aw_now_ns();
    command->end_position = connection->gathered_position;
    connection->in_flight_bytes += command->wire_size;
    redis_list_append(&connection->in_flight, command);
}

/* ASKING, whose answer nobody wants: it stands before its command, with nothing in between. */
static int ask_first(struct redis_connection *connection)
{
    static const char text[] = "*1\r\n$6\r\nASKING\r\n";
    struct redis_command *asking = calloc(1, sizeof *asking);
    if (!asking)
        return -ENOMEM;
    int result = reserve_output(connection, sizeof text - 1);
    if (result < 0) {
        free(asking);
        return result;
    }
    memcpy(connection->output + connection->output_size, text, sizeof text - 1);
    connection->output_size += sizeof text - 1;
    connection->gathered_position += sizeof text - 1;
    asking->abandoned = true;
    asking->reply_size_max = connection->pool->options.reply_size_max;
    enter_flight(connection, asking);
    return 0;
}

/* Moves queued commands into the output, as many as may be in flight. */
static void gather(struct redis_connection *connection)
{
    size_t bytes_max = connection->pool->options.in_flight_bytes_max;
    struct redis_command *command;
    while ((command = connection->queued.first)) {
        bool first = connection->in_flight.count == 0;
        if (!first && connection->in_flight_bytes + command->wire_size > bytes_max) return;
        redis_list_remove(command);
        int result = command->is_asking ? ask_first(connection) : 0;
        if (result == 0)
            result = format(connection, command);
        if (result < 0) {
            if (command->is_asking) /* or it would be the next command that asks */
                redis_connection_break(connection, result, "no memory to send a command");
            redis_command_answer(command, result, NULL, "no memory to send the command", NULL);
            continue;
        }
        enter_flight(connection, command);
    }
}

static int send_output(struct redis_connection *connection)
{
    size_t sent = 0;
    while (sent < connection->output_size) {
        size_t attempted;
        int result = redis_link_send(&connection->link, connection->output + sent,
                                     connection->output_size - sent, &attempted);
        if (result < 0) {
            connection->sent_position += attempted;
            return result;
        }
        sent += (size_t)result;
        connection->sent_position += (uint64_t)result;
    }
    connection->output_size = 0;
    if (connection->output_capacity > OUTPUT_KEPT_MAX) {
        free(connection->output);
        connection->output = NULL;
        connection->output_capacity = 0;
    }
    return 0;
}

static int write_commands(void *argument)
{
    struct redis_connection *connection = argument;
    int result;
    while ((result = aw_event_wait(&connection->work)) == 0) {
        aw_event_clear(&connection->work);
        for (gather(connection); connection->output_size > 0; gather(connection)) {
            result = send_output(connection);
            if (result < 0) {
                if (result != -ECANCELED)
                    redis_connection_break(connection, result, aw_error_text(result));
                return result;
            }
        }
    }
    return result;
}

/* --- reader ----------------------------------------------------------------------------------- */

/* A replica refused a write, and sentinels know which server takes it. */
static bool is_elsewhere(const struct redis_connection *connection, const char *word)
{
    return connection->pool->sentinel && strcmp(word, "READONLY") == 0;
}

/* What an error reply says about the server, beside what it says to the caller. */
static void heed_error(struct redis_connection *connection, const char *word, const char *text)
{
    if (strcmp(word, "LOADING") == 0 || strcmp(word, "MASTERDOWN") == 0 ||
        strcmp(word, "CLUSTERDOWN") == 0) {
        redis_pool_suspect(connection->pool, text);
        return;
    }
    if (is_elsewhere(connection, word)) {
        redis_pool_suspect(connection->pool, text);
        return;
    }
    redis_pool_served(connection->pool);
    /* After a failover the name may lead to another server; an old connection stays with the one
     * that only reads now. */
    uint64_t age_ns = aw_now_ns() - connection->opened_ns;
    if (strcmp(word, "READONLY") == 0 && connection->lane != REDIS_LANE_LEASED &&
        age_ns > READONLY_AGE_MIN_MS * AW_NS_PER_MS)
        redis_connection_retire(connection);
}

static void deliver(struct redis_connection *connection, struct redis_command *command,
                    struct aw_redis_reply *reply)
{
    if (reply->type != AW_REDIS_ERROR) {
        redis_pool_served(connection->pool);
        redis_command_answer(command, 0, NULL, "", reply);
        return;
    }
    char word[AW_ERROR_CODE_SIZE];
    redis_error_word(reply, word);
    heed_error(connection, word, reply->text);
    redis_command_answer(command, is_elsewhere(connection, word) ? -ENOTCONN : -EREMOTEIO, word,
                         reply->text, NULL);
    aw_redis_reply_free(reply);
}

/* Takes the command whose reply has ended off the connection. */
static struct redis_command *take_first(struct redis_connection *connection)
{
    struct redis_command *command = redis_list_take(&connection->in_flight);
    connection->in_flight_bytes -= command->wire_size;
    return command;
}

static void answer_over(struct redis_connection *connection, struct redis_command *command)
{
    const struct redis_frame *frame = &connection->parser.frame;
    char text[160];
    if (strcmp(frame->over, "depth") == 0)
        snprintf(text, sizeof text, "the reply nests arrays deeper than %d and was dropped",
                 AW_REDIS_DEPTH_MAX);
    else
        snprintf(text, sizeof text, "the reply has more than %llu %s and was dropped",
                 (unsigned long long)(frame->over[0] == 's' ? frame->size_max
                                                            : frame->elements_max),
                 frame->over[0] == 's' ? "bytes" : "elements");
    redis_command_answer(command, -EMSGSIZE, "RESULTTOOBIG", text, NULL);
}

/* A reply is known to be too big before its end: its caller need not wait for the rest. A stand-in
 * takes the command's place, abandoned from the start. */
static int answer_early(struct redis_connection *connection)
{
    struct redis_command *command = connection->in_flight.first;
    if (command->abandoned) return 0;
    struct redis_command *rest = calloc(1, sizeof *rest);
    if (!rest) return -ENOMEM;
    rest->state = REDIS_SENT;
    rest->abandoned = true;
    rest->wire_size = command->wire_size;
    rest->end_position = command->end_position;
    rest->sent_ns = command->sent_ns;
    redis_list_remove(command);
    redis_list_prepend(&connection->in_flight, rest);
    answer_over(connection, command);
    return 0;
}

static int take_part(struct redis_connection *connection, const char *data, size_t size,
                     size_t *ret_used)
{
    struct redis_parser *parser = &connection->parser;
    struct redis_command *command = connection->in_flight.first;
    if (!command) {
        parser->problem = "a reply nobody asked for";
        return -EPROTO;
    }
    if (!parser->begun)
        redis_parser_begin(parser, command->reply_size_max,
                           connection->pool->options.reply_elements_max, command->abandoned);
    struct aw_redis_reply *reply = NULL;
    int result = redis_parser_feed(parser, data, size, ret_used, &reply);
    switch (result) {
    case REDIS_PARSED_REPLY:
        deliver(connection, take_first(connection), reply);
        break;
    case REDIS_PARSED_OVER:
        result = answer_early(connection);
        if (result < 0) parser->problem = "out of memory";
        break;
    case REDIS_PARSED_DROPPED:
        command = take_first(connection);
        if (command->abandoned)
            free(command);
        else
            answer_over(connection, command);
        break;
    default:
        break;
    }
    return result < 0 ? result : 0;
}

static int take_bytes(struct redis_connection *connection, const char *data, size_t size)
{
    while (size > 0) {
        size_t used = 0;
        int result = take_part(connection, data, size, &used);
        if (result < 0) {
            char reason[160];
            snprintf(reason, sizeof reason, "the server sent %s", connection->parser.problem);
            redis_connection_break(connection, result, reason);
            return result;
        }
        data += used;
        size -= used;
    }
    redis_pool_feed(connection);
    if (connection->queued.first) aw_event_set(&connection->work);
    if (connection->retiring && !connection->in_flight.first)
        redis_connection_break(connection, -ESHUTDOWN, "retired");
    return 0;
}

/* Nothing came for silence_ms. If an answer is due for so long, is anybody there? A server that is
 * busy with one long command answers nothing on this connection, but accepts a new one. */
static void check_silence(struct redis_connection *connection)
{
    const struct aw_redis_options *options = &connection->pool->options;
    const struct redis_command *oldest = connection->in_flight.first;
    if (!oldest) {
        if (connection->lane == REDIS_LANE_BLOCKING && !connection->queued.first)
            redis_connection_break(connection, -ESHUTDOWN, "idle");
        return;
    }
    uint64_t since_ns = oldest->sent_ns > connection->heard_ns ? oldest->sent_ns
                                                               : connection->heard_ns;
    if (aw_now_ns() - since_ns < options->silence_ms * AW_NS_PER_MS) return;
    struct aw_scope probe;
    aw_scope_enter(&probe, aw_after_ms(options->connect_timeout_ms));
    int result = redis_probe(&connection->pool->endpoint);
    aw_scope_leave(&probe);
    if (result < 0 && aw_interrupted() == 0)
        redis_connection_break(connection, -ETIMEDOUT,
                               "the server answers neither here nor on a new connection");
}

static void read_replies(struct redis_connection *connection)
{
    char chunk[CHUNK_SIZE];
    while (!connection->broken) {
        struct aw_scope tick;
        aw_scope_enter(&tick, aw_after_ms(connection->pool->options.silence_ms));
        int received = redis_link_receive(&connection->link, chunk, sizeof chunk);
        aw_scope_leave(&tick);
        if (received > 0) {
            connection->heard_ns = aw_now_ns();
            if (take_bytes(connection, chunk, (size_t)received) < 0) return;
        } else if (received == 0) {
            redis_connection_break(connection, -ECONNRESET, "the server closed the connection");
        } else if (received == -ETIME && aw_interrupted() == 0) {
            check_silence(connection);
        } else {
            redis_connection_break(connection, received, aw_error_text(received));
        }
    }
}

/* --- life ------------------------------------------------------------------------------------- */

/* Everything that was to be answered: what the kernel never took whole cannot have run. */
static void settle(struct redis_connection *connection)
{
    char text[AW_ERROR_MESSAGE_SIZE + sizeof connection->broken_reason];
    snprintf(text, sizeof text, "the connection to %s was lost while the command ran: %s",
             connection->pool->endpoint.label,
             connection->pool->closing ? "the pool was closed" : connection->broken_reason);
    struct redis_command *command;
    while ((command = connection->in_flight.last) &&
           command->end_position > connection->sent_position) {
        redis_list_remove(command);
        if (command->abandoned) {
            free(command);
            continue;
        }
        command->state = REDIS_QUEUED;
        redis_list_prepend(&connection->queued, command);
    }
    while ((command = redis_list_take(&connection->in_flight)))
        redis_command_answer(command, -ECONNRESET, NULL, text, NULL);
    connection->in_flight_bytes = 0;
    give_back(connection);
}

static void serve(struct redis_connection *connection)
{
    struct aw_task *writer;
    int result = aw_spawn(&writer, write_commands, connection);
    if (result < 0) {
        redis_connection_break(connection, result, aw_error_text(result));
        return;
    }
    redis_pool_connection_ready(connection);
    read_replies(connection);
    /* Only when the writer has stopped is it certain what was sent. */
    aw_cancel(writer);
    result = aw_await(writer);
    if (result < 0 && result != -ECANCELED)
        redis_connection_break(connection, result, aw_error_text(result));
}

static void reset(struct redis_connection *connection)
{
    connection->retiring = false;
    connection->broken = 0;
    connection->broken_reason[0] = '\0';
    connection->gathered_position = 0;
    connection->sent_position = 0;
    connection->opened_ns = aw_now_ns();
    connection->heard_ns = connection->opened_ns;
    aw_event_init(&connection->work);
    redis_parser_init(&connection->parser);
}

int redis_connection_run(void *argument)
{
    struct redis_connection *connection = argument;
    struct aw_error error = {0};
    reset(connection);
    aw_scope_enter(&connection->scope, AW_NEVER);
    int opened =
        redis_pool_connect(connection->pool, &connection->link, &connection->parser, &error);
    if (opened == 0) {
        connection->state = REDIS_CONNECTION_READY;
        serve(connection);
        connection->state = REDIS_CONNECTION_CLOSING;
        settle(connection);
    }
    aw_scope_leave(&connection->scope);
    redis_link_close(&connection->link);
    redis_parser_free(&connection->parser);
    free(connection->output);
    connection->output = NULL;
    connection->output_size = 0;
    connection->output_capacity = 0;
    connection->state = REDIS_CONNECTION_CLOSED;
    if (opened == 0)
        redis_pool_connection_lost(connection);
    else
        redis_pool_connection_failed(connection, &error);
    return 0;
}
