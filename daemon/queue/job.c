/* job.c - see job.h. The stored payload, all numbers little-endian:
 *   u32 count, count times u32 size (UINT32_MAX: SQL NULL), then the bytes one after the other. */
#include "queue/job.h"

#include "queue/job_extras.h"
#include "queue/job_id.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NULL_SIZE UINT32_MAX

static const char *const names[JOB_STATES] = {"scheduled", "blocked", "ready",     "running",
                                              "done",      "dead",    "cancelled", "uncertain"};

const char *job_state_name(enum job_state state)
{
    return names[state];
}

int job_state_parse(struct argument name)
{
    for (int state = 0; state < JOB_STATES; state++)
        if (strlen(names[state]) == name.size &&
            strncasecmp(names[state], name.data, name.size) == 0)
            return state;
    return -1;
}

bool job_state_is_final(enum job_state state)
{
    return state >= JOB_DONE;
}

uint64_t job_created_ms(const struct job *job)
{
    return job_id_time_ms(job->id);
}

size_t job_size_bytes(const struct job *job)
{
    return sizeof *job + job->argument_count * sizeof job->arguments[0] + job->payload_size;
}

static void put_u32(char *at, uint32_t number)
{
    number = htole32(number);
    memcpy(at, &number, sizeof number);
}

static uint32_t get_u32(const char *at)
{
    uint32_t number;
    memcpy(&number, at, sizeof number);
    return le32toh(number);
}

/* One allocation: the job, its argument views, the payload. */
static struct job *allocate(uint32_t count, uint32_t payload_size)
{
    size_t head = sizeof(struct job) + count * sizeof(struct argument);
    struct job *job = malloc(head + payload_size);
    if (!job)
        return NULL;
    memset(job, 0, sizeof *job);
    job->argument_count = count;
    job->payload_size = payload_size;
    job->payload = (char *)job + head;
    return job;
}

uint64_t job_payload_size(const struct argument *arguments, uint32_t count)
{
    uint64_t size = 4 + 4 * (uint64_t)count;
    for (uint32_t i = 0; i < count; i++)
        size += arguments[i].null ? 0 : arguments[i].size;
    return size;
}

struct job *job_new(const struct argument *arguments, uint32_t count)
{
    uint64_t size = job_payload_size(arguments, count);
    if (size > JOB_PAYLOAD_SIZE_MAX)
        return NULL;
    struct job *job = allocate(count, (uint32_t)size);
    if (!job)
        return NULL;
    char *sizes = job->payload;
    put_u32(sizes, count);
    char *bytes = sizes + 4 + 4 * (size_t)count;
    for (uint32_t i = 0; i < count; i++) {
        const struct argument *argument = &arguments[i];
        uint32_t length = argument->null ? 0 : argument->size;
        put_u32(sizes + 4 + 4 * (size_t)i, argument->null ? NULL_SIZE : length);
        if (length > 0)
            memcpy(bytes, argument->data, length);
        job->arguments[i] =
            (struct argument){.data = bytes, .size = length, .null = argument->null};
        bytes += length;
    }
    return job;
}

/* The count of a payload whose sizes add up, or -1. */
static int64_t payload_count(const char *payload, size_t size)
{
    if (size < 4 || size > JOB_PAYLOAD_SIZE_MAX)
        return -1;
    uint32_t count = get_u32(payload);
    if (count > (size - 4) / 4)
        return -1;
    uint64_t total = 4 + 4 * (uint64_t)count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t length = get_u32(payload + 4 + 4 * (size_t)i);
        total += length == NULL_SIZE ? 0 : length;
    }
    return total == size ? (int64_t)count : -1;
}

/* The next argument; moves *bytes on. */
static struct argument payload_argument(const char *payload, uint32_t index, const char **bytes)
{
    uint32_t length = get_u32(payload + 4 + 4 * (size_t)index);
    bool null = length == NULL_SIZE;
    struct argument argument = {.data = *bytes, .size = null ? 0 : length, .null = null};
    *bytes += argument.size;
    return argument;
}

struct job *job_from_payload(const void *payload, size_t size, bool *ret_corrupt)
{
    int64_t count = payload_count(payload, size);
    *ret_corrupt = count < 0;
    if (count < 0)
        return NULL;
    struct job *job = allocate((uint32_t)count, (uint32_t)size);
    if (!job)
        return NULL;
    memcpy(job->payload, payload, size);
    const char *bytes = job->payload + 4 + 4 * (size_t)count;
    for (uint32_t i = 0; i < job->argument_count; i++)
        job->arguments[i] = payload_argument(job->payload, i, &bytes);
    return job;
}

bool job_payload_write(const void *payload, size_t size, struct buffer *out)
{
    int64_t count = payload_count(payload, size);
    if (count < 0)
        return false;
    const char *bytes = (const char *)payload + 4 + 4 * (size_t)count;
    value_array(out, (size_t)count);
    for (uint32_t i = 0; i < (uint32_t)count; i++) {
        struct argument argument = payload_argument(payload, i, &bytes);
        if (argument.null)
            value_null(out);
        else
            value_bulk(out, argument.data, argument.size);
    }
    return true;
}

void job_free(struct job *job)
{
    if (!job)
        return;
    job_extras_drop(job);
    free(job->successor);
    free(job);
}
