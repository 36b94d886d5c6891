/* log.c - see log.h. One log a process, as there is one standard error output. */
#include "admin/log.h"

#include "admin/journal.h"
#include "protocol/buffer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE_MAX 2048
#define PENDING_SIZE_MAX (64u << 10)
#define STOP_MS 2000
#define EXIT_SOFTWARE_FAILURE 70 /* EX_SOFTWARE of sysexits.h */

static struct {
    struct aw_group *group; /* NULL: lines are written directly */
    struct buffer pending;
    uint64_t dropped;       /* lines since the last report */
    bool writing;           /* the task runs */
    struct aw_event idle;   /* set when it ends */
    bool journal_known;
    bool journal;
    enum config_log_level level;
} the_log = {.level = LOG_LEVEL_INFO};

void log_set_level(enum config_log_level level)
{
    the_log.level = level;
}

enum config_log_level log_get_level(void)
{
    return the_log.level;
}

/* JOURNAL_STREAM names the device and inode of the journal's socket; it is inherited, so only when
 * the standard error output is that very socket does the journal read our lines. */
static bool goes_to_journal(void)
{
    if (the_log.journal_known)
        return the_log.journal;
    the_log.journal_known = true;
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    if (!stream ||
        fstat(STDERR_FILENO, &status) < 0) /* lint: direct - of a socket, does not wait */
        return false;
    char own[64];
    snprintf(own, sizeof own, "%llu:%llu", (unsigned long long)status.st_dev,
             (unsigned long long)status.st_ino);
    the_log.journal = strcmp(own, stream) == 0;
    return the_log.journal;
}

/* The number is the journal's, that of syslog(3). */
static const struct {
    const char *name;
    int number;
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", 3},
    [LOG_LEVEL_WARNING] = {"warning", 4},
    [LOG_LEVEL_INFO] = {"info", 6},
    [LOG_LEVEL_DEBUG] = {"debug", 7},
};

/* Makes the whole line, with its line feed, in `line`; returns its size. */
AW_PRINTF(3, 0)
static size_t format_line(char line[LINE_SIZE_MAX], enum config_log_level level, const char *format,
                          va_list arguments, size_t *ret_text)
{
    int prefix;
    if (goes_to_journal()) {
        prefix = snprintf(line, LINE_SIZE_MAX, "<%d>", levels[level].number);
    } else {
        uint64_t now_ms = aw_wall_ms();
        time_t seconds = (time_t)(now_ms / 1000);
        struct tm moment = {0};
        (void)gmtime_r(&seconds, &moment);
        char date[32];
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &moment);
        prefix = snprintf(line, LINE_SIZE_MAX, "%s.%03uZ %s: ", date, (unsigned)(now_ms % 1000),
                          levels[level].name);
    }
    size_t from = (size_t)prefix;
    int written = vsnprintf(line + from, LINE_SIZE_MAX - 1 - from, format, arguments);
    size_t size = strlen(line);
    if (written < 0)
        size = from;
    for (size_t i = from; i < size; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 127)
            line[i] = ' ';
    line[size] = '\n';
    *ret_text = from;
    return size + 1;
}

static void write_directly(const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(STDERR_FILENO, data, size); /* lint: direct - no loop to wait on */
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return; /* nowhere left to say so */
        data += written;
        size -= (size_t)written;
    }
}

static void add_report_of_dropped(void)
{
    if (the_log.dropped == 0)
        return;
    uint64_t dropped = the_log.dropped;
    the_log.dropped = 0;
    log_line(LOG_LEVEL_WARNING,
             "log: %llu lines were dropped, because whoever reads the log did not "
             "keep up",
             (unsigned long long)dropped);
}

/* The task: writes until nothing is pending. */
static int write_pending(void *argument)
{
    (void)argument;
    int result = 0;
    while (the_log.pending.size > 0 && result >= 0) {
        struct buffer writing = the_log.pending;
        the_log.pending = (struct buffer){0};
        result = aw_write_all(STDERR_FILENO, writing.data, writing.size, AW_AT_POSITION);
        buffer_free(&writing);
        if (result >= 0)
            add_report_of_dropped();
    }
    if (result < 0) {
        /* A closed or broken output: its lines are lost, the daemon goes on. */
        buffer_free(&the_log.pending);
    }
    the_log.writing = false;
    aw_event_set(&the_log.idle);
    return 0;
}

static void append(const char *line, size_t size)
{
    if (the_log.pending.size + size > PENDING_SIZE_MAX) {
        the_log.dropped++;
        return;
    }
    buffer_append(&the_log.pending, line, size);
    if (the_log.pending.failed) {
        the_log.pending.failed = false;
        the_log.dropped++;
    }
    if (the_log.writing || the_log.pending.size == 0)
        return;
    aw_event_clear(&the_log.idle);
    if (aw_group_spawn(the_log.group, write_pending, NULL) == 0) {
        the_log.writing = true;
        return;
    }
    write_directly(the_log.pending.data, the_log.pending.size);
    buffer_clear(&the_log.pending);
}

AW_PRINTF(3, 0)
static void write_line(enum config_log_level level, const struct log_subject *subject,
                       const char *format, va_list arguments)
{
    if (level > the_log.level)
        return;
    char line[LINE_SIZE_MAX];
    size_t text;
    size_t size = format_line(line, level, format, arguments, &text);
    if (!the_log.group) {
        write_directly(line, size);
        return;
    }
    line[size - 1] = '\0';
    if (subject && journal_take(levels[level].number, line + text, subject))
        return;
    line[size - 1] = '\n';
    append(line, size);
}

void log_line(enum config_log_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(level, NULL, format, arguments);
    va_end(arguments);
}

void log_about(enum config_log_level level, const struct log_subject *subject, const char *format,
               ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(level, subject, format, arguments);
    va_end(arguments);
}

void log_start(struct aw_group *group)
{
    aw_event_init(&the_log.idle);
    the_log.group = group;
    if (goes_to_journal())
        journal_start(group, JOURNAL_SOCKET);
}

void log_stop(void)
{
    if (!the_log.group)
        return;
    struct aw_scope shield;
    aw_shield_enter(&shield, aw_after_ms(STOP_MS));
    journal_stop(); /* first: what it cannot send becomes lines */
    while (the_log.writing && aw_event_wait(&the_log.idle) == 0)
        ;
    aw_scope_leave(&shield);
    the_log.group = NULL;
    if (the_log.writing)
        return; /* the output is stuck; writing directly would be stuck too */
    write_directly(the_log.pending.data, the_log.pending.size);
    buffer_free(&the_log.pending);
}

void log_fatal(const char *format, ...)
{
    write_directly(the_log.pending.data, the_log.pending.size);
    char line[LINE_SIZE_MAX];
    va_list arguments;
    va_start(arguments, format);
    size_t text;
    size_t size = format_line(line, LOG_LEVEL_ERROR, format, arguments, &text);
    va_end(arguments);
    write_directly(line, size);
    _exit(EXIT_SOFTWARE_FAILURE);
}
