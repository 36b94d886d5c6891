/* journal.c - see journal.h. One journal a process. */
#include "admin/journal.h"

#include "protocol/buffer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ENTRY_SIZE_MAX 3072
#define PENDING_SIZE_MAX (64u << 10)

static const char first_field[] = "MESSAGE=";

static struct {
    bool open;
    int fd;
    struct aw_group *group;
    struct buffer pending; /* entries, each with a NUL behind it */
    bool sending;          /* the task runs */
    struct aw_event idle;  /* set when it ends */
} journal;

void journal_start(struct aw_group *group, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (journal.open || strlen(path) >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* lint: direct - waits for nothing */
    if (fd < 0)
        return;
    int connected = connect(fd, (const struct sockaddr *)&address, /* lint: direct - notes it */
                            sizeof address);
    if (connected < 0) {
        (void)aw_close(fd);
        return;
    }
    aw_event_init(&journal.idle);
    journal.fd = fd;
    journal.group = group;
    journal.open = true;
}

static void close_journal(void)
{
    if (!journal.open)
        return;
    (void)aw_close(journal.fd);
    journal.open = false;
}

/* An entry that could not be sent is still a line for people. */
static void write_plainly(const char *entry)
{
    const char *text = entry + sizeof first_field - 1;
    log_line(LOG_LEVEL_WARNING, "%.*s", (int)strcspn(text, "\n"), text);
}

static int send_pending(void *argument)
{
    (void)argument;
    aw_task_set_name(NULL, "journal");
    while (journal.pending.size > 0) {
        struct buffer sending = journal.pending;
        journal.pending = (struct buffer){0};
        for (size_t from = 0; from < sending.size;) {
            const char *entry = (const char *)sending.data + from;
            size_t size = strlen(entry);
            if (!journal.open || aw_send_all(journal.fd, entry, size) < 0) {
                close_journal();
                write_plainly(entry);
            }
            from += size + 1;
        }
        buffer_free(&sending);
    }
    journal.sending = false;
    aw_event_set(&journal.idle);
    return 0;
}

struct entry {
    char data[ENTRY_SIZE_MAX];
    size_t size;
    bool too_long;
};

AW_PRINTF(2, 3)
static void add(struct entry *entry, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t space = sizeof entry->data - entry->size;
    int written = vsnprintf(entry->data + entry->size, space, format, arguments);
    va_end(arguments);
    if (written < 0 || (size_t)written >= space)
        entry->too_long = true;
    else
        entry->size += (size_t)written;
}

bool journal_take(int priority, const char *text, const struct log_subject *subject)
{
    if (!journal.open)
        return false;
    struct entry entry = {.size = 0};
    add(&entry, "%s%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=awaitd\n", first_field, text, priority);
    if (subject->job)
        add(&entry, "AWAITD_JOB=%" PRIu64 "\n", subject->job);
    if (subject->queue)
        add(&entry, "AWAITD_QUEUE=%s\n", subject->queue);
    if (subject->target)
        add(&entry, "AWAITD_TARGET=%s\n", subject->target);
    /* the one value that may come from a client; a line break in it would begin a field */
    if (subject->error && subject->error[0])
        add(&entry, "AWAITD_ERROR=%.*s\n", (int)strcspn(subject->error, "\n"), subject->error);
    if (entry.too_long || journal.pending.size + entry.size >= PENDING_SIZE_MAX)
        return false;
    size_t before = journal.pending.size;
    buffer_append(&journal.pending, entry.data, entry.size + 1);
    if (journal.pending.failed) {
        journal.pending.failed = false;
        journal.pending.size = before;
        return false;
    }
    if (journal.sending)
        return true;
    aw_event_clear(&journal.idle);
    if (aw_group_spawn(journal.group, send_pending, NULL) == 0) {
        journal.sending = true;
        return true;
    }
    journal.pending.size = before;
    return false;
}

void journal_stop(void)
{
    while (journal.sending && aw_event_wait(&journal.idle) == 0)
        ;
    if (journal.sending)
        return; /* the journal is stuck: the group's end cancels the task */
    close_journal();
    buffer_free(&journal.pending);
}
