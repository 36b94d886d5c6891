/* redis.c - see redis.h. */
#include "support/redis.h"

#include "support/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OPTIONS_MAX 40
#define START_ATTEMPTS 6000 /* of 10 ms */

bool redis_server_available(void)
{
    return access("/usr/bin/redis-server", X_OK) == 0;
}

static uint16_t free_port(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        abort();
    close(fd);
    return ntohs(address.sin_port);
}

void redis_server_prepare(struct redis_server *server)
{
    *server = (struct redis_server){0};
    folder_make(server->folder, sizeof server->folder);
    server->port = free_port();
    snprintf(server->socket, sizeof server->socket, "%s/redis.sock", server->folder);
    snprintf(server->uri, sizeof server->uri, "redis://127.0.0.1:%u/0", server->port);
    snprintf(server->unix_uri, sizeof server->unix_uri, "unix://%s?db=0", server->socket);
}

static void run_server(const struct redis_server *server, const char *const options[])
{
    char port[8];
    snprintf(port, sizeof port, "%u", server->port);
    const char *arguments[OPTIONS_MAX] = {
        "redis-server", "--port", port,           "--unixsocket", server->socket, "--dir",
        server->folder, "--bind", "127.0.0.1",    "--logfile",    "redis.log",    "--daemonize",
        "no",           "--save", ""};
    int count = 15;
    for (int i = 0; options && options[i] && count < OPTIONS_MAX - 1; i++)
        arguments[count++] = options[i];
    arguments[count] = NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that crashes leaves no server behind */
    execv("/usr/bin/redis-server", (char *const *)(uintptr_t)arguments);
    _exit(127);
}

static bool takes_connections(const struct redis_server *server)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, server->socket, strlen(server->socket) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        abort();
    int result = connect(fd, (struct sockaddr *)&address, sizeof address);
    close(fd);
    return result == 0;
}

void redis_server_start(struct redis_server *server, const char *const options[])
{
    unlink(server->socket);
    server->pid = fork();
    if (server->pid < 0)
        abort();
    if (server->pid == 0)
        run_server(server, options);
    for (int attempt = 0; attempt < START_ATTEMPTS; attempt++) {
        if (takes_connections(server))
            return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    fprintf(stderr, "redis-server did not start in %s\n", server->folder);
    abort();
}

void redis_server_stop(struct redis_server *server, int signal)
{
    if (server->pid == 0)
        return;
    kill(server->pid, signal);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

void redis_server_remove(struct redis_server *server)
{
    redis_server_stop(server, SIGKILL);
    folder_remove(server->folder);
}
