/* config_users.c - the ids of the users and groups that the configuration names: who owns a socket,
 * who may use a target. Look-ups have no asynchronous form: they run on a thread. */
#include "config/config_builder.h"
#include "protocol/number.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define LOOKUP_BUFFER_SIZE 16384
#define NAME_SIZE_MAX 256
#define SEPARATORS " \t,"

struct lookup {
    const char *name;
    bool is_group;
    uint32_t id;
};

/* On a thread. */
static int look_up_on_thread(void *argument)
{
    struct lookup *lookup = argument;
    char *scratch = malloc(LOOKUP_BUFFER_SIZE);
    if (!scratch)
        return -ENOMEM;
    struct passwd user;
    struct passwd *found_user = NULL;
    struct group group;
    struct group *found_group = NULL;
    int number = lookup->is_group ? getgrnam_r(lookup->name, &group, scratch, LOOKUP_BUFFER_SIZE,
                                               &found_group)
                                  : getpwnam_r(lookup->name, &user, scratch, LOOKUP_BUFFER_SIZE,
                                               &found_user);
    if (found_user)
        lookup->id = found_user->pw_uid;
    if (found_group)
        lookup->id = found_group->gr_gid;
    free(scratch);
    return found_user || found_group ? 0 : number > 0 ? -number : -ENOENT;
}

/* A number is itself. -ENOENT: nobody of that name. */
static int look_up(const char *name, bool is_group, uint32_t *ret_id)
{
    uint64_t number;
    struct lookup lookup = {.name = name, .is_group = is_group};
    int result = 0;
    if (number_parse_unsigned(name, strlen(name), 0, UINT32_MAX - 1, &number) == 0)
        lookup.id = (uint32_t)number;
    else
        result = aw_to_thread(look_up_on_thread, &lookup);
    if (result == 0)
        *ret_id = lookup.id;
    return result;
}

static int refuse_name(struct config_builder *builder, const struct section *section,
                       const char *key, bool is_group, const char *name, int result)
{
    char title[SECTION_TITLE_SIZE];
    if (result == -ENOMEM || result == -ECANCELED)
        return result;
    return config_refuse(builder, config_source_of(section, key),
                         "%s '%.60s' of %s is not known on this machine (%s)",
                         is_group ? "group" : "user", name, section_title(builder, section, title),
                         aw_error_text(result));
}

int config_load_owner(struct config_builder *builder, const struct section *section)
{
    struct config_socket *socket = &builder->config.sockets[section->index];
    int result = socket->user ? look_up(socket->user, false, &socket->uid) : 0;
    if (result < 0)
        return refuse_name(builder, section, "user", false, socket->user, result);
    result = socket->group ? look_up(socket->group, true, &socket->gid) : 0;
    if (result < 0)
        return refuse_name(builder, section, "group", true, socket->group, result);
    return 0;
}

/* The ids of the names in `words`. */
static int load_ids(struct config_builder *builder, const struct section *section, const char *key,
                    const char *words, bool is_group, struct config_ids *ids)
{
    for (const char *at = words + strspn(words, SEPARATORS); *at; at += strspn(at, SEPARATORS)) {
        char name[NAME_SIZE_MAX];
        size_t size = strcspn(at, SEPARATORS);
        size_t kept = size < sizeof name ? size : sizeof name - 1;
        memcpy(name, at, kept);
        name[kept] = '\0';
        at += size;
        uint32_t *list = realloc(ids->list, (ids->count + 1) * sizeof *list);
        if (!list)
            return -ENOMEM;
        ids->list = list;
        int result = look_up(name, is_group, &list[ids->count]);
        if (result < 0)
            return refuse_name(builder, section, key, is_group, name, result);
        ids->count++;
    }
    char title[SECTION_TITLE_SIZE];
    if (ids->count == 0)
        return config_refuse(builder, config_source_of(section, key), "%s in %s names nobody", key,
                             section_title(builder, section, title));
    return 0;
}

int config_load_access(struct config_builder *builder, const struct section *section)
{
    struct config_target *target = &builder->config.targets[section->index];
    int result = 0;
    if (target->users)
        result = load_ids(builder, section, "users", target->users, false, &target->uids);
    if (result == 0 && target->groups)
        result = load_ids(builder, section, "groups", target->groups, true, &target->gids);
    return result;
}
