/* base.h - the marks every libawait header uses.
 *
 * Conventions of the whole library:
 *   - a function that can fail returns 0 or a positive result, or a negative errno; errno itself is
 *     neither read by callers nor kept;
 *   - out-parameters come last, are named ret_*, and are untouched on failure;
 *   - names carry their unit last (timeout_ms, size_bytes, deadline_ns);
 *   - the library never prints, logs or exits. */
#ifndef AWAIT_BASE_H
#define AWAIT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AW_API __attribute__((visibility("default")))

/* The result says whether it worked: ignoring it is a bug. */
#define AW_MUST_CHECK __attribute__((warn_unused_result))

/* For the rare caller to whom the result of such a function is known or does not matter. */
#define AW_IGNORE(call) \
    do { \
        if (call) { \
        } \
    } while (0)

/* The function may suspend the calling task and let others run: nothing that other tasks can reach
 * may be half-changed across such a call. Unless its comment says otherwise it is a cancellation
 * point (see scope.h). Call it only inside aw_run. */
#define AW_SUSPENDS

#define AW_PRINTF(format_index, first_argument) \
    __attribute__((format(printf, format_index, first_argument)))

#endif
