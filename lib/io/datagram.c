/* datagram.c - see await/datagram.h. Nothing here keeps state; each call is one message. */
#include <await/datagram.h>

#include "io/source.h"
#include "ring/request.h"
#include "ring/system.h"

#include <await/file.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/un.h>

int aw_address_numeric(const char *address, uint16_t port, struct aw_address *ret_address)
{
    struct aw_address parsed = {0};
    if (inet_pton(AF_INET, address, &parsed.v4.sin_addr) == 1) {
        parsed.v4.sin_family = AF_INET;
        parsed.v4.sin_port = htons(port);
        parsed.length = sizeof parsed.v4;
    } else if (inet_pton(AF_INET6, address, &parsed.v6.sin6_addr) == 1) {
        parsed.v6.sin6_family = AF_INET6;
        parsed.v6.sin6_port = htons(port);
        parsed.length = sizeof parsed.v6;
    } else {
        return -EINVAL;
    }
    memcpy(parsed.text, address, strlen(address) + 1); /* inet_pton has bounded its length */
    *ret_address = parsed;
    return 0;
}

static int unix_address(const char *path, struct sockaddr_un *ret_address)
{
    size_t length = strlen(path);
    if (length == 0)
        return -EINVAL;
    if (length >= sizeof ret_address->sun_path)
        return -ENAMETOOLONG;
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret_address->sun_path, path, length + 1);
    return 0;
}

static int open_bound(int family, const void *address, socklen_t length)
{
    int fd = system_socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    const int on = 1;
    int result = 0;
    /* otherwise :: would take the port of IPv4 too */
    if (family == AF_INET6)
        result = system_set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (result >= 0 && address != NULL)
        result = system_bind(fd, address, length);
    if (result < 0) {
        (void)system_close(fd);
        return result;
    }
    return fd;
}

int aw_datagram_bind(const char *address, uint16_t port, struct aw_error *reterr)
{
    struct aw_address numeric;
    int result = aw_address_numeric(address, port, &numeric);
    if (result < 0)
        return aw_error_set(reterr, result,
                            "cannot bind UDP address \"%s\": it is not a numeric IPv4 or IPv6 "
                            "address", address);
    int fd = open_bound(numeric.any.sa_family, &numeric.any, numeric.length);
    if (fd < 0)
        return aw_error_set(reterr, fd, "cannot bind UDP address %s port %u: %s", address,
                            (unsigned)port, aw_error_text(fd));
    return fd;
}

int aw_datagram_bind_unix(const char *path, struct aw_error *reterr)
{
    struct sockaddr_un address;
    int result = path != NULL ? unix_address(path, &address) : 0;
    if (result == 0)
        result = open_bound(AF_UNIX, path != NULL ? &address : NULL, sizeof address);
    if (result < 0)
        return aw_error_set(reterr, result, "cannot bind Unix datagram socket %s: %s",
                            path != NULL ? path : "(unnamed)", aw_error_text(result));
    return result;
}

static int connect_address(struct aw_address *address)
{
    int fd = open_bound(address->any.sa_family, NULL, 0);
    if (fd < 0)
        return fd;
    int result = ring_perform(&(struct ring_request){
        .kind = RING_CONNECT,
        .fd = fd,
        .buffer = &address->any,
        .size = address->length,
    });
    if (result < 0) {
        (void)aw_close(fd);
        return result;
    }
    return fd;
}

int aw_datagram_connect(const char *host, uint16_t port, struct aw_error *reterr)
{
    struct aw_address addresses[AW_ADDRESSES_MAX];
    int count = aw_resolve(host, port, addresses, AW_ADDRESSES_MAX, reterr);
    if (count < 0)
        return count;
    int result = -ENOENT;
    for (int i = 0; i < count; i++) {
        result = connect_address(&addresses[i]);
        if (result >= 0)
            return result;
        if (result == -ECANCELED || result == -ETIME)
            break;
    }
    return aw_error_set(reterr, result, "cannot connect a UDP socket to %s port %u: %s", host,
                        (unsigned)port, aw_error_text(result));
}

static int send_message(int fd, const void *data, size_t size, void *address, socklen_t length)
{
    struct iovec bytes = {.iov_base = source_buffer(data), .iov_len = size};
    struct msghdr message = {
        .msg_name = address,
        .msg_namelen = length,
        .msg_iov = &bytes,
        .msg_iovlen = 1,
    };
    int result = ring_perform(&(struct ring_request){
        .kind = RING_SEND_MESSAGE,
        .fd = fd,
        .flags = MSG_NOSIGNAL,
        .buffer = &message,
    });
    return result < 0 ? result : 0;
}

int aw_datagram_send_to(int fd, const void *data, size_t size, const struct aw_address *to)
{
    struct aw_address address = *to;
    return send_message(fd, data, size, &address.any, address.length);
}

int aw_datagram_send_unix(int fd, const void *data, size_t size, const char *path)
{
    struct sockaddr_un address;
    int result = unix_address(path, &address);
    return result < 0 ? result : send_message(fd, data, size, &address, sizeof address);
}

int aw_datagram_send(int fd, const void *data, size_t size)
{
    return send_message(fd, data, size, NULL, 0);
}

static void describe_sender(const struct sockaddr_storage *sender, socklen_t length,
                            struct aw_address *address)
{
    *address = (struct aw_address){0};
    if (length > sizeof address->v6)
        length = 0; /* a Unix path: the header offers no room, and no such answer is wanted */
    memcpy(&address->any, sender, length);
    address->length = length;
    if (length == sizeof address->v4 && sender->ss_family == AF_INET)
        (void)inet_ntop(AF_INET, &address->v4.sin_addr, address->text, sizeof address->text);
    else if (length == sizeof address->v6 && sender->ss_family == AF_INET6)
        (void)inet_ntop(AF_INET6, &address->v6.sin6_addr, address->text, sizeof address->text);
}

int aw_datagram_receive(int fd, void *buffer, size_t size, struct aw_datagram *ret_datagram)
{
    struct sockaddr_storage sender = {0};
    struct iovec bytes = {.iov_base = buffer, .iov_len = size};
    struct msghdr message = {
        .msg_name = &sender,
        .msg_namelen = sizeof sender,
        .msg_iov = &bytes,
        .msg_iovlen = 1,
    };
    int result = ring_perform(&(struct ring_request){
        .kind = RING_RECEIVE_MESSAGE,
        .fd = fd,
        .flags = MSG_TRUNC, /* the result is then the datagram's own size */
        .buffer = &message,
    });
    if (result < 0)
        return result;
    size_t sent = (size_t)result;
    if (ret_datagram != NULL) {
        describe_sender(&sender, message.msg_namelen, &ret_datagram->from);
        ret_datagram->size = sent;
        ret_datagram->truncated = sent > size;
    }
    return (int)(sent < size ? sent : size);
}
