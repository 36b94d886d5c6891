/* dump.c - see await/dump.h. */
#include "core/scheduler.h"

#include <await/dump.h>

#include <stdio.h>
#include <string.h>

static enum aw_task_state public_state(const struct aw_task *task)
{
    switch ((enum task_state)task->state) {
    case TASK_PARKED: return AW_TASK_WAITING;
    case TASK_RUNNING: return AW_TASK_RUNNING;
    default: return AW_TASK_READY;
    }
}

static struct aw_task_info describe(const struct aw_task *task, uint64_t now_ns)
{
    bool waiting = task->state == TASK_PARKED;
    return (struct aw_task_info){
        .task = task,
        .id = task->id,
        .parent_id = task->parent_id,
        .name = aw_task_name(task),
        .where = waiting && task->where ? task->where : "",
        .duration_ns = waiting && now_ns > task->state_since_ns ? now_ns - task->state_since_ns : 0,
        .deadline_ns = task_deadline(task),
        .children = task->children.running,
        .state = public_state(task),
        .interrupted = task_interruption(task) < 0,
    };
}

uint32_t aw_task_dump(void (*visit)(const struct aw_task_info *info, void *context), void *context)
{
    struct scheduler *scheduler = scheduler_here();
    if (!scheduler)
        return 0;
    uint64_t now_ns = scheduler->now_ns();
    for (const struct aw_task *task = scheduler->all_first; task; task = task->all_next) {
        struct aw_task_info info = describe(task, now_ns);
        visit(&info, context);
    }
    return scheduler->task_count;
}

struct text {
    char *buffer;
    size_t size;
    size_t written; /* whole lines in the buffer */
    size_t needed;
    bool full;
};

static void add_line(const struct aw_task_info *info, void *context)
{
    struct text *text = context;
    char state[96] = "is ready";
    char by[32] = "";
    char children[32] = "";
    char line[256];
    if (info->state == AW_TASK_RUNNING)
        (void)snprintf(state, sizeof state, "runs");
    else if (info->state == AW_TASK_WAITING)
        (void)snprintf(state, sizeof state, "waits %llu ms: %s",
                       (unsigned long long)(info->duration_ns / AW_NS_PER_MS), info->where);
    if (info->parent_id)
        (void)snprintf(by, sizeof by, " (by %llu)", (unsigned long long)info->parent_id);
    if (info->children)
        (void)snprintf(children, sizeof children, "; %u %s", (unsigned)info->children,
                       info->children == 1 ? "child" : "children");
    int length = snprintf(line, sizeof line, "%llu \"%s\"%s %s%s%s\n", (unsigned long long)info->id,
                          info->name, by, state, children,
                          info->interrupted ? "; interrupted" : "");
    if (length < 0 || (size_t)length >= sizeof line)
        return; /* cannot be: names and waits are shorter than that */
    text->needed += (size_t)length;
    text->full = text->full || text->written + (size_t)length >= text->size;
    if (text->full)
        return;
    memcpy(text->buffer + text->written, line, (size_t)length);
    text->written += (size_t)length;
}

size_t aw_task_dump_text(char *buffer, size_t size)
{
    struct text text = {.buffer = buffer, .size = size};
    (void)aw_task_dump(add_line, &text);
    if (size > 0)
        buffer[text.written] = '\0';
    return text.needed + 1;
}
