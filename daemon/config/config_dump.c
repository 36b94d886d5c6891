/* config_dump.c - see config_dump.h. */
#include "config/config_dump.h"

#include "config/config_builder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_COLUMN 52

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

/* Whether a target of that type knows the key at all. */
static bool applies(const struct config_target *target, const char *name)
{
    static const char *const http[] = {"hosts",           "headers",         "ca_file",
                                       "proxy",           "redirects",       "response_size_max",
                                       "request_timeout", "retry_after_max", NULL};
    static const char *const remote[] = {"uri", "password_file", "credential", NULL};
    static const char *const connected[] = {"connections", "connect_timeout", NULL};
    static const char *const database[] = {"pipeline", "leases", "lease_max", "coalesce", NULL};
    if (is_one_of(name, http))
        return target->type == TARGET_TYPE_HTTP;
    if (is_one_of(name, remote))
        return target->type != TARGET_TYPE_WORKER && target->type != TARGET_TYPE_SQLITE;
    if (is_one_of(name, connected))
        return target->type != TARGET_TYPE_WORKER;
    if (is_one_of(name, database))
        return target->type != TARGET_TYPE_WORKER && target->type != TARGET_TYPE_HTTP;
    return strcmp(name, "path") != 0 || target->type == TARGET_TYPE_SQLITE;
}

/* --- secrets ---------------------------------------------------------------------------------- */

/* The part of a URI or of libpq's words that is a password. */
static bool find_password(char *text, char **ret_start, char **ret_end)
{
    char *authority = strstr(text, "://");
    char *word = strstr(text, "password=");
    if (authority) {
        authority += 3;
        char *at = strrchr(authority, '@'); /* rather too much than a part of a password */
        char *colon = at ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
        if (colon && strncmp(colon, ":***@", 5) != 0) {
            *ret_start = colon + 1;
            *ret_end = at;
            return true;
        }
    }
    while (word && strncmp(word + strlen("password="), "***", 3) == 0)
        word = strstr(word + 1, "password=");
    if (!word)
        return false;
    *ret_start = word + strlen("password=");
    if (**ret_start == '\'') {
        char *quote = *ret_start + 1;
        while (*quote && *quote != '\'')
            quote += *quote == '\\' && quote[1] ? 2 : 1;
        *ret_end = *quote ? quote + 1 : quote;
    } else {
        *ret_end = *ret_start + strcspn(*ret_start, authority ? "&" : " \t");
    }
    return true;
}

static void append_without_passwords(struct buffer *out, const char *text)
{
    char *copy = strdup(text);
    char *start;
    char *end;
    if (!copy) {
        out->failed = true;
        return;
    }
    while (find_password(copy, &start, &end)) {
        char *shown;
        int size = asprintf(&shown, "%.*s***%s", (int)(start - copy), copy, end);
        explicit_bzero(copy, strlen(copy));
        free(copy);
        if (size < 0) {
            out->failed = true;
            return;
        }
        copy = shown;
    }
    buffer_append_text(out, copy);
    free(copy);
}

static void append_value(struct buffer *out, const struct config_key *key, const char *text)
{
    if (strcmp(key->name, "headers") == 0)
        buffer_append_text(out, "***"); /* one of them may be a token */
    else if (strcmp(key->name, "uri") == 0 || strcmp(key->name, "proxy") == 0)
        append_without_passwords(out, text);
    else
        buffer_append_text(out, text);
}

/* --- sections --------------------------------------------------------------------------------- */

static void append_key(struct buffer *out, const struct config_key *key, const void *object,
                       const struct source *source)
{
    char *text = config_value_format(key, object);
    if (!text) {
        out->failed = true;
        return;
    }
    bool set = source && source->file;
    size_t from = out->size;
    buffer_printf(out, "%s%s = ", set ? "" : ";", key->name);
    append_value(out, key, text);
    size_t width = out->size - from;
    buffer_printf(out, "%*s ; ", width < VALUE_COLUMN ? (int)(VALUE_COLUMN - width) : 0, "");
    if (set)
        buffer_printf(out, "%s:%u\n", source->file, source->line);
    else
        buffer_append_text(out, text[0] ? "default\n" : "not set\n");
    explicit_bzero(text, strlen(text));
    free(text);
}

static void append_keys(struct buffer *out, enum section_kind kind, const void *object,
                        const struct section *section)
{
    for (uint32_t i = 0; i < config_key_counts[kind]; i++) {
        const struct config_key *key = &config_keys[kind][i];
        if (kind == SECTION_TARGET && !applies(object, key->name))
            continue;
        append_key(out, key, object, section ? &section->set[i] : NULL);
    }
    buffer_append(out, "\n", 1);
}

/* Sections in the order of kinds, and inside of those as they were written. */
static void append_kind(struct buffer *out, struct config_builder *builder, enum section_kind kind)
{
    char title[SECTION_TITLE_SIZE];
    uint32_t found = 0;
    for (uint32_t i = 0; i < builder->section_count; i++) {
        const struct section *section = &builder->sections[i];
        if (section->kind != kind)
            continue;
        found++;
        buffer_printf(out, "%s\n", section_title(builder, section, title));
        append_keys(out, kind, section_object(builder, section), section);
    }
    if (found > 0)
        return;
    if (kind == SECTION_DAEMON) {
        buffer_append_text(out, "[daemon]\n");
        append_keys(out, kind, &builder->config, NULL);
    } else if (kind == SECTION_SOCKET) { /* the one that is made when none is configured */
        buffer_append_text(out, ";[socket main]\n");
        append_keys(out, kind, &builder->config.sockets[0], NULL);
    }
}

int config_dump(const char *path, struct buffer *out, struct aw_error *reterr)
{
    struct aw_error error = {0};
    struct config_builder builder;
    config_builder_begin(&builder, &error);
    int result = config_builder_load(&builder, path);
    if (result == 0) {
        for (int kind = SECTION_DAEMON; kind <= SECTION_QUEUE; kind++)
            append_kind(out, &builder, (enum section_kind)kind);
        buffer_append_text(out, "; queues without a section\n;[queue ...]\n");
        append_keys(out, SECTION_QUEUE, &builder.config.queue_defaults, NULL);
    }
    if (result == 0 && out->failed)
        result = aw_error_set(&error, -ENOMEM, "out of memory");
    config_builder_end(&builder);
    if (result < 0 && reterr)
        *reterr = error;
    return result;
}
