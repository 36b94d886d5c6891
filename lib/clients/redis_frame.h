/* redis_frame.h - where a RESP2 reply ends, and whether it keeps to its limits, told from its bytes
 * before hiredis' reader sees them.
 *
 * hiredis 0.14 believes every declared length and waits, or allocates, for it; it does not look at
 * the line break after a bulk string, and knows no limit of size. This scanner allocates nothing. A
 * reply above a limit (`over` is set) can still be followed to its end, so that the connection and
 * the commands behind it survive; one that is malformed, or declares more than
 * REDIS_FRAME_SIZE_MAX, cannot. */
#ifndef CLIENTS_REDIS_FRAME_H
#define CLIENTS_REDIS_FRAME_H

#include <await/base.h>

#define REDIS_FRAME_SIZE_MAX (UINT64_C(1) << 30) /* skipped at most; more is a protocol error */
#define REDIS_FRAME_DEPTH_MAX 32                 /* followed at most; more is a protocol error */
#define REDIS_FRAME_LINE_MAX 65536               /* status and error lines */

enum redis_frame_state {
    REDIS_FRAME_TYPE,      /* before a type byte */
    REDIS_FRAME_TEXT,      /* in a status or error line */
    REDIS_FRAME_NUMBER,    /* in an integer, or in the length of a bulk string or array */
    REDIS_FRAME_LINE_END,  /* between the CR and the LF of a line */
    REDIS_FRAME_BULK,      /* in the bytes of a bulk string */
    REDIS_FRAME_BULK_CR,
    REDIS_FRAME_BULK_LF,
};

struct redis_frame {
    enum redis_frame_state state;
    char type;
    bool negative;
    uint32_t digits;
    uint64_t number;
    uint64_t line_size;
    uint64_t bulk_left;
    uint32_t depth; /* open arrays */
    uint64_t left[REDIS_FRAME_DEPTH_MAX]; /* values still missing in each open array */

    uint64_t size;
    uint64_t size_max;
    uint64_t elements;
    uint64_t elements_max;
    const char *over;    /* which limit was exceeded, NULL if none */
    const char *problem; /* what was malformed, after -EPROTO */
};

enum redis_frame_result { REDIS_FRAME_MORE, REDIS_FRAME_END };

/* Begins a reply. */
void redis_frame_begin(struct redis_frame *frame, uint64_t size_max, uint64_t elements_max);

/* Looks at the next bytes and stops behind the reply's last one; *ret_used says how many it took.
 * REDIS_FRAME_MORE, REDIS_FRAME_END or -EPROTO. */
AW_MUST_CHECK int redis_frame_scan(struct redis_frame *frame, const char *data, size_t size,
                                   size_t *ret_used);

#endif
