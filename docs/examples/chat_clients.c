/* chat_clients.c - many members of a chat (chat.c) in one program: each says something, and counts
 * what it hears of each of the others.
 *
 *     ./chat_clients ws://127.0.0.1:8080/ 1000
 */
#include <await.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct crowd {
    const char *uri;
    int size;
    struct aw_barrier all; /* nobody speaks before all are there, nobody leaves before all heard */
};

struct client {
    struct crowd *crowd;
    int number;
    int heard; /* messages of others */
};

static int speak(struct client *client, struct aw_websocket *socket)
{
    char text[64];
    int size = snprintf(text, sizeof text, "hello from %d", client->number);
    return aw_websocket_send(socket, AW_WEBSOCKET_TEXT, text, (size_t)size);
}

/* Until each of the others has been heard once. */
static int listen_to_all(struct client *client, struct aw_websocket *socket)
{
    AW_CLEANUP(aw_cleanup_free) bool *heard = calloc((size_t)client->crowd->size, sizeof *heard);
    struct aw_error error = {0};
    if (heard == NULL)
        return -ENOMEM;
    while (client->heard < client->crowd->size - 1) {
        struct aw_websocket_message message;
        int from;
        int said;
        int result = aw_websocket_receive(socket, &message, &error);
        if (result <= 0) {
            fprintf(stderr, "client %d: %s\n", client->number,
                    result < 0 ? error.message : aw_websocket_close_reason(socket));
            return result < 0 ? result : -EPIPE;
        }
        if (message.data[0] == '*')
            continue; /* somebody has come or gone */
        if (sscanf(message.data, "c%d: hello from %d", &from, &said) != 2 || from != said ||
            from < 0 || from >= client->crowd->size || from == client->number || heard[from])
            return -EBADMSG;
        heard[from] = true;
        client->heard++;
    }
    return 0;
}

static int take_part(struct client *client, struct aw_websocket *socket)
{
    int result = aw_barrier_wait(&client->crowd->all);
    if (result >= 0)
        result = speak(client, socket);
    if (result >= 0)
        result = listen_to_all(client, socket);
    if (result >= 0)
        result = aw_barrier_wait(&client->crowd->all);
    return result < 0 ? result : 0;
}

static int run_client(void *argument)
{
    struct client *client = argument;
    struct aw_error error = {0};
    char uri[256];
    snprintf(uri, sizeof uri, "%s?name=c%d", client->crowd->uri, client->number);
    struct aw_websocket_options options = {.handshake_timeout_ms = 60000};
    struct aw_websocket_call call = {.uri = uri, .options = &options, .error = &error};
    int result = 0;
    AW_WITH(result, aw_websocket_with(&call)) {
        result = take_part(client, call.socket);
    }
    if (error.number < 0)
        fprintf(stderr, "client %d: %s\n", client->number, error.message);
    return result;
}

static int run_crowd(void *argument)
{
    struct crowd *crowd = argument;
    AW_CLEANUP(aw_cleanup_free) struct client *clients =
        calloc((size_t)crowd->size, sizeof *clients);
    struct aw_group group;
    uint64_t began_ns = aw_now_ns();
    if (clients == NULL || aw_barrier_init(&crowd->all, (uint32_t)crowd->size) < 0)
        return -ENOMEM;
    aw_group_init(&group, AW_GROUP_FAIL_FAST);
    for (int i = 0; i < crowd->size; i++) {
        clients[i] = (struct client){crowd, i, 0};
        if (aw_group_spawn(&group, run_client, &clients[i]) < 0)
            aw_group_cancel(&group);
    }
    int result = aw_group_wait(&group);
    int complete = 0;
    long messages = 0;
    for (int i = 0; i < crowd->size; i++) {
        complete += clients[i].heard == crowd->size - 1;
        messages += clients[i].heard;
    }
    printf("%d of %d clients have heard all others: %ld messages\n", complete, crowd->size,
           messages);
    fprintf(stderr, "%.1f s\n", (double)(aw_now_ns() - began_ns) / 1e9);
    return result;
}

int main(int argc, char **argv)
{
    if (argc != 3 || atoi(argv[2]) < 1) {
        fprintf(stderr, "usage: chat_clients URI CLIENTS\n");
        return 2;
    }
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max; /* one for each client */
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    struct crowd crowd = {.uri = argv[1], .size = atoi(argv[2])};
    int result = aw_run(run_crowd, &crowd);
    if (result < 0)
        fprintf(stderr, "chat_clients: %s\n", aw_error_text(result));
    return result < 0;
}
