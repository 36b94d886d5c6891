/* service.c - a small service: answers each client of a Unix socket in capitals.
 *
 *     ./service /tmp/service.sock &
 *     echo hello | nc -N -U /tmp/service.sock
 *
 * At most CLIENTS_MAX clients at once, each cut off after IDLE_MS of silence. SIGUSR1 prints every
 * task and where it waits; SIGTERM and SIGINT stop it: clients get STOP_MS to finish. */
#include <await.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CLIENTS_MAX 100
#define IDLE_MS 30000
#define STOP_MS 1000

struct service {
    int listener;
    struct aw_semaphore places;
    struct aw_group clients;
};

struct client {
    struct service *service;
    int fd;
};

/* One request and its answer: positive, 0 when the client has gone, or an error. */
static int answer(int fd)
{
    char text[512];
    int received = 0;
    AW_WITH(received, aw_with_timeout(IDLE_MS)) {
        received = aw_receive(fd, text, sizeof text);
        for (int i = 0; i < received; i++)
            text[i] = (char)toupper((unsigned char)text[i]);
        if (received > 0 && aw_send_all(fd, text, (size_t)received) < 0)
            received = -EPIPE;
    }
    return received;
}

static int serve_client(void *argument)
{
    AW_CLEANUP(aw_cleanup_free) struct client *client = argument;
    AW_CLEANUP(aw_cleanup_close) int fd = client->fd;
    aw_task_set_name(NULL, "client");
    while (answer(fd) > 0) {
    }
    aw_semaphore_release(&client->service->places);
    return 0; /* that a client has gone is no failure of the service */
}

static int start_client(struct service *service, int fd)
{
    struct client *client = malloc(sizeof *client);
    int result = client ? 0 : -ENOMEM;
    if (client) {
        *client = (struct client){service, fd};
        result = aw_group_spawn(&service->clients, serve_client, client);
    }
    if (result < 0) {
        free(client);
        aw_close(fd);
        aw_semaphore_release(&service->places);
    }
    return result;
}

static int accept_clients(void *argument)
{
    struct service *service = argument;
    aw_task_set_name(NULL, "accept");
    for (;;) {
        int result = aw_semaphore_acquire(&service->places);
        if (result < 0)
            return result;
        int fd = aw_accept(service->listener);
        if (fd >= 0) {
            AW_IGNORE(start_client(service, fd)); /* no memory for this one: the next may fit */
            continue;
        }
        aw_semaphore_release(&service->places);
        if (fd == -ECANCELED)
            return fd;
        result = aw_sleep(100); /* out of descriptors: wait until clients have gone */
        if (result < 0)
            return result;
    }
}

/* Returns 0 when the service is to stop. */
static int wait_for_stop(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    AW_CLEANUP(aw_cleanup_close) int fd = aw_signal_open(&signals);
    if (fd < 0)
        return fd;
    int number;
    while ((number = aw_signal_wait(fd)) == SIGUSR1) {
        static char text[65536];
        aw_task_dump_text(text, sizeof text);
        fputs(text, stderr);
    }
    return number < 0 ? number : 0;
}

static int run_service(void *path)
{
    struct aw_error error = {0};
    AW_CLEANUP(aw_cleanup_close) int listener = aw_listen_unix(path, NULL, &error);
    if (listener < 0) {
        fprintf(stderr, "service: %s\n", error.message);
        return listener;
    }
    struct service service = {.listener = listener};
    aw_semaphore_init(&service.places, CLIENTS_MAX);
    aw_group_init(&service.clients, AW_GROUP_COLLECT);
    struct aw_task *accepting;
    int result = aw_spawn(&accepting, accept_clients, &service);
    if (result < 0)
        return result;
    int stopped = wait_for_stop();
    aw_cancel(accepting);
    AW_IGNORE(aw_await(accepting));
    AW_WITH(result, aw_with_timeout(STOP_MS)) {
        result = aw_group_wait(&service.clients); /* cancels who is left when the time is over */
    }
    return stopped;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: service PATH\n");
        return 2;
    }
    return aw_run(run_service, argv[1]) < 0;
}
