/* glob.h - patterns of PSUBSCRIBE, as in Redis: `*`, `?`, `[abc]`, `[^a-c]`, `\` before a character
 * that means itself. Bytes, not characters; never more than pattern * text steps. */
#ifndef PROTOCOL_GLOB_H
#define PROTOCOL_GLOB_H

#include <await/base.h>

bool glob_matches(const char *pattern, size_t pattern_size, const char *text, size_t text_size);

#endif
