/* http_server.h - a small HTTP/1.1 server in the test's own process, on the library's streams.
 *
 *   /echo            what came, as text: "<method> <path>\n<headers>\n<body>"
 *   /as/<n>          that status with the request's own body and Content-Type
 *   /status/<n>      that status, "Retry-After: 7"
 *   /redirect/<n>    <n> redirects (302) to 200 "home"
 *   /to/<status>/<location>   a redirect with any Location
 *   /bytes/<n>       a body of <n> letters
 *   /chunks/<n>      <n> chunks of ten bytes, and a trailer
 *   /gate            answers once `gate` is set
 *   /upload          "<n> bytes"; the body may come in chunks, http_server_byte at each place
 *   /upload-gate     the same; reads nothing of the body before `gate` is set
 *   /refuse          413 before the body, then takes what is sent until the end
 *   /cut             promises 100 bytes, sends 10, closes
 *   /silent          closes without an answer
 *   /garbage         what is not HTTP
 *   /head            a head that never ends
 *   /closing         answers, then closes the connection without having said so
 *   /hint            100 and 103 before the 200 */
#ifndef SUPPORT_HTTP_SERVER_H
#define SUPPORT_HTTP_SERVER_H

#include <await.h>

struct http_server {
    struct aw_server *server;
    struct aw_tls_context *tls; /* NULL: without */
    struct aw_event gate;
    uint16_t port;
    uint32_t requests;
    uint32_t waiting;           /* at the gate */
    uint64_t sent;              /* bytes of /bytes taken by the socket so far */
    uint64_t received;          /* bytes of /upload's body so far */
    uint64_t wrong;             /* of these that were not what was expected */
    char last[8192];            /* the last request's head */
};

/* Starts it on 127.0.0.1 and a free port. */
void http_server_start(struct http_server *server, struct aw_tls_context *tls);
char http_server_byte(uint64_t place);
void http_server_stop(struct http_server *server);

#endif
