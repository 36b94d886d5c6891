/* command_metrics.c - METRICS: everything that is counted, as Prometheus text. */
#include "server/command.h"

#include "protocol/exposition.h"
#include "protocol/value.h"
#include "server/connection.h"
#include "server/memory.h"
#include "server/server.h"

#include <stdio.h>
#include <string.h>

static void write_server(const struct server *server, struct buffer *out)
{
    exposition_family(out, "awaitd_build_info", "gauge", "The version that runs; always 1.");
    exposition_count(out, "awaitd_build_info", LABEL("version", AWAITD_VERSION), 1);
    exposition_family(out, "awaitd_uptime_seconds", "gauge",
                      "Time since the daemon began to serve.");
    exposition_number(out, "awaitd_uptime_seconds", NO_LABELS,
                      (double)(aw_now_ns() - server->started_ns) / 1e9);
    exposition_family(out, "awaitd_memory_resident_bytes", "gauge", "Resident memory.");
    exposition_count(out, "awaitd_memory_resident_bytes", NO_LABELS, memory_resident_bytes());
    exposition_family(out, "awaitd_tasks", "gauge", "Tasks of the loop.");
    exposition_count(out, "awaitd_tasks", NO_LABELS, aw_task_count());
}

static void write_clients(const struct server *server, struct buffer *out)
{
    const struct server_statistics *statistics = &server->statistics;
    exposition_family(out, "awaitd_connections", "gauge", "Clients that are connected.");
    exposition_count(out, "awaitd_connections", NO_LABELS, server->connection_count);
    exposition_family(out, "awaitd_connections_max", "gauge", "The most clients at once.");
    exposition_count(out, "awaitd_connections_max", NO_LABELS, server->configuration->clients_max);
    exposition_family(out, "awaitd_connections_total", "counter",
                      "Connections by whether there was a place for them.");
    exposition_count(out, "awaitd_connections_total", LABEL("result", "accepted"),
                     statistics->connections_received);
    exposition_count(out, "awaitd_connections_total", LABEL("result", "rejected"),
                     statistics->connections_rejected);
    exposition_family(out, "awaitd_network_bytes_total", "counter",
                      "Bytes from and to clients.");
    exposition_count(out, "awaitd_network_bytes_total", LABEL("direction", "in"),
                     statistics->input_bytes);
    exposition_count(out, "awaitd_network_bytes_total", LABEL("direction", "out"),
                     statistics->output_bytes);
}

static void write_commands(const struct server *server, struct buffer *out)
{
    exposition_family(out, "awaitd_commands_total", "counter", "Commands by name.");
    for (size_t i = 0; i < command_count; i++)
        exposition_count(out, "awaitd_commands_total", LABEL("command", command_table[i].name),
                         server->commands[i].calls);
    exposition_count(out, "awaitd_commands_total", LABEL("command", "unknown"),
                     server->commands[COMMAND_UNKNOWN].calls);
    exposition_family(out, "awaitd_command_errors_total", "counter",
                      "Commands that were answered with an error, by name.");
    for (size_t i = 0; i < command_count; i++)
        exposition_count(out, "awaitd_command_errors_total",
                         LABEL("command", command_table[i].name), server->commands[i].errors);
    exposition_count(out, "awaitd_command_errors_total", LABEL("command", "unknown"),
                     server->commands[COMMAND_UNKNOWN].errors);
}

static void write_loop(struct buffer *out)
{
    static const char *const limits[AW_LOOP_BUCKETS] = {"0.0001", "0.001", "0.01",
                                                        "0.1",    "1",     "+Inf"};
    struct aw_loop_statistics loop;
    aw_loop_statistics(&loop);
    exposition_family(out, "awaitd_loop_turn_seconds", "histogram",
                      "How long the tasks of a turn of the loop ran.");
    uint64_t below = 0;
    for (size_t i = 0; i < AW_LOOP_BUCKETS; i++) {
        below += loop.buckets[i];
        exposition_count(out, "awaitd_loop_turn_seconds_bucket", LABEL("le", limits[i]), below);
    }
    exposition_number(out, "awaitd_loop_turn_seconds_sum", NO_LABELS, (double)loop.busy_ns / 1e9);
    exposition_count(out, "awaitd_loop_turn_seconds_count", NO_LABELS, loop.turns);
    exposition_family(out, "awaitd_loop_longest_turn_seconds", "gauge",
                      "The longest turn since the start, and the task that ran longest in it.");
    exposition_number(out, "awaitd_loop_longest_turn_seconds",
                      LABEL("task", loop.longest_task[0] ? loop.longest_task : "unnamed"),
                      (double)loop.longest_ns / 1e9);
}

void command_metrics(struct connection *connection, struct argument *arguments, uint32_t count,
                     struct buffer *reply)
{
    (void)arguments;
    (void)count;
    struct server *server = connection->server;
    struct buffer text = {0};
    struct aw_error error = {0};
    write_server(server, &text);
    write_clients(server, &text);
    write_commands(server, &text);
    write_loop(&text);
    int result = broker_metrics(server->broker, &text, &error);
    if (result < 0)
        value_error(reply, "ERR", "%s",
                    error.message[0] ? error.message : aw_error_text(result));
    else if (text.failed)
        reply->failed = true;
    else
        value_bulk(reply, text.data, text.size);
    buffer_free(&text);
}
