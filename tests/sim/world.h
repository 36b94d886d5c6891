/* world.h - all that outlives a simulated process: disk, clock, seeds, faults, what was promised.
 *
 * Each life of the "process" is a real child process made by fork: it loses its memory as a real
 * one does, and _exit is a real end, log_fatal's too. The world is one shared mapping at the
 * same address in parent and child, so pointers into it stay valid. Everything random comes from
 * `random`, seeded. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "sim/disk.h"
#include "sim/random.h"

#include <await/base.h>

/* How a life ends (exit codes); 70 is log_fatal's. */
#define LIFE_CLEAN 0
#define LIFE_FATAL 70
#define LIFE_NOT_STARTED 71 /* opening failed: allowed only after an injected fault */
#define LIFE_BROKEN 98      /* an oracle was violated; world->failure says which */
#define LIFE_CRASHED 99     /* the simulator ended it */

/* Defects put in on purpose, to prove that the oracles see them. */
enum mutation {
    MUTATION_NONE,
    MUTATION_NO_SYNC,           /* fsync and RWF_DSYNC do nothing: synchronous=OFF */
    MUTATION_NO_DIRECTORY_SYNC, /* the folder is never synced */
    MUTATION_EARLY_ANSWER,      /* the client is answered before the commit */
    MUTATION_NO_RENEWAL,        /* a WAL found at opening is not written again */
    MUTATION_FALSE_COMMIT,      /* a batch is rolled back and its jobs are answered */
    MUTATION_SYNC_IGNORED,      /* the failure of a sync is not reported upwards */
    MUTATIONS,
};

/* What can go wrong in this seed ("swarm": each class is on in some seeds and off in others). */
struct swarm {
    uint32_t delay_max_us;      /* of an ordinary operation */
    uint32_t stall_ppm;         /* operations that take up to seconds */
    uint32_t short_ppm;         /* short reads and writes */
    uint32_t interrupt_ppm;     /* -EINTR */
    uint32_t read_error_ppm;
    uint32_t write_error_ppm;
    uint32_t sync_error_ppm;
    uint8_t sync_failure;       /* enum sync_failure */
    uint8_t tear;               /* enum tear */
    bool disk_fills;
    bool clock_steps;
    bool power_fails;
    uint32_t wal_scale;         /* how much larger the WAL seems, for more checkpoints */
    uint32_t keep_percent;      /* how much of what was not synced survives a power loss */
};

struct statistics {
    uint64_t lives, crashes, power_losses, fatal_ends, failed_starts, clean_ends;
    uint64_t operations, faults, virtual_ns, torn_writes, lost_names, promises;
};

#define SCENARIO_BYTES (4u << 20)

struct world {
    uint64_t seed;
    struct random random;  /* the simulator's */
    struct random product; /* what backend_random gives */
    uint64_t now_ns;
    int64_t wall_ms;       /* added to the monotonic clock */
    uint64_t trace;        /* hash of everything that happened */
    uint64_t life_began_ns;
    struct swarm swarm;
    enum mutation mutation;
    bool verbose;

    /* of the life that runs */
    bool calm;             /* no faults, no crash */
    uint32_t crash_in;     /* completions left; 0: no crash planned */
    bool crash_loses_power;
    bool storage_failed;   /* a write or sync has failed: nobody may be answered */
    uint32_t faults;       /* injected in this life */

    bool disk_lied;        /* a sync said yes, the data is in the cache only: keep the power on */
    char failure[1024];
    struct statistics statistics;
    struct disk disk;
    _Alignas(16) char scenario[SCENARIO_BYTES];
};

extern struct world *world;

/* Adds to the trace. */
void world_trace(const char *what, uint64_t a, uint64_t b);
void world_trace_bytes(const void *data, size_t size);

/* Whether a fault with that probability happens now. Never in a calm life. */
bool world_fault(uint32_t ppm);

/* An oracle is violated: ends the life, the seed fails. */
_Noreturn void world_fail(const char *format, ...) AW_PRINTF(1, 2);

/* The product opened its storage and recovered. */
void world_recovered(void);

#endif
