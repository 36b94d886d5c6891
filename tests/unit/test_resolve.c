/* test_resolve.c - names to addresses. getaddrinfo(3) is replaced here by one that answers what the
 * test wants, when the test wants it: real resolvers answer differently on every machine. */
#include "support/process.h"

#include <await.h>

#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static struct {
    int code;
    int saved_errno;
    int v4_count;
    int v6_count;
    int other_count;
    bool held;
    sem_t started;
    sem_t gate;
    atomic_int calls;
    atomic_int lists; /* given out and not freed yet */
} resolver;

static struct addrinfo *make_entry(int family, int index, struct addrinfo *next)
{
    struct addrinfo *entry = calloc(1, sizeof *entry + sizeof(struct sockaddr_storage));
    if (entry == NULL)
        abort();
    entry->ai_family = family;
    entry->ai_addr = (struct sockaddr *)(entry + 1);
    entry->ai_next = next;
    if (family == AF_INET) {
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        v4.sin_addr.s_addr = htonl(0x0a000000u + (uint32_t)index);
        entry->ai_addrlen = sizeof v4;
        memcpy(entry->ai_addr, &v4, sizeof v4);
    } else if (family == AF_INET6) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_scope_id = 3};
        v6.sin6_addr.s6_addr[0] = 0xfe;
        v6.sin6_addr.s6_addr[1] = 0x80;
        v6.sin6_addr.s6_addr[15] = (uint8_t)index;
        entry->ai_addrlen = sizeof v6;
        memcpy(entry->ai_addr, &v6, sizeof v6);
    } else {
        entry->ai_addrlen = sizeof(struct sockaddr);
    }
    return entry;
}

int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict list)
{
    (void)name;
    (void)service;
    (void)hints;
    atomic_fetch_add(&resolver.calls, 1);
    if (resolver.held) {
        sem_post(&resolver.started);
        while (sem_wait(&resolver.gate) != 0) {
        }
    }
    if (resolver.code != 0) {
        errno = resolver.saved_errno;
        return resolver.code;
    }
    struct addrinfo *first = NULL;
    for (int i = resolver.v4_count; i > 0; i--)
        first = make_entry(AF_INET, i, first);
    for (int i = resolver.v6_count; i > 0; i--)
        first = make_entry(AF_INET6, i, first);
    for (int i = resolver.other_count; i > 0; i--)
        first = make_entry(AF_UNIX, i, first);
    atomic_fetch_add(&resolver.lists, 1);
    *list = first;
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    atomic_fetch_sub(&resolver.lists, 1);
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;
        free(list);
        list = next;
    }
}

struct question {
    const char *host;
    int max;
    int count;
    struct aw_address addresses[AW_ADDRESSES_MAX];
    struct aw_error error;
};

static int ask_body(void *argument)
{
    struct question *question = argument;
    question->count = aw_resolve(question->host, 5432, question->addresses, question->max,
                                 &question->error);
    return question->count;
}

static int ask(struct question *question, const char *host)
{
    *question = (struct question){.host = host, .max = AW_ADDRESSES_MAX};
    return aw_run(ask_body, question);
}

Test(resolve, reads_numeric_addresses_without_a_lookup)
{
    struct question question;
    cr_assert_eq(ask(&question, "192.0.2.7"), 1);
    cr_assert_eq(question.addresses[0].v4.sin_family, AF_INET);
    cr_assert_eq(question.addresses[0].length, sizeof(struct sockaddr_in));
    cr_assert_eq(ntohs(question.addresses[0].v4.sin_port), 5432);
    cr_assert_str_eq(question.addresses[0].text, "192.0.2.7");

    cr_assert_eq(ask(&question, "2001:DB8:0::1"), 1);
    cr_assert_eq(question.addresses[0].v6.sin6_family, AF_INET6);
    cr_assert_eq(ntohs(question.addresses[0].v6.sin6_port), 5432);
    cr_assert_str_eq(question.addresses[0].text, "2001:db8::1");
    cr_assert_eq(atomic_load(&resolver.calls), 0);
}

Test(resolve, gives_the_resolvers_order_and_leaves_out_other_families)
{
    resolver.v4_count = 2;
    resolver.v6_count = 1;
    resolver.other_count = 3;
    struct question question;
    cr_assert_eq(ask(&question, "db.example"), 3);
    cr_assert_str_eq(question.addresses[0].text, "fe80::1");
    cr_assert_eq(question.addresses[0].v6.sin6_scope_id, 3);
    cr_assert_str_eq(question.addresses[1].text, "10.0.0.1");
    cr_assert_str_eq(question.addresses[2].text, "10.0.0.2");
    cr_assert_eq(ntohs(question.addresses[2].v4.sin_port), 5432);
    cr_assert_eq(atomic_load(&resolver.lists), 0, "the resolver's list was not freed");
}

static int two_body(void *argument)
{
    (void)argument;
    struct aw_address addresses[3];
    memset(addresses, 0x5a, sizeof addresses);
    int count = aw_resolve("db.example", 1, addresses, 2, NULL);
    cr_expect_eq(addresses[2].text[0], 0x5a, "wrote past the caller's two");
    return count;
}

Test(resolve, stops_at_the_callers_and_at_its_own_limit)
{
    resolver.v4_count = 100;
    cr_assert_eq(aw_run(two_body, NULL), 2);
    struct question question;
    cr_assert_eq(ask(&question, "db.example"), AW_ADDRESSES_MAX);
}

Test(resolve, maps_the_resolvers_errors)
{
    static const struct {
        int code;
        int saved_errno;
        int expected;
    } cases[] = {
        {EAI_NONAME, 0, -ENOENT},     {EAI_NODATA, 0, -ENOENT}, {EAI_ADDRFAMILY, 0, -ENOENT},
        {EAI_AGAIN, 0, -EAGAIN},      {EAI_FAIL, 0, -EAGAIN},   {EAI_MEMORY, 0, -ENOMEM},
        {EAI_SYSTEM, EMFILE, -EMFILE}, {EAI_SYSTEM, 0, -EIO},   {EAI_SYSTEM, ETIME, -EAGAIN},
        {EAI_SYSTEM, ECANCELED, -EAGAIN}, {EAI_SERVICE, 0, -EIO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        resolver.code = cases[i].code;
        resolver.saved_errno = cases[i].saved_errno;
        struct question question;
        cr_assert_eq(ask(&question, "db.example"), cases[i].expected, "case %zu: %d", i,
                     question.count);
        cr_assert_eq(question.error.number, cases[i].expected);
        cr_assert(strstr(question.error.message, "db.example"), "%s", question.error.message);
    }
}

Test(resolve, counts_no_usable_address_as_no_such_host)
{
    resolver.other_count = 2;
    struct question question;
    cr_assert_eq(ask(&question, "db.example"), -ENOENT);
    cr_assert(strstr(question.error.message, "no such host"));
}

Test(resolve, refuses_names_that_cannot_be)
{
    struct question question;
    cr_assert_eq(ask(&question, ""), -EINVAL);
    char name[255];
    memset(name, 'a', sizeof name - 1);
    name[254] = '\0';
    cr_assert_eq(ask(&question, name), -ENAMETOOLONG);
    cr_assert_eq(atomic_load(&resolver.calls), 0);
    name[253] = '\0';
    resolver.v4_count = 1;
    cr_assert_eq(ask(&question, name), 1);
    question = (struct question){.host = "db.example", .max = 0};
    cr_assert_eq(aw_run(ask_body, &question), -EINVAL);
}

static int cancelled_body(void *argument)
{
    struct aw_task *task;
    if (aw_spawn(&task, ask_body, argument) < 0)
        return -1;
    while (sem_trywait(&resolver.started) != 0)
        aw_sleep(1);
    aw_cancel(task);
    int result = aw_await(task);
    sem_post(&resolver.gate); /* only now the lookup ends: the caller did not wait for it */
    return result;
}

Test(resolve, a_cancelled_caller_returns_at_once_and_the_answer_is_dropped)
{
    sem_init(&resolver.started, 0, 0);
    sem_init(&resolver.gate, 0, 0);
    resolver.held = true;
    resolver.v4_count = 1;
    int threads = running_threads();
    int descriptors = open_descriptors();
    struct question question = {.host = "slow.example", .max = AW_ADDRESSES_MAX};
    cr_assert_eq(aw_run(cancelled_body, &question), -ECANCELED);
    cr_assert_eq(question.addresses[0].length, 0, "nothing was written");
    cr_assert_eq(atomic_load(&resolver.lists), 0);
    cr_assert_eq(running_threads(), threads);
    cr_assert_eq(open_descriptors(), descriptors);
}

static int deadline_body(void *argument)
{
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(5));
    int result = ask_body(argument);
    aw_scope_leave(&scope);
    sem_post(&resolver.gate);
    return result;
}

Test(resolve, obeys_a_deadline)
{
    sem_init(&resolver.started, 0, 0);
    sem_init(&resolver.gate, 0, 0);
    resolver.held = true;
    struct question question = {.host = "slow.example", .max = AW_ADDRESSES_MAX};
    cr_assert_eq(aw_run(deadline_body, &question), -ETIME);
    cr_assert_eq(question.error.number, -ETIME);
}
