/* config_stage.h - configurations out of texts, for the tests of the configuration. */
#ifndef SUPPORT_CONFIG_STAGE_H
#define SUPPORT_CONFIG_STAGE_H

#include "config/config.h"

/* What the text means; to be freed. */
struct config parsed(const char *text);

/* The text is refused with exactly this message. */
void assert_refused(const char *text, const char *message);

#endif
