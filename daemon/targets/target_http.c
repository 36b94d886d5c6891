/* target_http.c - HTTP servers as a target: the arguments are a request, the response is the
 * result.
 *
 * A target with a base (uri) stands for one server: while no connection to it can be made the
 * target is down, its jobs wait without spending attempts, and one task tries to connect again and
 * again. A host that is only allowed (hosts) is one of many: a job that cannot reach it fails an
 * attempt, and the others go on. */
#include "targets/http_job.h"
#include "targets/http_outcome.h"
#include "targets/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBE_MIN_MS 100u
#define PROBE_MAX_MS 5000u

struct http_target {
    struct http_rules rules;
    struct aw_http_client *client;
    struct aw_tls_context *tls; /* of the probe; NULL: the base (or the proxy) is without */
    struct aw_http_origin probed;
    struct aw_event down;
};

static int http_check(struct target *target, const struct argument *arguments, uint32_t count,
                      struct aw_error *reterr)
{
    const struct http_target *state = target->state;
    struct http_job job;
    int result = http_job_make(&job, &target->settings, &state->rules, arguments, count, 1,
                               reterr);
    if (result == 0)
        http_job_free(&job);
    return result;
}

/* --- down and up again ----------------------------------------------------------------------- */

static int probe(struct target *target)
{
    struct http_target *state = target->state;
    struct aw_error error = {0};
    struct aw_stream *stream = NULL;
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(target->settings.connect_timeout_ms));
    int result = aw_stream_connect_tcp(&stream, state->probed.host, state->probed.port, NULL,
                                       &error);
    if (result == 0 && state->tls)
        result = aw_stream_start_tls(stream, state->tls, state->probed.host, &error);
    aw_scope_leave(&scope);
    aw_stream_abort(stream);
    if (result < 0 && aw_interrupted() == 0)
        target_set_down(target, result == -ETIME ? "cannot connect: no answer in time"
                                                 : error.message);
    return result;
}

static int probe_task(void *argument)
{
    struct target *target = argument;
    struct http_target *state = target->state;
    aw_task_set_name(NULL, "http probe");
    while (aw_event_wait(&state->down) == 0) {
        uint64_t most_ms = PROBE_MIN_MS;
        int result = -ECONNREFUSED;
        while (result < 0) {
            if (aw_sleep(most_ms / 2 + aw_random_below(most_ms / 2 + 1)) < 0)
                return 0;
            most_ms = most_ms * 2 < PROBE_MAX_MS ? most_ms * 2 : PROBE_MAX_MS;
            result = target->up ? 0 : probe(target);
        }
        aw_event_clear(&state->down);
        target_set_up(target);
    }
    return 0;
}

/* Where a connection is tried: the proxy, or the base. */
static int prepare_probe(struct target *target, struct aw_error *reterr)
{
    const struct target_settings *settings = &target->settings;
    struct http_target *state = target->state;
    state->probed = state->rules.base;
    if (settings->http.proxy) {
        char url[600]; /* its scheme may be another one; only host and port are asked */
        const char *rest = strstr(settings->http.proxy, "://");
        snprintf(url, sizeof url, "http%.580s", rest ? rest : "://");
        if (aw_http_origin_of(url, &state->probed) < 0)
            return aw_error_set(reterr, -EINVAL, "the proxy must be http://host:port");
        state->probed.tls = false;
    }
    if (!state->probed.tls)
        return 0;
    struct aw_tls_options options = {.authorities = settings->http.ca_file};
    return aw_tls_client(&state->tls, &options, reterr);
}

/* --- its life -------------------------------------------------------------------------------- */

static void http_stop(struct target *target)
{
    struct http_target *state = target->state;
    if (!state)
        return;
    aw_http_client_close(state->client);
    aw_tls_free(state->tls);
    http_rules_free(&state->rules);
    free(state);
    target->state = NULL;
}

static int open_client(struct target *target, struct aw_error *reterr)
{
    const struct target_settings *settings = &target->settings;
    struct http_target *state = target->state;
    struct aw_http_options options = {
        .connections_max = settings->connections,
        .connections_per_host_max = settings->connections,
        .connect_timeout_ms = settings->connect_timeout_ms,
        .timeout_ms = settings->http.request_timeout_ms,
        .redirects_max = settings->http.redirects ? (int32_t)settings->http.redirects : -1,
        .response_size_max = settings->http.response_size_max,
        .ca_file = settings->http.ca_file,
        .proxy = settings->http.proxy,
        .user_agent = "awaitd/" AWAITD_VERSION,
    };
    return aw_http_client_open(&state->client, &options, reterr);
}

static int http_start(struct target *target, struct aw_error *reterr)
{
    const struct target_settings *settings = &target->settings;
    struct http_target *state = calloc(1, sizeof *state);
    if (!state)
        return aw_error_set(reterr, -ENOMEM, "no memory for the target");
    target->state = state;
    aw_event_init(&state->down);
    enum http_rules_part part;
    char reason[HTTP_RULES_REASON_SIZE] = "cannot be read: out of memory";
    int result = http_rules_parse(&state->rules, settings->uri, settings->http.hosts,
                                  settings->http.headers, &part, reason);
    if (result < 0)
        (void)aw_error_set(reterr, result, "one of uri, hosts and headers %s", reason);
    if (result == 0)
        result = open_client(target, reterr);
    if (result == 0 && settings->uri)
        result = prepare_probe(target, reterr);
    if (result == 0 && settings->uri) {
        result = aw_group_spawn(target->group, probe_task, target);
        if (result < 0)
            (void)aw_error_set(reterr, result, "cannot start its task: %s", aw_error_text(result));
    }
    if (result < 0)
        http_stop(target);
    return result;
}

/* --- a job ----------------------------------------------------------------------------------- */

static int check_redirect(const char *url, void *context)
{
    const struct http_target *state = context;
    return http_rules_allow(&state->rules, url) ? 0 : -EPERM;
}

static void send_request(struct target *target, const struct execution *execution,
                         struct http_job *job, struct outcome *outcome)
{
    struct http_target *state = target->state;
    struct http_circumstances circumstances = {
        .request = &job->request,
        .settings = &target->settings,
        .result_size_max = execution->result_size_max,
        .base = http_rules_is_base(&state->rules, job->request.url),
    };
    if (target->settings.http.response_size_max > execution->result_size_max)
        job->request.response_size_max = execution->result_size_max;
    job->request.fresh_connection = target->settings.delivery == TARGET_AT_MOST_ONCE;
    job->request.check_url = check_redirect;
    job->request.context = state;
    struct aw_http_response response = {0};
    struct aw_error error = {0};
    int result = aw_http_request(state->client, &job->request, &response, &error);
    if (result < 0) {
        http_outcome_of_error(&circumstances, result, &error, outcome);
        if (outcome->kind == OUTCOME_UNAVAILABLE && circumstances.base && result != -EMFILE &&
            result != -ENFILE && result != -ESHUTDOWN) {
            target_set_down(target, error.message);
            aw_event_set(&state->down);
        }
        return;
    }
    if (circumstances.base)
        target_set_up(target);
    http_outcome_of_response(&circumstances, &response, outcome);
    aw_http_response_free(&response);
}

static void http_execute(struct target *target, const struct execution *execution,
                         struct outcome *ret_outcome)
{
    struct http_target *state = target->state;
    struct http_job job;
    struct aw_error error = {0};
    int result = http_job_make(&job, &target->settings, &state->rules, execution->arguments,
                               execution->argument_count, execution->job_id, &error);
    if (result < 0) {
        /* it was checked when it was submitted: memory, or the configuration has changed since */
        outcome_set(ret_outcome, result == -ENOMEM ? OUTCOME_UNAVAILABLE : OUTCOME_DEAD,
                    result == -ENOMEM ? "UNAVAILABLE" : "REQUEST", "%s", error.message);
        return;
    }
    send_request(target, execution, &job, ret_outcome);
    http_job_free(&job);
}

const struct target_type target_type_http = {
    .name = "http",
    .check = http_check,
    .start = http_start,
    .execute = http_execute,
    .stop = http_stop,
};
