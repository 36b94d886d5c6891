/* config_check.c - what a configuration must be as a whole: required keys, keys that fit the
 * target's type, limits that depend on each other, and values that follow from others. */
#include "config/config_builder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIPELINE_POSTGRES 16
#define PIPELINE_REDIS 1024
#define PIPELINE_SQLITE 1
#define SECOND_NS UINT64_C(1000000000)

struct source config_source_of(const struct section *section, const char *name)
{
    int position = config_key_find(section->kind, name);
    return position >= 0 && section->set[position].file ? section->set[position] : section->first;
}

static int require(struct config_builder *builder, const struct section *section,
                   const char *name, bool present)
{
    char title[SECTION_TITLE_SIZE];
    if (present)
        return 0;
    return config_refuse(builder, section->first, "%s needs the key '%s'",
                         section_title(builder, section, title), name);
}

int config_refuse_for_type(struct config_builder *builder, const struct section *section,
                           const char *name)
{
    const struct config_target *target = &builder->config.targets[section->index];
    char title[SECTION_TITLE_SIZE];
    return config_refuse(builder, config_source_of(section, name),
                         "%s in %s is not for type %s", name,
                         section_title(builder, section, title),
                         config_target_type_name(target->type));
}

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* Does not show the URI: it may hold a password. */
static int check_uri(struct config_builder *builder, const struct section *section,
                     const struct config_target *target)
{
    char title[SECTION_TITLE_SIZE];
    const char *uri = target->uri;
    if (target->type == TARGET_TYPE_POSTGRES) {
        if (begins_with(uri, "postgresql://") || begins_with(uri, "postgres://") ||
            (strchr(uri, '=') && !strstr(uri, "://")))
            return 0;
        return config_refuse(builder, config_source_of(section, "uri"),
                             "uri in %s must be postgresql://[user@]host[:port]/database or "
                             "libpq's keyword=value words",
                             section_title(builder, section, title));
    }
    static const char *const schemes[] = {"redis://", "rediss://", "unix://", "redis+sentinel://",
                                          "rediss+sentinel://", "redis+cluster://",
                                          "rediss+cluster://", NULL};
    for (size_t i = 0; schemes[i]; i++)
        if (begins_with(uri, schemes[i]))
            return 0;
    return config_refuse(builder, config_source_of(section, "uri"),
                         "uri in %s must be redis://host[:port][/database], "
                         "redis+sentinel://host[:port],.../master[/database], "
                         "redis+cluster://host[:port],..., these with rediss for TLS, or "
                         "unix:///path",
                         section_title(builder, section, title));
}

static bool holds_password(const char *uri)
{
    const char *authority = strstr(uri, "://");
    if (!authority)
        return strstr(uri, "password=") != NULL;
    authority += 3;
    size_t size = strcspn(authority, "/?");
    const char *at = memrchr(authority, '@', size);
    if (at && memchr(authority, ':', (size_t)(at - authority)))
        return true;
    return strstr(authority, "password=") != NULL;
}

int config_warn_password(struct config_builder *builder, const struct section *section)
{
    char title[SECTION_TITLE_SIZE];
    struct source source = config_source_of(section, "uri");
    if (!holds_password(builder->config.targets[section->index].uri))
        return 0;
    return config_warn(&builder->config,
                       "%s:%u: the uri in %s holds a password: password_file or credential keep it "
                       "out of the configuration",
                       source.file, source.line, section_title(builder, section, title));
}

int config_check_secrets(struct config_builder *builder, const struct section *section)
{
    const struct config_target *target = &builder->config.targets[section->index];
    char title[SECTION_TITLE_SIZE];
    section_title(builder, section, title);
    if (target->password_file && target->credential)
        return config_refuse(builder, config_source_of(section, "credential"),
                             "%s has both password_file and credential: leave one", title);
    if (target->credential && (strchr(target->credential, '/') || target->credential[0] == '.'))
        return config_refuse(builder, config_source_of(section, "credential"),
                             "credential in %s must be the name of a systemd credential", title);
    return 0;
}

/* Keys of targets that are reached over a connection with a login. */
static int check_server(struct config_builder *builder, const struct section *section,
                        const struct config_target *target)
{
    if (target->path)
        return config_refuse_for_type(builder, section, "path");
    int result = require(builder, section, "uri", target->uri != NULL);
    if (result == 0)
        result = check_uri(builder, section, target);
    if (result < 0)
        return result;
    result = config_check_secrets(builder, section);
    return result < 0 ? result : config_warn_password(builder, section);
}

static int check_file(struct config_builder *builder, const struct section *section,
                      struct config_target *target)
{
    if (target->uri)
        return config_refuse_for_type(builder, section, "uri");
    if (target->password_file)
        return config_refuse_for_type(builder, section, "password_file");
    if (target->credential)
        return config_refuse_for_type(builder, section, "credential");
    int result = require(builder, section, "path", target->path != NULL);
    if (result < 0 || target->path[0] == '/')
        return result;
    char *absolute;
    if (asprintf(&absolute, "%s/%s", builder->config.state, target->path) < 0)
        return -ENOMEM;
    free(target->path);
    target->path = absolute;
    return 0;
}

/* A target of the users' own processes connects to nothing. */
static int check_worker(struct config_builder *builder, const struct section *section)
{
    static const char *const foreign[] = {"uri",           "path",       "connections",
                                          "pipeline",      "leases",     "lease_max",
                                          "password_file", "credential", "connect_timeout",
                                          "receipt_keep"};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        if (section->set[config_key_find(SECTION_TARGET, foreign[i])].file)
            return config_refuse_for_type(builder, section, foreign[i]);
    struct config_target *target = &builder->config.targets[section->index];
    target->pipeline = 1;
    if (target->delivery != DELIVERY_EXACTLY_ONCE)
        return 0;
    char title[SECTION_TITLE_SIZE];
    return config_refuse(builder, config_source_of(section, "delivery"),
                         "delivery in %s cannot be exactly-once: a worker's effects are its own, "
                         "awaitd has nowhere to leave a receipt; make the worker idempotent by the "
                         "job's id",
                         section_title(builder, section, title));
}

/* Jobs keep at least one connection. */
static int check_leases(struct config_builder *builder, const struct section *section)
{
    struct config_target *target = &builder->config.targets[section->index];
    char title[SECTION_TITLE_SIZE];
    if (!section->set[config_key_find(SECTION_TARGET, "leases")].file) {
        uint32_t quarter = target->connections / 4;
        target->leases = quarter > 0 ? quarter : target->connections > 1 ? 1 : 0;
        return 0;
    }
    if (target->leases == 0 || target->leases < target->connections)
        return 0;
    return config_refuse(builder, config_source_of(section, "leases"),
                         "leases in %s must be less than connections (%u), or jobs would have none",
                         section_title(builder, section, title), target->connections);
}

/* Keys that only a target of type http knows; a Redis target in TLS has authorities, too. */
static int refuse_http_keys(struct config_builder *builder, const struct section *section)
{
    static const char *const keys[] = {"hosts", "headers", "ca_file", "proxy", "redirects",
        "response_size_max", "request_timeout", "retry_after_max"};
    const struct config_target *target = &builder->config.targets[section->index];
    bool is_redis_tls = target->type == TARGET_TYPE_REDIS && target->uri &&
                        begins_with(target->uri, "rediss");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (section->set[config_key_find(SECTION_TARGET, keys[i])].file &&
            !(is_redis_tls && strcmp(keys[i], "ca_file") == 0))
            return config_refuse_for_type(builder, section, keys[i]);
    return 0;
}

/* Without a burst of its own a rate allows that of one second at once. */
static int check_rate(struct config_builder *builder, const struct section *section,
                      uint64_t interval_ns, uint32_t *burst)
{
    char title[SECTION_TITLE_SIZE];
    if (*burst > 0 && interval_ns == 0)
        return config_refuse(builder, config_source_of(section, "rate_burst"),
                             "rate_burst in %s needs a rate",
                             section_title(builder, section, title));
    if (*burst == 0 && interval_ns > 0)
        *burst = interval_ns < SECOND_NS ? (uint32_t)(SECOND_NS / interval_ns) : 1;
    return 0;
}

static int check_target(struct config_builder *builder, const struct section *section)
{
    struct config_target *target = &builder->config.targets[section->index];
    if (check_rate(builder, section, target->rate_interval_ns, &target->rate_burst) < 0)
        return -EINVAL;
    bool has_type = section->set[config_key_find(SECTION_TARGET, "type")].file != NULL;
    int result = require(builder, section, "type", has_type);
    if (result < 0)
        return result;
    if (target->type == TARGET_TYPE_HTTP)
        return config_check_http(builder, section);
    result = refuse_http_keys(builder, section);
    if (result < 0)
        return result;
    if (target->type == TARGET_TYPE_WORKER)
        return check_worker(builder, section);
    result = check_leases(builder, section);
    if (result < 0)
        return result;
    bool has_pipeline = section->set[config_key_find(SECTION_TARGET, "pipeline")].file != NULL;
    if (target->type == TARGET_TYPE_SQLITE) {
        if (has_pipeline && target->pipeline != PIPELINE_SQLITE)
            return config_refuse_for_type(builder, section, "pipeline");
        target->pipeline = PIPELINE_SQLITE;
        return check_file(builder, section, target);
    }
    if (!has_pipeline)
        target->pipeline =
            target->type == TARGET_TYPE_POSTGRES ? PIPELINE_POSTGRES : PIPELINE_REDIS;
    return check_server(builder, section, target);
}

static int check_socket(struct config_builder *builder, const struct section *section)
{
    const struct config_socket *socket = &builder->config.sockets[section->index];
    char title[SECTION_TITLE_SIZE];
    if (!socket->path)
        return require(builder, section, "path", false);
    for (uint32_t i = 0; i < section->index; i++) {
        const struct config_socket *other = &builder->config.sockets[i];
        if (other->path && strcmp(other->path, socket->path) == 0)
            return config_refuse(builder, config_source_of(section, "path"),
                                 "%s has the path of [socket %s]",
                                 section_title(builder, section, title), other->name);
    }
    return 0;
}

static int check_queue(struct config_builder *builder, const struct section *section)
{
    struct config_queue *queue = &builder->config.queues[section->index];
    char title[SECTION_TITLE_SIZE];
    if (check_rate(builder, section, queue->rate_interval_ns, &queue->rate_burst) < 0)
        return -EINVAL;
    if (queue->backoff_min_ms <= queue->backoff_max_ms)
        return 0;
    struct source max_source = config_source_of(section, "backoff_max");
    bool has_max = max_source.line != section->first.line || max_source.file != section->first.file;
    return config_refuse(builder, has_max ? max_source : config_source_of(section, "backoff_min"),
                         "backoff_min in %s is greater than backoff_max (which is 1h by default)",
                         section_title(builder, section, title));
}

static int check_daemon(struct config_builder *builder, const struct section *section)
{
    const struct config *config = &builder->config;
    if (config->argument_size_max <= config->request_size_max)
        return 0;
    int position = config_key_find(SECTION_DAEMON, "argument_size_max");
    const char *key = section->set[position].file ? "argument_size_max" : "request_size_max";
    return config_refuse(builder, config_source_of(section, key),
                         "argument_size_max (16M by default) in [daemon] is greater than "
                         "request_size_max (64M by default)");
}

static int check_section(struct config_builder *builder, const struct section *section)
{
    switch (section->kind) {
    case SECTION_SOCKET:
        return check_socket(builder, section);
    case SECTION_TARGET:
        return check_target(builder, section);
    case SECTION_QUEUE:
        return check_queue(builder, section);
    case SECTION_DAEMON:
        break;
    }
    return check_daemon(builder, section);
}

/* A configuration without a [socket] has one at the usual place. */
static int add_default_socket(struct config *config)
{
    struct config_socket *socket = malloc(sizeof *socket);
    if (!socket)
        return -ENOMEM;
    config_socket_set_defaults(socket);
    config->sockets = socket;
    config->socket_count = 1;
    socket->name = strdup("main");
    socket->path = strdup(CONFIG_SOCKET_PATH_DEFAULT);
    return socket->name && socket->path ? 0 : -ENOMEM;
}

int config_builder_check(struct config_builder *builder)
{
    struct config *config = &builder->config;
    if (!config->state) {
        config->state = strdup(CONFIG_STATE_DEFAULT);
        if (!config->state)
            return -ENOMEM;
    }
    for (uint32_t i = 0; i < builder->section_count; i++) {
        int result = check_section(builder, &builder->sections[i]);
        if (result < 0)
            return result;
    }
    if (config->socket_count == 0 && add_default_socket(config) < 0)
        return -ENOMEM;
    if (config->target_count == 0)
        return config_warn(config, "there is no [target NAME] section: no job can be submitted");
    return 0;
}

int config_parse(const char *file, const char *text, size_t size, struct config *ret_config,
                 struct aw_error *reterr)
{
    struct config_builder builder;
    config_builder_begin(&builder, reterr);
    int result = config_builder_add_text(&builder, file, text, size);
    if (result == 0)
        result = config_builder_check(&builder);
    if (result == 0) {
        *ret_config = builder.config;
        builder.config = (struct config){0};
    } else if (result == -ENOMEM) {
        aw_error_set(reterr, result, "%s: out of memory", file);
    }
    config_builder_end(&builder);
    return result;
}
