/* check_process.c - see check_process.h. */
#include "admin/check_process.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

/* For connections to targets, files and what is passing. */
#define OWN_DESCRIPTORS 256u
#define STATUS_MAX (64u * 1024)

static void check_kernel(struct buffer *out)
{
    struct utsname host;
    buffer_printf(out, "kernel: Linux %s, io_uring works\n",
                  uname(&host) == 0 ? host.release : "(unknown)");
}

/* The number behind a name of /proc/self/status; 0 without it. */
static uint64_t field_of(const char *status, const char *name, int base)
{
    const char *found = strstr(status, name);
    return found ? strtoull(found + strlen(name), NULL, base) : 0;
}

static void check_sandbox(struct buffer *out)
{
    char *status;
    size_t size;
    int result = aw_read_file("/proc/self/status", STATUS_MAX, &status, &size);
    if (result < 0) {
        buffer_printf(out, "sandbox: not known: /proc/self/status: %s\n", aw_error_text(result));
        return;
    }
    bool filter = field_of(status, "\nSeccomp:", 10) != 0;
    bool bound = field_of(status, "\nNoNewPrivs:", 10) != 0;
    bool capable = field_of(status, "\nCapEff:", 16) != 0;
    free(status);
    if (filter && bound && !capable)
        buffer_printf(out, "sandbox: on (a filter of system calls, no capabilities, no new "
                           "privileges)\n");
    else
        buffer_printf(out,
                      "sandbox: %s%s%s: fine for a try; the service that is shipped is confined, "
                      "and may do less than this check\n",
                      filter ? "a filter of system calls" : "no filter of system calls",
                      capable ? ", capabilities" : "", bound ? "" : ", new privileges possible");
}

static void check_descriptors(const struct config *configuration, struct buffer *out)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    uint64_t wanted = (uint64_t)configuration->clients_max + OWN_DESCRIPTORS;
    if (limit.rlim_cur < wanted)
        buffer_printf(out,
                      "limits: warning: %" PRIu64 " descriptors are too few for clients_max = "
                      "%" PRIu32 ": raise LimitNOFILE= (ulimit -n) to %" PRIu64 ", or lower "
                      "clients_max\n",
                      (uint64_t)limit.rlim_cur, configuration->clients_max, wanted);
    else
        buffer_printf(out, "limits: descriptors for %" PRIu32 " clients\n",
                      configuration->clients_max);
}

void check_process(const struct config *configuration, struct buffer *out)
{
    check_kernel(out);
    check_sandbox(out);
    check_descriptors(configuration, out);
}
