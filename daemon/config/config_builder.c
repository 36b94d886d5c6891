/* config_builder.c - sections and keys to the struct; see config_builder.h. */
#include "config/config_builder.h"
#include "protocol/name.h"
#include "protocol/word.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_words[] = {"daemon", "socket", "target", "queue", NULL};

void config_builder_begin(struct config_builder *builder, struct aw_error *reterr)
{
    *builder = (struct config_builder){.error = reterr};
    config_set_defaults(&builder->config);
}

void config_builder_end(struct config_builder *builder)
{
    config_free(&builder->config);
    for (uint32_t i = 0; i < builder->file_count; i++)
        free(builder->files[i]);
    free(builder->files);
    free(builder->sections);
    *builder = (struct config_builder){0};
}

int config_refuse(struct config_builder *builder, struct source source, const char *format, ...)
{
    char message[AW_ERROR_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return aw_error_set(builder->error, -EINVAL, "%s:%u: %s", source.file, source.line, message);
}

/* --- sections --------------------------------------------------------------------------------- */

void *section_object(struct config_builder *builder, const struct section *section)
{
    switch (section->kind) {
    case SECTION_SOCKET:
        return &builder->config.sockets[section->index];
    case SECTION_TARGET:
        return &builder->config.targets[section->index];
    case SECTION_QUEUE:
        return &builder->config.queues[section->index];
    case SECTION_DAEMON:
        break;
    }
    return &builder->config;
}

/* NULL for [daemon]. */
static const char *section_name(const struct config_builder *builder,
                                const struct section *section)
{
    switch (section->kind) {
    case SECTION_SOCKET:
        return builder->config.sockets[section->index].name;
    case SECTION_TARGET:
        return builder->config.targets[section->index].name;
    case SECTION_QUEUE:
        return builder->config.queues[section->index].name;
    case SECTION_DAEMON:
        break;
    }
    return NULL;
}

const char *section_title(const struct config_builder *builder, const struct section *section,
                          char title[SECTION_TITLE_SIZE])
{
    const char *name = section_name(builder, section);
    snprintf(title, SECTION_TITLE_SIZE, "[%s%s%s]", kind_words[section->kind], name ? " " : "",
             name ? name : "");
    return title;
}

static struct section *find_section(struct config_builder *builder, enum section_kind kind,
                                    const char *name)
{
    for (uint32_t i = 0; i < builder->section_count; i++) {
        struct section *section = &builder->sections[i];
        if (section->kind != kind)
            continue;
        const char *section_is = section_name(builder, section);
        if (!section_is || strcmp(section_is, name) == 0)
            return section;
    }
    return NULL;
}

/* Adds an element with its defaults and this name to the configuration's array of the kind. */
static int add_element(struct config *config, enum section_kind kind, const char *name,
                       uint32_t *ret_index)
{
    char *copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    if (kind == SECTION_SOCKET) {
        size_t size = (config->socket_count + 1) * sizeof *config->sockets;
        struct config_socket *sockets = realloc(config->sockets, size);
        if (sockets) {
            config->sockets = sockets;
            config_socket_set_defaults(&sockets[config->socket_count]);
            sockets[config->socket_count].name = copy;
            *ret_index = config->socket_count++;
            return 0;
        }
    } else if (kind == SECTION_TARGET) {
        size_t size = (config->target_count + 1) * sizeof *config->targets;
        struct config_target *targets = realloc(config->targets, size);
        if (targets) {
            config->targets = targets;
            config_target_set_defaults(&targets[config->target_count]);
            targets[config->target_count].name = copy;
            *ret_index = config->target_count++;
            return 0;
        }
    } else {
        size_t size = (config->queue_count + 1) * sizeof *config->queues;
        struct config_queue *queues = realloc(config->queues, size);
        if (queues) {
            config->queues = queues;
            config_queue_set_defaults(&queues[config->queue_count]);
            queues[config->queue_count].name = copy;
            *ret_index = config->queue_count++;
            return 0;
        }
    }
    free(copy);
    return -ENOMEM;
}

static struct section *add_section(struct config_builder *builder, enum section_kind kind,
                                   const char *name, struct source source, int *ret_result)
{
    if (builder->section_count == SECTIONS_MAX) {
        *ret_result =
            config_refuse(builder, source, "there are more than %d sections", SECTIONS_MAX);
        return NULL;
    }
    *ret_result = -ENOMEM;
    struct section *sections =
        realloc(builder->sections, (builder->section_count + 1) * sizeof *sections);
    if (!sections)
        return NULL;
    builder->sections = sections;
    uint32_t index = 0;
    if (kind != SECTION_DAEMON && add_element(&builder->config, kind, name, &index) < 0)
        return NULL;
    struct section *section = &sections[builder->section_count++];
    *section = (struct section){.kind = kind, .index = index, .first = source, .last = source};
    *ret_result = 0;
    return section;
}

/* The kind that the header's first word says, or -EINVAL. */
static int read_kind(struct config_builder *builder, struct source source, const char *header,
                     size_t word_size)
{
    for (int kind = SECTION_DAEMON; kind <= SECTION_QUEUE; kind++)
        if (strlen(kind_words[kind]) == word_size &&
            memcmp(kind_words[kind], header, word_size) == 0)
            return kind;
    const char *nearest = word_nearest(header, word_size, kind_words);
    return config_refuse(builder, source,
                         "unknown section [%.60s]%s%s%s; known: [daemon] [socket NAME] "
                         "[target NAME] [queue NAME]",
                         header, nearest ? "; did you mean [" : "", nearest ? nearest : "",
                         nearest ? " ...]?" : "");
}

struct section *config_builder_open(struct config_builder *builder, struct source source,
                                    const char *header, int *ret_result)
{
    size_t word_size = strcspn(header, " \t");
    int kind = read_kind(builder, source, header, word_size);
    *ret_result = kind;
    if (kind < 0)
        return NULL;
    const char *name = header + word_size + strspn(header + word_size, " \t");
    *ret_result = -EINVAL;
    if (kind == SECTION_DAEMON && *name) {
        config_refuse(builder, source, "section [daemon] has no name");
        return NULL;
    }
    const char *reason;
    if (kind != SECTION_DAEMON && !name_is_valid(name, strlen(name), &reason)) {
        config_refuse(builder, source, "the name '%.70s' in [%s NAME] %s", name, kind_words[kind],
                      reason);
        return NULL;
    }
    struct section *section = find_section(builder, (enum section_kind)kind, name);
    if (!section)
        return add_section(builder, (enum section_kind)kind, name, source, ret_result);
    if (section->last.file == source.file) {
        config_refuse(builder, source, "section [%s] is in line %u of this file already", header,
                      section->last.line);
        return NULL;
    }
    section->last = source;
    *ret_result = 0;
    return section;
}

/* --- keys ------------------------------------------------------------------------------------- */

static int refuse_key(struct config_builder *builder, const struct section *section,
                      struct source source, const char *name)
{
    const char *words[CONFIG_KEYS_MAX + 1];
    char known[CONFIG_KEYS_MAX * 20] = "";
    size_t size = 0;
    uint32_t count = config_key_counts[section->kind];
    for (uint32_t i = 0; i < count; i++) {
        words[i] = config_keys[section->kind][i].name;
        size += (size_t)snprintf(known + size, sizeof known - size, " %s", words[i]);
    }
    words[count] = NULL;
    char title[SECTION_TITLE_SIZE];
    const char *nearest = word_nearest(name, strlen(name), words);
    return config_refuse(builder, source, "unknown key '%.40s' in %s%s%s%s; known:%s", name,
                         section_title(builder, section, title),
                         nearest ? "; did you mean '" : "", nearest ? nearest : "",
                         nearest ? "'?" : "", known);
}

int config_builder_set(struct config_builder *builder, struct section *section,
                       struct source source, const char *name, const char *value)
{
    int position = config_key_find(section->kind, name);
    if (position < 0)
        return refuse_key(builder, section, source, name);
    struct source *set = &section->set[position];
    char title[SECTION_TITLE_SIZE];
    if (set->file == source.file)
        return config_refuse(builder, source, "%s in %s is in line %u of this file already", name,
                             section_title(builder, section, title), set->line);
    char reason[CONFIG_REASON_SIZE];
    int result = config_value_set(&config_keys[section->kind][position],
                                  section_object(builder, section), value, reason);
    if (result == -EINVAL)
        return config_refuse(builder, source, "%s in %s %s", name,
                             section_title(builder, section, title), reason);
    if (result < 0)
        return result;
    *set = source;
    return 0;
}
