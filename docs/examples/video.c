/* video.c - an upload is answered at once while its video is encoded in the background, on a thread
 * since encoding computes and does not wait; the loop answers questions about it meanwhile. */
#include <await.h>
#include <errno.h>
#include <stdio.h>

struct video {
    const char *name;
    uint32_t frames;
    uint32_t checksum;
};

/* Runs on a thread of the pool: plain C, no call of libawait. */
static int encode_frame(void *argument)
{
    struct video *video = argument;
    for (uint32_t i = 0; i < 2000000; i++)
        video->checksum = video->checksum * 1664525 + 1013904223;
    return 0;
}

static int encode(void *argument)
{
    struct video *video = argument;
    for (uint32_t frame = 0; frame < 20; frame++) {
        int result = aw_to_thread(encode_frame, video);
        if (result == 0)
            result = aw_sleep(50); /* the next frame of the upload arrives */
        if (result < 0)
            return result;
        video->frames++;
    }
    printf("%s is encoded\n", video->name);
    return 0;
}

static int serve(void *argument)
{
    struct video video = {.name = argument};
    uint64_t began_ns = aw_now_ns();
    struct aw_task *task;
    int result = aw_spawn(&task, encode, &video);
    if (result < 0)
        return result;
    printf("202 accepted after %.2f s\n", (double)(aw_now_ns() - began_ns) / 1e9);
    while ((result = aw_wait(task, aw_after_ms(300))) == -ETIME && aw_interrupted() == 0)
        printf("encoding %s: %u of 20 frames\n", video.name, (unsigned)video.frames);
    return aw_await(task);
}

int main(void)
{
    char name[] = "holiday.mp4";
    return aw_run(serve, name) < 0;
}
