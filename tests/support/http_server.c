/* http_server.c - see http_server.h. */
#include "support/http_server.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct request {
    char method[32];
    char path[2048];
    char headers[8192];
    char *body;
    size_t body_size;
};

static size_t content_length(const char *headers)
{
    for (const char *line = headers; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncasecmp(line, "Content-Length:", 15) == 0)
            return strtoul(line + 15, NULL, 10);
    }
    return 0;
}

static int read_request(struct aw_stream *stream, struct http_server *server,
                        struct request *request)
{
    const char *head;
    int size = aw_stream_read_until(stream, "\r\n\r\n", 4, 0, &head);
    if (size <= 0)
        return size < 0 ? size : -ENODATA;
    snprintf(server->last, sizeof server->last, "%.*s", size, head);
    if (sscanf(server->last, "%31s %2047s", request->method, request->path) != 2)
        return -EPROTO;
    snprintf(request->headers, sizeof request->headers, "%s", strchr(server->last, '\n') + 1);
    server->requests++;
    if (strncmp(request->path, "/upload", 7) == 0 || strcmp(request->path, "/refuse") == 0)
        return 0; /* they look at the body themselves, or do not */
    request->body_size = content_length(request->headers);
    request->body = malloc(request->body_size + 1);
    cr_assert_not_null(request->body);
    return request->body_size > 0
               ? aw_stream_read_exactly(stream, request->body, request->body_size)
               : 0;
}

static int respond(struct aw_stream *stream, const char *status, const char *extra,
                   const void *body, size_t size)
{
    int result = aw_stream_print(stream, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status,
                                 size, extra);
    if (result == 0 && size > 0)
        result = aw_stream_write(stream, body, size);
    return result == 0 ? aw_stream_flush(stream) : result;
}

static int echo(struct aw_stream *stream, const struct request *request)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    cr_assert_not_null(file);
    fprintf(file, "%s %s\n%s\n", request->method, request->path, request->headers);
    fwrite(request->body, 1, request->body_size, file);
    fclose(file);
    if (strcmp(request->method, "HEAD") == 0) {
        char line[64];
        snprintf(line, sizeof line, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", size);
        free(text);
        return aw_stream_write_all(stream, line, strlen(line));
    }
    int result = respond(stream, "200 OK", "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Empty:\r\n",
                         text, size);
    free(text);
    return result;
}

/* "/as/201": the request's own body and Content-Type, with that status. */
static int send_back(struct aw_stream *stream, const struct request *request)
{
    char status[32];
    char type[200] = "";
    const char *found = strcasestr(request->headers, "Content-Type: ");
    if (found != NULL)
        snprintf(type, sizeof type, "%.*s\r\n", (int)strcspn(found, "\r"), found);
    snprintf(status, sizeof status, "%.3s Said So", request->path + 4);
    return respond(stream, status, type, request->body, request->body_size);
}

static int send_bytes(struct aw_stream *stream, struct http_server *server, size_t count)
{
    char letters[4096];
    memset(letters, 'x', sizeof letters);
    int result = aw_stream_print(stream, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", count);
    while (result == 0 && count > 0) {
        size_t size = count < sizeof letters ? count : sizeof letters;
        result = aw_stream_write_all(stream, letters, size);
        server->sent += result == 0 ? size : 0;
        count -= size;
    }
    return result == 0 ? aw_stream_flush(stream) : result;
}

static int send_chunks(struct aw_stream *stream, int count)
{
    int result = aw_stream_print(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < count && result == 0; i++)
        result = aw_stream_print(stream, "a\r\n%010d\r\n", i);
    if (result == 0)
        result = aw_stream_print(stream, "0\r\nX-Trailer: late\r\n\r\n");
    return result == 0 ? aw_stream_flush(stream) : result;
}

static int send_endless_head(struct aw_stream *stream)
{
    int result = aw_stream_print(stream, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; result == 0; i++)
        result = aw_stream_print(stream, "X-Header-%d: %0200d\r\n", i, i);
    return result;
}

static int wait_at_gate(struct http_server *server)
{
    server->waiting++;
    int result = aw_event_wait(&server->gate);
    server->waiting--;
    return result;
}

static int redirect(struct aw_stream *stream, const char *status, const char *location)
{
    char extra[2200];
    snprintf(extra, sizeof extra, "Location: %.2100s\r\n", location);
    return respond(stream, status, extra, "elsewhere", 9);
}

/* "/redirect/3" -> "/redirect/2" ... -> "home"; "/to/307/http://..." */
static int redirect_by_path(struct aw_stream *stream, const char *path)
{
    char text[64];
    if (strncmp(path, "/to/", 4) == 0) {
        snprintf(text, sizeof text, "%.3s Elsewhere", path + 4);
        return redirect(stream, text, path + 8);
    }
    int left = atoi(path + 10);
    if (left == 0)
        return respond(stream, "200 OK", "", "home", 4);
    snprintf(text, sizeof text, "%d", left - 1); /* relative to /redirect/ */
    return redirect(stream, "302 Found", text);
}

/* One piece of a body: counts its bytes, and those that are not the place's own. */
static int take(struct aw_stream *stream, struct http_server *server, size_t size)
{
    char bytes[4096];
    int result = 0;
    while (size > 0 && result >= 0) {
        result = aw_stream_read_some(stream, bytes, size < sizeof bytes ? size : sizeof bytes);
        if (result == 0)
            return -ENODATA;
        for (int i = 0; i < result; i++, server->received++)
            server->wrong += bytes[i] != http_server_byte(server->received);
        size -= result > 0 ? (size_t)result : 0;
    }
    return result < 0 ? result : 0;
}

static int take_chunks(struct aw_stream *stream, struct http_server *server)
{
    for (;;) {
        char *line;
        int result = aw_stream_read_line(stream, 0, &line, NULL);
        if (result <= 0)
            return result < 0 ? result : -ENODATA;
        size_t size = strtoul(line, NULL, 16);
        if (size > 0)
            result = take(stream, server, size);
        if (result >= 0)
            result = aw_stream_read_line(stream, 0, &line, NULL);
        if (result <= 0 || size == 0)
            return result < 0 ? result : 0;
    }
}

static int take_upload(struct aw_stream *stream, struct http_server *server,
                       const struct request *request)
{
    char text[64];
    server->received = 0;
    int result = strcmp(request->path, "/upload-gate") == 0 ? wait_at_gate(server) : 0;
    if (result == 0 && strcasestr(request->headers, "Transfer-Encoding: chunked") != NULL)
        result = take_chunks(stream, server);
    else if (result == 0)
        result = take(stream, server, content_length(request->headers));
    snprintf(text, sizeof text, "%llu bytes", (unsigned long long)server->received);
    return result < 0 ? result : respond(stream, "200 OK", "", text, strlen(text));
}

/* Negative: the connection ends. */
static int answer(struct aw_stream *stream, struct http_server *server,
                  const struct request *request)
{
    const char *path = request->path;
    char text[64];
    if (strncmp(path, "/echo", 5) == 0)
        return echo(stream, request);
    if (strncmp(path, "/as/", 4) == 0)
        return send_back(stream, request);
    if (strncmp(path, "/status/", 8) == 0) {
        snprintf(text, sizeof text, "%.3s Said So", path + 8);
        return respond(stream, text, "Retry-After: 7\r\n", "why", 3);
    }
    if (strncmp(path, "/redirect/", 10) == 0 || strncmp(path, "/to/", 4) == 0)
        return redirect_by_path(stream, path);
    if (strncmp(path, "/bytes/", 7) == 0)
        return send_bytes(stream, server, strtoul(path + 7, NULL, 10));
    if (strncmp(path, "/chunks/", 8) == 0)
        return send_chunks(stream, atoi(path + 8));
    if (strcmp(path, "/gate") == 0) {
        int result = wait_at_gate(server);
        return result < 0 ? result : respond(stream, "200 OK", "", "open", 4);
    }
    if (strncmp(path, "/upload", 7) == 0)
        return take_upload(stream, server, request);
    if (strcmp(path, "/refuse") == 0) {
        AW_IGNORE(respond(stream, "413 Too Large", "Connection: close\r\n", "no", 2));
        AW_IGNORE(aw_stream_end(stream)); /* takes what is on its way, or a reset eats the answer */
        while (aw_stream_read_some(stream, text, sizeof text) > 0) {
        }
        return -EPIPE;
    }
    if (strcmp(path, "/cut") == 0) {
        AW_IGNORE(aw_stream_print(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
                                          "0123456789"));
        return -EPIPE;
    }
    if (strcmp(path, "/garbage") == 0) {
        AW_IGNORE(aw_stream_print(stream, "220 mail.example ESMTP\r\n\r\n"));
        return -EPIPE;
    }
    if (strcmp(path, "/head") == 0)
        return send_endless_head(stream);
    if (strcmp(path, "/hint") == 0) {
        AW_IGNORE(aw_stream_print(stream, "HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n"
                                          "HTTP/1.1 103 Early Hints\r\nX-Early: 2\r\n\r\n"));
        return respond(stream, "200 OK", "", "after", 5);
    }
    if (strcmp(path, "/closing") == 0) {
        AW_IGNORE(respond(stream, "200 OK", "", "bye", 3));
        return -EPIPE;
    }
    if (strcmp(path, "/silent") == 0)
        return -EPIPE;
    return respond(stream, "404 Not Found", "", "no such page", 12);
}

static int serve(struct aw_stream *stream, void *argument)
{
    struct http_server *server = argument;
    int result = server->tls ? aw_stream_accept_tls(stream, server->tls, NULL) : 0;
    while (result >= 0) {
        struct request request = {.body = NULL};
        result = read_request(stream, server, &request);
        if (result >= 0)
            result = answer(stream, server, &request);
        free(request.body);
    }
    return 0;
}

char http_server_byte(uint64_t place)
{
    return (char)('a' + place % 23);
}

void http_server_start(struct http_server *server, struct aw_tls_context *tls)
{
    *server = (struct http_server){.tls = tls};
    aw_event_init(&server->gate);
    int listener = aw_listen_tcp("127.0.0.1", 0, 0, NULL);
    cr_assert_geq(listener, 0);
    server->port = (uint16_t)aw_local_port(listener);
    cr_assert_eq(aw_server_start(&server->server, listener, serve, server, NULL), 0);
}

void http_server_stop(struct http_server *server)
{
    aw_server_stop(server->server, 0);
}
