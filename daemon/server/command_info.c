/* command_info.c - INFO: the daemon's state as "# Section" and key:value lines, as Redis does it,
 * since clients look into it (ioredis waits for loading:0). */
#include "server/command.h"

#include "protocol/value.h"
#include "protocol/word.h"
#include "server/connection.h"
#include "server/memory.h"
#include "server/server.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SECTION_SIZE 32

typedef unsigned long long number;

static void write_server(const struct server *server, struct buffer *text)
{
    uint64_t uptime_s = (aw_now_ns() - server->started_ns) / AW_NS_PER_S;
    buffer_printf(
        text,
        "# Server\r\nawaitd_version:%s\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\n"
        "process_id:%d\r\nuptime_in_seconds:%llu\r\nuptime_in_days:%llu\r\n"
        "server_time_usec:%llu\r\n",
        AWAITD_VERSION, (int)getpid(), (number)uptime_s, (number)(uptime_s / 86400),
        (number)(aw_wall_ms() * 1000));
}

static void write_clients(const struct server *server, struct buffer *text)
{
    uint32_t blocked = 0;
    for (const struct connection *each = server->connections; each; each = each->next)
        blocked += each->blocked;
    buffer_printf(text,
                  "# Clients\r\nconnected_clients:%u\r\nmaxclients:%u\r\nblocked_clients:%u\r\n",
                  server->connection_count, server->configuration->clients_max, blocked);
}

static void write_memory(const struct server *server, struct buffer *text)
{
    uint64_t bytes = memory_resident_bytes();
    buffer_printf(text,
                  "# Memory\r\nused_memory:%llu\r\nused_memory_rss:%llu\r\nmaxmemory:%llu\r\n",
                  (number)bytes, (number)bytes, (number)server->configuration->memory_max);
}

static void write_persistence(const struct server *server, struct buffer *text)
{
    (void)server;
    buffer_append_text(text, "# Persistence\r\nloading:0\r\n");
}

static void write_statistics(const struct server *server, struct buffer *text)
{
    const struct server_statistics *statistics = &server->statistics;
    buffer_printf(text,
                  "# Stats\r\ntotal_connections_received:%llu\r\nrejected_connections:%llu\r\n"
                  "total_commands_processed:%llu\r\n"
                  "total_net_input_bytes:%llu\r\ntotal_net_output_bytes:%llu\r\ntasks:%u\r\n",
                  (number)statistics->connections_received,
                  (number)statistics->connections_rejected,
                  (number)statistics->commands_processed, (number)statistics->input_bytes,
                  (number)statistics->output_bytes, aw_task_count());
}

static const struct {
    const char *name;
    void (*write)(const struct server *server, struct buffer *text);
} sections[] = {
    {"server", write_server},           {"clients", write_clients},
    {"memory", write_memory},           {"persistence", write_persistence},
    {"stats", write_statistics},
};

static bool is_all(const struct argument *section)
{
    return word_equal(section->data, section->size, "all") ||
           word_equal(section->data, section->size, "default") ||
           word_equal(section->data, section->size, "everything");
}

void command_info(struct connection *connection, struct argument *arguments, uint32_t count,
                  struct buffer *reply)
{
    const struct server *server = connection->server;
    bool all = count < 2 || is_all(&arguments[1]);
    struct buffer text = {0};
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        if (!all && !word_equal(arguments[1].data, arguments[1].size, sections[i].name))
            continue;
        if (text.size > 0)
            buffer_append_text(&text, "\r\n");
        sections[i].write(server, &text);
    }
    /* The names of queues and targets are for those who may look at jobs. */
    if (connection->allowed & (ALLOW_OBSERVE | ALLOW_ADMIN)) {
        char section[SECTION_SIZE] = "";
        if (!all)
            snprintf(section, sizeof section, "%.*s", argument_shown_size(&arguments[1]),
                     arguments[1].data);
        if (all)
            buffer_append_text(&text, "\r\n");
        broker_info(server->broker, all ? NULL : section, &text);
    }
    if (text.failed)
        reply->failed = true;
    else
        value_bulk(reply, text.data, text.size);
    buffer_free(&text);
}
