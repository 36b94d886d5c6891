/* config_builder.h - a configuration while it is read: the struct so far, and where each of its
 * sections and values was written, for errors. Private to daemon/config.
 *
 * Steps: begin, add_text for each file in order, finish. After a failure or the end, end. */
#ifndef CONFIG_CONFIG_BUILDER_H
#define CONFIG_CONFIG_BUILDER_H

#include "config/config.h"
#include "config/config_value.h"

#define SECTIONS_MAX 4096
#define CONFIG_KEYS_MAX 32 /* of one kind of section */

enum section_kind { SECTION_DAEMON, SECTION_SOCKET, SECTION_TARGET, SECTION_QUEUE };

struct source {
    const char *file; /* one of the builder's; NULL: nowhere */
    uint32_t line;
};

struct section {
    enum section_kind kind;
    uint32_t index; /* in the configuration's array of that kind */
    struct source first;
    struct source last; /* where it was opened last */
    struct source set[CONFIG_KEYS_MAX]; /* where each key was set last */
};

struct config_builder {
    struct config config;
    struct section *sections;
    uint32_t section_count;
    char **files;
    uint32_t file_count;
    struct aw_error *error; /* the first one; may be NULL */
};

void config_builder_begin(struct config_builder *builder, struct aw_error *reterr);

/* Adds the text of one file, whose values override those of the files before. -EINVAL, -ENOMEM. */
AW_MUST_CHECK int config_builder_add_text(struct config_builder *builder, const char *file,
                                          const char *text, size_t size);

/* Reads the file, its drop-ins, passwords and ids; everything of config_load but the result. */
AW_MUST_CHECK AW_SUSPENDS int config_builder_load(struct config_builder *builder,
                                                  const char *path);

/* Checks what spans several keys and fills in what depends on others. -EINVAL, -ENOMEM. */
AW_MUST_CHECK int config_builder_check(struct config_builder *builder);

/* Frees everything that is still the builder's. */
void config_builder_end(struct config_builder *builder);

/* For config_text.c: the section of this header's content ("target main"), made when it is new.
 * NULL: the error is set, *ret_result says -EINVAL or -ENOMEM. */
struct section *config_builder_open(struct config_builder *builder, struct source source,
                                    const char *header, int *ret_result);
AW_MUST_CHECK int config_builder_set(struct config_builder *builder, struct section *section,
                                     struct source source, const char *name, const char *value);

/* Sets the error "<file>:<line>: ..." and returns -EINVAL. */
int config_refuse(struct config_builder *builder, struct source source, const char *format, ...)
    AW_PRINTF(3, 4);

/* Where the key was set, or the section when it was not. */
struct source config_source_of(const struct section *section, const char *name);

/* Parts of config_builder_check that concern targets. */
int config_refuse_for_type(struct config_builder *builder, const struct section *section,
                           const char *name);
AW_MUST_CHECK int config_check_secrets(struct config_builder *builder,
                                       const struct section *section);
AW_MUST_CHECK int config_warn_password(struct config_builder *builder,
                                       const struct section *section);
AW_MUST_CHECK int config_check_http(struct config_builder *builder, const struct section *section);

/* config_users.c: fills in the ids of a socket's owner; of those who may use a target. */
AW_MUST_CHECK AW_SUSPENDS int config_load_owner(struct config_builder *builder,
                                                const struct section *section);
AW_MUST_CHECK AW_SUSPENDS int config_load_access(struct config_builder *builder,
                                                 const struct section *section);

/* "[target main]" */
#define SECTION_TITLE_SIZE 96
const char *section_title(const struct config_builder *builder, const struct section *section,
                          char title[SECTION_TITLE_SIZE]);
/* The struct that the section's keys are written to. */
void *section_object(struct config_builder *builder, const struct section *section);

/* The keys of a kind of section, and the position of one, or -1. */
extern const struct config_key *const config_keys[];
extern const uint32_t config_key_counts[];
int config_key_find(enum section_kind kind, const char *name);

void config_set_defaults(struct config *config);
void config_socket_set_defaults(struct config_socket *socket);
void config_target_set_defaults(struct config_target *target);
void config_queue_set_defaults(struct config_queue *queue);
AW_MUST_CHECK int config_warn(struct config *config, const char *format, ...) AW_PRINTF(2, 3);

#endif
