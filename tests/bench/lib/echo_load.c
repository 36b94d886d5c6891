/* echo_load.c - the load of every echo server: N connections, each sends 64 bytes, waits for them
 * to come back, and so on. Plain epoll, so that it belongs to none of the sides.
 *
 *   echo_load PORT CONNECTIONS REQUESTS
 *
 * REQUESTS is the total. Prints requests a second, and the median and the 99th percentile of a
 * request in microseconds. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES 64
#define CONNECTIONS_MAX 10000
#define EVENTS 256

struct connection {
    int fd;
    size_t received;
    double sent_us;
};

struct load {
    int epoll;
    long requests;
    long sent;
    long done;
    double *took_us;
};

static double now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void fail(const char *what)
{
    fprintf(stderr, "echo_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void connect_to(struct load *load, struct connection *connection, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connection->fd < 0 ||
        connect(connection->fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0)
        fail("connect");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0)
        fail("epoll_ctl");
}

static void send_one(struct load *load, struct connection *connection)
{
    static const char message[MESSAGE_BYTES] = "echo";
    if (load->sent == load->requests)
        return;
    load->sent++;
    connection->received = 0;
    connection->sent_us = now_us();
    if (send(connection->fd, message, sizeof message, MSG_NOSIGNAL) != (ssize_t)sizeof message)
        fail("send");
}

static void receive(struct load *load, struct connection *connection)
{
    char buffer[MESSAGE_BYTES];
    ssize_t got = recv(connection->fd, buffer, sizeof buffer - connection->received, MSG_DONTWAIT);
    if (got <= 0)
        fail("recv");
    connection->received += (size_t)got;
    if (connection->received < MESSAGE_BYTES)
        return;
    load->took_us[load->done++] = now_us() - connection->sent_us;
    send_one(load, connection);
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static void run(struct load *load, struct connection *connections, long count)
{
    struct epoll_event events[EVENTS];
    double began_us = now_us();
    for (long i = 0; i < count; i++)
        send_one(load, &connections[i]);
    while (load->done < load->requests) {
        int ready = epoll_wait(load->epoll, events, EVENTS, 60000);
        if (ready <= 0)
            fail("no answer");
        for (int i = 0; i < ready; i++)
            receive(load, events[i].data.ptr);
    }
    double seconds = (now_us() - began_us) / 1e6;
    qsort(load->took_us, (size_t)load->done, sizeof *load->took_us, compare);
    printf("%.0f %.2f %.2f\n", (double)load->done / seconds, load->took_us[load->done / 2],
           load->took_us[load->done * 99 / 100]);
}

int main(int count, char **arguments)
{
    long number = count == 4 ? atol(arguments[2]) : 0;
    struct load load = {.requests = count == 4 ? atol(arguments[3]) : 0};
    if (number < 1 || number > CONNECTIONS_MAX || load.requests < number) {
        fprintf(stderr, "usage: echo_load PORT CONNECTIONS REQUESTS\n");
        return 2;
    }
    struct connection *connections = calloc((size_t)number, sizeof *connections);
    load.took_us = calloc((size_t)load.requests, sizeof *load.took_us);
    load.epoll = epoll_create1(0);
    if (!connections || !load.took_us || load.epoll < 0)
        fail("start");
    for (long i = 0; i < number; i++)
        connect_to(&load, &connections[i], atoi(arguments[1]));
    run(&load, connections, number);
    for (long i = 0; i < number; i++)
        (void)close(connections[i].fd);
    free(load.took_us);
    free(connections);
    return 0;
}
