/* fuzz_request_parser.c - the same bytes at once and in pieces are the same requests, whatever
 * they are; each piece is in memory of its exact size, which moves. The first byte chooses the
 * pieces. */
#include "protocol/request_parser.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct request_limits limits = {
    .arguments_max = 20, .bulk_size_max = 64, .request_size_max = 200, .inline_size_max = 100};

struct outcome {
    int result;
    uint64_t requests;
    uint64_t digest; /* of all arguments */
    char error[80];
};

static void digest_bytes(struct outcome *outcome, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        outcome->digest = (outcome->digest ^ (uint8_t)data[i]) * UINT64_C(0x100000001b3);
    outcome->digest = (outcome->digest ^ size) * UINT64_C(0x100000001b3);
}

/* Parses all requests of the input, and drops them from it. */
static void parse_some(struct request_parser *parser, char *input, size_t *size,
                       struct outcome *outcome)
{
    size_t at = 0;
    do {
        size_t used;
        outcome->result = request_parse(parser, input + at, *size - at, &used);
        if (used > *size - at)
            abort();
        at += used;
        if (outcome->result != 1)
            break;
        outcome->requests++;
        if (parser->argument_count == 0 || parser->argument_count > limits.arguments_max)
            abort();
        for (uint32_t i = 0; i < parser->argument_count; i++)
            digest_bytes(outcome, parser->arguments[i].data, parser->arguments[i].size);
    } while (true);
    *size -= at;
    memmove(input, input + at, *size);
    if (outcome->result == 0 && parser->needed == 0)
        abort();
}

static struct outcome parse_in_pieces(const uint8_t *data, size_t size, size_t piece)
{
    struct outcome outcome = {0};
    struct request_parser parser;
    request_parser_init(&parser, &limits);
    char *input = NULL;
    size_t have = 0;
    for (size_t sent = 0; sent < size && outcome.result >= 0;) {
        size_t more = size - sent < piece ? size - sent : piece;
        char *moved = malloc(have + more);
        if (!moved)
            abort();
        if (have > 0)
            memcpy(moved, input, have);
        memcpy(moved + have, data + sent, more);
        free(input);
        input = moved;
        have += more;
        sent += more;
        parse_some(&parser, input, &have, &outcome);
    }
    memcpy(outcome.error, parser.error, sizeof outcome.error);
    free(input);
    request_parser_free(&parser);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t piece = (size_t)data[0] % 16 + 1;
    struct outcome whole = parse_in_pieces(data + 1, size - 1, size);
    struct outcome pieces = parse_in_pieces(data + 1, size - 1, piece);
    if (whole.result != pieces.result || whole.requests != pieces.requests ||
        whole.digest != pieces.digest || strcmp(whole.error, pieces.error) != 0)
        abort();
    return 0;
}
