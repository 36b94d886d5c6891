/* scenario_queue.c - the daemon's queue: broker, committer, store and SQLite, with model engines.
 *
 * Clients submit, watch and cancel; engines fail in every way; the process is crashed, the disk
 * loses what was not synced. After each start the whole store is held against what was promised
 * (queue_check.c), and in the last, calm life every job must end within bounded virtual time. */
#include "sim/queue_book.h"

#include "admin/log.h"

#include <errno.h>
#include <string.h>

#define CLIENTS_MAX 16u
#define END_MAX_MS (UINT64_C(24) * 3600 * 1000)
#define ROOM_BYTES ((uint64_t)256 << 20)

static const char configuration_text[] = "[daemon]\n"
                                         "state = /lib/state\n"
                                         "memory_max = 1M\n"
                                         "disk_free_min = 0\n"
                                         "[target one]\n"
                                         "type = postgres\n"
                                         "uri = postgresql://model\n"
                                         "connections = 2\n"
                                         "pipeline = 4\n"
                                         "[target two]\n"
                                         "type = redis\n"
                                         "uri = redis://model:1\n"
                                         "connections = 1\n"
                                         "pipeline = 16\n"
                                         "[queue q0]\n"
                                         "concurrency = 3\n"
                                         "[queue q1]\n"
                                         "keep_dead = 100d\n";

static void prepare(void)
{
    struct random *random = &world->random;
    struct queue_book *book = queue_book();
    uint32_t folder;
    if (disk_make(&world->disk, DISK_ROOT, "lib", true, 0700, &folder) == 0)
        disk_sync_names(&world->disk, DISK_ROOT);
    book->next = 1;
    book->clients = 1 + (uint32_t)random_below(random, CLIENTS_MAX);
    book->steps = (uint32_t)random_magnitude(random, 8);
    book->size_bits = 4 + (uint32_t)random_below(random, random_chance(random, 100000) ? 15 : 10);
    book->memory_max = random_magnitude(random, 20);
    book->execution_max_ms = (uint32_t)random_magnitude(random, 12);
    book->queues = 1 + (uint32_t)random_below(random, 4);
    book->delay_bits = 4 + (uint32_t)random_below(random, 14);
    book->engine_fails = random_chance(random, 800000);
    book->graphs = random_chance(random, 600000);
    book->steers = random_chance(random, 500000);
}

/* A disk that is full for a while. */
static int fill_disk(void *argument)
{
    (void)argument;
    while (world->swarm.disk_fills && !world->calm &&
           aw_sleep(random_below(&world->random, 3000)) == 0) {
        uint64_t used = world->disk.capacity - disk_free_bytes(&world->disk);
        bool full = random_chance(&world->random, 500000);
        world->disk.capacity = full ? used + random_below(&world->random, 100000) : ROOM_BYTES;
    }
    world->disk.capacity = ROOM_BYTES;
    return 0;
}

static bool wait_for_all_ends(struct broker *broker)
{
    uint64_t limit_ns = aw_after_ms(END_MAX_MS);
    uint64_t pause_ms = 100;
    for (;;) {
        int64_t waiting = queue_check(broker, false);
        if (waiting <= 0)
            return waiting == 0;
        if (aw_now_ns() >= limit_ns)
            world_fail("%lld jobs have not ended a day after the last fault", (long long)waiting);
        (void)aw_sleep(pause_ms);
        pause_ms = pause_ms < 60000 ? pause_ms * 2 : pause_ms;
    }
}

static void run_clients(struct broker *broker)
{
    struct aw_group clients;
    struct aw_task *filling = NULL;
    aw_group_init(&clients, AW_GROUP_COLLECT);
    if (aw_spawn(&filling, fill_disk, NULL) < 0)
        world_fail("no memory for a task");
    for (uint32_t i = 0; i < queue_book()->clients; i++)
        if (aw_group_spawn(&clients, queue_client, broker) < 0)
            world_fail("no memory for a task");
    AW_IGNORE(aw_group_wait(&clients));
    if (!world->calm)
        (void)aw_sleep(random_below(&world->random, 20000));
    aw_cancel(filling);
    AW_IGNORE(aw_await(filling));
}

static int open_broker(const struct config *configuration, struct broker **ret_broker)
{
    struct aw_error error = {0};
    for (uint32_t token = 1; token < queue_book()->next; token++)
        queue_book()->jobs[token].running = false;
    int result = broker_open(configuration, ret_broker, &error);
    if (result == 0)
        return 0;
    if (world->faults == 0)
        world_fail("the queue does not open: %s", error.message);
    return LIFE_NOT_STARTED;
}

static int live(void *argument)
{
    (void)argument;
    static struct config configuration;
    struct aw_error error;
    struct broker *broker;
    world->disk.capacity = ROOM_BYTES;
    log_set_level(world->verbose ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR);
    if (config_parse("sim", configuration_text, strlen(configuration_text), &configuration,
                     &error) < 0)
        world_fail("%s", error.message);
    configuration.memory_max = queue_book()->memory_max;
    int result = open_broker(&configuration, &broker);
    if (result != 0)
        return result;
    if (queue_check(broker, true) < 0)
        return world->faults > 0 ? LIFE_FATAL : LIFE_BROKEN;
    world_recovered();
    run_clients(broker);
    if (world->calm)
        steer_resume_all(broker);
    if (world->calm && !wait_for_all_ends(broker))
        world_fail("the store cannot be read");
    broker_close(broker);
    config_free(&configuration);
    return LIFE_CLEAN;
}

const struct scenario scenario_queue = {
    .name = "queue",
    .prepare = prepare,
    .live = live,
    .mutations = 1u << MUTATION_NO_SYNC | 1u << MUTATION_NO_DIRECTORY_SYNC |
                 1u << MUTATION_EARLY_ANSWER | 1u << MUTATION_FALSE_COMMIT |
                 1u << MUTATION_SYNC_IGNORED,
    .lives_max = 8,
    .crash_bits = 12,
};
