/* target_make.c - see target_make.h. */
#include "targets/target_make.h"

static const struct target_type *const types[] = {
    [TARGET_TYPE_POSTGRES] = &target_type_postgres,
    [TARGET_TYPE_REDIS] = &target_type_redis,
    [TARGET_TYPE_SQLITE] = &target_type_sqlite,
    [TARGET_TYPE_WORKER] = &target_type_worker,
    [TARGET_TYPE_HTTP] = &target_type_http,
};

_Static_assert((int)DELIVERY_EXACTLY_ONCE == (int)TARGET_EXACTLY_ONCE &&
                   (int)DELIVERY_AT_MOST_ONCE == (int)TARGET_AT_MOST_ONCE,
               "the configuration's numbers are the targets' too");

/* Elsewhere the setting would only widen the target. */
static bool gathers(const struct config_target *settings)
{
    return (settings->type == TARGET_TYPE_POSTGRES || settings->type == TARGET_TYPE_SQLITE) &&
           settings->delivery != DELIVERY_AT_MOST_ONCE;
}

void target_make(struct target *target, const struct config_target *settings)
{
    *target = (struct target){
        .type = types[settings->type],
        .settings =
            {
                .name = settings->name,
                .uri = settings->uri,
                .path = settings->path,
                .connections = settings->connections,
                .pipeline = settings->pipeline,
                .connect_timeout_ms = (uint32_t)settings->connect_timeout_ms,
                .delivery = (enum target_delivery)settings->delivery,
                .receipt_keep_ms = settings->receipt_keep_ms,
                .coalesce = gathers(settings) ? settings->coalesce : 0,
                .leases = settings->leases,
                .lease_max_ms = settings->lease_max_ms,
                .password = settings->password,
                .http =
                    {
                        .hosts = settings->http.hosts,
                        .headers = settings->http.headers,
                        .ca_file = settings->http.ca_file,
                        .proxy = settings->http.proxy,
                        .redirects = settings->http.redirects,
                        .response_size_max = settings->http.response_size_max,
                        .request_timeout_ms = (uint32_t)settings->http.request_timeout_ms,
                        .retry_after_max_ms = settings->http.retry_after_max_ms,
                    },
            },
        .up = true,
    };
    aw_semaphore_init(&target->leases, settings->leases);
}
