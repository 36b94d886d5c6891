/* test_cancellation.c - every I/O function, cancelled at its first suspension, at its second and so
 * on until it is through: nothing may be left, and the answer is -ECANCELED or its own. */
#include "support/cancel.h"
#include "support/process.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char folder[64];

static void enter_folder(void)
{
    folder_make(folder, sizeof folder);
    if (chdir(folder) != 0)
        abort();
}

static void leave_folder(void)
{
    folder_remove(folder);
}

TestSuite(cancellation, .init = enter_folder, .fini = leave_folder, .timeout = 300);

static int everywhere(void *argument)
{
    aw_function function = *(aw_function *)argument;
    cr_expect_gt(cancel_everywhere(function, NULL), 0, "no round was cancelled in time");
    return 0;
}

static void cancel_at_each_point(aw_function function)
{
    cr_assert_eq(aw_run(everywhere, &function), 0);
}

/* --- files --------------------------------------------------------------------------------------
 */
static int use_a_descriptor(int fd)
{
    char text[8];
    struct stat status;
    int result = aw_write(fd, "12345678", 8, 0);
    if (result >= 0)
        result = aw_write_all(fd, "abc", 3, 8);
    if (result >= 0)
        result = aw_write_durable(fd, "d", 1, 11);
    if (result >= 0)
        result = aw_sync(fd, true);
    if (result >= 0)
        result = aw_read(fd, text, 8, 0);
    if (result >= 0)
        result = aw_read_exactly(fd, text, 8, 4);
    if (result >= 0)
        result = aw_stat_fd(fd, &status);
    if (result >= 0)
        result = aw_reserve_space(fd, 0, 4096) == -ECANCELED ? -ECANCELED : 0;
    return result < 0 ? result : aw_truncate(fd, 2);
}

static int one_file(void *argument)
{
    (void)argument;
    AW_IGNORE(unlink("a"));
    AW_IGNORE(unlink("b"));
    int result = aw_open("a", O_RDWR | O_CREAT, 0600);
    if (result < 0)
        return result;
    int fd = result;
    result = use_a_descriptor(fd);
    (void)aw_close(fd);
    struct stat status;
    uint64_t free_bytes;
    if (result >= 0)
        result = aw_rename("a", "b");
    if (result >= 0)
        result = aw_sync_directory_of("b");
    if (result >= 0)
        result = aw_stat("b", &status);
    if (result >= 0)
        result = aw_disk_free("b", &free_bytes);
    return result < 0 ? result : aw_unlink("b");
}

Test(cancellation, of_each_call_on_a_file)
{
    cancel_at_each_point(one_file);
}

static int whole_files(void *argument)
{
    (void)argument;
    AW_IGNORE(rmdir("made"));
    char *data = NULL;
    size_t size;
    int result = aw_make_directory("made", 0700);
    if (result >= 0)
        result = aw_write_file("whole", "text", 4, 0600);
    if (result >= 0)
        result = aw_read_file("whole", 100, &data, &size);
    if (result >= 0)
        free(data);
    return result < 0 ? result : aw_copy_file("whole", "copy");
}

Test(cancellation, of_each_call_on_whole_files)
{
    cancel_at_each_point(whole_files);
}

static int temporary(void *argument)
{
    (void)argument;
    char path[128];
    int fd = aw_temporary_file(".", path, sizeof path);
    if (fd < 0)
        return fd;
    (void)aw_close(fd);
    AW_IGNORE(unlink(path));
    fd = aw_temporary_unnamed(".");
    if (fd >= 0)
        (void)aw_close(fd);
    if (fd == -ECANCELED)
        return fd;
    int result = aw_temporary_directory(".", path, sizeof path);
    if (result >= 0)
        AW_IGNORE(rmdir(path));
    return result;
}

Test(cancellation, of_temporary_files)
{
    cancel_at_each_point(temporary);
}

static int file_block(void *argument)
{
    (void)argument;
    int fd;
    int result = 0;
    AW_WITH(result, aw_with_file(&fd, "block", O_RDWR | O_CREAT, 0600))
    {
        result = aw_write_all(fd, "x", 1, 0);
    }
    return result;
}

Test(cancellation, of_a_block_with_a_file)
{
    cancel_at_each_point(file_block);
}

/* --- sockets ------------------------------------------------------------------------------------
 */
struct conversation {
    int listener;
    int port; /* 0: the Unix socket "talk" */
};

static int answer_one(void *argument)
{
    const struct conversation *conversation = argument;
    int result = aw_accept(conversation->listener);
    if (result < 0)
        return result;
    AW_CLEANUP(aw_cleanup_close) int fd = result;
    struct aw_loan loan;
    result = aw_receive_loan(fd, &loan);
    if (result <= 0)
        return result;
    aw_receive_done(&loan);
    return aw_send_all(fd, "answer", 6);
}

static int ask_one(const struct conversation *conversation)
{
    int result = conversation->port
                     ? aw_connect_tcp("127.0.0.1", (uint16_t)conversation->port, NULL)
                     : aw_connect_unix("talk", NULL);
    if (result < 0)
        return result;
    AW_CLEANUP(aw_cleanup_close) int fd = result;
    char text[16];
    result = aw_poll(fd, POLLOUT);
    if (result >= 0)
        result = aw_send(fd, "question", 8);
    if (result >= 0)
        result = aw_shutdown(fd, SHUT_WR);
    return result < 0 ? result : aw_receive(fd, text, sizeof text);
}

static int converse(struct conversation *conversation)
{
    struct aw_task *task;
    int result = aw_spawn(&task, answer_one, conversation);
    if (result < 0)
        return result;
    result = ask_one(conversation);
    if (result < 0)
        aw_cancel(task);
    int answered = aw_await(task);
    (void)aw_close(conversation->listener);
    return result < 0 ? result : answered;
}

static int talk_by_tcp(void *argument)
{
    (void)argument;
    struct conversation conversation = {.listener = aw_listen_tcp("127.0.0.1", 0, 0, NULL)};
    cr_assert_geq(conversation.listener, 0);
    conversation.port = aw_local_port(conversation.listener);
    return converse(&conversation);
}

Test(cancellation, of_a_conversation_by_tcp)
{
    cancel_at_each_point(talk_by_tcp);
}

static int talk_by_unix(void *argument)
{
    (void)argument;
    struct conversation conversation = {.listener = aw_listen_unix("talk", NULL, NULL)};
    return conversation.listener < 0 ? conversation.listener : converse(&conversation);
}

Test(cancellation, of_a_conversation_by_unix_socket)
{
    cancel_at_each_point(talk_by_unix);
}

static int datagrams(void *argument)
{
    (void)argument;
    int server = aw_datagram_bind("127.0.0.1", 0, NULL);
    cr_assert_geq(server, 0);
    AW_CLEANUP(aw_cleanup_close) int listening = server;
    int result = aw_datagram_connect("127.0.0.1", (uint16_t)aw_local_port(server), NULL);
    if (result < 0)
        return result;
    AW_CLEANUP(aw_cleanup_close) int client = result;
    char text[16];
    struct aw_datagram from;
    result = aw_datagram_send(client, "one", 3);
    if (result >= 0)
        result = aw_datagram_receive(server, text, sizeof text, &from);
    if (result >= 0)
        result = aw_datagram_send_to(server, "two", 3, &from.from);
    return result < 0 ? result : aw_datagram_receive(client, text, sizeof text, NULL);
}

Test(cancellation, of_datagrams)
{
    cancel_at_each_point(datagrams);
}

static int unix_datagrams(void *argument)
{
    (void)argument;
    AW_IGNORE(unlink("box"));
    AW_CLEANUP(aw_cleanup_close) int box = aw_datagram_bind_unix("box", NULL);
    AW_CLEANUP(aw_cleanup_close) int sender = aw_datagram_bind_unix(NULL, NULL);
    cr_assert(box >= 0 && sender >= 0);
    char text[8];
    int result = aw_datagram_send_unix(sender, "one", 3, "box");
    return result < 0 ? result : aw_datagram_receive(box, text, sizeof text, NULL);
}

Test(cancellation, of_datagrams_by_unix_socket)
{
    cancel_at_each_point(unix_datagrams);
}

static int unix_messages(void *argument)
{
    (void)argument;
    int ends[2];
    cr_assert_eq(aw_socket_pair(SOCK_SEQPACKET, ends), 0);
    AW_CLEANUP(aw_cleanup_close) int left = ends[0];
    AW_CLEANUP(aw_cleanup_close) int right = ends[1];
    struct aw_message message;
    char text[8];
    int result = aw_unix_send(left, "fd", 2, &left, 1);
    if (result >= 0)
        result = aw_unix_receive(right, text, sizeof text, 1, &message);
    if (result >= 0)
        (void)aw_close(message.descriptors[0]);
    return result;
}

Test(cancellation, of_messages_with_descriptors)
{
    cancel_at_each_point(unix_messages);
}

static int answer_a_stream(struct aw_stream *stream, void *argument)
{
    (void)argument;
    char *line;
    size_t size;
    int result = aw_stream_read_line(stream, 0, &line, &size);
    return result <= 0 ? result : aw_stream_print(stream, "%s!\n", line);
}

static int connection_block(void *argument)
{
    (void)argument;
    int listener = aw_listen_tcp("127.0.0.1", 0, 0, NULL);
    cr_assert_geq(listener, 0);
    struct aw_connection connection = {.host = "127.0.0.1",
                                       .port = (uint16_t)aw_local_port(listener)};
    struct aw_server *server;
    cr_assert_eq(aw_server_start(&server, listener, answer_a_stream, NULL, NULL), 0);
    int result = 0;
    AW_WITH(result, aw_with_connection(&connection))
    {
        char *line;
        cr_expect_gt(aw_local_port(aw_stream_descriptor(connection.stream)), 0);
        result = aw_stream_print(connection.stream, "hello\n");
        if (result >= 0)
            result = aw_stream_read_line(connection.stream, 0, &line, NULL);
        if (result > 0)
            cr_expect_str_eq(line, "hello!");
    }
    cr_expect_null(connection.stream);
    (void)aw_server_stop(server, 0);
    return result;
}

Test(cancellation, of_a_block_with_a_connection)
{
    cancel_at_each_point(connection_block);
}

static int pipe_streams(void *argument)
{
    (void)argument;
    int ends[2];
    cr_assert_eq(aw_pipe(ends), 0);
    struct aw_stream *stream;
    cr_assert_eq(aw_stream_open_pair(&stream, ends[0], ends[1], NULL), 0);
    char text[8];
    char *all;
    size_t size;
    int result = aw_stream_write_all(stream, "12345", 5);
    if (result >= 0)
        result = aw_stream_read_exactly(stream, text, 3);
    if (result >= 0)
        result = aw_stream_end(stream);
    if (result >= 0)
        result = aw_stream_read_to_end(stream, 100, &all, &size);
    if (result >= 0)
        free(all);
    aw_stream_abort(stream);
    return result;
}

Test(cancellation, of_streams_over_a_pipe)
{
    cancel_at_each_point(pipe_streams);
}

/* --- threads, names, signals --------------------------------------------------------------------
 */
static int on_a_thread(void *argument)
{
    return argument ? 1 : 0;
}

static int offloads(void *argument)
{
    (void)argument;
    int result = aw_to_thread(on_a_thread, NULL);
    if (result < 0)
        return result;
    char *memory = malloc(1);
    cr_assert_not_null(memory);
    result = aw_to_thread_abandonable(on_a_thread, memory, free);
    if (result != -ECANCELED && result != -ETIME)
        free(memory);
    return result;
}

Test(cancellation, of_calls_on_threads)
{
    cancel_at_each_point(offloads);
}

static int names(void *argument)
{
    (void)argument;
    struct aw_address addresses[4];
    struct aw_directory directory;
    int result = aw_resolve("localhost", 80, addresses, 4, NULL);
    if (result >= 0)
        result = aw_directory_list(".", 0, &directory);
    if (result >= 0)
        aw_directory_free(&directory);
    return result;
}

Test(cancellation, of_names_and_lists)
{
    cancel_at_each_point(names);
}

static int signals(void *argument)
{
    (void)argument;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    AW_CLEANUP(aw_cleanup_close) int fd = aw_signal_open(&set);
    cr_assert_geq(fd, 0);
    int result = aw_yield();
    if (result < 0)
        return result;
    cr_assert_eq(kill(getpid(), SIGUSR2), 0);
    result = aw_signal_wait(fd);
    if (result < 0) { /* not taken: take it, or the next round finds two */
        struct aw_scope shield;
        aw_shield_enter(&shield, aw_after_ms(60000));
        cr_expect_eq(aw_signal_wait(fd), SIGUSR2);
        aw_scope_leave(&shield);
    }
    return result;
}

Test(cancellation, of_waiting_for_a_signal)
{
    cancel_at_each_point(signals);
}

static int child_processes(void *argument)
{
    (void)argument;
    const char *arguments[] = {"cat", NULL};
    struct aw_process_options options = {
        .arguments = arguments, .input = AW_PROCESS_PIPE, .output = AW_PROCESS_PIPE};
    struct aw_process *process;
    int result = aw_process_spawn(&process, &options, NULL);
    if (result < 0)
        return result;
    int status;
    char *line;
    result = aw_stream_write_all(aw_process_input(process), "meow\n", 5);
    if (result >= 0)
        result = aw_stream_end(aw_process_input(process));
    if (result >= 0)
        result = aw_stream_read_line(aw_process_output(process), 0, &line, NULL);
    if (result >= 0)
        result = aw_process_wait(process, &status);
    aw_process_close(process);
    return result;
}

Test(cancellation, of_a_conversation_with_a_child)
{
    cancel_at_each_point(child_processes);
}
