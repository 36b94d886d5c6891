/* test_listen.c - opening listeners and connecting to them: stale and busy paths, modes, exact
 * errors, interruption, and running out of descriptors at every step. */
#include "support/process.h"
#include "support/valgrind.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64];
static int descriptors_before;

static void enter_folder(void)
{
    folder_make(folder, sizeof folder);
    if (chdir(folder) != 0)
        abort();
    descriptors_before = open_descriptors();
}

static void leave_folder(void)
{
    cr_expect_eq(open_descriptors(), descriptors_before, "a descriptor is left");
    folder_remove(folder);
}

TestSuite(listen, .init = enter_folder, .fini = leave_folder);

static void expect_error(int result, int number, const struct aw_error *error, const char *words)
{
    cr_expect_eq(result, number, "%s instead of %s", aw_error_name(result), aw_error_name(number));
    cr_expect_eq(error->number, number);
    cr_expect_not_null(strstr(error->message, words), "\"%s\" does not say \"%s\"", error->message,
                       words);
}

static void make_stale(const char *path)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    cr_expect_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

static int stale_body(void *argument)
{
    (void)argument;
    make_stale("s");
    struct aw_error error = {0};
    int listener = aw_listen_unix("s", NULL, &error);
    cr_expect_geq(listener, 0, "%s", error.message);
    int client = aw_connect_unix("s", &error);
    cr_expect_geq(client, 0, "%s", error.message);
    aw_close(client);
    expect_error(aw_listen_unix("s", NULL, &error), -EADDRINUSE, &error, "another process listens");
    client = aw_connect_unix("s", &error);
    cr_expect_geq(client, 0, "the first listener is unharmed: %s", error.message);
    aw_close(client);
    aw_close(listener);
    return 0;
}

Test(listen, replaces_a_stale_socket_but_not_a_live_one)
{
    cr_assert_eq(aw_run(stale_body, NULL), 0);
}

static int close_later(void *argument)
{
    int result = aw_sleep(100);
    aw_close(*(int *)argument);
    return result;
}

static int leftover_body(void *argument)
{
    (void)argument;
    struct aw_error error = {0};
    struct aw_task *closer;
    int leftover = aw_listen_unix("s", NULL, &error);
    cr_assert_geq(leftover, 0, "%s", error.message);
    cr_assert_eq(aw_spawn(&closer, close_later, &leftover), 0);
    int listener = aw_listen_unix("s", NULL, &error);
    cr_expect_geq(listener, 0, "%s", error.message);
    cr_expect_eq(aw_await(closer), 0);
    aw_close(listener);
    return 0;
}

Test(listen, waits_for_what_a_killed_process_leaves_behind)
{
    cr_assert_eq(aw_run(leftover_body, NULL), 0);
}

static int full_backlog_body(void *argument)
{
    (void)argument;
    const struct aw_listen_options options = {.backlog = 1};
    struct aw_error error = {0};
    int listener = aw_listen_unix("s", &options, &error);
    cr_expect_geq(listener, 0);
    int clients[16];
    int count = 0;
    int result = 0;
    while (count < 16 && result >= 0) {
        struct aw_scope scope;
        aw_scope_enter(&scope, aw_after_ms(20));
        result = aw_connect_unix("s", &error);
        aw_scope_leave(&scope);
        if (result >= 0)
            clients[count++] = result;
    }
    expect_error(result, -ETIME, &error, "cannot connect to Unix socket s");
    expect_error(aw_listen_unix("s", NULL, &error), -EADDRINUSE, &error, "another process listens");
    while (count > 0)
        aw_close(clients[--count]);
    aw_close(listener);
    return 0;
}

Test(listen, a_listener_too_busy_to_answer_is_not_stale)
{
    cr_assert_eq(aw_run(full_backlog_body, NULL), 0);
}

static int other_things_body(void *argument)
{
    (void)argument;
    struct aw_error error = {0};
    fclose(fopen("file", "w"));
    expect_error(aw_listen_unix("file", NULL, &error), -EEXIST, &error, "not a socket");
    cr_expect_eq(symlink("nowhere", "link"), 0);
    expect_error(aw_listen_unix("link", NULL, &error), -EEXIST, &error, "not a socket");
    cr_expect_eq(mkdir("sub", 0700), 0);
    expect_error(aw_listen_unix("sub", NULL, &error), -EEXIST, &error, "not a socket");
    cr_expect_eq(access("file", F_OK), 0, "what is there stays");
    struct stat status;
    cr_expect_eq(lstat("link", &status), 0);
    expect_error(aw_listen_unix("missing/s", NULL, &error), -ENOENT, &error, "missing/s");
    expect_error(aw_listen_unix("", NULL, &error), -EINVAL, &error, "empty");
    char path[110];
    memset(path, 'p', sizeof path);
    path[108] = '\0';
    expect_error(aw_listen_unix(path, NULL, &error), -ENAMETOOLONG, &error, "107");
    expect_error(aw_connect_unix(path, &error), -ENAMETOOLONG, &error, "107");
    path[107] = '\0';
    int listener = aw_listen_unix(path, NULL, &error);
    cr_expect_geq(listener, 0, "107 bytes fit: %s", error.message);
    int client = aw_connect_unix(path, &error);
    cr_expect_geq(client, 0, "%s", error.message);
    aw_close(client);
    aw_close(listener);
    cr_expect_eq(aw_listen_unix("file", NULL, NULL), -EEXIST, "no place for the words is fine");
    return 0;
}

Test(listen, leaves_other_things_alone_and_says_why)
{
    cr_assert_eq(aw_run(other_things_body, NULL), 0);
}

static int mode_body(void *argument)
{
    (void)argument;
    struct aw_error error = {0};
    struct aw_listen_options options = {.mode = 0640};
    umask(0);
    int listener = aw_listen_unix("s", &options, &error);
    cr_expect_geq(listener, 0, "%s", error.message);
    struct stat status;
    cr_expect_eq(stat("s", &status), 0);
    cr_expect_eq(status.st_mode & 07777, 0640);
    aw_close(listener);
    if (geteuid() == 0) {
        options = (struct aw_listen_options){.set_owner = true, .uid = 7, .gid = 8};
        listener = aw_listen_unix("owned", &options, &error);
        cr_expect_geq(listener, 0, "%s", error.message);
        cr_expect_eq(stat("owned", &status), 0);
        cr_expect_eq(status.st_uid, 7);
        cr_expect_eq(status.st_gid, 8);
        aw_close(listener);
    } else {
        options = (struct aw_listen_options){.set_owner = true};
        expect_error(aw_listen_unix("owned", &options, &error), -EPERM, &error, "cannot give");
        cr_expect_neq(access("owned", F_OK), 0, "a socket with a wrong owner is removed");
    }
    return 0;
}

Test(listen, sets_mode_and_owner)
{
    cr_assert_eq(aw_run(mode_body, NULL), 0);
}

static int tcp_errors_body(void *argument)
{
    (void)argument;
    struct aw_error error = {0};
    expect_error(aw_listen_tcp("localhost", 0, 0, &error), -EINVAL, &error, "numeric");
    expect_error(aw_listen_tcp("192.0.2.1", 0, 0, &error), -EADDRNOTAVAIL, &error, "192.0.2.1");
    int listener = aw_listen_tcp("127.0.0.1", 0, 0, &error);
    cr_expect_geq(listener, 0, "%s", error.message);
    int port = aw_local_port(listener);
    char words[32];
    snprintf(words, sizeof words, "127.0.0.1 port %d", port);
    expect_error(aw_listen_tcp("127.0.0.1", (uint16_t)port, 0, &error), -EADDRINUSE, &error, words);
    aw_close(listener);
    expect_error(aw_connect_tcp("127.0.0.1", (uint16_t)port, &error), -ECONNREFUSED, &error, words);
    cr_expect_not_null(strstr(error.message, "is the server running"));
    expect_error(aw_connect_tcp("", 1, &error), -EINVAL, &error, "empty");
    expect_error(aw_connect_unix("s", &error), -ENOENT, &error, "Unix socket s");
    make_stale("s");
    expect_error(aw_connect_unix("s", &error), -ECONNREFUSED, &error, "is the server running");
    cr_expect_eq(aw_local_port(-1), -EBADF);
    return 0;
}

Test(listen, names_what_failed)
{
    cr_assert_eq(aw_run(tcp_errors_body, NULL), 0);
}

static int name_body(void *argument)
{
    (void)argument;
    struct aw_error error = {0};
    int listener = aw_listen_tcp("127.0.0.1", 0, 0, &error);
    cr_expect_geq(listener, 0, "%s", error.message);
    uint16_t port = (uint16_t)aw_local_port(listener);
    int client = aw_connect_tcp("localhost", port, &error);
    cr_expect_geq(client, 0, "%s", error.message);
    aw_close(client);
    aw_close(listener);
    client = aw_connect_tcp("localhost", port, &error);
    expect_error(client, -ECONNREFUSED, &error, "localhost (");
    return 0;
}

Test(listen, connects_by_name_trying_each_address)
{
    cr_assert_eq(aw_run(name_body, NULL), 0);
}

/* The kernel drops connection requests that do not fit the backlog: this is what a network that
 * swallows packets looks like. */
static int swallowed_body(void *argument)
{
    (void)argument;
    struct aw_error error = {0};
    int listener = aw_listen_tcp("127.0.0.1", 0, 1, &error);
    cr_expect_geq(listener, 0, "%s", error.message);
    uint16_t port = (uint16_t)aw_local_port(listener);
    int clients[16];
    int count = 0;
    int result = 0;
    while (count < 16 && result >= 0) {
        struct aw_scope scope;
        aw_scope_enter(&scope, aw_after_ms(30));
        result = aw_connect_tcp("127.0.0.1", port, &error);
        aw_scope_leave(&scope);
        if (result >= 0)
            clients[count++] = result;
    }
    expect_error(result, -ETIME, &error, "127.0.0.1");
    while (count > 0)
        aw_close(clients[--count]);
    aw_close(listener);
    return 0;
}

Test(listen, connecting_obeys_a_deadline)
{
    cr_assert_eq(aw_run(swallowed_body, NULL), 0);
}

/* --- interruption and scarcity at every step ------------------------------------------------- */
static int listen_stale(void *argument)
{
    int fd = aw_listen_unix("s", &(struct aw_listen_options){.mode = 0600}, argument);
    if (fd >= 0)
        aw_close(fd);
    return fd < 0 ? fd : 0;
}

static int cancel_listen_body(void *argument)
{
    (void)argument;
    int descriptors = open_descriptors();
    int result = -ECANCELED;
    int turns = 0;
    for (; turns < 1000 && result != 0; turns++) {
        if (access("s", F_OK) != 0)
            make_stale("s");
        struct aw_task *task;
        if (aw_spawn(&task, listen_stale, NULL) < 0)
            return -1;
        for (int i = 0; i < turns; i++)
            aw_yield();
        aw_cancel(task);
        result = aw_await(task);
        cr_expect(result == 0 || result == -ECANCELED, "%d", result);
        cr_expect_eq(open_descriptors(), descriptors, "leaked after %d turns", turns);
    }
    cr_expect_gt(turns, 1);
    return result;
}

Test(listen, listening_cancelled_anywhere_leaves_nothing_open)
{
    cr_assert_eq(aw_run(cancel_listen_body, NULL), 0);
}

static uint16_t scarce_port;

static int connect_by_name(void *argument)
{
    int fd = aw_connect_tcp("localhost", scarce_port, argument);
    if (fd >= 0)
        aw_close(fd);
    return fd < 0 ? fd : 0;
}

/* Runs the function with room for 0, 1, 2 ... descriptors until it gets through. */
static int starve(aw_function function)
{
    struct rlimit before, tight;
    getrlimit(RLIMIT_NOFILE, &before);
    int descriptors = open_descriptors();
    int highest = dup(0); /* the lowest free number: all below it are taken */
    close(highest);
    int result = -EMFILE;
    int room = 0;
    for (; room < 40 && result != 0; room++) {
        tight = before;
        tight.rlim_cur = (rlim_t)(highest + room);
        setrlimit(RLIMIT_NOFILE, &tight);
        struct aw_error error = {0};
        result = function(&error);
        setrlimit(RLIMIT_NOFILE, &before);
        cr_expect_eq(error.number, result);
        cr_expect(result == 0 || error.message[0] != '\0');
        /* one more may stay until the end: the mailbox of the pool */
        cr_expect_leq(open_descriptors() - descriptors, 1, "leaked with room for %d", room);
    }
    cr_expect_gt(room, 1, "the limit did not bite");
    return result;
}

static int starve_listen_body(void *argument)
{
    (void)argument;
    make_stale("s");
    return starve(listen_stale);
}

Test(listen, listening_survives_a_lack_of_descriptors)
{
    NEEDS_A_LIMIT_OF_DESCRIPTORS();
    cr_assert_eq(aw_run(starve_listen_body, NULL), 0);
}

static int starve_connect_body(void *argument)
{
    (void)argument;
    int listener = aw_listen_tcp("127.0.0.1", 0, 0, NULL);
    cr_expect_geq(listener, 0);
    scarce_port = (uint16_t)aw_local_port(listener);
    int result = starve(connect_by_name);
    aw_close(listener);
    return result;
}

Test(listen, connecting_survives_a_lack_of_descriptors)
{
    NEEDS_A_LIMIT_OF_DESCRIPTORS();
    cr_assert_eq(aw_run(starve_connect_body, NULL), 0);
}

static int scarce_accept_body(void *argument)
{
    (void)argument;
    int listener = aw_listen_unix("s", NULL, NULL);
    int client = aw_connect_unix("s", NULL);
    cr_expect_geq(client, 0);
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    int refused = aw_accept(listener);
    setrlimit(RLIMIT_NOFILE, &before);
    cr_expect_eq(refused, -EMFILE);
    int accepted = aw_accept(listener);
    cr_expect_geq(accepted, 0, "the connection was not lost");
    aw_close(accepted);
    aw_close(client);
    aw_close(listener);
    return 0;
}

Test(listen, an_accept_without_descriptors_loses_no_connection)
{
    NEEDS_A_LIMIT_OF_DESCRIPTORS();
    cr_assert_eq(aw_run(scarce_accept_body, NULL), 0);
}
