/* three_downloads.c - three pages at once, in the time of the slowest.
 *
 *     cc three_downloads.c $(pkg-config --cflags --libs await) -o three_downloads
 *     ./three_downloads http://example.com/ http://example.org/ http://example.net/ */
#include <await.h>
#include <stdio.h>

static struct aw_http_client *client; /* keeps connections; all tasks share it */

static int download(void *url)
{
    struct aw_http_response page = {0};
    struct aw_error error = {0};
    int result = aw_http_get(client, url, &page, &error); /* suspends this task, not the program */
    if (result < 0)
        fprintf(stderr, "%s\n", error.message);
    else
        printf("%s: status %d, %zu bytes\n", page.url, page.status, page.body_size);
    aw_http_response_free(&page);
    return result;
}

static int download_all(void *argument)
{
    char **urls = argument;
    struct aw_task *tasks[3];
    size_t started = 0;
    int result = aw_http_client_open(&client, NULL, NULL);
    if (result < 0)
        return result;
    for (; started < 3 && result == 0; started += result == 0)
        result = aw_spawn(&tasks[started], download, urls[started]);
    int gathered = aw_gather(started, tasks, NULL); /* waits for all; frees the tasks */
    aw_http_client_close(client);
    return result < 0 ? result : gathered;
}

int main(int count, char *arguments[])
{
    if (count != 4) {
        fprintf(stderr, "usage: three_downloads URL URL URL\n");
        return 2;
    }
    int result = aw_run(download_all, arguments + 1);
    if (result < 0)
        fprintf(stderr, "three_downloads: %s\n", aw_error_text(result));
    return result < 0;
}
