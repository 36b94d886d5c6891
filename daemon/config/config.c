/* config.c - the configuration's defaults and its end. */
#include "config/config.h"
#include "config/config_builder.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define SECOND_MS UINT64_C(1000)
#define HOUR_MS (3600 * SECOND_MS)
#define DAY_MS (24 * HOUR_MS)

void config_set_defaults(struct config *config)
{
    *config = (struct config){
        .result_size_max = 16 * MIB,
        .request_size_max = 64 * MIB,
        .argument_size_max = 16 * MIB,
        .clients_max = 10000,
        .memory_max = 64 * MIB,
        .disk_free_min = 64 * MIB,
        .stop_timeout_ms = 30 * SECOND_MS,
        .subscriber_output_max = 32 * MIB,
        .log_level = LOG_LEVEL_INFO,
    };
    config_queue_set_defaults(&config->queue_defaults);
}

void config_socket_set_defaults(struct config_socket *socket)
{
    *socket = (struct config_socket){
        .mode = 0660, .uid = (uid_t)-1, .gid = (gid_t)-1, .allow = ALLOW_ALL};
}

void config_target_set_defaults(struct config_target *target)
{
    *target = (struct config_target){
        .connections = 8,
        .connect_timeout_ms = 5 * SECOND_MS,
        .lease_max_ms = 30 * SECOND_MS,
        .receipt_keep_ms = 24 * 60 * 60 * SECOND_MS,
        .http = {.redirects = 5,
                 .response_size_max = MIB,
                 .request_timeout_ms = 60 * SECOND_MS,
                 .retry_after_max_ms = HOUR_MS},
    };
}

void config_queue_set_defaults(struct config_queue *queue)
{
    *queue = (struct config_queue){
        .concurrency = 64,
        .retry = 3,
        .backoff_min_ms = SECOND_MS,
        .backoff_max_ms = HOUR_MS,
        .keep_ms = HOUR_MS,
        .keep_dead_ms = 30 * DAY_MS,
        .weight = 1,
    };
}

int config_warn(struct config *config, const char *format, ...)
{
    char *line;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&line, format, arguments);
    va_end(arguments);
    if (length < 0)
        return -ENOMEM;
    char **warnings = realloc(config->warnings, (config->warning_count + 1) * sizeof *warnings);
    if (!warnings) {
        free(line);
        return -ENOMEM;
    }
    config->warnings = warnings;
    warnings[config->warning_count++] = line;
    return 0;
}

static void free_target(struct config_target *target)
{
    if (target->password)
        explicit_bzero(target->password, strlen(target->password));
    free(target->password);
    free(target->name);
    free(target->uri);
    free(target->path);
    free(target->password_file);
    free(target->credential);
    free(target->users);
    free(target->groups);
    free(target->uids.list);
    free(target->gids.list);
    free(target->http.hosts);
    if (target->http.headers)
        explicit_bzero(target->http.headers, strlen(target->http.headers));
    free(target->http.headers);
    free(target->http.ca_file);
    free(target->http.proxy);
}

void config_free(struct config *config)
{
    for (uint32_t i = 0; i < config->socket_count; i++) {
        free(config->sockets[i].name);
        free(config->sockets[i].path);
        free(config->sockets[i].user);
        free(config->sockets[i].group);
    }
    for (uint32_t i = 0; i < config->target_count; i++)
        free_target(&config->targets[i]);
    for (uint32_t i = 0; i < config->queue_count; i++)
        free(config->queues[i].name);
    for (uint32_t i = 0; i < config->warning_count; i++)
        free(config->warnings[i]);
    free(config->sockets);
    free(config->targets);
    free(config->queues);
    free(config->warnings);
    free(config->state);
    free(config->zone);
    *config = (struct config){0};
}

const struct config_queue *config_find_queue(const struct config *config, const char *name,
                                             size_t name_size)
{
    for (uint32_t i = 0; i < config->queue_count; i++)
        if (strlen(config->queues[i].name) == name_size &&
            memcmp(config->queues[i].name, name, name_size) == 0)
            return &config->queues[i];
    return &config->queue_defaults;
}
