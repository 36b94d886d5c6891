/* json.h - values of jansson from text and back, within a depth that a task's stack can bear.
 *
 * jansson is loaded when it is first needed: see library.h. It nests up to 2,048 deep, for which it
 * needs 0.6 MiB of stack. */
#ifndef CLIENTS_JSON_H
#define CLIENTS_JSON_H

#include <await/base.h>
#include <await/error.h>
#include <jansson.h>

/* -ENOENT: not installed. */
AW_MUST_CHECK int json_library_load(struct aw_error *reterr);

/* Reads any JSON value: 0, -EBADMSG "JSON" with place and reason, -ENOMEM. */
AW_MUST_CHECK AW_SUSPENDS int json_from_text(const char *text, size_t size, json_t **ret_value,
                                             struct aw_error *reterr);

/* Writes the value without blanks, in memory that the caller frees. -EINVAL "REQUEST", -ENOMEM. */
AW_MUST_CHECK AW_SUSPENDS int json_to_text(const json_t *value, char **ret_text, size_t *ret_size,
                                           struct aw_error *reterr);

/* Frees a value that json_from_text gave and nobody else has seen. */
void json_drop(json_t *value);

#endif
