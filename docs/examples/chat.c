/* chat.c - a chat room over WebSocket: what one says, all others hear.
 *
 *     ./chat 8080 &
 *     websocat 'ws://127.0.0.1:8080/?name=anna'      or any other client, such as a browser's
 *
 * Port 0 picks a free one; the first line says which. A member that does not keep up is put out, so
 * that nobody waits for it. SIGTERM and SIGINT end it: members get STOP_MS to leave. */
#include <await.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>

#define NAME_SIZE 32
#define MESSAGE_SIZE_MAX 4096
#define STOP_MS 2000

struct member {
    LIST_ENTRY(member) link;
    char name[NAME_SIZE];
    struct aw_websocket *socket;
    struct aw_task *task;
};

struct room {
    LIST_HEAD(, member) members;
    struct aw_server *server;
};

/* To everybody but `from`. It never waits: who has no room for one more line is put out. */
static void tell(struct room *room, const struct member *from, const char *text, size_t size)
{
    struct member *member;
    LIST_FOREACH(member, &room->members, link) {
        if (member == from)
            continue;
        if (aw_websocket_try_send(member->socket, AW_WEBSOCKET_TEXT, text, size) == -EAGAIN)
            aw_cancel(member->task);
    }
}

static void tell_of(struct room *room, const struct member *member, const char *what)
{
    char text[NAME_SIZE + 32];
    int size = snprintf(text, sizeof text, "* %s has %s", member->name, what);
    tell(room, member, text, (size_t)size);
}

static int converse(struct room *room, struct member *member)
{
    struct aw_websocket_message message;
    int result;
    while ((result = aw_websocket_receive(member->socket, &message, NULL)) > 0) {
        char line[NAME_SIZE + MESSAGE_SIZE_MAX + 3];
        int size = snprintf(line, sizeof line, "%s: %s", member->name, message.data);
        tell(room, member, line, (size_t)size);
    }
    return result;
}

/* "/?name=anna" */
static bool take_name(const char *target, char *ret_name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    const char *name = strncmp(target, "/?name=", 7) == 0 ? target + 7 : "";
    size_t size = strlen(name);
    if (size == 0 || size >= NAME_SIZE || strspn(name, letters) != size)
        return false;
    strcpy(ret_name, name);
    return true;
}

/* The handshake: 1 with an open socket, 0 when the client was sent away. */
static int greet(struct aw_stream *stream, struct member *member)
{
    struct aw_websocket_options options = {.message_size_max = MESSAGE_SIZE_MAX,
                                           .close_timeout_ms = STOP_MS,
                                           .ping_interval_ms = 20000};
    struct aw_websocket_request *request;
    int result = aw_websocket_request_read(&request, stream, 0, NULL);
    if (result < 0)
        return result;
    if (take_name(request->target, member->name)) {
        result = aw_websocket_accept(&member->socket, stream, request, &options, NULL);
        result = result < 0 ? result : 1;
    } else {
        result = aw_websocket_refuse(stream, 400, "say who you are: /?name=anna");
    }
    aw_websocket_request_free(request);
    return result;
}

static int serve(struct aw_stream *stream, void *argument)
{
    struct room *room = argument;
    struct member member = {.task = aw_current()};
    int result = greet(stream, &member);
    if (result != 1)
        return result;
    struct aw_websocket_call call = {.socket = member.socket};
    AW_WITH(result, aw_websocket_with(&call)) {
        LIST_INSERT_HEAD(&room->members, &member, link);
        tell_of(room, &member, "joined");
        result = converse(room, &member);
        LIST_REMOVE(&member, link);
        tell_of(room, &member, "left");
    }
    return result;
}

static int wait_for_stop(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    AW_CLEANUP(aw_cleanup_close) int fd = aw_signal_open(&signals);
    return fd < 0 ? fd : aw_signal_wait(fd);
}

static int run_chat(void *argument)
{
    struct aw_error error = {0};
    struct room room = {0};
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max; /* one for each member */
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    int listener = aw_listen_tcp("127.0.0.1", (uint16_t)atoi(argument), 0, &error);
    if (listener < 0) {
        fprintf(stderr, "chat: %s\n", error.message);
        return listener;
    }
    printf("listening on ws://127.0.0.1:%d/\n", aw_local_port(listener));
    fflush(stdout);
    int result = aw_server_start(&room.server, listener, serve, &room, NULL);
    if (result < 0)
        return result;
    int number = wait_for_stop();
    result = aw_server_stop(room.server, 0); /* cancels the members; their blocks say farewell */
    return number < 0 ? number : result;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: chat PORT\n");
        return 2;
    }
    return aw_run(run_chat, argv[1]) < 0;
}
