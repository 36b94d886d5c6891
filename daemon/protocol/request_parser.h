/* request_parser.h - a client's bytes to commands: RESP arrays of bulk strings, and inline
 * commands.
 *
 * The parser copies nothing: arguments are views into the caller's input, one array of them is
 * reused for every request. It is incremental: what it has read is not read again when more bytes
 * arrive, also if the input has moved in memory meanwhile.
 *
 *     for (;;) {
 *         size_t used;
 *         int result = request_parse(&parser, input.data + at, input.size - at, &used);
 *         at += used;
 *         if (result == 1) execute(parser.arguments, parser.argument_count);
 *         else break;             0: read at least parser.needed bytes more; < 0: answer and close
 *     }
 *     buffer_consume(&input, at);
 *
 * Lengths are checked when they are announced: a bulk of 1 GB is refused at its header and nothing
 * is allocated for it. Where Redis is lenient about line ends or NUL bytes this parser is
 * strict. */
#ifndef PROTOCOL_REQUEST_PARSER_H
#define PROTOCOL_REQUEST_PARSER_H

#include "protocol/argument.h"

#include <await/base.h>

struct request_limits {
    uint32_t arguments_max;   /* of one request */
    uint32_t bulk_size_max;   /* bytes of one argument */
    size_t request_size_max;  /* bytes of a request, headers included */
    size_t inline_size_max;   /* bytes of an inline command without its line feed */
};

#define REQUEST_LIMITS_DEFAULT                                                                     \
    ((struct request_limits){.arguments_max = 65536,                                               \
                             .bulk_size_max = 16u << 20,                                           \
                             .request_size_max = 64u << 20,                                        \
                             .inline_size_max = 64u << 10})

enum request_phase { REQUEST_START, REQUEST_ARRAY, REQUEST_BROKEN };

struct request_parser {
    /* The request that request_parse returned 1 for; valid until the next call or until the input
     * moves. At least one argument. */
    struct argument *arguments;
    uint32_t argument_count;

    size_t needed; /* after 0: the least number of bytes still missing. What a client announces, not
                      what it has sent: reserve for it in steps. */
    char error[80]; /* after -EPROTO: "Protocol error: ...", to send after -ERR and then close */

    /* Private. */
    struct request_limits limits;
    enum request_phase phase;
    uint32_t arguments_capacity;
    uint32_t arguments_announced;
    size_t position;  /* from the start of the request: the first byte not yet understood */
    int64_t bulk_size; /* of the argument that `position` is at; -1: its header is still to come */
    const char *base; /* where the request began at the last call */
};

void request_parser_init(struct request_parser *parser, const struct request_limits *limits);
void request_parser_free(struct request_parser *parser);

/* Parses the next request of the input, which begins at the first byte that was not reported as
 * used and may grow and move between calls. In every case the caller drops *ret_used bytes at the
 * front. Empty arrays and empty lines are skipped.
 *   1        a request: its arguments lie in those used bytes
 *   0        incomplete: call again with `needed` more bytes (the used ones were empty requests)
 *   -EPROTO  malformed or over a limit; every later call says the same
 *   -ENOMEM  answer and close
 * Quotes and escapes of an inline command are removed in place: `data` is changed. */
AW_MUST_CHECK int request_parse(struct request_parser *parser, char *data, size_t size,
                                size_t *ret_used);

#endif
