/* submit_options.h - the options of SUBMIT and RUN, and where the target's name stands after them.
 *
 * All options of the protocol are parsed and checked here; whoever executes the command refuses
 * those it does not support. Views point into the command's arguments and live as long as they
 * do. */
#ifndef PROTOCOL_SUBMIT_OPTIONS_H
#define PROTOCOL_SUBMIT_OPTIONS_H

#include "protocol/argument.h"
#include "protocol/value.h"

#include <await/error.h>

#define PRIORITY_DEFAULT 1024
#define DURATION_MAX_MS UINT64_C(3153600000000) /* a hundred years */
#define TIME_MAX_MS UINT64_C(253402300799999)   /* the end of the year 9999 */
#define RETRY_MAX 1000000
#define KEY_SIZE_MAX 256 /* bytes of KEY and SERIAL */
#define AFTER_MAX 10000  /* job ids of AFTER */
#define COALESCE_MAX 1024 /* jobs in one transaction; the same for a target */

enum submit_command { SUBMIT_COMMAND, RUN_COMMAND }; /* RUN takes TIMEOUT, FORMAT and NULL */

enum onfail { ONFAIL_CANCEL, ONFAIL_RUN };

/* Inside MULTI "$n" stands for the job of its n-th SUBMIT, from 1: as an id, this bit and n. */
#define SUBMIT_REFERENCE (UINT64_C(1) << 63)
#define MULTI_JOBS_MAX 10000u

/* BIND: an argument that is a value out of an earlier job's result. Implies AFTER that job. */
struct submit_bind {
    uint32_t argument; /* from 0, as `arguments` of the job */
    uint64_t job_id;
    uint32_t row;    /* from 0, the row of column names not counted */
    uint32_t column; /* from 0 */
};

struct submit_options {
    bool has_queue, has_priority, has_delay, has_at, has_timeout, has_expire, has_retry;
    bool has_backoff, has_key, has_serial, has_onfail, has_keep, has_format;
    bool has_coalesce;

    const char *queue; /* "default" unless given; not NUL-terminated */
    uint32_t queue_size;
    uint32_t priority;   /* PRIORITY_DEFAULT unless given */
    uint64_t delay_ms;   /* at most one of delay_ms and at_ms is given */
    uint64_t at_ms;
    uint64_t timeout_ms; /* 0: none */
    uint64_t expire_ms;
    uint32_t retry;      /* attempts after the first */
    uint64_t backoff_min_ms;
    uint64_t backoff_max_ms;
    uint64_t keep_ms;    /* 0: the result is dropped */
    struct argument key;
    struct argument serial;
    enum onfail onfail;
    enum result_format format;
    uint32_t coalesce; /* the most jobs in its transaction; 0, 1: it has its own */

    uint64_t *after; /* job ids, in the order given; may repeat */
    uint32_t after_count;
    struct submit_bind *binds;
    uint32_t bind_count;
    uint32_t *nulls; /* arguments from 0; their `null` is set too */
    uint32_t null_count;

    struct argument target;     /* a valid name; whether it exists is the caller's to see */
    struct argument *arguments; /* of the job: what follows the target's name */
    uint32_t argument_count;
};

/* Parses `arguments` (without the command's name) and marks the NULL ones. 0 and *ret_options, to
 * be freed; -EINVAL with the message for the client in *reterr; -ENOMEM. */
AW_MUST_CHECK int submit_options_parse(enum submit_command command, struct argument *arguments,
                                       uint32_t count, struct submit_options *ret_options,
                                       struct aw_error *reterr);
/* The same for the SUBMIT that is the `number`-th of a MULTI, from 1: its AFTER and BIND may refer
 * to those before it. */
AW_MUST_CHECK int submit_options_parse_in_multi(uint32_t number, struct argument *arguments,
                                                uint32_t count,
                                                struct submit_options *ret_options,
                                                struct aw_error *reterr);
void submit_options_free(struct submit_options *options);

/* The option that a word, taken for a target's name, may have been meant as, or NULL. */
const char *submit_option_nearest(const struct argument *word);

#endif
