/* redis_frame.c - see redis_frame.h. */
#include "clients/redis_frame.h"

#include <await/redis.h>
#include <errno.h>

#define VALUE_SIZE_MIN 3 /* the shortest value: "+\r\n" */

static int malformed(struct redis_frame *frame, const char *problem)
{
    frame->problem = problem;
    return -EPROTO;
}

static void exceed(struct redis_frame *frame, const char *limit)
{
    if (!frame->over) frame->over = limit;
}

void redis_frame_begin(struct redis_frame *frame, uint64_t size_max, uint64_t elements_max)
{
    *frame = (struct redis_frame){.size_max = size_max, .elements_max = elements_max};
}

/* A value is complete: so may be the arrays around it, and the reply. */
static int end_value(struct redis_frame *frame)
{
    frame->state = REDIS_FRAME_TYPE;
    while (frame->depth > 0) {
        if (--frame->left[frame->depth - 1] > 0) return REDIS_FRAME_MORE;
        frame->depth--;
    }
    return REDIS_FRAME_END;
}

static int begin_value(struct redis_frame *frame, char type)
{
    frame->type = type;
    frame->negative = false;
    frame->digits = 0;
    frame->number = 0;
    frame->line_size = 0;
    if (++frame->elements > frame->elements_max) exceed(frame, "elements");
    switch (type) {
    case '+':
    case '-':
        frame->state = REDIS_FRAME_TEXT;
        return 0;
    case '*':
        if (frame->depth >= AW_REDIS_DEPTH_MAX) exceed(frame, "depth");
        if (frame->depth >= REDIS_FRAME_DEPTH_MAX) return malformed(frame, "arrays nest too deep");
        frame->state = REDIS_FRAME_NUMBER;
        return 0;
    case ':':
    case '$':
        frame->state = REDIS_FRAME_NUMBER;
        return 0;
    default:
        return malformed(frame, "a reply of unknown type");
    }
}

static int scan_digit(struct redis_frame *frame, char character)
{
    if (character == '-' && frame->digits == 0 && !frame->negative) {
        frame->negative = true;
        return 0;
    }
    if (character < '0' || character > '9' || ++frame->digits > 19)
        return malformed(frame, "a number with a wrong character, or too long");
    frame->number = frame->number * 10 + (uint64_t)(character - '0'); /* 19 digits fit */
    return 0;
}

static int end_bulk_length(struct redis_frame *frame)
{
    if (frame->negative) /* only "-1", the null bulk string */
        return frame->number == 1 ? end_value(frame) : malformed(frame, "a negative length");
    if (frame->number > REDIS_FRAME_SIZE_MAX - frame->size)
        return malformed(frame, "a bulk string of a length out of all reason");
    if (frame->size + frame->number + 2 > frame->size_max) exceed(frame, "size");
    frame->bulk_left = frame->number;
    frame->state = frame->number > 0 ? REDIS_FRAME_BULK : REDIS_FRAME_BULK_CR;
    return REDIS_FRAME_MORE;
}

static int end_array_length(struct redis_frame *frame)
{
    if (frame->negative) /* only "-1", the null array */
        return frame->number == 1 ? end_value(frame) : malformed(frame, "a negative length");
    if (frame->number == 0) return end_value(frame);
    if (frame->number > (REDIS_FRAME_SIZE_MAX - frame->size) / VALUE_SIZE_MIN)
        return malformed(frame, "an array of a length out of all reason");
    if (frame->size + frame->number * VALUE_SIZE_MIN > frame->size_max) exceed(frame, "size");
    if (frame->elements + frame->number > frame->elements_max) exceed(frame, "elements");
    frame->left[frame->depth++] = frame->number;
    frame->state = REDIS_FRAME_TYPE;
    return REDIS_FRAME_MORE;
}

/* The LF of a line has been seen. */
static int end_line(struct redis_frame *frame)
{
    if (frame->type == '+' || frame->type == '-') return end_value(frame);
    if (frame->digits == 0) return malformed(frame, "a number without digits");
    if (frame->type == '$') return end_bulk_length(frame);
    if (frame->type == '*') return end_array_length(frame);
    if (frame->number > (uint64_t)INT64_MAX + (frame->negative ? 1 : 0))
        return malformed(frame, "an integer of more than 64 bits");
    return end_value(frame);
}

/* One byte outside a bulk string's content. */
static int scan_byte(struct redis_frame *frame, char character)
{
    switch (frame->state) {
    case REDIS_FRAME_TYPE:
        return begin_value(frame, character);
    case REDIS_FRAME_TEXT:
        if (character == '\r')
            frame->state = REDIS_FRAME_LINE_END;
        else if (character == '\n' || ++frame->line_size > REDIS_FRAME_LINE_MAX)
            return malformed(frame, "a line that is too long or has a bare line feed");
        return REDIS_FRAME_MORE;
    case REDIS_FRAME_NUMBER:
        if (character != '\r') return scan_digit(frame, character);
        frame->state = REDIS_FRAME_LINE_END;
        return REDIS_FRAME_MORE;
    case REDIS_FRAME_LINE_END:
        return character == '\n' ? end_line(frame) : malformed(frame, "a line without its LF");
    case REDIS_FRAME_BULK_CR:
        if (character != '\r') return malformed(frame, "a bulk string longer than declared");
        frame->state = REDIS_FRAME_BULK_LF;
        return REDIS_FRAME_MORE;
    case REDIS_FRAME_BULK_LF:
        return character == '\n' ? end_value(frame)
                                 : malformed(frame, "a bulk string longer than declared");
    case REDIS_FRAME_BULK:
        break;
    }
    return malformed(frame, "an impossible state"); /* BULK is handled by the caller */
}

int redis_frame_scan(struct redis_frame *frame, const char *data, size_t size, size_t *ret_used)
{
    size_t used = 0;
    int result = REDIS_FRAME_MORE;
    while (used < size && result == REDIS_FRAME_MORE) {
        if (frame->state == REDIS_FRAME_BULK) {
            size_t take = size - used;
            if (take > frame->bulk_left) take = (size_t)frame->bulk_left;
            frame->bulk_left -= take;
            frame->size += take;
            used += take;
            if (frame->bulk_left == 0) frame->state = REDIS_FRAME_BULK_CR;
        } else {
            frame->size++;
            result = scan_byte(frame, data[used++]);
        }
        if (frame->size > frame->size_max) exceed(frame, "size");
        if (frame->size > REDIS_FRAME_SIZE_MAX + 2 && result == REDIS_FRAME_MORE)
            result = malformed(frame, "a reply of a size out of all reason");
    }
    *ret_used = used;
    return result;
}
