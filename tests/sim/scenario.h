/* scenario.h - a program to be tried in many worlds, and what must hold of it. */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "sim/world.h"

struct scenario {
    const char *name;
    /* In the parent, before the first life: chooses the seed's shape (world->scenario). */
    void (*prepare)(void);
    /* The first task of a life, in the child. Its result is the life's exit code. */
    int (*live)(void *argument);
    unsigned mutations; /* bits: those it must notice */
    uint32_t lives_max;
    uint32_t crash_bits; /* a crash comes within 2^bits completions */
};

extern const struct scenario scenario_sqlite;
extern const struct scenario scenario_queue;

/* The last life is calm: it must end everything it was asked for. */
bool scenario_is_last_life(void);

#endif
