/* cycle.c - the load of a work queue: each connection puts a job, reserves one, deletes it, and so
 * on, one request at a time. The same program drives awaitd, beanstalkd and a Redis list, so that
 * they are measured with one ruler.
 *
 *   cycle awaitd SOCKET CONNECTIONS CYCLES
 *   cycle redis SOCKET CONNECTIONS CYCLES
 *   cycle beanstalkd PORT CONNECTIONS CYCLES
 *
 * CYCLES is the total over all connections. Prints cycles a second, and the median and the 99th
 * percentile of a whole cycle in milliseconds. */
#include <await.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAYLOAD_BYTES 100
#define WORDS_MAX 8
#define WORD_BYTES 128
#define CONNECTIONS_MAX 10000

/* The strings and numbers of a reply, in order, whatever the nesting. */
struct words {
    char word[WORDS_MAX][WORD_BYTES];
    int count;
};

struct load;

struct protocol {
    const char *name;
    int (*cycle)(struct load *load, struct aw_stream *stream);
};

struct load {
    const struct protocol *protocol;
    const char *where;
    long connections;
    long cycles;
    long started; /* cycles */
    uint64_t *took_ns;
    char payload[PAYLOAD_BYTES + 1];
};

static void keep_word(struct words *words, const char *text, size_t size)
{
    if (words->count >= WORDS_MAX)
        return;
    char *word = words->word[words->count++];
    size = size < WORD_BYTES ? size : WORD_BYTES - 1;
    memcpy(word, text, size);
    word[size] = '\0';
}

static int unexpected(const char *line)
{
    fprintf(stderr, "cycle: unexpected reply: %s\n", line);
    return -EPROTO;
}

/* Reads one RESP2 value. */
static int read_value(struct aw_stream *stream, struct words *words)
{
    char *line;
    size_t size;
    int result = aw_stream_read_line(stream, 0, &line, &size);
    if (result <= 0)
        return result < 0 ? result : -ENODATA;
    if (line[0] == '-')
        return unexpected(line);
    long number = atol(line + 1);
    if (line[0] == '*') {
        for (long i = 0; i < number && result >= 0; i++)
            result = read_value(stream, words);
        return result;
    }
    if (line[0] != '$') {
        keep_word(words, line + 1, size - 1);
        return 0;
    }
    if (number < 0)
        return 0;
    char bytes[1024];
    if ((size_t)number + 2 > sizeof bytes)
        return unexpected(line);
    result = aw_stream_read_exactly(stream, bytes, (size_t)number + 2);
    if (result == 0)
        keep_word(words, bytes, (size_t)number);
    return result;
}

/* Sends a command of RESP and reads its reply, which must hold at least `least` words. */
static int ask(struct aw_stream *stream, struct words *words, int least, int count,
               const char *const arguments[])
{
    *words = (struct words){.count = 0};
    int result = aw_stream_print(stream, "*%d\r\n", count);
    for (int i = 0; i < count && result == 0; i++)
        result = aw_stream_print(stream, "$%zu\r\n%s\r\n", strlen(arguments[i]), arguments[i]);
    if (result == 0)
        result = read_value(stream, words);
    if (result >= 0 && words->count < least)
        return unexpected("too short");
    return result < 0 ? result : 0;
}

#define ASK(stream, words, least, ...)                                                        \
    ask(stream, words, least, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),  \
        (const char *[]){__VA_ARGS__})

static int cycle_awaitd(struct load *load, struct aw_stream *stream)
{
    struct words words;
    int result = ASK(stream, &words, 1, "SUBMIT", "mail", load->payload);
    if (result == 0)
        result = ASK(stream, &words, 4, "RESERVE", "mail");
    if (result < 0)
        return result;
    struct words reserved = words;
    return ASK(stream, &words, 1, "ACK", reserved.word[0], reserved.word[1]);
}

static int cycle_redis(struct load *load, struct aw_stream *stream)
{
    struct words words;
    int result = ASK(stream, &words, 1, "LPUSH", "jobs", load->payload);
    if (result == 0)
        result = ASK(stream, &words, 1, "BLMOVE", "jobs", "running", "RIGHT", "LEFT", "0");
    if (result == 0)
        result = ASK(stream, &words, 1, "LREM", "running", "1", load->payload);
    return result;
}

/* One line of beanstalkd's protocol, which must begin with that word. */
static int expect_line(struct aw_stream *stream, const char *word, char **ret_line)
{
    int result = aw_stream_read_line(stream, 0, ret_line, NULL);
    if (result <= 0)
        return result < 0 ? result : -ENODATA;
    return strncmp(*ret_line, word, strlen(word)) == 0 ? 0 : unexpected(*ret_line);
}

static int cycle_beanstalkd(struct load *load, struct aw_stream *stream)
{
    char *line;
    int result =
        aw_stream_print(stream, "put 1024 0 3600 %d\r\n%s\r\n", PAYLOAD_BYTES, load->payload);
    if (result == 0)
        result = expect_line(stream, "INSERTED ", &line);
    if (result == 0)
        result = aw_stream_print(stream, "reserve\r\n");
    if (result == 0)
        result = expect_line(stream, "RESERVED ", &line);
    if (result < 0)
        return result;
    uint64_t id;
    unsigned size;
    char bytes[PAYLOAD_BYTES + 2];
    if (sscanf(line, "RESERVED %" SCNu64 " %u", &id, &size) != 2 || size != PAYLOAD_BYTES)
        return unexpected(line);
    result = aw_stream_read_exactly(stream, bytes, sizeof bytes);
    if (result == 0)
        result = aw_stream_print(stream, "delete %" PRIu64 "\r\n", id);
    return result < 0 ? result : expect_line(stream, "DELETED", &line);
}

static const struct protocol protocols[] = {
    {"awaitd", cycle_awaitd}, {"redis", cycle_redis}, {"beanstalkd", cycle_beanstalkd}};

static int open_stream(const struct load *load, struct aw_stream **ret_stream)
{
    struct aw_error error = {0};
    int result = load->where[0] == '/'
                     ? aw_stream_connect_unix(ret_stream, load->where, NULL, &error)
                     : aw_stream_connect_tcp(ret_stream, "127.0.0.1", (uint16_t)atoi(load->where),
                                             NULL, &error);
    if (result < 0)
        fprintf(stderr, "cycle: %s\n", error.message);
    return result;
}

static int connection_main(void *argument)
{
    struct load *load = argument;
    struct aw_stream *stream;
    int result = open_stream(load, &stream);
    if (result < 0)
        return result;
    while (result == 0 && load->started < load->cycles) {
        long index = load->started++;
        uint64_t began_ns = aw_now_ns();
        result = load->protocol->cycle(load, stream);
        load->took_ns[index] = aw_now_ns() - began_ns;
    }
    aw_stream_abort(stream);
    return result;
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static int run_load(void *argument)
{
    struct load *load = argument;
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_FAIL_FAST);
    uint64_t began_ns = aw_now_ns();
    int result = 0;
    for (long i = 0; i < load->connections && result == 0; i++)
        result = aw_group_spawn(&group, connection_main, load);
    if (result < 0)
        aw_group_cancel(&group);
    int ended = aw_group_wait(&group);
    double seconds = (double)(aw_now_ns() - began_ns) / 1e9;
    if (result < 0 || ended < 0)
        return result < 0 ? result : ended;
    qsort(load->took_ns, (size_t)load->cycles, sizeof *load->took_ns, compare);
    printf("%.0f %.3f %.3f\n", (double)load->cycles / seconds,
           (double)load->took_ns[load->cycles / 2] / 1e6,
           (double)load->took_ns[load->cycles * 99 / 100] / 1e6);
    return 0;
}

int main(int count, char **arguments)
{
    struct load load = {0};
    if (count == 5) {
        for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++)
            if (strcmp(arguments[1], protocols[i].name) == 0)
                load.protocol = &protocols[i];
        load.where = arguments[2];
        load.connections = atol(arguments[3]);
        load.cycles = atol(arguments[4]);
    }
    if (!load.protocol || load.connections < 1 || load.connections > CONNECTIONS_MAX ||
        load.cycles < 1) {
        fprintf(stderr, "usage: cycle awaitd|redis|beanstalkd SOCKET|PORT CONNECTIONS CYCLES\n");
        return 2;
    }
    memset(load.payload, 'x', PAYLOAD_BYTES);
    load.took_ns = calloc((size_t)load.cycles, sizeof *load.took_ns);
    if (!load.took_ns) {
        fprintf(stderr, "cycle: no memory for %ld cycles\n", load.cycles);
        return 1;
    }
    int result = aw_run(run_load, &load);
    free(load.took_ns);
    if (result < 0)
        fprintf(stderr, "cycle: %s\n", aw_error_text(result));
    return result < 0 ? 1 : 0;
}
