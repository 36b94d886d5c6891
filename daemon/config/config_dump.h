/* config_dump.h - the configuration that is in effect, as text. */
#ifndef CONFIG_CONFIG_DUMP_H
#define CONFIG_CONFIG_DUMP_H

#include "protocol/buffer.h"

#include <await.h>

/* Loads the configuration as config_load does and appends every section with every key that its
 * kind has: those that were set with the file and line, the others commented out, with their
 * default. What was set is itself a configuration; passwords are shown as "***". */
AW_MUST_CHECK AW_SUSPENDS int config_dump(const char *path, struct buffer *out,
                                          struct aw_error *reterr);

#endif
