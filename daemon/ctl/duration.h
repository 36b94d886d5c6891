/* duration.h - times as people write them on a command line. */
#ifndef CTL_DURATION_H
#define CTL_DURATION_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* "500ms", "5s", "1.5s", "2m", "1h30m", "1d", "0": milliseconds. False when it is none, has no
 * unit, or is above DURATION_MAX_MS. */
#define DURATION_MAX_MS UINT64_C(3155760000000) /* a hundred years */
bool duration_parse(const char *text, uint64_t *ret_ms);

/* A moment, in Unix milliseconds: "1767225600000" (Unix milliseconds), "2026-01-31T08:00",
 * "2026-01-31 08:00:30", either with "Z" or "+02:00" (local time without), or "08:00": the next
 * time the clock on the wall shows that. `now` decides that one. */
bool moment_parse(const char *text, time_t now, uint64_t *ret_unix_ms);

/* Writes a number of milliseconds as people say it: "340ms", "2.5s", "3m 20s", "4d 2h". */
void duration_format(uint64_t duration_ms, char *ret_text, size_t size);

#endif
