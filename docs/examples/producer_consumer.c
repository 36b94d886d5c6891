/* producer_consumer.c - a bounded queue between a producer and two consumers: the producer waits
 * when they fall behind, they end when the queue is closed and empty. */
#include <await.h>
#include <errno.h>
#include <stdio.h>

#define ITEMS 10

struct consumer {
    struct aw_queue *queue;
    char name;
    int total;
};

static int produce(void *argument)
{
    static int items[ITEMS];
    struct aw_queue *queue = argument;
    int result = 0;
    for (int i = 0; i < ITEMS && result == 0; i++) {
        items[i] = i + 1;
        result = aw_queue_put(queue, &items[i]);
        printf("produced %d\n", items[i]);
    }
    aw_queue_close(queue);
    return result;
}

static int consume(void *argument)
{
    struct consumer *consumer = argument;
    void *item;
    int result;
    while ((result = aw_queue_get(consumer->queue, &item)) == 0) {
        result = aw_sleep(100);
        if (result < 0)
            break;
        printf("%c consumed %d\n", consumer->name, *(int *)item);
        consumer->total += *(int *)item;
    }
    return result == -EPIPE ? 0 : result; /* closed and empty: all done */
}

static int run_all(void *argument)
{
    (void)argument;
    struct aw_queue queue;
    int result = aw_queue_init(&queue, 3);
    if (result < 0)
        return result;
    struct consumer consumers[2] = {{&queue, 'A', 0}, {&queue, 'B', 0}};
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_FAIL_FAST);
    result = aw_group_spawn(&group, produce, &queue);
    for (int i = 0; i < 2 && result == 0; i++)
        result = aw_group_spawn(&group, consume, &consumers[i]);
    if (result < 0)
        aw_group_cancel(&group);
    int ended = aw_group_wait(&group);
    aw_queue_free(&queue);
    printf("total %d\n", consumers[0].total + consumers[1].total);
    return result < 0 ? result : ended;
}

int main(void)
{
    return aw_run(run_all, NULL) < 0;
}
