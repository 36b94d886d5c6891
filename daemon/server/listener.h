/* listener.h - one socket that clients connect to: made by us, or handed over by systemd. */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include "config/config.h"

#include <await.h>

struct server;

struct listener {
    struct server *server;
    const struct config_socket *settings;
    int fd;
    bool from_systemd;       /* its file is not ours to remove */
    uint64_t complained_ns;  /* when the log last heard that no connection can be accepted */
};

/* Descriptors of systemd's socket activation (sd_listen_fds(3)), each used at most once. */
struct handed_over {
    int count;
    int first;
    char **names;
    uint64_t used; /* bit i: descriptor first + i */
};
void handed_over_read(struct handed_over *handed_over);
/* Closes and logs those that no [socket] section has asked for. */
AW_SUSPENDS void handed_over_close_unused(struct handed_over *handed_over);

/* Takes the descriptor handed over for the socket's path or name, else listens on the path. */
AW_MUST_CHECK AW_SUSPENDS int listener_open(struct listener *listener, struct server *server,
                                            const struct config_socket *settings,
                                            struct handed_over *handed_over,
                                            struct aw_error *reterr);
/* Closes it, and removes the file unless it is systemd's. */
AW_SUSPENDS void listener_close(struct listener *listener);

/* The accept loop: a task function, argument is the listener. */
AW_SUSPENDS int listener_accept(void *argument);

#endif
