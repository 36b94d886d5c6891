/* unix_socket.c - see await/unix_socket.h.
 *
 * Room is always given for every descriptor one message can carry: the kernel then never cuts the
 * list by itself, and what is too much for the caller is closed here, all of it, so that none is
 * left open without an owner. */
#include <await/unix_socket.h>

#include "io/source.h"
#include "ring/request.h"
#include "ring/system.h"

#include <await/file.h>

#include <errno.h>
#include <string.h>

#define CREDENTIALS_SPACE CMSG_SPACE(sizeof(struct ucred))
#define DESCRIPTORS_SPACE CMSG_SPACE(AW_DESCRIPTORS_MAX * sizeof(int))

union control {
    struct cmsghdr header; /* for its alignment */
    char space[CREDENTIALS_SPACE + DESCRIPTORS_SPACE];
};

int aw_unix_send(int fd, const void *data, size_t size, const int *descriptors, int count)
{
    if (count < 0 || count > AW_DESCRIPTORS_MAX)
        return -EINVAL;
    struct iovec bytes = {.iov_base = source_buffer(data), .iov_len = size};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    union control control = {0};
    if (count > 0) {
        size_t list_size = (size_t)count * sizeof(int);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(list_size);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(list_size);
        memcpy(CMSG_DATA(header), descriptors, list_size);
    }
    return ring_perform(&(struct ring_request){
        .kind = RING_SEND_MESSAGE,
        .fd = fd,
        .flags = MSG_NOSIGNAL,
        .buffer = &message,
    });
}

static void take_descriptors(const struct cmsghdr *header, struct aw_message *taken)
{
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    const unsigned char *list = CMSG_DATA(header);
    for (size_t i = 0; i < count && taken->descriptor_count < AW_DESCRIPTORS_MAX; i++)
        memcpy(&taken->descriptors[taken->descriptor_count++], list + i * sizeof(int),
               sizeof(int));
}

static void take_credentials(const struct cmsghdr *header, struct aw_message *taken)
{
    struct ucred credentials;
    memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
    taken->has_credentials = true;
    taken->credentials = (struct aw_peer){credentials.pid, credentials.uid, credentials.gid};
}

static void take_control(struct msghdr *message, struct aw_message *taken)
{
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL;
         header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET)
            continue;
        if (header->cmsg_type == SCM_RIGHTS)
            take_descriptors(header, taken);
        else if (header->cmsg_type == SCM_CREDENTIALS)
            take_credentials(header, taken);
    }
}

static void close_descriptors(const struct aw_message *taken)
{
    for (int i = 0; i < taken->descriptor_count; i++)
        (void)aw_close(taken->descriptors[i]);
}

static void hand_over(const struct aw_message *taken, struct aw_message *ret_message)
{
    ret_message->descriptor_count = taken->descriptor_count;
    memcpy(ret_message->descriptors, taken->descriptors,
           (size_t)taken->descriptor_count * sizeof(int));
    ret_message->has_credentials = taken->has_credentials;
    ret_message->credentials = taken->credentials;
    ret_message->truncated = taken->truncated;
}

int aw_unix_receive(int fd, void *buffer, size_t size, int descriptors_max,
                    struct aw_message *ret_message)
{
    if (descriptors_max < 0 || descriptors_max > AW_DESCRIPTORS_MAX)
        return -EINVAL;
    struct iovec bytes = {.iov_base = buffer, .iov_len = size};
    union control control = {0};
    struct msghdr message = {
        .msg_iov = &bytes,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };
    int result = ring_perform(&(struct ring_request){
        .kind = RING_RECEIVE_MESSAGE,
        .fd = fd,
        .flags = MSG_CMSG_CLOEXEC,
        .buffer = &message,
    });
    if (result < 0)
        return result;
    struct aw_message taken;
    taken.descriptor_count = 0;
    taken.has_credentials = false;
    taken.credentials = (struct aw_peer){0};
    taken.truncated = (message.msg_flags & MSG_TRUNC) != 0;
    take_control(&message, &taken);
    int failure = taken.descriptor_count > descriptors_max ? -ETOOMANYREFS
                  : message.msg_flags & MSG_CTRUNC         ? -EMFILE
                                                           : 0;
    if (failure < 0) {
        close_descriptors(&taken);
        return failure;
    }
    hand_over(&taken, ret_message);
    return result;
}

int aw_unix_ask_credentials(int fd)
{
    const int on = 1;
    return system_set_option(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
}
