/* system_process.c - the real half of system_process.h. */
#include "ring/system_process.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* The child's own descriptors are 0 to 2; whatever is to become one of them waits above. */
#define FIRST_FREE_DESCRIPTOR 3

extern char **environ;

int system_pipe(int ret_ends[2])
{
    return pipe2(ret_ends, O_CLOEXEC) < 0 ? -errno : 0;
}

int system_socket_pair(int type, int ret_ends[2])
{
    return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ret_ends) < 0 ? -errno : 0;
}

static void only_pipe_signal(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGPIPE);
}

int system_hold_pipe_signal(bool *ret_blocked)
{
    sigset_t set, before;
    only_pipe_signal(&set);
    int failure = pthread_sigmask(SIG_BLOCK, &set, &before);
    if (failure != 0)
        return -failure;
    *ret_blocked = sigismember(&before, SIGPIPE) == 0;
    return 0;
}

void system_release_pipe_signal(void)
{
    sigset_t set;
    only_pipe_signal(&set);
    const struct timespec at_once = {0};
    while (sigtimedwait(&set, NULL, &at_once) < 0 && errno == EINTR) {
    }
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Above 2, so that giving the child one descriptor cannot overwrite another. */
static int lift(const int *descriptors, int *lifted)
{
    for (int i = 0; i < 3; i++) {
        if (descriptors[i] < 0)
            lifted[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
        else
            lifted[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, FIRST_FREE_DESCRIPTOR);
        if (lifted[i] >= 0 && lifted[i] < FIRST_FREE_DESCRIPTOR) {
            int higher = fcntl(lifted[i], F_DUPFD_CLOEXEC, FIRST_FREE_DESCRIPTOR);
            int failure = errno;
            (void)close(lifted[i]);
            errno = failure;
            lifted[i] = higher;
        }
        if (lifted[i] < 0)
            return -errno;
    }
    return 0;
}

static int describe_actions(posix_spawn_file_actions_t *actions, const char *directory,
                            const int *lifted)
{
    int failure = directory ? posix_spawn_file_actions_addchdir_np(actions, directory) : 0;
    for (int i = 0; i < 3 && failure == 0; i++)
        failure = posix_spawn_file_actions_adddup2(actions, lifted[i], i);
    /* other libraries in the process may have opened some without CLOEXEC */
    if (failure == 0)
        failure = posix_spawn_file_actions_addclosefrom_np(actions, FIRST_FREE_DESCRIPTOR);
    return failure;
}

static int describe_attributes(posix_spawnattr_t *attributes, bool own_group)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int failure = posix_spawnattr_setsigmask(attributes, &none);
    if (failure == 0)
        failure = posix_spawnattr_setsigdefault(attributes, &all);
    if (failure == 0)
        failure = posix_spawnattr_setpgroup(attributes, 0);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (own_group)
        flags |= POSIX_SPAWN_SETPGROUP;
    if (failure == 0)
        failure = posix_spawnattr_setflags(attributes, flags);
    return failure;
}

/* posix_spawn's parameters are not const for historical reasons; it changes nothing. */
static char *const *changeable(const char *const *strings)
{
    union {
        const char *const *constant;
        char *const *writable;
    } pointer = {.constant = strings};
    return pointer.writable;
}

static int start(const struct system_child *child, const int *lifted, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    int failure = posix_spawn_file_actions_init(&actions);
    if (failure != 0)
        return -failure;
    posix_spawnattr_t attributes;
    failure = posix_spawnattr_init(&attributes);
    if (failure == 0) {
        failure = describe_actions(&actions, child->directory, lifted);
        if (failure == 0)
            failure = describe_attributes(&attributes, child->own_group);
        if (failure == 0)
            failure = posix_spawnp(ret_pid, child->arguments[0], &actions, &attributes,
                                   changeable(child->arguments),
                                   child->environment ? changeable(child->environment) : environ);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return -failure;
}

int system_spawn(const struct system_child *child, pid_t *ret_pid, int *ret_pidfd)
{
    int lifted[3] = {-1, -1, -1};
    pid_t pid = -1;
    int result = lift(child->descriptors, lifted);
    if (result == 0)
        result = start(child, lifted, &pid);
    for (int i = 0; i < 3; i++)
        if (lifted[i] >= 0)
            (void)close(lifted[i]);
    if (result < 0)
        return result;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        /* nobody could wait for it: take it back */
        result = -errno;
        (void)kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        }
        return result;
    }
    *ret_pid = pid;
    *ret_pidfd = pidfd;
    return 0;
}

int system_signal_child(int pidfd, int number)
{
    return syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) < 0 ? -errno : 0;
}

int system_signal_group(pid_t pid, int number)
{
    return kill(-pid, number) < 0 ? -errno : 0;
}

int system_reap(int pidfd, int *ret_status)
{
    siginfo_t information = {0};
    int result;
    do {
        result = waitid((idtype_t)P_PIDFD, (id_t)pidfd, &information, WEXITED | WNOHANG);
    } while (result < 0 && errno == EINTR);
    if (result < 0)
        return -errno;
    if (information.si_pid == 0)
        return 0;
    int status = information.si_status;
    if (information.si_code == CLD_EXITED)
        *ret_status = (status & 0xff) << 8;
    else
        *ret_status = (status & 0x7f) | (information.si_code == CLD_DUMPED ? 0x80 : 0);
    return 1;
}
