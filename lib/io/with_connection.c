/* with_connection.c - see await/connection.h. */
#include <await/connection.h>

#include <errno.h>

static int open_stream(struct aw_connection *connection)
{
    if (connection->host != NULL)
        return aw_stream_connect_tcp(&connection->stream, connection->host, connection->port,
                                     connection->options, &connection->error);
    if (connection->path != NULL)
        return aw_stream_connect_unix(&connection->stream, connection->path, connection->options,
                                      &connection->error);
    return aw_error_set(&connection->error, -EINVAL, "a connection needs a host or a path");
}

static int enter(void *object)
{
    struct aw_connection *connection = object;
    connection->error = (struct aw_error){0};
    connection->stream = NULL;
    int result = open_stream(connection);
    if (result < 0 || connection->tls == NULL)
        return result;
    const char *name = connection->server_name != NULL ? connection->server_name : connection->host;
    result = aw_stream_start_tls(connection->stream, connection->tls, name, &connection->error);
    if (result < 0) {
        aw_stream_abort(connection->stream);
        connection->stream = NULL;
    }
    return result;
}

static int leave(void *object, int outcome)
{
    struct aw_connection *connection = object;
    struct aw_stream *stream = connection->stream;
    connection->stream = NULL;
    if (outcome >= 0)
        return aw_stream_close(stream);
    aw_stream_abort(stream);
    return 0;
}

struct aw_with aw_with_connection(struct aw_connection *connection)
{
    static const struct aw_manager manager = {.enter = enter, .exit = leave};
    return aw_with(&manager, connection);
}
