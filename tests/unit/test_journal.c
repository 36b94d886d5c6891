/* test_journal.c - lines with fields: what reaches the journal's socket, and what becomes of a line
 * that cannot. */
#include "admin/journal.h"

#include <await.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[] = "/tmp/awaitd-journal-XXXXXX";
static char path[64];
static int listener;

static void listen_as_the_journal(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!mkdtemp(folder))
        abort();
    snprintf(path, sizeof path, "%s/socket", folder);
    memcpy(address.sun_path, path, sizeof path);
    listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
        abort();
}

static void clean_up(void)
{
    (void)unlink(path);
    (void)rmdir(folder);
}

TestSuite(journal, .init = listen_as_the_journal, .fini = clean_up);

static const char *received(void)
{
    static char entry[8192];
    ssize_t size = recv(listener, entry, sizeof entry - 1, 0);
    entry[size > 0 ? size : 0] = '\0';
    return entry;
}

static int with_journal(int (*body)(void))
{
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    journal_start(&group, path);
    int result = body();
    journal_stop();
    int waited = aw_group_wait(&group);
    return result < 0 ? result : waited;
}

static int take_two(void)
{
    const struct log_subject job = {
        .job = 7, .queue = "nightly", .target = "main", .error = "TIMEOUT"};
    const struct log_subject target = {.target = "main"};
    cr_expect(journal_take(4, "job 7 is dead", &job));
    cr_expect(journal_take(6, "target main: up", &target));
    cr_expect_str_eq(received(), "", "sent by the task, not by the caller");
    return 0;
}

static int run_fields(void *argument)
{
    (void)argument;
    int result = with_journal(take_two);
    cr_expect_str_eq(received(), "MESSAGE=job 7 is dead\nPRIORITY=4\nSYSLOG_IDENTIFIER=awaitd\n"
                                 "AWAITD_JOB=7\nAWAITD_QUEUE=nightly\nAWAITD_TARGET=main\n"
                                 "AWAITD_ERROR=TIMEOUT\n");
    cr_expect_str_eq(received(), "MESSAGE=target main: up\nPRIORITY=6\n"
                                 "SYSLOG_IDENTIFIER=awaitd\nAWAITD_TARGET=main\n");
    cr_expect_not(journal_take(6, "closed", &(struct log_subject){0}));
    return result;
}

Test(journal, an_entry_has_the_fields_that_are_known)
{
    cr_expect_eq(aw_run(run_fields, NULL), 0);
}

static int take_forged(void)
{
    const struct log_subject forged = {.error = "X\nPRIORITY=0"};
    cr_expect(journal_take(6, "line", &forged));
    return 0;
}

static int run_forged(void *argument)
{
    (void)argument;
    int result = with_journal(take_forged);
    cr_expect_str_eq(received(),
                     "MESSAGE=line\nPRIORITY=6\nSYSLOG_IDENTIFIER=awaitd\nAWAITD_ERROR=X\n");
    return result;
}

Test(journal, a_value_cannot_forge_a_field)
{
    cr_expect_eq(aw_run(run_forged, NULL), 0);
}

static int fill(void)
{
    char text[1024];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    unsigned taken = 0;
    while (taken < 1000 && journal_take(6, text, &(struct log_subject){.job = 1}))
        taken++;
    cr_expect(taken > 50 && taken < 64, "%u entries of 1 KiB in 64 KiB", taken);
    return 0;
}

/* Nobody reads the socket: the stop gives up when its time is over. */
static int run_full(void *argument)
{
    (void)argument;
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    journal_start(&group, path);
    fill();
    struct aw_scope shield;
    aw_shield_enter(&shield, aw_after_ms(50));
    journal_stop();
    aw_scope_leave(&shield);
    aw_group_cancel(&group);
    return aw_group_wait(&group);
}

Test(journal, a_journal_that_does_not_read_holds_up_nobody)
{
    cr_expect_eq(aw_run(run_full, NULL), 0);
}

static int take_behind_a_dead_socket(void)
{
    close(listener);
    cr_expect(journal_take(4, "still for people", &(struct log_subject){.job = 1}));
    return 0;
}

static int run_dead(void *argument)
{
    (void)argument;
    return with_journal(take_behind_a_dead_socket);
}

Test(journal, what_cannot_be_sent_becomes_a_plain_line)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    int before = dup(STDERR_FILENO);
    cr_assert(before >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    int result = aw_run(run_dead, NULL);
    (void)dup2(before, STDERR_FILENO);
    close(ends[1]);
    char text[512];
    ssize_t size = read(ends[0], text, sizeof text - 1);
    text[size > 0 ? size : 0] = '\0';
    cr_expect_eq(result, 0);
    cr_expect_not_null(strstr(text, "warning: still for people\n"), "%s", text);
}

static int run_without(void *argument)
{
    (void)argument;
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    journal_start(&group, "/nowhere/at/all");
    cr_expect_not(journal_take(6, "line", &(struct log_subject){.job = 1}));
    journal_stop();
    return aw_group_wait(&group);
}

Test(journal, without_its_socket_every_line_is_the_callers)
{
    cr_expect_eq(aw_run(run_without, NULL), 0);
}
