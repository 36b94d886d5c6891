/* base.h - the marks every libawait header uses, and what holds for every function.
 *
 *   - a function that can fail returns 0 or a positive result, or a negative errno; errno itself is
 *     neither read by callers nor kept;
 *   - out-parameters come last, are named ret_*, and are untouched on failure;
 *   - names carry their unit last (timeout_ms, size_bytes, deadline_ns);
 *   - what an argument points at is used during the call only, and stays the caller's, unless the
 *     function's contract says that it is kept;
 *   - NULL is allowed only where the contract says so;
 *   - the functions of a loop's objects are called on the loop's own thread; AW_SUSPENDS ones
 *     inside aw_run only. Outside it, and for any other misuse that would leave memory corrupt, the
 *     library ends the process (abort(3)) with one line that names the broken rule;
 *   - the library never prints otherwise, logs or exits.
 *
 * Arguments that mean the same everywhere:
 *   fd, listener       an open descriptor of the caller's, which stays open
 *   buffer             memory of the caller's, at least `size` bytes; the kernel may use it until
 *                      the call returns
 *   data               bytes of the caller's, `size` of them; not kept
 *   size, size_bytes, *_size  a number of bytes
 *   count, *_count     a number of elements
 *   size_max           the most bytes that are taken; more is an error, not cut
 *   offset             in bytes from the beginning of the file; AW_AT_POSITION: its own position
 *   path, directory    a path of the file system, ends with a NUL
 *   mode               permission bits of a new file, as of open(2); the umask applies
 *   url, uri           text, ends with a NUL; the contract says which schemes
 *   host               a name or a numeric IPv4 or IPv6 address, ends with a NUL
 *   port               0 to 65,535, in the machine's own byte order
 *   sql                UTF-8, one statement; ends with a NUL where no size goes with it
 *   deadline_ns        a point in time on the monotonic clock, in ns (aw_after_ms); AW_NEVER: none
 *   *_ms               milliseconds
 *   *_ns               nanoseconds
 *   function           what runs; a negative result is its failure
 *   argument           what the function gets, as it is; must live as long as that may use it
 *   context            what the callback gets, as it is
 *   reterr             filled with code and words when the call fails; may be NULL
 *   ret_*              where a result goes; untouched on failure
 *
 * Errors that mean the same everywhere:
 *   -ECANCELED         the caller is cancelled (scope.h): nothing was done, unless the contract
 *                      says more
 *   -ETIME             a deadline of the caller's scopes has passed: as -ECANCELED
 *   -ENOMEM            out of memory: nothing was done
 *   -EINVAL            an argument is outside the range that the contract names
 *   -EPERM             not inside aw_run
 *   -EMFILE            the process has no descriptor left
 *   -EAGAIN            out of something that comes back (tasks, threads, room): try again later
 *   -ESHUTDOWN         what the call needs is being closed
 *
 * Whatever goes to the kernel (files, sockets, processes) can also give any errno of the system
 * call it names, besides -ENOMEM, and -EINTR or -EAGAIN when the kernel has sent the request back
 * 64 times. */
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
