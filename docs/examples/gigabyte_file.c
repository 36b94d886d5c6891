/* gigabyte_file.c - writes and reads a file of 1 GiB while a ticker never misses a beat.
 *
 *     cc gigabyte_file.c $(pkg-config --cflags --libs await) -o gigabyte_file
 *     ./gigabyte_file /var/tmp/gigabyte [size in MiB]
 *
 * Each transfer moves a chunk and lets the loop turn, so the ticker runs in between. */
#include <await.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ticker {
    bool stop;
    unsigned ticks;
    uint64_t latest_ms;
};

static int tick(void *argument)
{
    struct ticker *ticker = argument;
    while (!ticker->stop) {
        uint64_t due = aw_after_ms(50);
        int result = aw_sleep_until(due);
        if (result < 0)
            return result;
        uint64_t late_ms = (aw_now_ns() - due) / AW_NS_PER_MS;
        if (late_ms > ticker->latest_ms)
            ticker->latest_ms = late_ms;
        ticker->ticks++;
    }
    return 0;
}

/* Long computations are cut up as well: in between, the loop turns. */
static bool same(const char *left, const char *right, size_t size)
{
    const size_t step = (size_t)1 << 20;
    for (size_t at = 0; at < size; at += step) {
        if (memcmp(left + at, right + at, size - at < step ? size - at : step) != 0)
            return false;
        aw_yield();
    }
    return true;
}

static int transfer(const char *path, char *bytes, size_t size)
{
    int result = aw_write_file(path, bytes, size, 0600); /* temporary file, fsync, rename */
    if (result < 0)
        return result;
    char *back = NULL;
    size_t back_size = 0;
    result = aw_read_file(path, size, &back, &back_size);
    if (result == 0)
        printf("%zu MiB written and read: %s\n", back_size >> 20,
               back_size == size && same(back, bytes, size) ? "the same" : "DIFFERENT");
    free(back);
    return result;
}

static int run(void *argument)
{
    char **arguments = argument;
    size_t size = (arguments[2] ? strtoul(arguments[2], NULL, 10) : 1024) << 20;
    char *bytes = malloc(size);
    if (!bytes)
        return -12;
    for (size_t i = 0; i < size; i += 4096)
        memset(bytes + i, (int)(i >> 12), 4096);
    struct ticker ticker = {0};
    struct aw_task *task;
    int result = aw_spawn(&task, tick, &ticker);
    if (result == 0) {
        result = transfer(arguments[1], bytes, size);
        ticker.stop = true;
        int ticked = aw_await(task);
        if (result == 0)
            result = ticked;
        printf("%u ticks, the latest %llu ms late\n", ticker.ticks,
               (unsigned long long)ticker.latest_ms);
        AW_IGNORE(aw_unlink(arguments[1]));
    }
    free(bytes);
    return result;
}

int main(int argc, char **argv)
{
    int result = argc >= 2 ? aw_run(run, argv) : -22;
    if (result < 0)
        fprintf(stderr, "gigabyte_file: %s\n", aw_error_text(result));
    return result < 0;
}
