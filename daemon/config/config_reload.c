/* config_reload.c - see config_reload.h. Sections are compared key by key, by the table of keys, so
 * a new key needs no line here. */
#include "config/config_reload.h"

#include "config/config_builder.h"

#include <stdio.h>
#include <string.h>

/* Of [daemon]: read once at the start. */
static const char *const fixed_keys[] = {"state", "node", "zone"};

static bool is_fixed(const struct config_key *key)
{
    for (size_t i = 0; i < sizeof fixed_keys / sizeof fixed_keys[0]; i++)
        if (strcmp(key->name, fixed_keys[i]) == 0)
            return true;
    return false;
}

static bool same_text(const char *left, const char *right)
{
    return left && right ? strcmp(left, right) == 0 : left == right;
}

static size_t value_size(enum config_value_type type)
{
    switch (type) {
    case VALUE_TEXT:
    case VALUE_PATH:
        return sizeof(char *);
    case VALUE_SIZE:
    case VALUE_DURATION:
    case VALUE_RATE:
        return sizeof(uint64_t);
    case VALUE_NUMBER:
    case VALUE_MODE:
    case VALUE_CHOICE:
    case VALUE_FLAGS:
        break;
    }
    return sizeof(uint32_t);
}

static bool same_value(const struct config_key *key, const void *left, const void *right)
{
    const char *left_at = (const char *)left + key->offset;
    const char *right_at = (const char *)right + key->offset;
    if (key->type != VALUE_TEXT && key->type != VALUE_PATH)
        return memcmp(left_at, right_at, value_size(key->type)) == 0;
    const char *left_text;
    const char *right_text;
    memcpy(&left_text, left_at, sizeof left_text);
    memcpy(&right_text, right_at, sizeof right_text);
    return same_text(left_text, right_text);
}

static bool same_section(enum section_kind kind, const void *left, const void *right)
{
    for (uint32_t i = 0; i < config_key_counts[kind]; i++)
        if (!same_value(&config_keys[kind][i], left, right))
            return false;
    return true;
}

static void report_add(char report[RELOAD_REPORT_SIZE], const char *kind, const char *name)
{
    size_t used = strlen(report);
    (void)snprintf(report + used, RELOAD_REPORT_SIZE - used, kind ? "%s[%s %s]" : "%s%s%s",
                   used > 0 ? ", " : "", kind ? kind : "", name);
}

static const struct config_target *find_target(const struct config *config, const char *name)
{
    for (uint32_t i = 0; i < config->target_count; i++)
        if (strcmp(config->targets[i].name, name) == 0)
            return &config->targets[i];
    return NULL;
}

static const struct config_socket *find_socket(const struct config *config, const char *name)
{
    for (uint32_t i = 0; i < config->socket_count; i++)
        if (strcmp(config->sockets[i].name, name) == 0)
            return &config->sockets[i];
    return NULL;
}

/* Names what `left` has otherwise than `right`, or, with `missing_only`, has alone. */
static void compare_targets(const struct config *left, const struct config *right,
                            bool missing_only, char report[RELOAD_REPORT_SIZE])
{
    for (uint32_t i = 0; i < left->target_count; i++) {
        const struct config_target *target = &left->targets[i];
        const struct config_target *other = find_target(right, target->name);
        bool same = other && (missing_only || (same_section(SECTION_TARGET, target, other) &&
                                               same_text(target->password, other->password)));
        if (!same)
            report_add(report, "target", target->name);
    }
}

static void compare_sockets(const struct config *left, const struct config *right,
                            bool missing_only, char report[RELOAD_REPORT_SIZE])
{
    for (uint32_t i = 0; i < left->socket_count; i++) {
        const struct config_socket *socket = &left->sockets[i];
        const struct config_socket *other = find_socket(right, socket->name);
        bool same = other && (missing_only || same_section(SECTION_SOCKET, socket, other));
        if (!same)
            report_add(report, "socket", socket->name);
    }
}

static void take_daemon_keys(struct config *current, const struct config *fresh,
                             char report[RELOAD_REPORT_SIZE])
{
    for (uint32_t i = 0; i < config_key_counts[SECTION_DAEMON]; i++) {
        const struct config_key *key = &config_keys[SECTION_DAEMON][i];
        bool text = key->type == VALUE_TEXT || key->type == VALUE_PATH;
        if (same_value(key, current, fresh))
            continue;
        if (is_fixed(key) || text) /* whoever uses a text keeps a pointer to it */
            report_add(report, NULL, key->name);
        else
            memcpy((char *)current + key->offset, (const char *)fresh + key->offset,
                   value_size(key->type));
    }
}

void config_reload(struct config *current, struct config *fresh, char report[RELOAD_REPORT_SIZE])
{
    report[0] = '\0';
    take_daemon_keys(current, fresh, report);
    compare_sockets(current, fresh, false, report);
    compare_sockets(fresh, current, true, report);
    compare_targets(current, fresh, false, report);
    compare_targets(fresh, current, true, report);
    struct config_queue *queues = current->queues;
    uint32_t queue_count = current->queue_count;
    current->queues = fresh->queues;
    current->queue_count = fresh->queue_count;
    current->queue_defaults = fresh->queue_defaults;
    fresh->queues = queues;
    fresh->queue_count = queue_count;
}
