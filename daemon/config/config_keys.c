/* config_keys.c - every key of every section, with its range. Defaults are in config.c, words for
 * people in config/awaitd.conf. */
#include "config/config_builder.h"

#include "protocol/submit_options.h"

#include <string.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define TIB (GIB * 1024)
#define SECOND_MS UINT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
#define RATE_MAX 1000000 /* a second, a minute or an hour */
#define SOCKET_PATH_SIZE_MAX 107 /* sun_path without its NUL */

static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const allowances[] = {"submit", "work", "observe", "admin", "all", NULL};
static const char *const target_types[] = {"postgres", "redis", "sqlite", "worker", "http", NULL};
static const char *const deliveries[] = {"at-least-once", "at-most-once", "exactly-once", NULL};

#define FIELD(object, member) .offset = offsetof(struct object, member)

static const struct config_key daemon_keys[] = {
    {"state", VALUE_PATH, FIELD(config, state)},
    {"node", VALUE_NUMBER, FIELD(config, node), 0, 1023},
    {"result_size_max", VALUE_SIZE, FIELD(config, result_size_max), KIB, GIB},
    {"request_size_max", VALUE_SIZE, FIELD(config, request_size_max), 64 * KIB, GIB},
    {"argument_size_max", VALUE_SIZE, FIELD(config, argument_size_max), KIB, GIB},
    {"clients_max", VALUE_NUMBER, FIELD(config, clients_max), 1, 1000000},
    {"memory_max", VALUE_SIZE, FIELD(config, memory_max), MIB, TIB},
    {"disk_free_min", VALUE_SIZE, FIELD(config, disk_free_min), 0, 1024 * TIB},
    {"stop_timeout", VALUE_DURATION, FIELD(config, stop_timeout_ms), 0, HOUR_MS},
    {"subscriber_output_max", VALUE_SIZE, FIELD(config, subscriber_output_max), 64 * KIB, GIB},
    {"log_level", VALUE_CHOICE, FIELD(config, log_level), .words = log_levels},
    {"zone", VALUE_TEXT, FIELD(config, zone)},
};

static const struct config_key socket_keys[] = {
    {"path", VALUE_PATH, FIELD(config_socket, path), .max = SOCKET_PATH_SIZE_MAX},
    {"mode", VALUE_MODE, FIELD(config_socket, mode)},
    {"user", VALUE_TEXT, FIELD(config_socket, user)},
    {"group", VALUE_TEXT, FIELD(config_socket, group)},
    {"allow", VALUE_FLAGS, FIELD(config_socket, allow), .words = allowances},
};

static const struct config_key target_keys[] = {
    {"type", VALUE_CHOICE, FIELD(config_target, type), .words = target_types},
    {"uri", VALUE_TEXT, FIELD(config_target, uri)},
    {"path", VALUE_TEXT, FIELD(config_target, path)},
    {"connections", VALUE_NUMBER, FIELD(config_target, connections), 1, 1000},
    {"pipeline", VALUE_NUMBER, FIELD(config_target, pipeline), 1, 65536},
    {"connect_timeout", VALUE_DURATION, FIELD(config_target, connect_timeout_ms), 100,
     10 * MINUTE_MS},
    {"leases", VALUE_NUMBER, FIELD(config_target, leases), 0, 999},
    {"lease_max", VALUE_DURATION, FIELD(config_target, lease_max_ms), 1, DAY_MS},
    {"password_file", VALUE_PATH, FIELD(config_target, password_file)},
    {"credential", VALUE_TEXT, FIELD(config_target, credential)},
    {"delivery", VALUE_CHOICE, FIELD(config_target, delivery), .words = deliveries},
    {"receipt_keep", VALUE_DURATION, FIELD(config_target, receipt_keep_ms), 0, 3650 * DAY_MS},
    {"coalesce", VALUE_NUMBER, FIELD(config_target, coalesce), 0, COALESCE_MAX},
    {"users", VALUE_TEXT, FIELD(config_target, users)},
    {"groups", VALUE_TEXT, FIELD(config_target, groups)},
    {"hosts", VALUE_TEXT, FIELD(config_target, http.hosts)},
    {"headers", VALUE_TEXT, FIELD(config_target, http.headers)},
    {"ca_file", VALUE_PATH, FIELD(config_target, http.ca_file)},
    {"proxy", VALUE_TEXT, FIELD(config_target, http.proxy)},
    {"redirects", VALUE_NUMBER, FIELD(config_target, http.redirects), 0, 20},
    {"response_size_max", VALUE_SIZE, FIELD(config_target, http.response_size_max), KIB, GIB},
    {"request_timeout", VALUE_DURATION, FIELD(config_target, http.request_timeout_ms), 100,
     DAY_MS},
    {"retry_after_max", VALUE_DURATION, FIELD(config_target, http.retry_after_max_ms), SECOND_MS,
     30 * DAY_MS},
    {"rate", VALUE_RATE, FIELD(config_target, rate_interval_ns), 0, RATE_MAX},
    {"rate_burst", VALUE_NUMBER, FIELD(config_target, rate_burst), 0, RATE_MAX},
};

static const struct config_key queue_keys[] = {
    {"concurrency", VALUE_NUMBER, FIELD(config_queue, concurrency), 1, 100000},
    {"retry", VALUE_NUMBER, FIELD(config_queue, retry), 0, 1000000},
    {"backoff_min", VALUE_DURATION, FIELD(config_queue, backoff_min_ms), 1, 365 * DAY_MS},
    {"backoff_max", VALUE_DURATION, FIELD(config_queue, backoff_max_ms), 1, 365 * DAY_MS},
    {"keep", VALUE_DURATION, FIELD(config_queue, keep_ms), 0, 3650 * DAY_MS},
    {"keep_dead", VALUE_DURATION, FIELD(config_queue, keep_dead_ms), 0, 3650 * DAY_MS},
    {"timeout", VALUE_DURATION, FIELD(config_queue, timeout_ms), 0, 365 * DAY_MS},
    {"rate", VALUE_RATE, FIELD(config_queue, rate_interval_ns), 0, RATE_MAX},
    {"rate_burst", VALUE_NUMBER, FIELD(config_queue, rate_burst), 0, RATE_MAX},
    {"length_max", VALUE_NUMBER, FIELD(config_queue, length_max), 0, 1000000000},
    {"bytes_max", VALUE_SIZE, FIELD(config_queue, bytes_max), 0, 1024 * TIB},
    {"weight", VALUE_NUMBER, FIELD(config_queue, weight), 1, 100},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))
_Static_assert(COUNT(daemon_keys) <= CONFIG_KEYS_MAX, "struct section has a source for each key");
_Static_assert(COUNT(queue_keys) <= CONFIG_KEYS_MAX, "struct section has a source for each key");
_Static_assert(COUNT(target_keys) <= CONFIG_KEYS_MAX, "struct section has a source for each key");

/* In the order of enum section_kind. */
const struct config_key *const config_keys[] = {daemon_keys, socket_keys, target_keys, queue_keys};
const uint32_t config_key_counts[] = {COUNT(daemon_keys), COUNT(socket_keys), COUNT(target_keys),
                                      COUNT(queue_keys)};

int config_key_find(enum section_kind kind, const char *name)
{
    for (uint32_t i = 0; i < config_key_counts[kind]; i++)
        if (strcmp(config_keys[kind][i].name, name) == 0)
            return (int)i;
    return -1;
}

const char *config_target_type_name(uint32_t type)
{
    return type <= TARGET_TYPE_HTTP ? target_types[type] : "unknown";
}
