/* postgres.c - starting and stopping a PostgreSQL for tests; see postgres.h. */
#include "support/postgres.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_WAIT_MS 120000

static void give_up(const char *what)
{
    fprintf(stderr, "postgres for tests: %s: %s\n", what, strerror(errno));
    abort();
}

#define ARGUMENTS_MAX 32

/* The newest installed version's folder of programs. */
static void find_program(const char *name, char *path, size_t size)
{
    char pattern[128];
    glob_t found;
    snprintf(pattern, sizeof pattern, "/usr/lib/postgresql/*/bin/%s", name);
    if (glob(pattern, 0, NULL, &found) != 0 || found.gl_pathc == 0) {
        errno = ENOENT;
        give_up("the server's programs are not below /usr/lib/postgresql (make deps)");
    }
    snprintf(path, size, "%s", found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
}

static void become_postgres(void)
{
    if (geteuid() != 0) {
        return;
    }
    struct passwd *user = getpwnam("postgres");
    if (user == NULL || initgroups("postgres", user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
        setuid(user->pw_uid) != 0) {
        _exit(126);
    }
}

/* Starts a program with its output in the folder's log; it is told to stop when this process ends.
 */
static pid_t run(const struct postgres *postgres, const char *program, const char *const *arguments)
{
    char path[256];
    char log[96];
    find_program(program, path, sizeof path);
    snprintf(log, sizeof log, "%s/log", postgres->folder);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        give_up("fork");
    }
    if (pid > 0) {
        return pid;
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    become_postgres();
    prctl(PR_SET_PDEATHSIG, SIGINT);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || getppid() != parent || chdir(postgres->folder) != 0) {
        _exit(126);
    }
    dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    /* PostgreSQL's programs find each other by the path in argv[0], or along PATH, where Debian
     * does not put them. */
    const char *named[ARGUMENTS_MAX] = {path};
    for (int i = 1; i < ARGUMENTS_MAX - 1 && arguments[i] != NULL; i++) {
        named[i] = arguments[i];
    }
    execv(path, (char *const *)(uintptr_t)named);
    _exit(127);
}

static unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        give_up("a free port");
    }
    close(fd);
    return ntohs(address.sin_port);
}

void postgres_create(struct postgres *postgres)
{
    *postgres = (struct postgres){0};
    snprintf(postgres->folder, sizeof postgres->folder, "/tmp/awaitd-pg-XXXXXX");
    if (mkdtemp(postgres->folder) == NULL) {
        give_up("a temporary folder");
    }
    struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : NULL;
    if (user != NULL && chown(postgres->folder, user->pw_uid, user->pw_gid) != 0) {
        give_up("chown of the folder");
    }
    postgres->port = free_port();
    snprintf(postgres->uri, sizeof postgres->uri,
             "postgresql:///postgres?host=%s&port=%u&user=postgres", postgres->folder,
             postgres->port);
    snprintf(postgres->tcp_uri, sizeof postgres->tcp_uri,
             "postgresql://postgres@localhost:%u/postgres", postgres->port);
    const char *const arguments[] = {"initdb", "-D", "data", "-U",         "postgres",  "-A",
                                     "trust",  "-E", "UTF8", "--locale=C", "--no-sync", NULL};
    int status = 0;
    if (waitpid(run(postgres, "initdb", arguments), &status, 0) < 0 || status != 0) {
        give_up("initdb failed, see the log in the folder");
    }
}

void postgres_start(struct postgres *postgres)
{
    char port[16];
    snprintf(port, sizeof port, "%u", postgres->port);
    const char *const arguments[] = {
        "postgres", "-D", "data", "-p", port,
        "-k", postgres->folder, "-h", "127.0.0.1", "-c", "shared_buffers=16MB",
        "-c", "max_connections=40", "-c", "max_prepared_transactions=4", NULL};
    postgres->pid = run(postgres, "postgres", arguments);
    for (int waited_ms = 0; PQping(postgres->uri) != PQPING_OK; waited_ms += 50) {
        if (waited_ms > START_WAIT_MS || waitpid(postgres->pid, NULL, WNOHANG) != 0) {
            give_up("the server does not start, see the log in the folder");
        }
        usleep(50000);
    }
}

void postgres_stop(struct postgres *postgres, int signal_number)
{
    if (postgres->pid > 0) {
        kill(postgres->pid, signal_number);
        waitpid(postgres->pid, NULL, 0);
        postgres->pid = 0;
    }
}

void postgres_remove(struct postgres *postgres)
{
    postgres_stop(postgres, SIGINT);
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", postgres->folder);
    if (system(command) != 0) {
        fprintf(stderr, "%s could not be removed\n", postgres->folder);
    }
}

/* --- one for all tests of a binary --- */

static struct postgres shared;

void postgres_shared_begin(void)
{
    postgres_create(&shared);
    postgres_start(&shared);
    setenv("TEST_POSTGRES_URI", shared.uri, 1);
    setenv("TEST_POSTGRES_TCP_URI", shared.tcp_uri, 1);
}

void postgres_shared_end(void)
{
    postgres_remove(&shared);
}

const char *postgres_shared_uri(void)
{
    return getenv("TEST_POSTGRES_URI");
}

const char *postgres_shared_tcp_uri(void)
{
    return getenv("TEST_POSTGRES_TCP_URI");
}
