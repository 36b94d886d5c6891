/* target_make.h - a target as its section of the configuration has it. */
#ifndef TARGETS_TARGET_MAKE_H
#define TARGETS_TARGET_MAKE_H

#include "config/config.h"
#include "targets/target.h"

/* Fills a target that is up and not started: `group`, `changed` and settings.store are the
 * caller's. It points into the configuration. */
void target_make(struct target *target, const struct config_target *settings);

#endif
