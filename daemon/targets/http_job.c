/* http_job.c - see http_job.h. */
#include "targets/http_job.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define USAGE "needs <method> <url> [\"Name: value\" ...] [BODY body]"

struct parts { /* of the arguments */
    uint32_t header_count;
    const struct argument *body;
};

static bool is_body_word(const struct argument *argument)
{
    return argument->size == 4 && strncasecmp(argument->data, "BODY", 4) == 0;
}

static int split(const struct argument *arguments, uint32_t count, struct parts *ret_parts,
                 struct aw_error *reterr)
{
    struct parts parts = {0};
    if (count < 2)
        return aw_error_set(reterr, -EINVAL, USAGE);
    for (uint32_t i = 0; i < count; i++)
        if (arguments[i].null)
            return aw_error_set(reterr, -EINVAL, "argument %u is NULL, which a request cannot hold",
                                i + 1);
    uint32_t at = 2;
    while (at < count && !is_body_word(&arguments[at]))
        at++;
    parts.header_count = at - 2;
    if (at < count) {
        if (at + 2 != count)
            return aw_error_set(reterr, -EINVAL, "BODY needs one argument behind it, the last one");
        parts.body = &arguments[at + 1];
    }
    for (uint32_t i = 0; i < 2 + parts.header_count; i++)
        if (memchr(arguments[i].data, '\0', arguments[i].size))
            return aw_error_set(reterr, -EINVAL, "argument %u holds a NUL byte", i + 1);
    *ret_parts = parts;
    return 0;
}

/* Strings are put one after the other into memory that was made large enough. */
struct writer {
    char *at;
};

static char *put(struct writer *writer, const char *data, size_t size)
{
    char *text = writer->at;
    memcpy(text, data, size);
    text[size] = '\0';
    writer->at += size + 1;
    return text;
}

static const char *put_url(struct writer *writer, const struct http_rules *rules,
                           const struct argument *argument)
{
    if (!rules->uri || argument->size == 0 || argument->data[0] != '/')
        return put(writer, argument->data, argument->size);
    size_t base = strlen(rules->uri);
    while (base > 0 && rules->uri[base - 1] == '/')
        base--;
    char *url = writer->at;
    memcpy(url, rules->uri, base);
    writer->at += base;
    (void)put(writer, argument->data, argument->size);
    return url;
}

static int put_header(struct http_job *job, struct writer *writer, const struct argument *argument,
                      struct aw_error *reterr)
{
    char *name = put(writer, argument->data, argument->size);
    char *colon = strchr(name, ':');
    if (!colon || colon == name)
        return aw_error_set(reterr, -EINVAL,
                            "\"%.60s\" is no header: " USAGE, name);
    *colon = '\0';
    char *value = colon + 1 + strspn(colon + 1, " \t");
    size_t size = strlen(value);
    while (size > 0 && (value[size - 1] == ' ' || value[size - 1] == '\t'))
        value[--size] = '\0';
    job->headers[job->request.header_count++] =
        (struct aw_http_header){.name = name, .value = value};
    return 0;
}

static bool has_header(const struct http_job *job, const char *name)
{
    for (size_t i = 0; i < job->request.header_count; i++)
        if (strcasecmp(job->headers[i].name, name) == 0)
            return true;
    return false;
}

static void add_header(struct http_job *job, const char *name, const char *value)
{
    job->headers[job->request.header_count++] =
        (struct aw_http_header){.name = name, .value = value};
}

static void add_own_headers(struct http_job *job, struct writer *writer,
                            const struct target_settings *settings,
                            const struct http_rules *rules, uint64_t job_id)
{
    size_t of_the_job = job->request.header_count;
    for (size_t i = 0; i < rules->header_count; i++) {
        const struct aw_http_header *header = &rules->headers[i];
        bool named = false;
        for (size_t j = 0; j < of_the_job; j++)
            named = named || strcasecmp(job->headers[j].name, header->name) == 0;
        if (!named)
            add_header(job, header->name, header->value);
    }
    if (settings->password && http_rules_is_base(rules, job->request.url) &&
        !has_header(job, "Authorization")) {
        char *value = writer->at;
        writer->at += sprintf(value, "Bearer %s", settings->password) + 1;
        add_header(job, "Authorization", value);
    }
    if (job_id != 0 && !has_header(job, "Idempotency-Key")) {
        char *value = writer->at;
        writer->at += sprintf(value, "%" PRIu64, job_id) + 1;
        add_header(job, "Idempotency-Key", value);
    }
}

static int make_room(struct http_job *job, const struct target_settings *settings,
                     const struct http_rules *rules, const struct argument *arguments,
                     const struct parts *parts)
{
    size_t size = 64 + (rules->uri ? strlen(rules->uri) : 0) +
                  (settings->password ? strlen(settings->password) + sizeof "Bearer " : 0);
    for (uint32_t i = 0; i < 2 + parts->header_count; i++)
        size += (size_t)arguments[i].size + 1;
    job->text = calloc(1, size);
    job->text_size = size;
    job->headers = calloc(parts->header_count + rules->header_count + 2, sizeof *job->headers);
    return job->text && job->headers ? 0 : -ENOMEM;
}

static int fill(struct http_job *job, const struct target_settings *settings,
                const struct http_rules *rules, const struct argument *arguments,
                const struct parts *parts, uint64_t job_id, struct aw_error *reterr)
{
    struct writer writer = {.at = job->text};
    char *method = put(&writer, arguments[0].data, arguments[0].size);
    for (char *letter = method; *letter; letter++)
        *letter = (char)toupper((unsigned char)*letter);
    job->request.method = method;
    job->request.url = put_url(&writer, rules, &arguments[1]);
    job->request.headers = job->headers;
    for (uint32_t i = 0; i < parts->header_count; i++) {
        int result = put_header(job, &writer, &arguments[2 + i], reterr);
        if (result < 0)
            return result;
    }
    add_own_headers(job, &writer, settings, rules, job_id);
    if (parts->body) {
        job->request.body = parts->body->data ? parts->body->data : "";
        job->request.body_size = parts->body->size;
    }
    int result = aw_http_check(&job->request, reterr);
    if (result < 0)
        return result;
    if (http_rules_allow(rules, job->request.url))
        return 0;
    return aw_error_set(reterr, -EINVAL,
                        "the target may not call %.200s: its configuration (uri, hosts) does not "
                        "name that host", job->request.url);
}

int http_job_make(struct http_job *ret_job, const struct target_settings *settings,
                  const struct http_rules *rules, const struct argument *arguments, uint32_t count,
                  uint64_t job_id, struct aw_error *reterr)
{
    struct parts parts = {0};
    int result = split(arguments, count, &parts, reterr);
    if (result < 0)
        return result;
    struct http_job job = {0};
    result = make_room(&job, settings, rules, arguments, &parts);
    if (result < 0)
        (void)aw_error_set(reterr, result, "no memory for the request");
    else
        result = fill(&job, settings, rules, arguments, &parts, job_id, reterr);
    if (result < 0) {
        http_job_free(&job);
        return result;
    }
    *ret_job = job;
    return 0;
}

void http_job_free(struct http_job *job)
{
    if (job->text)
        explicit_bzero(job->text, job->text_size);
    free(job->text);
    free(job->headers);
    *job = (struct http_job){0};
}
