/* pg_connect.c - opening a connection without ever blocking the loop.
 *
 * libpq looks names up inside PQconnectPoll, on this thread; given `hostaddr` it does not. So
 * each host of the uri is resolved off the loop first and the lists host, hostaddr and port are
 * given entry by entry; a name with several addresses takes several entries, and libpq tries them
 * in turn. Paths of Unix sockets keep an empty hostaddr. libpq reads its files (passfile,
 * certificates) where it wants. */
#include "clients/pg_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOSTS_MAX 16
#define ENTRIES_MAX 32
#define LIST_SIZE 4096
#define KEYWORDS_MAX 96

struct host_lists {
    char host[LIST_SIZE];
    char address[LIST_SIZE];
    char port[LIST_SIZE];
    int entries;
};

static const char *setting(const struct aw_pg_pool *pool, const char *keyword)
{
    for (const PQconninfoOption *option = pool->settings; option->keyword != NULL; option++) {
        if (strcmp(option->keyword, keyword) == 0) {
            return option->val != NULL && option->val[0] != '\0' ? option->val : NULL;
        }
    }
    return NULL;
}

int pg_settings_parse(struct aw_pg_pool *pool, struct aw_error *reterr)
{
    char *reason = NULL;
    const char *uri = pool->options.uri;
    pool->settings = PQconninfoParse(uri, &reason);
    if (pool->settings == NULL) {
        /* libpq quotes what it stumbled over, which may be a piece of a password. */
        bool quotable = strchr(uri, '@') == NULL && strcasestr(uri, "password") == NULL;
        int status = aw_error_set(
            reterr, -EINVAL, "the uri is not a PostgreSQL connection string%s%s; write it as "
            "postgresql://user@host:port/database with special characters as %%XX",
            quotable && reason != NULL ? ": " : "", quotable && reason != NULL ? reason : "");
        PQfreemem(reason);
        return status;
    }
    if (setting(pool, "service") != NULL) {
        return aw_error_set(reterr, -EINVAL,
                            "the uri names a service file, whose host would be looked up on the "
                            "loop; write host, port and database into the uri");
    }
    return 0;
}

static bool append(char *list, const char *text, bool first)
{
    size_t used = strlen(list);
    size_t size = strlen(text);
    if (used + size + 2 > LIST_SIZE) {
        return false;
    }
    if (!first) {
        list[used++] = ',';
    }
    memcpy(list + used, text, size + 1);
    return true;
}

static bool add_entry(struct host_lists *lists, const char *host, const char *address,
                      const char *port)
{
    bool first = lists->entries == 0;
    if (lists->entries++ == ENTRIES_MAX) {
        return false;
    }
    return append(lists->host, host, first) && append(lists->address, address, first) &&
           append(lists->port, port, first);
}

/* Takes the next element off a comma-separated list (empty ones count). */
static char *next_element(char **list)
{
    return *list != NULL ? strsep(list, ",") : NULL;
}

static int add_host(struct host_lists *lists, const char *host, const char *port,
                    struct aw_error *reterr)
{
    static const char too_many[] = "the uri's list of hosts is too long";
    if (host[0] == '\0' || host[0] == '/' || host[0] == '@') {
        return add_entry(lists, host, "", port) ? 0 : aw_error_set(reterr, -E2BIG, too_many);
    }
    struct aw_address addresses[AW_ADDRESSES_MAX];
    int count = aw_resolve(host, 5432, addresses, AW_ADDRESSES_MAX, reterr);
    for (int i = 0; i < count; i++) {
        if (!add_entry(lists, host, addresses[i].text, port)) {
            return aw_error_set(reterr, -E2BIG, too_many);
        }
    }
    return count;
}

/* Fills the lists from the uri. A host that cannot be resolved is left out while others can be. */
static int resolve_hosts(const struct aw_pg_pool *pool, const char *hosts,
                         struct host_lists *lists, struct aw_error *reterr)
{
    const char *port_list = setting(pool, "port");
    if (port_list == NULL) {
        port_list = getenv("PGPORT");
    }
    char *host_copy = strdup(hosts);
    char *port_copy = strdup(port_list != NULL ? port_list : "");
    int status = host_copy != NULL && port_copy != NULL ? 0 : -ENOMEM;
    char *host_rest = host_copy;
    char *port_rest = port_copy;
    bool one_port = port_copy != NULL && strchr(port_copy, ',') == NULL;
    const char *port = one_port ? port_copy : "";
    for (int i = 0; status >= 0 && host_rest != NULL; i++) {
        const char *host = next_element(&host_rest);
        if (!one_port) {
            port = next_element(&port_rest);
        }
        if (i == HOSTS_MAX || port == NULL) {
            status = aw_error_set(reterr, -EINVAL,
                                  "the uri's lists of hosts and ports do not match, "
                                  "or name more than %d hosts",
                                  HOSTS_MAX);
            break;
        }
        int added = add_host(lists, host, port, reterr);
        bool fatal = added == -ECANCELED || added == -ETIME || added == -ENOMEM || added == -E2BIG;
        bool last = host_rest == NULL && lists->entries == 0;
        status = added < 0 && (fatal || last) ? added : 0;
    }
    free(host_copy);
    free(port_copy);
    return status;
}

struct keywords {
    char application_name[AW_PG_SESSION_NAME_SIZE];
    const char *names[KEYWORDS_MAX + 1];
    const char *values[KEYWORDS_MAX + 1];
    int count;
};

/* The first value given for a keyword stays. */
static void add_keyword(struct keywords *keywords, const char *name, const char *value)
{
    if (value == NULL || keywords->count == KEYWORDS_MAX) {
        return;
    }
    for (int i = 0; i < keywords->count; i++) {
        if (strcmp(keywords->names[i], name) == 0) {
            return;
        }
    }
    keywords->names[keywords->count] = name;
    keywords->values[keywords->count++] = value;
}

/* The server keeps 63 bytes of it. */
static void name_session(const struct aw_pg_pool *pool, struct keywords *keywords)
{
    size_t size = sizeof keywords->application_name;
    const char *name = pool->options.application_name;
    if (pool->options.distinct_names) {
        uint64_t number = 0;
        aw_random_bytes(&number, sizeof number);
        snprintf(keywords->application_name, size, "%.46s/%016" PRIx64, name, number);
    } else {
        snprintf(keywords->application_name, size, "%s", name);
    }
}

static void fill_keywords(const struct aw_pg_pool *pool, const struct host_lists *lists,
                          struct keywords *keywords)
{
    add_keyword(keywords, "password", pool->options.password);
    add_keyword(keywords, "client_encoding", "UTF8");
    if (lists->entries > 0) {
        add_keyword(keywords, "host", lists->host);
        add_keyword(keywords, "hostaddr", lists->address);
        add_keyword(keywords, "port", lists->port);
    }
    for (const PQconninfoOption *option = pool->settings; option->keyword != NULL; option++) {
        add_keyword(keywords, option->keyword, option->val);
    }
    name_session(pool, keywords);
    add_keyword(keywords, "application_name", keywords->application_name);
    add_keyword(keywords, "tcp_user_timeout", "30000");
    add_keyword(keywords, "keepalives_idle", "30");
    add_keyword(keywords, "keepalives_interval", "10");
    add_keyword(keywords, "keepalives_count", "3");
    /* Kerberos would look its servers up on this thread. */
    add_keyword(keywords, "gssencmode", "disable");
}

static void ignore_notice(void *argument, const PGresult *result)
{
    (void)argument;
    (void)result;
}

static int connect_error(PGconn *handle, struct aw_error *reterr)
{
    return aw_error_set_code(reterr, -ENOTCONN, "08001", "%s", PQerrorMessage(handle));
}

/* Follows libpq through the attempt. Its socket changes on the way: asked for anew each time. */
static int poll_connection(PGconn *handle, struct aw_error *reterr)
{
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (next != PGRES_POLLING_OK) {
        if (next == PGRES_POLLING_FAILED || PQstatus(handle) == CONNECTION_BAD) {
            return connect_error(handle, reterr);
        }
        int status = aw_poll(PQsocket(handle), next == PGRES_POLLING_READING ? (unsigned)POLLIN
                                                                             : (unsigned)POLLOUT);
        if (status < 0) {
            return status;
        }
        next = PQconnectPoll(handle);
    }
    return 0;
}

static int open_handle(const struct aw_pg_pool *pool, const struct host_lists *lists,
                       PGconn **ret_handle, struct aw_error *reterr)
{
    struct keywords keywords = {0};
    fill_keywords(pool, lists, &keywords);
    PGconn *handle = PQconnectStartParams(keywords.names, keywords.values, 0);
    if (handle == NULL) {
        return aw_error_set(reterr, -ENOMEM, "out of memory");
    }
    PQsetNoticeReceiver(handle, ignore_notice, NULL);
    int status = poll_connection(handle, reterr);
    if (status == 0 && PQsetnonblocking(handle, 1) != 0) {
        status = connect_error(handle, reterr);
    }
    if (status < 0) {
        PQfinish(handle);
        return status;
    }
    PQsetErrorContextVisibility(handle, PQSHOW_CONTEXT_NEVER);
    *ret_handle = handle;
    return 0;
}

static int resolve_and_open(const struct aw_pg_pool *pool, PGconn **ret_handle,
                            struct aw_error *reterr)
{
    struct host_lists *lists = calloc(1, sizeof *lists); /* too large for a task's stack */
    if (lists == NULL) {
        return aw_error_set(reterr, -ENOMEM, "out of memory");
    }
    int status = 0;
    const char *hosts = setting(pool, "host");
    if (hosts == NULL) {
        hosts = getenv("PGHOST");
    }
    if (hosts != NULL && setting(pool, "hostaddr") == NULL) {
        status = resolve_hosts(pool, hosts, lists, reterr);
    }
    if (status >= 0) {
        status = open_handle(pool, lists, ret_handle, reterr);
    }
    free(lists);
    return status;
}

int pg_connect(struct aw_pg_pool *pool, PGconn **ret_handle, struct aw_error *reterr)
{
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(pool->options.connect_timeout_ms));
    int status = resolve_and_open(pool, ret_handle, reterr);
    if (status == -ETIME && aw_scope_expired(&scope)) {
        const char *host = setting(pool, "host");
        status =
            aw_error_set_code(reterr, -ENOTCONN, "08001",
                              "connecting to PostgreSQL on %s took more than %u ms; is the host "
                              "reachable, and the server accepting?",
                              host != NULL ? host : "this host", pool->options.connect_timeout_ms);
    } else if (status < 0 && status != -ECANCELED) {
        if (reterr->number == 0) {
            aw_error_set(reterr, status, "connecting to PostgreSQL failed: %s",
                         aw_error_text(status));
        }
    }
    aw_scope_leave(&scope);
    return status;
}
