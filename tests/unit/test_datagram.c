/* test_datagram.c - UDP and Unix datagrams: whole, cut, addressed, refused, interrupted. */
#include "support/process.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
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

TestSuite(datagram, .init = enter_folder, .fini = leave_folder);

static int talk_over(const char *host)
{
    struct aw_error error = {0};
    int server = aw_datagram_bind(host, 0, &error);
    if (server == -EADDRNOTAVAIL || server == -EAFNOSUPPORT)
        return strcmp(host, "::1") == 0 ? 0 : server; /* a machine without IPv6 */
    cr_assert_geq(server, 0, "%s", error.message);
    int port = aw_local_port(server);
    int client = aw_datagram_connect(host, (uint16_t)port, &error);
    cr_assert_geq(client, 0, "%s", error.message);
    cr_expect_eq(aw_datagram_send(client, "question", 8), 0);
    char text[16] = "";
    struct aw_datagram datagram;
    cr_assert_eq(aw_datagram_receive(server, text, sizeof text, &datagram), 8);
    cr_expect_str_eq(text, "question");
    cr_expect_eq(datagram.size, 8);
    cr_expect_not(datagram.truncated);
    cr_expect_str_eq(datagram.from.text, host);
    cr_expect_eq(aw_datagram_send_to(server, "long answer", 11, &datagram.from), 0);
    cr_assert_eq(aw_datagram_receive(client, text, 4, &datagram), 4, "cut");
    cr_expect_eq(datagram.size, 11);
    cr_expect(datagram.truncated);
    cr_expect_eq(aw_datagram_send(client, "", 0), 0);
    cr_expect_eq(aw_datagram_receive(server, text, sizeof text, NULL), 0, "empty, not the end");
    static char huge[70000];
    cr_expect_eq(aw_datagram_send(client, huge, sizeof huge), -EMSGSIZE);
    aw_close(server);
    cr_expect_eq(aw_datagram_send(client, "x", 1), 0);
    cr_expect_eq(aw_datagram_receive(client, text, 1, NULL), -ECONNREFUSED);
    aw_close(client);
    return 0;
}

static int ipv4_body(void *argument)
{
    (void)argument;
    return talk_over("127.0.0.1");
}

Test(datagram, talks_over_ipv4)
{
    cr_assert_eq(aw_run(ipv4_body, NULL), 0);
}

static int ipv6_body(void *argument)
{
    (void)argument;
    return talk_over("::1");
}

Test(datagram, talks_over_ipv6)
{
    cr_assert_eq(aw_run(ipv6_body, NULL), 0);
}

static int unix_body(void *argument)
{
    (void)argument;
    struct aw_error error = {0};
    int server = aw_datagram_bind_unix("d", &error);
    cr_assert_geq(server, 0, "%s", error.message);
    int client = aw_datagram_bind_unix(NULL, &error);
    cr_assert_geq(client, 0, "%s", error.message);
    cr_expect_eq(aw_datagram_send_unix(client, "hello", 5, "d"), 0);
    char text[8] = "";
    struct aw_datagram datagram;
    cr_expect_eq(aw_datagram_receive(server, text, sizeof text, &datagram), 5);
    cr_expect_str_eq(text, "hello");
    cr_expect_str_empty(datagram.from.text);
    cr_expect_eq(aw_datagram_send_unix(client, "x", 1, "nobody"), -ENOENT);
    cr_expect_eq(aw_datagram_bind_unix("d", &error), -EADDRINUSE);
    char long_path[200];
    memset(long_path, 'p', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    cr_expect_eq(aw_datagram_bind_unix(long_path, &error), -ENAMETOOLONG);
    cr_expect_eq(aw_datagram_send_unix(client, "x", 1, long_path), -ENAMETOOLONG);
    aw_close(server);
    aw_close(client);
    return 0;
}

Test(datagram, talks_over_a_unix_path)
{
    cr_assert_eq(aw_run(unix_body, NULL), 0);
}

static int receive_task(void *argument)
{
    char byte;
    return aw_datagram_receive(*(int *)argument, &byte, 1, NULL);
}

static int interrupted_body(void *argument)
{
    (void)argument;
    struct aw_error error = {0};
    int server = aw_datagram_bind("127.0.0.1", 0, &error);
    cr_assert_geq(server, 0);
    struct aw_address own;
    cr_assert_eq(aw_address_numeric("127.0.0.1", (uint16_t)aw_local_port(server), &own), 0);
    for (int turns = 0; turns < 12; turns++) {
        struct aw_task *task;
        cr_assert_eq(aw_spawn(&task, receive_task, &server), 0);
        aw_yield();
        cr_expect_eq(aw_datagram_send_to(server, "x", 1, &own), 0);
        for (int i = 0; i < turns % 3; i++)
            aw_yield();
        aw_cancel(task);
        int result = aw_await(task);
        if (result == -ECANCELED)
            result = receive_task(&server);
        cr_expect_eq(result, 1, "the datagram is delivered or still there: %d", result);
    }
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(5));
    cr_expect_eq(receive_task(&server), -ETIME, "none came twice");
    aw_scope_leave(&scope);
    aw_close(server);
    return 0;
}

Test(datagram, an_interrupted_receive_loses_nothing)
{
    cr_assert_eq(aw_run(interrupted_body, NULL), 0);
}

static int wrong_body(void *argument)
{
    (void)argument;
    struct aw_error error = {0};
    struct aw_address address;
    cr_expect_eq(aw_datagram_bind("localhost", 0, &error), -EINVAL);
    cr_expect_str_not_empty(error.message);
    cr_expect_eq(aw_datagram_bind("192.0.2.1", 0, &error), -EADDRNOTAVAIL);
    cr_expect_eq(aw_address_numeric("", 1, &address), -EINVAL);
    cr_expect_eq(aw_datagram_send(-1, "x", 1), -EBADF);
    cr_expect_eq(aw_datagram_receive(-1, &address, 1, NULL), -EBADF);
    return 0;
}

Test(datagram, misuse_is_an_error)
{
    cr_assert_eq(aw_run(wrong_body, NULL), 0);
}
