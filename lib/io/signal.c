/* signal.c - signals as a descriptor the ring reads.
 *
 * The descriptor does not block, and is polled before it is read: a read that blocked would hold
 * one of the kernel's worker threads for as long as no signal comes. */
#include <await/file.h>
#include <await/signal.h>
#include <await/socket.h>

#include "ring/request.h"
#include "ring/system.h"

#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>

int aw_signal_open(const sigset_t *signals)
{
    sigset_t before;
    int failure = pthread_sigmask(SIG_BLOCK, signals, &before);
    if (failure != 0)
        return -failure;
    int fd = system_signalfd(signals);
    if (fd < 0)
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    return fd;
}

int aw_signal_wait(int fd)
{
    while (true) {
        int result = aw_poll(fd, POLLIN);
        if (result < 0)
            return result;
        if ((result & POLLIN) == 0)
            return -EBADF;
        struct signalfd_siginfo information = {0};
        result = ring_perform(&(struct ring_request){
            .kind = RING_READ,
            .fd = fd,
            .size = sizeof information,
            .offset = AW_AT_POSITION,
            .buffer = &information,
        });
        if (result == (int)sizeof information)
            return (int)information.ssi_signo;
        if (result >= 0)
            return -EIO;
        if (result != -EAGAIN && result != -EINTR) /* -EAGAIN: another task was faster */
            return result;
    }
}
