/* main.c - runs scenarios over seeds: life after life, each a child process that is crashed at a
 * random moment, and says how to repeat what failed. See docs/TESTING.md. */
#include "sim/scenario.h"
#include "sim/world.h"

#include <await/task.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SIM_REVISION
#define SIM_REVISION "unknown"
#endif

#define LIFE_REAL_SECONDS 300u
#define MUTATION_SEEDS 1500u
#define TWICE_SEEDS 3u

static const char *const mutation_names[MUTATIONS] = {
    [MUTATION_NONE] = "none",
    [MUTATION_NO_SYNC] = "no-sync",
    [MUTATION_NO_DIRECTORY_SYNC] = "no-directory-sync",
    [MUTATION_EARLY_ANSWER] = "early-answer",
    [MUTATION_NO_RENEWAL] = "no-renewal",
    [MUTATION_FALSE_COMMIT] = "false-commit",
    [MUTATION_SYNC_IGNORED] = "sync-error-ignored",
};

static const struct scenario *const scenarios[] = {&scenario_sqlite, &scenario_queue};
#define SCENARIOS (sizeof scenarios / sizeof scenarios[0])

struct options {
    const char *scenario; /* NULL: all */
    const char *program;
    uint64_t first_seed;
    uint64_t seeds;
    uint64_t seconds; /* 0: no limit */
    enum mutation mutation;
    bool verbose;
    bool prove;
};

static int log_file;  /* what the lives print; shown when a seed fails */
static bool last_life;

bool scenario_is_last_life(void)
{
    return last_life;
}

static void create_world(void)
{
    size_t size = sizeof *world + disk_memory_bytes();
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("sim: no memory for the world");
        exit(2);
    }
    world = memory;
    disk_create(&world->disk, (char *)memory + sizeof *world);
}

static void choose_swarm(struct swarm *swarm)
{
    struct random *random = &world->random;
    static const uint32_t delays_us[] = {50, 500, 5000, 30000};
    *swarm = (struct swarm){.delay_max_us = delays_us[random_below(random, 4)],
                            .sync_failure = (uint8_t)random_below(random, SYNC_FAILURES),
                            .tear = (uint8_t)random_below(random, TEARS),
                            .power_fails = random_chance(random, 700000),
                            .disk_fills = random_chance(random, 250000),
                            .clock_steps = random_chance(random, 250000),
                            .wal_scale = random_chance(random, 400000) ? 500 : 1,
                            .keep_percent = (uint32_t)random_below(random, 101)};
    if (random_chance(random, 300000))
        swarm->stall_ppm = 2000;
    if (random_chance(random, 400000))
        swarm->short_ppm = 20000;
    if (random_chance(random, 400000))
        swarm->interrupt_ppm = 20000;
    if (random_chance(random, 150000))
        swarm->read_error_ppm = 2000;
    if (random_chance(random, 250000))
        swarm->write_error_ppm = 3000;
    if (random_chance(random, 400000))
        swarm->sync_error_ppm = 20000;
}

static void reset_world(uint64_t seed, const struct scenario *scenario,
                        const struct options *options)
{
    memset(world->scenario, 0, sizeof world->scenario);
    disk_reset(&world->disk);
    world->seed = seed;
    world->random.state = seed * 2;
    world->product.state = seed * 2 + 1;
    world->now_ns = UINT64_C(1000000000000);
    world->wall_ms = INT64_C(1790000000000);
    world->trace = 0;
    world->mutation = options->mutation;
    world->verbose = options->verbose;
    world->disk_lied = false;
    world->failure[0] = '\0';
    choose_swarm(&world->swarm);
    if (options->mutation == MUTATION_NO_RENEWAL) {
        /* the weather it is for: rare enough to take a thousand seeds by chance */
        world->swarm.sync_error_ppm = 30000;
        world->swarm.sync_failure = SYNC_FAILURE_KEPT;
        world->swarm.power_fails = true;
    }
    scenario->prepare();
}

static void plan_life(const struct scenario *scenario)
{
    world->life_began_ns = world->now_ns;
    world->calm = last_life;
    world->storage_failed = false;
    world->faults = 0;
    world->crash_in = 0;
    world->crash_loses_power = false;
    /* what nobody was told of yet is not told in the calm life any more */
    for (uint32_t i = 0; last_life && i < DISK_INODES; i++)
        world->disk.inodes[i].late_failure = false;
    if (last_life || random_chance(&world->random, 150000))
        return; /* no crash: it ends by itself */
    world->crash_in = (uint32_t)random_magnitude(&world->random, scenario->crash_bits);
    world->crash_loses_power = world->swarm.power_fails && random_chance(&world->random, 600000);
}

static int child(const struct scenario *scenario)
{
    alarm(LIFE_REAL_SECONDS);
    if (dup2(log_file, STDERR_FILENO) < 0)
        _exit(LIFE_BROKEN);
    if (world->verbose)
        fprintf(stderr, "-- a life: crash in %u%s, tear %u, failed syncs %u%s%s\n", world->crash_in,
                world->crash_loses_power ? " with power loss" : "", world->swarm.tear,
                world->swarm.sync_failure, world->disk_lied ? ", the disk has lied" : "",
                last_life ? ", calm" : "");
    int result = aw_run(scenario->live, NULL);
    _exit(result < 0 ? LIFE_BROKEN : result);
}

/* Whether the way the life ended is allowed; *ret_text says how it ended. */
static bool judge(int status, char text[128])
{
    struct statistics *statistics = &world->statistics;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    (void)snprintf(text, 128, "exit code %d", code);
    switch (code) {
    case LIFE_CLEAN:
        statistics->clean_ends++;
        return true;
    case LIFE_CRASHED:
        statistics->crashes++;
        return true;
    case LIFE_FATAL:
        statistics->fatal_ends++;
        (void)snprintf(text, 128, "it gave up without any fault to blame");
        return world->faults > 0;
    case LIFE_NOT_STARTED:
        statistics->failed_starts++;
        (void)snprintf(text, 128, "it did not start, without any fault to blame");
        return world->faults > 0;
    case LIFE_BROKEN:
        (void)snprintf(text, 128, "%.127s", world->failure);
        return false;
    default:
        if (code < 0)
            (void)snprintf(text, 128, "killed by signal %d (%s)", -code,
                           code == -SIGALRM ? "it hung" : strsignal(-code));
        return false;
    }
}

static bool loses_power(int status)
{
    if (world->disk_lied || !world->swarm.power_fails)
        return false;
    int code = WEXITSTATUS(status);
    if (code == LIFE_CRASHED)
        return world->crash_loses_power;
    return random_chance(&world->random, 300000);
}

static bool run_life(const struct scenario *scenario, char text[128])
{
    plan_life(scenario);
    pid_t pid = fork();
    if (pid == 0)
        child(scenario);
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid < 0) {
        perror("sim: fork");
        exit(2);
    }
    world->statistics.lives++;
    world->statistics.virtual_ns += world->now_ns - world->life_began_ns;
    if (!judge(status, text))
        return false;
    if (last_life && WEXITSTATUS(status) != LIFE_CLEAN) {
        (void)snprintf(text, 128, "the last, calm life did not end well");
        return false;
    }
    disk_close_all(&world->disk);
    if (loses_power(status)) {
        world->statistics.power_losses++;
        if (world->verbose)
            dprintf(log_file, "-- the power is lost\n");
        disk_power_loss(&world->disk);
    }
    world->now_ns += random_below(&world->random, 5000000000u);
    return true;
}

static bool run_seed(const struct scenario *scenario, uint64_t seed,
                     const struct options *options, char text[128])
{
    if (ftruncate(log_file, 0) < 0 || lseek(log_file, 0, SEEK_SET) < 0)
        perror("sim: log");
    reset_world(seed, scenario, options);
    uint32_t lives = 2 + (uint32_t)random_below(&world->random, scenario->lives_max);
    for (uint32_t life = 0; life < lives; life++) {
        last_life = life + 1 == lives;
        if (!run_life(scenario, text))
            return false;
    }
    return true;
}

static void show_log(void)
{
    char buffer[4096];
    ssize_t got;
    off_t end = lseek(log_file, 0, SEEK_END);
    off_t from = world->verbose || end < 6000 ? 0 : end - 6000;
    while ((got = pread(log_file, buffer, sizeof buffer, from)) > 0) {
        fwrite(buffer, 1, (size_t)got, stdout);
        from += got;
    }
}

static void report_failure(const struct scenario *scenario, const struct options *options,
                           uint64_t seed, const char *text)
{
    show_log();
    printf("FAIL %s seed %" PRIu64 " at %s: %s\n", scenario->name, seed, SIM_REVISION, text);
    printf("  repeat: %s --scenario %s --seed %" PRIu64 "%s%s --verbose\n", options->program,
           scenario->name, seed, options->mutation ? " --mutate " : "",
           options->mutation ? mutation_names[options->mutation] : "");
}

static void report(const struct scenario *scenario, uint64_t seeds)
{
    const struct statistics *s = &world->statistics;
    printf("sim %s: %" PRIu64 " seeds, %" PRIu64 " lives (%" PRIu64 " crashes, %" PRIu64
           " gave up, %" PRIu64 " did not start, %" PRIu64 " clean), %" PRIu64
           " power losses, %" PRIu64 " operations, %" PRIu64 " faults, %" PRIu64
           " torn writes, %" PRIu64 " lost names, %" PRIu64 " promises, %.1f virtual hours\n",
           scenario->name, seeds, s->lives, s->crashes, s->fatal_ends, s->failed_starts,
           s->clean_ends, s->power_losses, s->operations, s->faults, s->torn_writes,
           s->lost_names, s->promises, (double)s->virtual_ns / 3.6e12);
    fflush(stdout);
}

static bool run_scenario(const struct scenario *scenario, const struct options *options)
{
    world->statistics = (struct statistics){0};
    time_t end = time(NULL) + (time_t)options->seconds;
    uint64_t done = 0;
    for (; done < options->seeds && (!options->seconds || time(NULL) < end); done++) {
        char text[128];
        uint64_t seed = options->first_seed + done;
        bool passed = run_seed(scenario, seed, options, text);
        uint64_t trace = world->trace;
        if (passed && done < TWICE_SEEDS) {
            passed = run_seed(scenario, seed, options, text);
            if (passed && world->trace != trace) {
                (void)snprintf(text, sizeof text, "two runs differ: trace %016" PRIx64
                               " and %016" PRIx64, trace, world->trace);
                passed = false;
            }
        }
        if (!passed) {
            report_failure(scenario, options, seed, text);
            return false;
        }
        if (options->verbose) {
            show_log();
            printf("seed %" PRIu64 " trace %016" PRIx64 "\n", seed, trace);
        }
    }
    report(scenario, done);
    return true;
}

/* Each planted defect must be noticed within MUTATION_SEEDS. */
static bool prove_scenario(const struct scenario *scenario, struct options options)
{
    bool all = true;
    for (int mutation = 1; mutation < MUTATIONS; mutation++) {
        if (!(scenario->mutations & (1u << mutation)))
            continue;
        char text[128];
        options.mutation = (enum mutation)mutation;
        uint64_t seed = options.first_seed;
        uint64_t end = seed + MUTATION_SEEDS;
        while (seed < end && run_seed(scenario, seed, &options, text))
            seed++;
        bool noticed = seed < end;
        all = all && noticed;
        printf("%s %s with %s: %s%s (%" PRIu64 " seeds)\n", noticed ? "ok  " : "FAIL",
               scenario->name, mutation_names[mutation], noticed ? "noticed: " : "not noticed",
               noticed ? text : "", seed - options.first_seed + noticed);
        fflush(stdout);
    }
    return all;
}

static int usage(void)
{
    fputs("usage: awaitd-sim [--scenario NAME] [--seed N | --first N --seeds N] [--seconds N]\n"
          "                  [--mutate NAME] [--prove] [--verbose]\n",
          stderr);
    return 64;
}

static bool parse_mutation(const char *name, enum mutation *ret_mutation)
{
    for (int i = 0; i < MUTATIONS; i++)
        if (strcmp(mutation_names[i], name) == 0) {
            *ret_mutation = (enum mutation)i;
            return true;
        }
    return false;
}

static int parse_options(int count, char **arguments, struct options *options)
{
    static const struct option known[] = {
        {"scenario", required_argument, NULL, 'c'}, {"seed", required_argument, NULL, 's'},
        {"first", required_argument, NULL, 'f'},    {"seeds", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 't'},  {"mutate", required_argument, NULL, 'm'},
        {"prove", no_argument, NULL, 'p'},          {"verbose", no_argument, NULL, 'v'},
        {0},
    };
    int option;
    while ((option = getopt_long(count, arguments, "", known, NULL)) != -1) {
        uint64_t number = optarg ? strtoull(optarg, NULL, 10) : 0;
        if (option == 'c')
            options->scenario = optarg;
        else if (option == 's' || option == 'f')
            options->first_seed = number;
        else if (option == 'n')
            options->seeds = number;
        else if (option == 't')
            options->seconds = number;
        else if (option == 'p')
            options->prove = true;
        else if (option == 'v')
            options->verbose = true;
        else if (option != 'm' || !parse_mutation(optarg, &options->mutation))
            return usage();
        if (option == 's')
            options->seeds = 1;
    }
    return optind < count ? usage() : 0;
}

int main(int count, char **arguments)
{
    struct options options = {.program = arguments[0], .first_seed = 1, .seeds = UINT64_MAX};
    int result = parse_options(count, arguments, &options);
    if (result != 0)
        return result;
    if (options.seeds == UINT64_MAX && options.seconds == 0)
        options.seconds = 20;
    log_file = memfd_create("sim log", MFD_CLOEXEC);
    if (log_file < 0) {
        perror("sim: memfd_create");
        return 2;
    }
    create_world();
    bool passed = true;
    for (size_t i = 0; i < SCENARIOS; i++) {
        if (options.scenario && strcmp(options.scenario, scenarios[i]->name) != 0)
            continue;
        bool ok = options.prove ? prove_scenario(scenarios[i], options)
                                : run_scenario(scenarios[i], &options);
        passed = passed && ok;
    }
    return passed ? 0 : 1;
}
