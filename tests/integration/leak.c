/* leak.c - many tasks, each cancelled at a random point of what it does; then nothing may be left.
 *
 *     leak TASKS [SEED]
 *
 * Batches of tasks of every kind below; some are cancelled before they first run, some after a
 * random number of turns, some never. After a quarter, when the pools have grown to what a batch
 * needs, and at the end it counts descriptors, slots of operations, tasks, heap and memory: what
 * has grown fails. `make test-leak` runs a million; test_leak.py fewer. */
#include "core/sanitize.h"
#include "ring/operation.h"

#include <await.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 500
#define HEAP_SLACK_BYTES (64 * 1024) /* a pool may reach its height late */
#define MEMORY_SLACK_BYTES (4 * 1024 * 1024)
/* Stacks that are mapped beforehand: a task of a batch has at most three children at once, so no
 * batch is the first to need as many, whatever chance does. */
#define STACKS_AT_ONCE (4 * BATCH)

struct world {
    uint64_t random;
    unsigned long wanted;
    unsigned long done;
    unsigned long cancelled_unborn;
    unsigned long cancelled_later;
    unsigned long ended_cancelled;
    int silent[2]; /* a pair of sockets nobody writes to */
    struct aw_lock lock;
    struct aw_semaphore semaphore;
    struct aw_queue queue;
    struct aw_condition condition;
    struct aw_event never;
};

static struct world world;

static uint32_t below(uint32_t bound)
{
    world.random ^= world.random << 13;
    world.random ^= world.random >> 7;
    world.random ^= world.random << 17;
    return (uint32_t)(world.random >> 33) % bound;
}

/* --- what tasks do ------------------------------------------------------------------------------
 */
static int sleeps(void *argument)
{
    (void)argument;
    return aw_sleep(below(3));
}

static int receives(void *argument)
{
    (void)argument;
    char byte;
    return aw_receive(world.silent[0], &byte, 1);
}

static int lends(void *argument)
{
    (void)argument;
    struct aw_loan loan;
    int result = aw_receive_loan(world.silent[1], &loan);
    if (result > 0)
        aw_receive_done(&loan);
    return result;
}

static int reads_a_file(void *argument)
{
    (void)argument;
    int fd;
    char bytes[64];
    int result = 0;
    AW_WITH(result, aw_with_file(&fd, "/proc/self/stat", O_RDONLY, 0))
    {
        result = aw_read(fd, bytes, sizeof bytes, 0);
    }
    return result;
}

static int talks_to_itself(void *argument)
{
    (void)argument;
    int ends[2];
    int result = aw_socket_pair(SOCK_STREAM, ends);
    if (result < 0)
        return result;
    AW_CLEANUP(aw_cleanup_close) int left = ends[0];
    AW_CLEANUP(aw_cleanup_close) int right = ends[1];
    char bytes[5];
    result = aw_send_all(left, "hello", 5);
    return result < 0 ? result : aw_receive(right, bytes, sizeof bytes);
}

static int locks(void *argument)
{
    (void)argument;
    int result = 0;
    AW_WITH(result, aw_with_lock(&world.lock))
    {
        result = aw_yield();
    }
    return result;
}

static int takes_a_place(void *argument)
{
    (void)argument;
    int result = 0;
    AW_WITH(result, aw_with_semaphore(&world.semaphore))
    {
        result = aw_sleep(below(2));
    }
    return result;
}

static int queues(void *argument)
{
    void *item;
    return below(2) ? aw_queue_put(&world.queue, argument) : aw_queue_get(&world.queue, &item);
}

static int awaits_a_condition(void *argument)
{
    (void)argument;
    int result = 0;
    AW_WITH(result, aw_with_timeout(1))
    {
        AW_WITH(result, aw_with_lock(&world.lock))
        {
            result = aw_condition_wait(&world.condition, &world.lock);
        }
    }
    return result;
}

static int gathers(void *argument)
{
    (void)argument;
    struct aw_task *tasks[3];
    const aw_function functions[3] = {sleeps, receives, reads_a_file};
    for (int i = 0; i < 3; i++)
        if (aw_spawn(&tasks[i], functions[i], NULL) < 0)
            return -EAGAIN; /* those that were started go with this task */
    size_t first;
    return below(2) ? aw_race(3, tasks, &first) : aw_gather_fail_fast(1, tasks, NULL);
}

static int groups(void *argument)
{
    (void)argument;
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_FAIL_FAST);
    const aw_function functions[3] = {locks, lends, sleeps};
    for (int i = 0; i < 3; i++)
        AW_IGNORE(aw_group_spawn(&group, functions[i], NULL));
    int result = 0;
    AW_WITH(result, aw_with_timeout(1))
    {
        result = aw_group_wait(&group);
    }
    return result;
}

static int shields(void *argument)
{
    (void)argument;
    int result = 0;
    AW_WITH(result, aw_with_shield(aw_after_ms(1 + below(2))))
    {
        result = aw_event_wait(&world.never);
    }
    return result == -ETIME ? 0 : result;
}

static int returns_at_once(void *argument)
{
    (void)argument;
    return 0;
}

static int offloads(void *argument)
{
    return aw_to_thread(returns_at_once, argument);
}

static int leaves_children(void *argument)
{
    (void)argument;
    struct aw_task *task;
    for (int i = 0; i < 2; i++)
        if (aw_spawn(&task, i ? receives : shields, NULL) == 0)
            aw_detach(task);
    return aw_yield();
}

static const aw_function kinds[] = {
    sleeps, receives, lends,  reads_a_file, talks_to_itself, locks,           takes_a_place,
    queues, gathers,  groups, shields,      offloads,        leaves_children, awaits_a_condition,
};
#define KINDS ((uint32_t)(sizeof kinds / sizeof kinds[0]))

/* --- batches ------------------------------------------------------------------------------------
 */
static int run_batch(unsigned size)
{
    struct aw_task *tasks[BATCH];
    unsigned count = 0;
    int result = 0;
    while (count < size && result == 0) {
        result = aw_spawn(&tasks[count], kinds[below(KINDS)], &world);
        if (result == 0 && below(8) == 0) {
            aw_cancel(tasks[count]);
            world.cancelled_unborn++;
        }
        count += result == 0;
    }
    /* most are cancelled somewhere on their way, the others where they are at the end */
    for (unsigned turn = below(12); turn > 0; turn--) {
        aw_yield();
        for (unsigned i = below(10); i < count; i += 1 + below(40))
            if (!aw_finished(tasks[i])) {
                aw_cancel(tasks[i]);
                world.cancelled_later++;
            }
    }
    if (below(4) == 0)
        aw_sleep(1);
    (void)aw_condition_notify_all(&world.condition);
    for (unsigned i = 0; i < count; i++) {
        if (!aw_finished(tasks[i]))
            aw_cancel(tasks[i]);
        world.ended_cancelled += aw_await(tasks[i]) == -ECANCELED;
    }
    void *item;
    while (aw_queue_try_get(&world.queue, &item) == 0) {
    }
    world.done += count;
    return result;
}

/* --- what is left -------------------------------------------------------------------------------
 */
struct left {
    int descriptors;
    uint32_t tasks;
    uint32_t slots;
    size_t heap_bytes;
    size_t memory_bytes; /* mapped, stacks included */
};

static int count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = -1; /* the folder's own */
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}

static struct left look(void)
{
    struct left left = {.descriptors = count_descriptors(),
                        .tasks = aw_task_count(),
                        .slots = operations_running(),
                        .heap_bytes = mallinfo2().uordblks};
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    if (file) {
        if (fscanf(file, "%lu", &pages) != 1)
            pages = 0;
        fclose(file);
    }
    left.memory_bytes = pages * (size_t)sysconf(_SC_PAGESIZE);
    return left;
}

static void show(const char *when, const struct left *left)
{
    printf("%-14s descriptors %d, tasks %u, slots %u, heap %zu KiB, mapped %zu KiB\n", when,
           left->descriptors, left->tasks, left->slots, left->heap_bytes / 1024,
           left->memory_bytes / 1024);
}

static bool memory_has_grown(const struct left *before, const struct left *after)
{
#if defined(SANITIZE_ADDRESS) || defined(SANITIZE_THREAD)
    (void)before;
    (void)after;
    return false; /* the sanitizer's own grows; it finds leaks in its own way */
#else
    return after->heap_bytes > before->heap_bytes + HEAP_SLACK_BYTES ||
           after->memory_bytes > before->memory_bytes + MEMORY_SLACK_BYTES;
#endif
}

static int judge(const struct left *before, const struct left *after)
{
    bool grown = after->descriptors != before->descriptors || after->tasks != before->tasks ||
                 after->slots != before->slots || memory_has_grown(before, after);
    printf("%s\n", grown ? "something has grown" : "nothing has grown");
    return grown ? -EBADE : 0;
}

static int yields(void *argument)
{
    (void)argument;
    return aw_yield();
}

static int map_stacks(void)
{
    static struct aw_task *tasks[STACKS_AT_ONCE];
    int result = 0;
    unsigned spawned = 0;
    while (result == 0 && spawned < STACKS_AT_ONCE) {
        result = aw_spawn(&tasks[spawned], yields, NULL);
        spawned += result == 0;
    }
    for (unsigned i = 0; i < spawned; i++) {
        int ended = aw_await(tasks[i]);
        result = result == 0 ? ended : result;
    }
    return result;
}

static int run_all(void *argument)
{
    (void)argument;
    int result = aw_socket_pair(SOCK_STREAM, world.silent);
    if (result == 0)
        result = aw_queue_init(&world.queue, 8);
    if (result == 0)
        result = map_stacks();
    if (result < 0)
        return result;
    aw_semaphore_init(&world.semaphore, 3);
    struct left before = {0};
    while (world.done < world.wanted && result == 0) {
        unsigned long left = world.wanted - world.done;
        result = run_batch(left < BATCH ? (unsigned)left : BATCH);
        if (before.tasks == 0 && world.done >= world.wanted / 4)
            before = look();
    }
    struct left after = look();
    printf(
        "%lu tasks; %lu cancelled before they ran, %lu on their way; %lu ended with -ECANCELED\n",
        world.done, world.cancelled_unborn, world.cancelled_later, world.ended_cancelled);
    show("a quarter in:", &before);
    show("at the end:", &after);
    if (result == 0)
        result = judge(&before, &after);
    aw_queue_free(&world.queue);
    AW_IGNORE(aw_close(world.silent[0]));
    AW_IGNORE(aw_close(world.silent[1]));
    return result;
}

int main(int count, char **arguments)
{
    world.wanted = count > 1 ? strtoul(arguments[1], NULL, 10) : 0;
    world.random = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    if (world.wanted == 0 || world.random == 0) {
        fprintf(stderr, "usage: leak TASKS [SEED], both above 0\n");
        return 2;
    }
    int result = aw_run(run_all, NULL);
    if (result < 0)
        fprintf(stderr, "leak: seed %s: %s\n", count > 2 ? arguments[2] : "1",
                aw_error_text(result));
    return result < 0;
}
