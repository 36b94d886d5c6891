/* three_downloads.c - three HTTP requests at once with libawait, in the time of the slowest.
 *
 *     cc three_downloads.c $(pkg-config --cflags --libs await) -o three_downloads
 *     ./three_downloads example.com example.org example.net */
#include <await.h>
#include <stdio.h>

/* Reads top to bottom; every aw_ call suspends this task and lets the others run. */
static int download(void *host)
{
    char request[256], reply[4096];
    int length = snprintf(request, sizeof request, "GET / HTTP/1.0\r\nHost: %s\r\n\r\n",
                          (const char *)host);
    int fd = aw_connect_tcp(host, 80, NULL);
    if (fd < 0)
        return fd;
    int total = 0;
    int result = aw_send_all(fd, request, (size_t)length);
    while (result >= 0 && (result = aw_receive(fd, reply, sizeof reply)) > 0)
        total += result;
    aw_close(fd);
    return result < 0 ? result : total;
}

static int download_all(void *hosts)
{
    struct aw_task *tasks[3];
    int sizes[3];
    for (int i = 0; i < 3; i++) {
        int error = aw_spawn(&tasks[i], download, ((char **)hosts)[i]);
        if (error < 0)
            return error; /* what was started is cancelled and awaited */
    }
    int result = aw_gather(3, tasks, sizes);
    for (int i = 0; i < 3; i++)
        printf("%s: %d\n", ((char **)hosts)[i], sizes[i]);
    return result;
}

int main(int argc, char **argv)
{
    int result = argc == 4 ? aw_run(download_all, argv + 1) : -22;
    if (result < 0)
        fprintf(stderr, "three_downloads: %s\n", aw_error_text(result));
    return result < 0;
}
