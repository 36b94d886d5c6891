/* dump_signal.c - a task that writes the dump whenever a signal comes; see await/dump.h. */
#include <await/dump.h>

#include <await/file.h>
#include <await/signal.h>
#include <await/with.h>

#include <errno.h>
#include <stdlib.h>

#define TEXT_MAX_BYTES ((size_t)1 << 20)
#define SPARE_BYTES 4096u /* the dump itself changes no more than a line */

struct dump_signal {
    int signals;
    int output;
};

static int write_dump(int output)
{
    size_t size = aw_task_dump_text(NULL, 0) + SPARE_BYTES;
    if (size > TEXT_MAX_BYTES)
        size = TEXT_MAX_BYTES;
    AW_CLEANUP(aw_cleanup_free) char *text = malloc(size);
    if (text == NULL)
        return -ENOMEM;
    size_t needed = aw_task_dump_text(text, size);
    size_t length = 0;
    while (length < needed && text[length] != '\0')
        length++;
    return aw_write_all(output, text, length, AW_AT_POSITION);
}

/* A dump that could not be written is no reason to stop: the next one may be. */
static int run(void *argument)
{
    AW_CLEANUP(aw_cleanup_free) struct dump_signal *dump = argument;
    AW_CLEANUP(aw_cleanup_close) int signals = dump->signals;
    aw_task_set_name(NULL, "dump on signal");
    int result;
    while ((result = aw_signal_wait(signals)) > 0)
        AW_IGNORE(write_dump(dump->output));
    return result;
}

int aw_task_dump_on_signal(int number, int output)
{
    sigset_t signals;
    sigemptyset(&signals);
    if (sigaddset(&signals, number) < 0)
        return -EINVAL;
    struct dump_signal *dump = malloc(sizeof *dump);
    if (dump == NULL)
        return -ENOMEM;
    int result = aw_current() ? aw_signal_open(&signals) : -EPERM;
    struct aw_task *task;
    if (result >= 0) {
        *dump = (struct dump_signal){.signals = result, .output = output};
        result = aw_spawn(&task, run, dump);
        if (result < 0)
            AW_IGNORE(aw_close(dump->signals));
    }
    if (result < 0) {
        free(dump);
        return result;
    }
    aw_detach(task);
    return 0;
}
