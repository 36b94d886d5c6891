/* check.c - see check.h. */
#include "admin/check.h"

#include "targets/target_make.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define GRACE_MS 1000u /* beyond the connect timeout, for the answer */
#define NFS_MAGIC 0x6969
#define CIFS_MAGIC 0xff534d42
#define SMB2_MAGIC 0xfe534d42
#define FUSE_MAGIC 0x65735546
#define TMPFS_MAGIC 0x01021994

/* --- the state folder ------------------------------------------------------------------------- */

struct file_system {
    const char *path;
    unsigned long magic;
};

/* On a thread. */
static int look_at_file_system(void *argument)
{
    struct file_system *system = argument;
    struct statfs status;
    if (statfs(system->path, &status) < 0) /* lint: direct - on a thread, for a check */
        return -errno;
    system->magic = (unsigned long)status.f_type & 0xffffffff;
    return 0;
}

/* Why that file system is no place for the queue, or NULL. */
static const char *objection_to(unsigned long magic)
{
    switch (magic) {
    case NFS_MAGIC:
    case CIFS_MAGIC:
    case SMB2_MAGIC:
        return "a network file system: locks and syncs there are not what a queue needs; take a "
               "local disk";
    case TMPFS_MAGIC:
        return "in memory (tmpfs): jobs do not survive a restart of the machine; take a disk";
    case FUSE_MAGIC:
        return "a FUSE file system: whether it syncs is its own affair; take a local disk";
    default:
        return NULL;
    }
}

static enum check_result check_room(const struct config *configuration, struct buffer *out)
{
    uint64_t bytes;
    int result = aw_disk_free(configuration->state, &bytes);
    if (result < 0) {
        buffer_printf(out, "state: the free space of %s is not known: %s\n", configuration->state,
                      aw_error_text(result));
        return CHECK_FINE;
    }
    if (bytes < configuration->disk_free_min) {
        buffer_printf(out,
                      "state: %s has %llu MiB free, less than disk_free_min (%llu MiB): jobs would "
                      "be refused; make room or lower it\n",
                      configuration->state, (unsigned long long)bytes >> 20,
                      (unsigned long long)configuration->disk_free_min >> 20);
        return CHECK_STATE;
    }
    buffer_printf(out, "state: %s is writable, %llu MiB are free\n", configuration->state,
                  (unsigned long long)bytes >> 20);
    return CHECK_FINE;
}

static enum check_result check_state(const struct config *configuration, struct buffer *out)
{
    struct file_system system = {.path = configuration->state};
    int fd = aw_temporary_unnamed(configuration->state);
    if (fd < 0) {
        buffer_printf(out,
                      "state: cannot write to the folder %s: %s; make it (mkdir), give it to the "
                      "daemon's user (chown), and name it in ReadWritePaths= if the service is "
                      "confined\n",
                      configuration->state, aw_error_text(fd));
        return CHECK_STATE;
    }
    AW_IGNORE(aw_close(fd));
    const char *objection = NULL;
    if (aw_to_thread(look_at_file_system, &system) == 0)
        objection = objection_to(system.magic);
    if (objection)
        buffer_printf(out, "state: warning: %s is on %s\n", configuration->state, objection);
    return check_room(configuration, out);
}

/* --- targets ---------------------------------------------------------------------------------- */

static const char *remedy_for(uint32_t type)
{
    switch (type) {
    case TARGET_TYPE_POSTGRES:
        return "try psql with its uri; look at the password, pg_hba.conf and listen_addresses";
    case TARGET_TYPE_REDIS:
        return "try redis-cli -u with its uri; look at the password and the server's bind";
    case TARGET_TYPE_SQLITE:
        return "look at path, whether the daemon's user may write to the file and its folder, and "
               "at ReadWritePaths= of the service";
    default:
        return "try curl with its uri; look at ca_file and proxy";
    }
}

/* The least that shows whether the engine answers; 0: there is nothing to ask. */
static uint32_t question_for(const struct config_target *settings, struct argument question[2])
{
    static const struct argument select = {.data = "SELECT 1", .size = 8};
    static const struct argument ping = {.data = "PING", .size = 4};
    static const struct argument head = {.data = "HEAD", .size = 4};
    static const struct argument root = {.data = "/", .size = 1};
    question[0] = settings->type == TARGET_TYPE_REDIS  ? ping
                  : settings->type == TARGET_TYPE_HTTP ? head
                                                       : select;
    question[1] = root;
    return settings->type == TARGET_TYPE_HTTP ? 2 : 1;
}

/* Whatever an HTTP server says, it is there. */
static bool is_answer(const struct config_target *settings, enum outcome_kind kind)
{
    return kind == OUTCOME_DONE || (settings->type == TARGET_TYPE_HTTP &&
                                    (kind == OUTCOME_RETRY || kind == OUTCOME_DEAD));
}

static bool ask(const struct config_target *settings, struct aw_error *reterr)
{
    struct target target;
    struct aw_group tasks;
    struct argument question[2];
    struct outcome outcome = {0};
    struct aw_scope scope;
    target_make(&target, settings);
    target.settings.store = "check";
    target.settings.delivery = TARGET_AT_LEAST_ONCE; /* no receipts, so no table for them */
    target.group = &tasks;
    aw_group_init(&tasks, AW_GROUP_COLLECT);
    int result = target.type->start(&target, reterr);
    if (result == 0) {
        struct execution execution = {.arguments = question, .result_size_max = 1 << 20};
        execution.argument_count = question_for(settings, question);
        aw_scope_enter(&scope, aw_after_ms(settings->connect_timeout_ms + GRACE_MS));
        target.type->execute(&target, &execution, &outcome);
        aw_scope_leave(&scope);
        if (!is_answer(settings, outcome.kind))
            result = aw_error_set(reterr, -ECONNREFUSED, "%s",
                                  outcome.message[0] ? outcome.message
                                  : target.down_reason[0] ? target.down_reason
                                                          : "no answer within connect_timeout");
        buffer_free(&outcome.result);
        aw_group_cancel(&tasks);
        AW_IGNORE(aw_group_wait(&tasks));
        target.type->stop(&target);
    }
    return result == 0;
}

/* A file that is not there yet is made by the daemon, if it may. */
static enum check_result check_new_file(const struct config_target *settings, struct buffer *out)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(settings->path, '/');
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - settings->path + 1),
                   settings->path);
    int fd = aw_temporary_unnamed(folder);
    if (fd >= 0)
        AW_IGNORE(aw_close(fd));
    if (fd >= 0)
        buffer_printf(out, "target %s: %s does not exist yet: the daemon makes it\n",
                      settings->name, settings->path);
    else
        buffer_printf(out, "target %s: does not answer: cannot make %s: %s; %s\n", settings->name,
                      settings->path, aw_error_text(fd), remedy_for(settings->type));
    return fd >= 0 ? CHECK_FINE : CHECK_TARGET;
}

static enum check_result check_target(const struct config_target *settings, struct buffer *out)
{
    struct aw_error error = {0};
    struct stat status;
    const char *name = settings->name;
    if (settings->type == TARGET_TYPE_WORKER) {
        buffer_printf(out, "target %s: waits for workers\n", name);
    } else if (settings->type == TARGET_TYPE_HTTP && !settings->uri) {
        buffer_printf(out, "target %s: calls the hosts that its jobs name\n", name);
    } else if (settings->type == TARGET_TYPE_SQLITE &&
               aw_stat(settings->path, &status) == -ENOENT) {
        return check_new_file(settings, out);
    } else if (ask(settings, &error)) {
        buffer_printf(out, "target %s: answers\n", name);
    } else {
        buffer_printf(out, "target %s: does not answer: %s; %s\n", name, error.message,
                      remedy_for(settings->type));
        return CHECK_TARGET;
    }
    return CHECK_FINE;
}

enum check_result check_surroundings(const struct config *configuration, struct buffer *out)
{
    enum check_result worst = check_state(configuration, out);
    for (uint32_t i = 0; i < configuration->target_count; i++) {
        enum check_result result = check_target(&configuration->targets[i], out);
        if (result > worst)
            worst = result;
    }
    return worst;
}
