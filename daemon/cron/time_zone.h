/* time_zone.h - time zones out of the system's time zone files (TZif, RFC 8536), for as many zones
 * as are wanted at once; the process's own TZ is neither read nor changed.
 *
 * A zone never changes once it is loaded: new rules of a tzdata update count from the next start of
 * the daemon on. */
#ifndef CRON_TIME_ZONE_H
#define CRON_TIME_ZONE_H

#include <await/error.h>

#define TIME_ZONE_FOLDER "/usr/share/zoneinfo"
#define TIME_ZONE_NAME_SIZE_MAX 64u
#define TIME_ZONE_FILE_SIZE_MAX (256u * 1024)

struct time_zone;

/* A stretch of time during which the zone's clock keeps its distance to UTC. */
struct zone_period {
    int64_t begin_s; /* Unix time, UTC; INT64_MIN: since ever */
    int64_t end_s;   /* the first instant after it; INT64_MAX: for ever */
    int32_t offset_s; /* local time less UTC */
};

/* Whether it may be a zone's name: "Europe/Berlin", and not a way out of the folder. */
bool time_zone_name_is_valid(const char *name, size_t size);

/* Reads the zone; "UTC" needs no file. *ret_zone is for time_zone_free. -ENOENT: no such zone;
 * others: its file cannot be read or is damaged. */
AW_MUST_CHECK AW_SUSPENDS int time_zone_load(const char *name, struct time_zone **ret_zone,
                                             struct aw_error *reterr);

/* The zone a TZif file holds. Pure code. -EBADMSG: damaged; -ENOTSUP: it counts leap seconds. */
AW_MUST_CHECK int time_zone_parse(const void *data, size_t size, struct time_zone **ret_zone,
                                  struct aw_error *reterr);

void time_zone_free(struct time_zone *zone);

/* The period that the instant is in. */
void time_zone_period(const struct time_zone *zone, int64_t instant_s,
                      struct zone_period *ret_period);

#endif
