/* exposition.h - writes Prometheus's text format 0.0.4: families of samples.
 *
 * All samples of a family come behind its head, before the next head. */
#ifndef PROTOCOL_EXPOSITION_H
#define PROTOCOL_EXPOSITION_H

#include "protocol/buffer.h"

struct label {
    const char *name;
    const char *value; /* any text: it is escaped; bytes that are no UTF-8 become '?' */
};

#define EXPOSITION_LABELS_MAX 2

/* The labels of a sample; those without a name are left out. */
struct labels {
    struct label list[EXPOSITION_LABELS_MAX];
};

#define NO_LABELS ((struct labels){0})
#define LABEL(name, value) ((struct labels){{{(name), (value)}}})
#define LABELS(first, first_value, second, second_value) \
    ((struct labels){{{(first), (first_value)}, {(second), (second_value)}}})

/* `type` is "counter", "gauge", "summary" or "histogram". */
void exposition_family(struct buffer *out, const char *name, const char *type, const char *help);

void exposition_count(struct buffer *out, const char *name, struct labels labels, uint64_t value);
void exposition_number(struct buffer *out, const char *name, struct labels labels, double value);

#endif
