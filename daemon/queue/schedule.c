/* schedule.c - the schedules in memory: finding, zones, reading them at the start. */
#include "queue/schedule.h"

#include "admin/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ZONE_DEFAULT "UTC"

static int compare(const struct schedule *schedule, struct argument name)
{
    size_t size = strlen(schedule->name);
    int order = memcmp(schedule->name, name.data, size < name.size ? size : name.size);
    return order ? order : size < name.size ? -1 : size > name.size;
}

struct schedule *schedule_find(const struct schedules *schedules, struct argument name,
                               uint32_t *ret_index)
{
    uint32_t low = 0;
    uint32_t high = schedules->count;
    struct schedule *found = NULL;
    while (low < high && !found) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare(schedules->list[middle], name);
        if (order < 0)
            low = middle + 1;
        else if (order > 0)
            high = middle;
        else {
            found = schedules->list[middle];
            low = middle;
        }
    }
    if (ret_index)
        *ret_index = low;
    return found;
}

static struct argument name_of(const struct schedule *schedule)
{
    return (struct argument){.data = schedule->name, .size = (uint32_t)strlen(schedule->name)};
}

int schedule_insert(struct schedules *schedules, struct schedule *schedule)
{
    if (schedules->count == schedules->capacity) {
        uint32_t capacity = schedules->capacity ? 2 * schedules->capacity : 16;
        struct schedule **list = realloc(schedules->list, capacity * sizeof(struct schedule *));
        if (!list)
            return -ENOMEM;
        schedules->list = list;
        schedules->capacity = capacity;
    }
    uint32_t index;
    (void)schedule_find(schedules, name_of(schedule), &index);
    memmove(schedules->list + index + 1, schedules->list + index,
            (schedules->count - index) * sizeof(struct schedule *));
    schedules->list[index] = schedule;
    schedules->count++;
    return 0;
}

static void free_schedule(struct schedule *schedule)
{
    job_free(schedule->plan.request);
    free(schedule->error);
    free(schedule);
}

void schedule_remove(struct schedules *schedules, struct schedule *schedule)
{
    uint32_t index;
    (void)schedule_find(schedules, name_of(schedule), &index);
    schedules->count--;
    memmove(schedules->list + index, schedules->list + index + 1,
            (schedules->count - index) * sizeof(struct schedule *));
    free_schedule(schedule);
}

struct store_schedule schedule_row(const struct schedule *schedule)
{
    const struct schedule_plan *plan = &schedule->plan;
    return (struct store_schedule){
        .name = schedule->name,
        .expression = plan->expression_text,
        .zone = plan->zone ? plan->zone->name : "",
        .misfire = plan->misfire,
        .next_ms = schedule->next_ms,
        .last_ms = schedule->last_ms,
        .last_job = schedule->last_job,
        .request = plan->request ? plan->request->payload : NULL,
        .request_size = plan->request ? plan->request->payload_size : 0,
    };
}

/* --- zones ----------------------------------------------------------------------------- */

static const struct schedule_zone *find_zone(const struct schedules *schedules,
                                             struct argument name)
{
    const struct schedule_zone *zone = schedules->zones;
    while (zone && (strlen(zone->name) != name.size ||
                    memcmp(zone->name, name.data, name.size) != 0))
        zone = zone->next;
    return zone;
}

int schedule_zone(struct schedules *schedules, struct argument name,
                  const struct schedule_zone **ret_zone, struct aw_error *reterr)
{
    *ret_zone = find_zone(schedules, name);
    if (*ret_zone)
        return 0;
    if (!time_zone_name_is_valid(name.data, name.size))
        return aw_error_set(reterr, -ENOENT, "'%.*s' is no time zone's name, such as Europe/Berlin",
                            (int)(name.size < 64 ? name.size : 64), name.data);
    struct schedule_zone *zone = calloc(1, sizeof *zone);
    if (!zone)
        return aw_error_set(reterr, -ENOMEM, "no memory for the time zone");
    memcpy(zone->name, name.data, name.size);
    int result = time_zone_load(zone->name, &zone->zone, reterr);
    /* another task may have loaded it meanwhile */
    *ret_zone = result == 0 ? find_zone(schedules, name) : NULL;
    if (result < 0 || *ret_zone) {
        time_zone_free(zone->zone);
        free(zone);
        return result;
    }
    zone->next = schedules->zones;
    schedules->zones = zone;
    *ret_zone = zone;
    return 0;
}

/* --- the start ------------------------------------------------------------------------- */

/* What one row becomes; its zone's name waits for its file. */
struct loading {
    struct broker *broker;
    struct aw_error *error;
    int result;
};

static bool load_row(void *context, const struct store_schedule *row)
{
    struct loading *loading = context;
    struct schedules *schedules = loading->broker->schedules;
    struct schedule *schedule = calloc(1, sizeof *schedule);
    struct aw_error error = {0};
    bool corrupt = false;
    loading->result = -ENOMEM;
    if (!schedule)
        return false;
    schedule->broker = loading->broker;
    schedule->stored = true;
    schedule->next_ms = row->next_ms;
    schedule->last_ms = row->last_ms;
    schedule->last_job = row->last_job;
    schedule->plan.misfire = row->misfire <= MISFIRE_ALL ? (enum misfire)row->misfire
                                                          : MISFIRE_ONCE;
    schedule->plan.request = job_from_payload(row->request, row->request_size, &corrupt);
    if (strlen(row->name) >= sizeof schedule->name ||
        strlen(row->expression) >= sizeof schedule->plan.expression_text || corrupt) {
        loading->result = aw_error_set(loading->error, -EBADMSG,
                                       "queue: the schedule '%.64s' in queue.db is damaged",
                                       row->name);
        free_schedule(schedule);
        return false;
    }
    strcpy(schedule->name, row->name);
    strcpy(schedule->plan.expression_text, row->expression);
    int parsed = cron_expression_parse(row->expression, strlen(row->expression),
                                       &schedule->plan.expression, &error);
    struct argument zone = {.data = row->zone, .size = (uint32_t)strlen(row->zone)};
    if (parsed == 0)
        parsed = schedule_zone(schedules, zone, &schedule->plan.zone, &error);
    if (!schedule->plan.request || parsed == -ENOMEM || schedule_insert(schedules, schedule) < 0) {
        free_schedule(schedule);
        return false;
    }
    if (parsed < 0)
        schedule_failed(schedule, &error);
    schedules->bytes += row->request_size;
    loading->result = 0;
    return true;
}

int schedules_open(struct broker *broker, struct aw_error *reterr)
{
    struct schedules *schedules = calloc(1, sizeof *schedules);
    if (!schedules)
        return aw_error_set(reterr, -ENOMEM, "queue: no memory for the schedules");
    broker->schedules = schedules;
    aw_event_init(&schedules->changed);
    const char *zone = broker->configuration->zone ? broker->configuration->zone : ZONE_DEFAULT;
    struct argument name = {.data = zone, .size = (uint32_t)strlen(zone)};
    struct aw_error error = {0};
    int result = schedule_zone(schedules, name, &schedules->zone_default, &error);
    if (result < 0)
        return aw_error_set(reterr, result, "[daemon] zone: %s", error.message);
    struct loading loading = {.broker = broker, .error = reterr};
    result = store_read_schedules(broker->store, load_row, &loading, reterr);
    if (result == 0 && loading.result == -ENOMEM)
        return aw_error_set(reterr, -ENOMEM, "queue: no memory for the schedules");
    if (result == 0)
        result = loading.result;
    uint64_t now_ms = aw_wall_ms();
    for (uint32_t i = 0; i < schedules->count && result == 0; i++)
        schedule_heal(schedules->list[i], now_ms);
    return result;
}

void schedules_free(struct schedules *schedules)
{
    if (!schedules)
        return;
    for (uint32_t i = 0; i < schedules->count; i++)
        free_schedule(schedules->list[i]);
    while (schedules->zones) {
        struct schedule_zone *zone = schedules->zones;
        schedules->zones = zone->next;
        time_zone_free(zone->zone);
        free(zone);
    }
    free(schedules->list);
    free(schedules);
}
