/* test_job.c - a job's stored payload: what goes in comes out, and what is no payload is
 * refused. */
#include "queue/job.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

static void check_same(const struct job *job, const struct argument *arguments, uint32_t count)
{
    cr_assert_eq(job->argument_count, count);
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_eq(job->arguments[i].null, arguments[i].null);
        cr_assert_eq(job->arguments[i].size, arguments[i].null ? 0 : arguments[i].size);
        if (job->arguments[i].size > 0)
            cr_assert_eq(memcmp(job->arguments[i].data, arguments[i].data, arguments[i].size), 0);
    }
}

static void round_trip(const struct argument *arguments, uint32_t count)
{
    struct job *job = job_new(arguments, count);
    cr_assert_not_null(job);
    check_same(job, arguments, count);
    cr_assert_eq(job->payload_size, job_payload_size(arguments, count));
    bool corrupt = true;
    struct job *loaded = job_from_payload(job->payload, job->payload_size, &corrupt);
    cr_assert_not_null(loaded);
    cr_assert_not(corrupt);
    check_same(loaded, arguments, count);
    cr_assert_eq(job_size_bytes(loaded), job_size_bytes(job));
    job_free(job);
    job_free(loaded);
}

Test(job, payloads_come_back_as_they_went_in)
{
    char large[70000];
    memset(large, 'x', sizeof large);
    struct argument arguments[] = {
        {.data = "SELECT $1", .size = 9},
        {.data = "a\0b", .size = 3},
        {.data = "", .size = 0},
        {.data = "not used", .size = 8, .null = true},
        {.data = large, .size = sizeof large},
        {.null = true},
    };
    for (uint32_t count = 0; count <= sizeof arguments / sizeof arguments[0]; count++)
        round_trip(arguments, count);
}

Test(job, random_payloads_come_back)
{
    srandom(7);
    static char bytes[4096];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)random();
    for (int round = 0; round < 300; round++) {
        struct argument arguments[40];
        uint32_t count = (uint32_t)random() % 40;
        for (uint32_t i = 0; i < count; i++)
            arguments[i] = (struct argument){.data = bytes + random() % 2048,
                                             .size = (uint32_t)random() % 2048,
                                             .null = random() % 5 == 0};
        round_trip(arguments, count);
    }
}

static void check_corrupt(const void *payload, size_t size)
{
    bool corrupt = false;
    cr_expect_null(job_from_payload(payload, size, &corrupt));
    cr_expect(corrupt, "%zu bytes", size);
    struct buffer out = {0};
    cr_expect_not(job_payload_write(payload, size, &out));
    cr_expect_eq(out.size, 0);
    buffer_free(&out);
}

Test(job, what_is_no_payload_is_refused)
{
    struct argument arguments[] = {{.data = "abc", .size = 3}, {.data = "defg", .size = 4}};
    struct job *job = job_new(arguments, 2);
    cr_assert_not_null(job);
    char *copy = malloc(job->payload_size + 1);
    cr_assert_not_null(copy);
    memcpy(copy, job->payload, job->payload_size);
    copy[job->payload_size] = 0;
    for (size_t size = 0; size < job->payload_size; size++)
        check_corrupt(copy, size);
    check_corrupt(copy, job->payload_size + 1);
    check_corrupt(NULL, 0);

    uint32_t hostile[3] = {htole32(UINT32_MAX), 0, 0};
    check_corrupt(hostile, sizeof hostile); /* more arguments than bytes */
    hostile[0] = htole32(2);
    hostile[1] = hostile[2] = htole32(UINT32_MAX - 1);
    check_corrupt(hostile, sizeof hostile); /* sizes that would wrap around */
    job_free(job);
    free(copy);
}

Test(job, arguments_larger_than_a_row_are_refused)
{
    /* never touched: only the sizes are looked at */
    struct argument arguments[2] = {{.data = "x", .size = JOB_PAYLOAD_SIZE_MAX - 100},
                                    {.data = "x", .size = 200}};
    cr_assert_gt(job_payload_size(arguments, 2), JOB_PAYLOAD_SIZE_MAX);
    cr_assert_null(job_new(arguments, 2));
}

Test(job, arguments_are_written_as_an_array)
{
    struct argument arguments[] = {{.data = "a\r\n", .size = 3}, {.null = true}};
    struct job *job = job_new(arguments, 2);
    cr_assert_not_null(job);
    struct buffer out = {0};
    cr_assert(job_payload_write(job->payload, job->payload_size, &out));
    cr_assert_eq(out.size, strlen("*2\r\n$3\r\na\r\n\r\n_\r\n"));
    cr_assert_eq(memcmp(out.data, "*2\r\n$3\r\na\r\n\r\n_\r\n", out.size), 0);
    buffer_free(&out);
    job_free(job);
}

Test(job, states_have_names_and_stored_numbers)
{
    static const char *const names[] = {"scheduled", "blocked", "ready",     "running",
                                        "done",      "dead",    "cancelled", "uncertain"};
    for (int state = 0; state < JOB_STATES; state++) {
        cr_expect_str_eq(job_state_name((enum job_state)state), names[state]);
        struct argument name = {.data = names[state], .size = (uint32_t)strlen(names[state])};
        cr_expect_eq(job_state_parse(name), state);
        cr_expect_eq(job_state_is_final((enum job_state)state), state >= JOB_DONE);
    }
    cr_expect_eq(job_state_parse((struct argument){.data = "DONE", .size = 4}), JOB_DONE);
    cr_expect_eq(job_state_parse((struct argument){.data = "don", .size = 3}), -1);
    cr_expect_eq(job_state_parse((struct argument){.data = "", .size = 0}), -1);
}
