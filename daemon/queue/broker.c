/* broker.c - the life of the queue: open, recover, start the targets; drain and close. See
 * broker.h. */
#include "queue/broker.h"

#include "admin/log.h"
#include "queue/broker_state.h"
#include "queue/opening.h"
#include "targets/target_make.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define DISK_CHECK_MS 1000u
#define FULL_DISK_WAIT_MS 3000u /* for room, at the end */

static void target_changed(struct target *target, void *context)
{
    struct target_lanes *lanes = context;
    const struct log_subject subject = {.target = target->settings.name};
    if (target->up)
        log_about(LOG_LEVEL_INFO, &subject, "target %s: up", target->settings.name);
    else
        log_about(LOG_LEVEL_WARNING, &subject, "target %s: down, its jobs wait: %s",
                  target->settings.name, target->down_reason);
    lanes->changed_ms = aw_wall_ms();
    note_target(lanes->broker, target);
    dispatch(lanes);
}

static void make_target(struct broker *broker, struct target_lanes *lanes,
                        const struct config_target *settings)
{
    lanes->broker = broker;
    target_make(&lanes->target, settings);
    lanes->target.group = &broker->background;
    lanes->target.changed = target_changed;
    lanes->target.finished = receipts_finished;
    lanes->target.context = lanes;
    lanes->capacity = target_capacity(&lanes->target);
    lanes->changed_ms = aw_wall_ms();
    token_bucket_init(&lanes->bucket, settings->rate_interval_ns, settings->rate_burst);
    traffic_init(&lanes->traffic, aw_now_ns());
}

static int make_targets(struct broker *broker, struct aw_error *reterr)
{
    const struct config *configuration = broker->configuration;
    broker->targets = calloc(configuration->target_count + 1, sizeof *broker->targets);
    if (!broker->targets)
        return aw_error_set(reterr, -ENOMEM, "no memory for the targets");
    broker->target_count = configuration->target_count;
    for (uint32_t i = 0; i < broker->target_count; i++)
        make_target(broker, &broker->targets[i], &configuration->targets[i]);
    return 0;
}

static int start_targets(struct broker *broker, struct aw_error *reterr)
{
    opening_step("starting the targets");
    for (uint32_t i = 0; i < broker->target_count; i++) {
        struct target *target = &broker->targets[i].target;
        struct aw_error error = {0};
        target->settings.store = store_name(broker->store);
        int result = target->type->start(target, &error);
        if (result < 0)
            return aw_error_set(reterr, result, "target %s: %s", target->settings.name,
                                error.message);
        broker->targets[i].started = true;
    }
    return 0;
}

/* Lanes without ready jobs need no look at the disk; those without a target never get one. */
static void complete_empty_lanes(struct broker *broker)
{
    for (uint32_t i = 0; i < broker->lane_count; i++)
        if (broker->lanes[i] && broker->lanes[i]->target &&
            broker->lanes[i]->counts[JOB_READY] == 0)
            broker->lanes[i]->complete = true;
}

static void check_disk(struct broker *broker)
{
    uint64_t bytes;
    /* a file system that cannot say is no reason to refuse: the store itself meets a full disk well
     */
    if (aw_disk_free(broker->configuration->state, &bytes) < 0)
        bytes = UINT64_MAX;
    broker->disk_free_bytes = bytes;
}

static int watch_disk(void *argument)
{
    struct broker *broker = argument;
    aw_task_set_name(NULL, "disk watcher");
    while (aw_sleep(DISK_CHECK_MS) == 0) {
        check_disk(broker);
        window_tick(broker);
        dispatch_all(broker);
    }
    return 0;
}

static int start_tasks(struct broker *broker, struct aw_error *reterr)
{
    int result = aw_group_spawn(&broker->commits, committer_main, &broker->committer);
    if (result == 0)
        result = clockwork_read(broker);
    if (result == 0)
        result = aw_group_spawn(&broker->background, clockwork_main, broker);
    if (result == 0)
        result = aw_group_spawn(&broker->background, watch_disk, broker);
    if (result == 0)
        result = aw_group_spawn(&broker->background, limits_main, broker);
    if (result < 0)
        return aw_error_set(reterr, result, "queue: cannot start its tasks: %s",
                            aw_error_text(result));
    return 0;
}

static void log_backlog(const struct broker *broker)
{
    int64_t waiting = 0;
    for (uint32_t i = 0; i < broker->lane_count; i++)
        if (broker->lanes[i])
            waiting +=
                broker->lanes[i]->counts[JOB_READY] + broker->lanes[i]->counts[JOB_SCHEDULED] +
                broker->lanes[i]->counts[JOB_BLOCKED];
    log_line(LOG_LEVEL_INFO, "queue %s/queue.db: %" PRId64 " jobs wait",
             broker->configuration->state, waiting);
}

static int open_store(struct broker *broker, struct aw_error *reterr)
{
    const char *state = broker->configuration->state;
    int made = aw_make_directory(state, 0700);
    if (made < 0 && made != -EEXIST)
        return aw_error_set(reterr, made, "state folder %s: %s; create it for awaitd's user", state,
                            aw_error_text(made));
    /* A folder whose name is not on the disk is lost with all its jobs when the power fails. Also
     * when it was there: a crash may have come between making and syncing. */
    int synced = aw_sync_directory_of(state);
    if (synced < 0 && (made == 0 || synced != -EACCES))
        return aw_error_set(reterr, synced, "state folder %s: cannot sync the folder it is in: %s",
                            state, aw_error_text(synced));
    int result = store_open(&broker->store, state, registry_stored_lane, registry_lane_by_id,
                            broker, reterr);
    if (result == 0)
        store_on_expire(broker->store, consequences_may_expire);
    return result;
}

int broker_open(const struct config *configuration, struct broker **ret_broker,
                struct aw_error *reterr)
{
    struct broker *broker = calloc(1, sizeof *broker);
    if (!broker || job_table_init(&broker->jobs) < 0) {
        free(broker);
        return aw_error_set(reterr, -ENOMEM, "no memory for the queue");
    }
    broker->configuration = configuration;
    broker->disk_free_bytes = UINT64_MAX;
    broker->next_token_ns = AW_NEVER;
    aw_event_init(&broker->clock_changed);
    aw_event_init(&broker->token_wanted);
    aw_group_init(&broker->background, AW_GROUP_COLLECT);
    aw_group_init(&broker->commits, AW_GROUP_COLLECT);
    aw_group_init(&broker->executions, AW_GROUP_COLLECT);
    int result = make_targets(broker, reterr);
    if (result == 0)
        result = open_store(broker, reterr);
    if (result == 0)
        result = pause_load(broker, reterr);
    if (result == 0) {
        committer_init(&broker->committer, broker->store);
        job_id_open(&broker->ids, configuration->node, store_id_ceiling(broker->store));
        complete_empty_lanes(broker);
        check_disk(broker);
        result = schedules_open(broker, reterr);
    }
    if (result == 0)
        result = start_tasks(broker, reterr);
    if (result == 0)
        result = start_targets(broker, reterr);
    if (result == 0) {
        result = aw_group_spawn(&broker->background, schedules_main, broker);
        if (result < 0)
            (void)aw_error_set(reterr, result, "queue: cannot start the schedules: %s",
                               aw_error_text(result));
    }
    if (result < 0) {
        broker_close(broker);
        return result;
    }
    log_backlog(broker);
    window_tick(broker);
    *ret_broker = broker;
    return 0;
}

void broker_drain(struct broker *broker, uint64_t deadline_ns)
{
    struct aw_scope scope;
    broker->stopping = true;
    broker->drained = true;
    aw_shield_enter(&scope, deadline_ns);
    while (aw_group_running(&broker->executions) > 0 && aw_sleep(10) == 0) {
    }
    aw_scope_leave(&scope);
    aw_shield_enter(&scope, AW_NEVER);
    aw_group_cancel(&broker->executions);
    AW_IGNORE(aw_group_wait(&broker->executions));
    /* a committer that never started, or has ended, would be waited for without end */
    if (aw_group_running(&broker->commits) > 0) {
        committer_give_up_at(&broker->committer, aw_after_ms(FULL_DISK_WAIT_MS));
        AW_IGNORE(broker_probe(broker));
    }
    aw_scope_leave(&scope);
}

void broker_configuration_changed(struct broker *broker)
{
    registry_look_up_settings(broker);
    window_tick(broker);
    dispatch_all(broker);
}

static void checkpoint_at_end(struct broker *broker)
{
    struct aw_error error;
    if (store_maintain(broker->store, true, &error) < 0)
        log_line(LOG_LEVEL_WARNING, "%s (nothing is lost: the next start recovers)",
                 error.message);
}

void broker_close(struct broker *broker)
{
    struct aw_scope shield;
    if (!broker->drained)
        broker_drain(broker, 0);
    aw_shield_enter(&shield, AW_NEVER);
    /* the committer ends last: the others may be waiting for it */
    aw_group_cancel(&broker->background);
    AW_IGNORE(aw_group_wait(&broker->background));
    committer_close(&broker->committer);
    AW_IGNORE(aw_group_wait(&broker->commits));
    for (uint32_t i = 0; i < broker->target_count; i++)
        if (broker->targets[i].started)
            broker->targets[i].target.type->stop(&broker->targets[i].target);
    if (broker->store) {
        checkpoint_at_end(broker);
        store_close(broker->store);
    }
    aw_scope_leave(&shield);
    schedules_free(broker->schedules);
    job_table_free(&broker->jobs);
    spares_free(&broker->records);
    spares_free(&broker->submissions);
    registry_free(broker);
    for (uint32_t i = 0; i < broker->target_count; i++)
        traffic_free(&broker->targets[i].traffic);
    free(broker->targets);
    free(broker);
}
