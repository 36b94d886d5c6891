/* http_downloads.c - three downloads over HTTP, one after the other and then all at once.
 *
 *     ./http_downloads http://localhost:8000/a http://localhost:8000/b http://localhost:8000/c */
#include <await.h>
#include <stdio.h>

#define COUNT 3

struct download {
    struct aw_http_client *client; /* keeps connections; all downloads share it */
    const char *url;
};

/* The size of what is there, or a negative errno. */
static int download(void *argument)
{
    struct download *download = argument;
    struct aw_http_response response = {0};
    struct aw_error error = {0};
    int result = aw_http_get(download->client, download->url, &response, &error);
    if (result < 0) {
        fprintf(stderr, "%s\n", error.message);
        return result;
    }
    printf("%s: %d, %zu bytes\n", response.url, response.status, response.body_size);
    result = (int)response.body_size;
    aw_http_response_free(&response);
    return result;
}

static int in_turn(struct download downloads[COUNT])
{
    for (int i = 0; i < COUNT; i++) {
        int result = download(&downloads[i]);
        if (result < 0)
            return result;
    }
    return 0;
}

static int at_once(struct download downloads[COUNT])
{
    struct aw_task *tasks[COUNT];
    for (int i = 0; i < COUNT; i++) {
        int result = aw_spawn(&tasks[i], download, &downloads[i]);
        if (result < 0)
            return result; /* what was started is cancelled and awaited */
    }
    return aw_gather_fail_fast(COUNT, tasks, NULL);
}

static int compare(void *urls)
{
    struct aw_http_client *client;
    int result = aw_http_client_open(&client, NULL, NULL);
    if (result < 0)
        return result;
    struct download downloads[COUNT];
    for (int i = 0; i < COUNT; i++)
        downloads[i] = (struct download){.client = client, .url = ((char **)urls)[i]};

    uint64_t began_ns = aw_now_ns();
    result = in_turn(downloads);
    uint64_t turned_ns = aw_now_ns();
    if (result == 0)
        result = at_once(downloads);
    uint64_t ended_ns = aw_now_ns();
    if (result == 0)
        printf("in turn: %.2f s, at once: %.2f s\n", (double)(turned_ns - began_ns) / 1e9,
               (double)(ended_ns - turned_ns) / 1e9);
    aw_http_client_close(client);
    return result;
}

int main(int argc, char **argv)
{
    int result = argc == COUNT + 1 ? aw_run(compare, argv + 1) : -22;
    if (result < 0)
        fprintf(stderr, "http_downloads: %s\n", aw_error_text(result));
    return result < 0;
}
