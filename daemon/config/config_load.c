/* config_load.c - the configuration's files: the main one, its drop-ins, and passwords. Listing
 * a directory has no asynchronous form: it runs on a thread. */
#include "config/config_builder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_SIZE_MAX (1u << 20)
#define DROP_INS_MAX 1000
#define PASSWORD_SIZE_MAX 4096

/* --- files ------------------------------------------------------------------------------------ */

static int add_file_text(struct config_builder *builder, const char *path)
{
    char *text;
    size_t size;
    int result = aw_read_file(path, FILE_SIZE_MAX, &text, &size);
    if (result < 0)
        return aw_error_set(builder->error, result, "cannot read the configuration %s: %s%s", path,
                            aw_error_text(result),
                            result == -ENOENT ? "; name another one with --config FILE" : "");
    result = config_builder_add_text(builder, path, text, size);
    free(text);
    return result;
}

struct drop_ins {
    const char *folder;
    struct dirent **entries; /* in the order of their names */
    int count;
};

static int is_drop_in(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);
    return entry->d_name[0] != '.' && size > 5 && strcmp(entry->d_name + size - 5, ".conf") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* On a thread. */
static int list_drop_ins(void *argument)
{
    struct drop_ins *drop_ins = argument;
    int count = scandir(drop_ins->folder, &drop_ins->entries, is_drop_in, by_bytes);
    if (count < 0)
        return errno == ENOENT ? 0 : -errno;
    drop_ins->count = count;
    return 0;
}

static int add_drop_in_texts(struct config_builder *builder, const struct drop_ins *drop_ins)
{
    if (drop_ins->count > DROP_INS_MAX)
        return aw_error_set(builder->error, -EINVAL, "%s has more than %d files",
                            drop_ins->folder, DROP_INS_MAX);
    for (int i = 0; i < drop_ins->count; i++) {
        char *path;
        if (asprintf(&path, "%s/%s", drop_ins->folder, drop_ins->entries[i]->d_name) < 0)
            return -ENOMEM;
        int result = add_file_text(builder, path);
        free(path);
        if (result < 0)
            return result;
    }
    return 0;
}

static int add_drop_ins(struct config_builder *builder, const char *path)
{
    char *folder;
    if (asprintf(&folder, "%s.d", path) < 0)
        return -ENOMEM;
    struct drop_ins drop_ins = {.folder = folder};
    int result = aw_to_thread(list_drop_ins, &drop_ins);
    if (result < 0)
        aw_error_set(builder->error, result, "cannot list %s: %s", folder, aw_error_text(result));
    else
        result = add_drop_in_texts(builder, &drop_ins);
    for (int i = 0; i < drop_ins.count; i++)
        free(drop_ins.entries[i]);
    free(drop_ins.entries);
    free(folder);
    return result;
}

/* --- passwords -------------------------------------------------------------------------------- */

static int read_password(struct config_builder *builder, struct source source, const char *path,
                         struct config_target *target)
{
    struct stat status;
    int result = aw_stat(path, &status);
    char *password = NULL;
    size_t size = 0;
    if (result == 0)
        result = aw_read_file(path, PASSWORD_SIZE_MAX, &password, &size);
    if (result < 0)
        return aw_error_set(builder->error, result,
                            "%s:%u: cannot read the password of [target %s] in %s: %s",
                            source.file, source.line, target->name, path, aw_error_text(result));
    if (size > 0 && password[size - 1] == '\n')
        password[--size] = '\0';
    if (size > 0 && password[size - 1] == '\r')
        password[--size] = '\0';
    if (size == 0 || memchr(password, '\0', size)) {
        if (size > 0)
            explicit_bzero(password, size);
        free(password);
        return config_refuse(builder, source, "%s %s: it should hold the password of [target %s]",
                             path, size == 0 ? "is empty" : "has a NUL byte", target->name);
    }
    target->password = password;
    if (status.st_mode & S_IROTH)
        return config_warn(&builder->config,
                           "%s:%u: everybody can read the password in %s: chmod o-r it",
                           source.file, source.line, path);
    return 0;
}

static int load_password(struct config_builder *builder, const struct section *section)
{
    struct config_target *target = &builder->config.targets[section->index];
    if (target->password_file)
        return read_password(builder, config_source_of(section, "password_file"),
                             target->password_file, target);
    if (!target->credential)
        return 0;
    struct source source = config_source_of(section, "credential");
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (!folder)
        return config_refuse(builder, source,
                             "there is no credential '%.60s': CREDENTIALS_DIRECTORY is not set; "
                             "give the service LoadCredential=%.60s:PATH, or use password_file",
                             target->credential, target->credential);
    char *path;
    if (asprintf(&path, "%s/%s", folder, target->credential) < 0)
        return -ENOMEM;
    int result = read_password(builder, source, path, target);
    free(path);
    return result;
}

/* --- all of it -------------------------------------------------------------------------------- */

static int load_target(struct config_builder *builder, const struct section *section)
{
    int result = load_password(builder, section);
    return result < 0 ? result : config_load_access(builder, section);
}

int config_builder_load(struct config_builder *builder, const char *path)
{
    int result = add_file_text(builder, path);
    if (result == 0)
        result = add_drop_ins(builder, path);
    if (result == 0)
        result = config_builder_check(builder);
    for (uint32_t i = 0; i < builder->section_count && result == 0; i++) {
        const struct section *section = &builder->sections[i];
        if (section->kind == SECTION_TARGET)
            result = load_target(builder, section);
        else if (section->kind == SECTION_SOCKET)
            result = config_load_owner(builder, section);
    }
    return result;
}

int config_load(const char *path, struct config *ret_config, struct aw_error *reterr)
{
    struct aw_error error = {0};
    struct config_builder builder;
    config_builder_begin(&builder, &error);
    int result = config_builder_load(&builder, path);
    if (result == 0) {
        *ret_config = builder.config;
        builder.config = (struct config){0};
    } else {
        /* What had no message of its own: memory, or a cancelled load. */
        if (error.number == 0)
            aw_error_set(&error, result, "cannot load the configuration %s: %s", path,
                         aw_error_text(result));
        if (reterr)
            *reterr = error;
    }
    config_builder_end(&builder);
    return result;
}
