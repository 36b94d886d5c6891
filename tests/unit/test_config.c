/* test_config.c - the configuration: every key, every error, and its files. */
#include "support/config_stage.h"

#include "config/config.h"
#include "protocol/buffer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(config, defaults)
{
    struct config config = parsed("");
    cr_assert_str_eq(config.state, "/var/lib/awaitd");
    cr_assert_eq(config.node, 0);
    cr_assert_eq(config.result_size_max, 16 << 20);
    cr_assert_eq(config.request_size_max, 64 << 20);
    cr_assert_eq(config.argument_size_max, 16 << 20);
    cr_assert_eq(config.clients_max, 10000);
    cr_assert_eq(config.memory_max, 64 << 20);
    cr_assert_eq(config.disk_free_min, 64 << 20);
    cr_assert_eq(config.stop_timeout_ms, 30000);
    cr_assert_eq(config.log_level, LOG_LEVEL_INFO);
    cr_assert_eq(config.socket_count, 1);
    cr_assert_str_eq(config.sockets[0].path, "/run/awaitd/awaitd.sock");
    cr_assert_eq(config.sockets[0].mode, 0660);
    cr_assert_eq(config.sockets[0].allow, ALLOW_ALL);
    cr_assert_eq(config.target_count, 0);
    cr_assert_eq(config.warning_count, 1);

    const struct config_queue *queue = config_find_queue(&config, "mail", 4);
    cr_assert_eq(queue->concurrency, 64);
    cr_assert_eq(queue->retry, 3);
    cr_assert_eq(queue->backoff_min_ms, 1000);
    cr_assert_eq(queue->backoff_max_ms, 3600000);
    cr_assert_eq(queue->keep_ms, 3600000);
    cr_assert_eq(queue->keep_dead_ms, UINT64_C(30) * 86400000);
    cr_assert_eq(queue->timeout_ms, 0);
    config_free(&config);
}

Test(config, every_key)
{
    struct config config = parsed(
        "[daemon]\nstate=/s\nnode = 1023\nresult_size_max = 1K\nrequest_size_max = 1G\n"
        "argument_size_max = 4096\nclients_max = 1\nmemory_max = 2M\ndisk_free_min = 0\n"
        "stop_timeout = 1500ms\nlog_level = debug\n"
        "[socket one]\npath = /one\nmode = 0600\nuser = root\ngroup = 0\nallow = submit, observe\n"
        "[socket two]\npath = /two\nmode = 770\nallow = all\n"
        "[target main]\ntype = postgres\nuri = postgresql://app@db/app?a=1#x;y\nconnections = 2\n"
        "pipeline = 3\nconnect_timeout = 10m\npassword_file = /p\ndelivery = at-least-once\n"
        "coalesce = 0\n"
        "[target words]\ntype = postgres\nuri = host=/run/postgresql dbname=app\ncredential = c\n"
        "[target cache]\nuri = redis://localhost:6379/0\ntype = redis\n"
        "[target local]\ntype = sqlite\npath = local.db\n"
        "[target other]\ntype = sqlite\npath = /abs/o.db\n"
        "[queue mail]\nconcurrency = 5\nretry = 0\nbackoff_min = 2s\nbackoff_max = 2m\nkeep = 2h\n"
        "keep_dead = 2d\ntimeout = 1s\n");
    cr_assert_str_eq(config.state, "/s");
    cr_assert_eq(config.node, 1023);
    cr_assert_eq(config.result_size_max, 1024);
    cr_assert_eq(config.request_size_max, 1 << 30);
    cr_assert_eq(config.argument_size_max, 4096);
    cr_assert_eq(config.clients_max, 1);
    cr_assert_eq(config.memory_max, 2 << 20);
    cr_assert_eq(config.disk_free_min, 0);
    cr_assert_eq(config.stop_timeout_ms, 1500);
    cr_assert_eq(config.log_level, LOG_LEVEL_DEBUG);

    cr_assert_eq(config.socket_count, 2);
    cr_assert_str_eq(config.sockets[0].name, "one");
    cr_assert_eq(config.sockets[0].mode, 0600);
    cr_assert_str_eq(config.sockets[0].user, "root");
    cr_assert_eq(config.sockets[0].allow, ALLOW_SUBMIT | ALLOW_OBSERVE);
    cr_assert_eq(config.sockets[1].mode, 0770);
    cr_assert_eq(config.sockets[1].allow, ALLOW_ALL);

    cr_assert_eq(config.target_count, 5);
    const struct config_target *targets = config.targets;
    cr_assert_eq(targets[0].type, TARGET_TYPE_POSTGRES);
    cr_assert_str_eq(config_target_type_name(targets[0].type), "postgres");
    cr_assert_str_eq(targets[0].uri, "postgresql://app@db/app?a=1#x;y");
    cr_assert_eq(targets[0].connections, 2);
    cr_assert_eq(targets[0].pipeline, 3);
    cr_assert_eq(targets[0].connect_timeout_ms, 600000);
    cr_assert_eq(targets[1].pipeline, 16);
    cr_assert_eq(targets[1].connections, 8);
    cr_assert_eq(targets[1].connect_timeout_ms, 5000);
    cr_assert_eq(targets[2].type, TARGET_TYPE_REDIS);
    cr_assert_eq(targets[2].pipeline, 1024);
    cr_assert_eq(targets[3].pipeline, 1);
    cr_assert_str_eq(targets[3].path, "/s/local.db");
    cr_assert_str_eq(targets[4].path, "/abs/o.db");
    cr_assert_eq(config.warning_count, 0);

    const struct config_queue *queue = config_find_queue(&config, "mail", 4);
    cr_assert_eq(queue->concurrency, 5);
    cr_assert_eq(queue->retry, 0);
    cr_assert_eq(queue->backoff_min_ms, 2000);
    cr_assert_eq(queue->backoff_max_ms, 120000);
    cr_assert_eq(queue->keep_ms, 7200000);
    cr_assert_eq(queue->keep_dead_ms, 2 * 86400000);
    cr_assert_eq(queue->timeout_ms, 1000);
    cr_assert_eq(config_find_queue(&config, "mai", 3), &config.queue_defaults);
    config_free(&config);
}

Test(config, comments_blanks_and_line_ends)
{
    struct config config = parsed("\xef\xbb\xbf; comment\n# comment\r\n\r\n"
                                  "  [ target   local ] ; the file\r\n"
                                  "\ttype=sqlite\t; c\r\n   path =  a;b#c ; d ; e\r\n;x\n[daemon]\n"
                                  "state = /s ; last line");
    cr_assert_str_eq(config.targets[0].name, "local");
    cr_assert_str_eq(config.targets[0].path, "/s/a;b#c");
    config_free(&config);
}

Test(config, a_long_value_is_whole_or_refused)
{
    char text[10000];
    char path[8001];
    memset(path, 'p', sizeof path - 1);
    path[0] = '/';
    path[4096] = '\0';
    snprintf(text, sizeof text, "[daemon]\nstate = %s\n", path);
    struct config config = parsed(text);
    cr_assert_str_eq(config.state, path);
    config_free(&config);
    path[4096] = 'p';
    path[8000] = '\0';
    snprintf(text, sizeof text, "[daemon]\nstate = %s\n", path);
    assert_refused(text, "a.conf:2: state in [daemon] must not be longer than 4096 bytes");
    snprintf(text, sizeof text, "[daemon]\nstate = %s%200d\n", path, 1);
    assert_refused(text, "a.conf:2: the line is longer than 8190 bytes");
}

Test(config, unknown_sections_and_keys)
{
    assert_refused("\n[targt main]\n",
                   "a.conf:2: unknown section [targt main]; did you mean [target ...]?; known: "
                   "[daemon] [socket NAME] [target NAME] [queue NAME]");
    assert_refused("[]\n", "a.conf:1: unknown section []; known: [daemon] [socket NAME] [target "
                           "NAME] [queue NAME]");
    assert_refused("[target main]\n\nconections = 8\n",
                   "a.conf:3: unknown key 'conections' in [target main]; did you mean "
                   "'connections'?; known: type uri path connections pipeline connect_timeout "
                   "leases lease_max password_file credential delivery receipt_keep coalesce users "
                   "groups hosts headers ca_file proxy redirects response_size_max request_timeout "
                   "retry_after_max rate rate_burst");
    assert_refused("[queue mail]\ncolour = 8\n",
                   "a.conf:2: unknown key 'colour' in [queue mail]; known: concurrency retry "
                   "backoff_min backoff_max keep keep_dead timeout rate rate_burst length_max "
                   "bytes_max weight");
    assert_refused("state = /s\n", "a.conf:1: key 'state' is before the first section");
    assert_refused("[daemon]\n= 5\n",
                   "a.conf:2: unknown key '' in [daemon]; known: state node result_size_max "
                   "request_size_max argument_size_max clients_max memory_max disk_free_min "
                   "stop_timeout subscriber_output_max log_level zone");
}

Test(config, malformed_lines)
{
    assert_refused("[daemon]\nstate\n",
                   "a.conf:2: the line is neither '[section]' nor 'key = value'");
    assert_refused("[daemon]\nstate\nnode = x\n",
                   "a.conf:2: the line is neither '[section]' nor 'key = value'");
    assert_refused("[daemon\n", "a.conf:1: a section's line must end with ']'");
    assert_refused("[daemon] x\n", "a.conf:1: a section's line must end with ']'");
    assert_refused("[daemon]\nstate = /s # here\n",
                   "a.conf:2: a comment after a value begins with ' ;', not with ' #'");
    assert_refused("[daemon]\nstate = /\x01\n", "a.conf:2: the line has a control character");
    struct config config;
    struct aw_error error;
    cr_assert_eq(config_parse("a.conf", "[daemon]\nno\0de = 1\n", 18, &config, &error), -EINVAL);
    cr_assert_str_eq(error.message, "a.conf:2: the line has a control character");
}

Test(config, names)
{
    assert_refused("[daemon x]\n", "a.conf:1: section [daemon] has no name");
    assert_refused("[target]\n", "a.conf:1: the name '' in [target NAME] is empty");
    assert_refused("[target 1]\n",
                   "a.conf:1: the name '1' in [target NAME] does not begin with a letter");
    assert_refused("[queue delay]\n",
                   "a.conf:1: the name 'delay' in [queue NAME] is the word of an option");
    char text[100];
    snprintf(text, sizeof text, "[queue %.*s]\n", 64,
             "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq");
    struct config config = parsed(text);
    cr_assert_eq(strlen(config.queues[0].name), 64);
    config_free(&config);
}

Test(config, repeated_in_one_file)
{
    assert_refused("[daemon]\nnode = 1\n\nnode = 1\n",
                   "a.conf:4: node in [daemon] is in line 2 of this file already");
    assert_refused("[queue q]\n[queue r]\n[queue q]\n",
                   "a.conf:3: section [queue q] is in line 1 of this file already");
}

Test(config, wrong_values)
{
    assert_refused("[daemon]\nstate =\n", "a.conf:2: state in [daemon] has no value");
    assert_refused("[daemon]\nstate = ; none\n", "a.conf:2: state in [daemon] has no value");
    assert_refused("[daemon]\nstate = s\n",
                   "a.conf:2: state in [daemon] must be an absolute path, got 's'");
    assert_refused("[daemon]\nnode = 1024\n",
                   "a.conf:2: node in [daemon] must be a number from 0 to 1023, got '1024'");
    assert_refused("[daemon]\nnode = -1\n",
                   "a.conf:2: node in [daemon] must be a number from 0 to 1023, got '-1'");
    assert_refused("[daemon]\nmemory_max = 1023K\n",
                   "a.conf:2: memory_max in [daemon] must be a size such as 4096, 512K, 64M or 1G, "
                   "from 1M to 1T, got '1023K'");
    assert_refused("[daemon]\nresult_size_max = 99999999999999999999T\n",
                   "a.conf:2: result_size_max in [daemon] must be a size such as 4096, 512K, 64M "
                   "or 1G, from 1K to 1G, got '99999999999999999999T'");
    assert_refused("[daemon]\nstop_timeout = 30\n",
                   "a.conf:2: stop_timeout in [daemon] must be a duration such as 500ms, 30s, 5m, "
                   "12h or 30d, from 0 to 1h, got '30'");
    assert_refused("[daemon]\nlog_level = loud\n",
                   "a.conf:2: log_level in [daemon] must be one of error, warning, info or debug, "
                   "got 'loud'");
    assert_refused("[socket s]\nmode = 0888\n",
                   "a.conf:2: mode in [socket s] must be an octal mode from 0000 to 0777, got "
                   "'0888'");
    assert_refused("[socket s]\nmode = 1777\n",
                   "a.conf:2: mode in [socket s] must be an octal mode from 0000 to 0777, got "
                   "'1777'");
    assert_refused("[socket s]\nallow = submit everything\n",
                   "a.conf:2: allow in [socket s] must be some of submit, work, observe, admin or "
                   "all, got 'submit everything'");
    assert_refused("[socket s]\nallow = ,\n",
                   "a.conf:2: allow in [socket s] must be some of submit, work, observe, admin or "
                   "all, got ','");
}

Test(config, what_spans_several_keys)
{
    assert_refused("[daemon]\n\n[socket s]\n", "a.conf:3: [socket s] needs the key 'path'");
    assert_refused("[socket s]\npath = /x\n[socket t]\npath = /x\n",
                   "a.conf:4: [socket t] has the path of [socket s]");
    assert_refused("[target t]\nuri = x\n", "a.conf:1: [target t] needs the key 'type'");
    assert_refused("[target t]\ntype = redis\n", "a.conf:1: [target t] needs the key 'uri'");
    assert_refused("[target t]\ntype = sqlite\n", "a.conf:1: [target t] needs the key 'path'");
    assert_refused("[target t]\nuri = redis://x\ntype = sqlite\n",
                   "a.conf:2: uri in [target t] is not for type sqlite");
    assert_refused("[target t]\ntype = sqlite\npipeline = 2\n",
                   "a.conf:3: pipeline in [target t] is not for type sqlite");
    assert_refused("[target t]\ntype = redis\npath = x\n",
                   "a.conf:3: path in [target t] is not for type redis");
    assert_refused("[target t]\ntype = redis\nuri = http://secret\n",
                   "a.conf:3: uri in [target t] must be redis://host[:port][/database], "
                   "redis+sentinel://host[:port],.../master[/database], "
                   "redis+cluster://host[:port],..., these with rediss for TLS, or "
                   "unix:///path");
    assert_refused("[target t]\ntype = postgres\nuri = mysql://secret?a=b\n",
                   "a.conf:3: uri in [target t] must be postgresql://[user@]host[:port]/database "
                   "or libpq's keyword=value words");
    assert_refused("[target t]\ntype = redis\nuri = redis://x\ncredential = c\n"
                   "password_file = /p\n",
                   "a.conf:4: [target t] has both password_file and credential: leave one");
    assert_refused("[target t]\ntype = redis\nuri = redis://x\ncredential = ../c\n",
                   "a.conf:4: credential in [target t] must be the name of a systemd credential");
    assert_refused("[queue q]\nbackoff_min = 2h\n",
                   "a.conf:2: backoff_min in [queue q] is greater than backoff_max (which is 1h by "
                   "default)");
    assert_refused("[daemon]\nrequest_size_max = 1M\n",
                   "a.conf:2: argument_size_max (16M by default) in [daemon] is greater than "
                   "request_size_max (64M by default)");
}

Test(config, warns_of_a_password_in_a_uri)
{
    struct config config = parsed("[target t]\ntype = postgres\nuri = postgres://a:b@c/d\n"
                                  "[target u]\ntype = postgres\nuri = postgres://a@c:5432/d\n");
    cr_assert_eq(config.warning_count, 1);
    cr_assert_str_eq(config.warnings[0],
                     "a.conf:3: the uri in [target t] holds a password: password_file or "
                     "credential keep it out of the configuration");
    config_free(&config);
}

/* --- the manual of the options ---------------------------------------------------------------- */

static int read_sample(void *argument)
{
    struct buffer *sample = argument;
    char *text;
    size_t size;
    int result = aw_read_file("config/awaitd.conf", 1 << 20, &text, &size);
    if (result == 0) {
        buffer_append(sample, text, size + 1);
        free(text);
    }
    return result;
}

static struct buffer sample_text(void)
{
    struct buffer sample = {0};
    cr_assert_eq(aw_run(read_sample, &sample), 0);
    cr_assert_not(sample.failed);
    return sample;
}

Test(config_sample, it_is_valid)
{
    struct buffer sample = sample_text();
    struct config config = parsed(sample.data);
    cr_assert_eq(config.target_count, 1);
    config_free(&config);
    buffer_free(&sample);
}

/* ";key = value" or ";[section]"; a credential would contradict the password_file before it. */
static bool is_setting(const char *line)
{
    if (line[0] != ';' || strncmp(line, ";credential", 11) == 0)
        return false;
    size_t key_size = strspn(line + 1, "abcdefghijklmnopqrstuvwxyz_");
    return line[1] == '[' || (key_size > 0 && strncmp(line + 1 + key_size, " = ", 3) == 0);
}

Test(config_sample, its_settings_are_the_defaults)
{
    struct buffer sample = sample_text();
    struct buffer all = {0};
    for (char *line = strtok(sample.data, "\n"); line; line = strtok(NULL, "\n"))
        buffer_printf(&all, "%s\n", line + is_setting(line));
    buffer_append(&all, "", 1);
    struct config defaults = parsed("");
    struct config config = parsed(all.data);

    cr_assert_str_eq(config.state, defaults.state);
    cr_assert_eq(memcmp(&config.node, &defaults.node,
                        offsetof(struct config, sockets) - offsetof(struct config, node)), 0);
    cr_assert_eq(config.socket_count, 1);
    cr_assert_str_eq(config.sockets[0].name, defaults.sockets[0].name);
    cr_assert_str_eq(config.sockets[0].path, defaults.sockets[0].path);
    cr_assert_eq(config.sockets[0].mode, defaults.sockets[0].mode);
    cr_assert_eq(config.sockets[0].allow, defaults.sockets[0].allow);
    cr_assert_eq(config.target_count, 5);
    cr_assert_eq(memcmp(&config.targets[3].http.redirects, &config.targets[0].http.redirects,
                        sizeof config.targets[0].http -
                            offsetof(struct config_http, redirects)), 0);
    cr_assert_eq(config.targets[0].connections, config.targets[1].connections);
    cr_assert_eq(config.targets[0].connect_timeout_ms, config.targets[1].connect_timeout_ms);
    cr_assert_eq(config.targets[0].pipeline, 16);
    cr_assert_eq(config.queue_count, 1);
    cr_assert_eq(memcmp((char *)&config.queues[0] + sizeof(char *),
                        (char *)&config.queue_defaults + sizeof(char *),
                        sizeof config.queues[0] - sizeof(char *)), 0);
    config_free(&config);
    config_free(&defaults);
    buffer_free(&all);
    buffer_free(&sample);
}

Test(config, limits_of_queues_and_targets)
{
    struct config config = parsed(
        "[daemon]\nsubscriber_output_max = 64K\n"
        "[target mail]\ntype = worker\nrate = 30/m\n"
        "[queue a]\nrate = 100\nlength_max = 7\nbytes_max = 2K\nweight = 5\n"
        "[queue b]\nrate = 5/h\nrate_burst = 4\n"
        "[queue c]\nrate = 1000000/s\n"
        "[queue d]\nrate = 0\n");
    cr_expect_eq(config.subscriber_output_max, 64 << 10);
    cr_expect_eq(config.targets[0].rate_interval_ns, UINT64_C(2000000000));
    cr_expect_eq(config.targets[0].rate_burst, 1);
    cr_expect_eq(config.queues[0].rate_interval_ns, 10000000);
    cr_expect_eq(config.queues[0].rate_burst, 100);
    cr_expect_eq(config.queues[0].length_max, 7);
    cr_expect_eq(config.queues[0].bytes_max, 2048);
    cr_expect_eq(config.queues[0].weight, 5);
    cr_expect_eq(config.queues[1].rate_interval_ns, UINT64_C(720000000000));
    cr_expect_eq(config.queues[1].rate_burst, 4);
    cr_expect_eq(config.queues[2].rate_interval_ns, 1000);
    cr_expect_eq(config.queues[3].rate_interval_ns, 0);
    cr_expect_eq(config.queue_defaults.weight, 1);
    config_free(&config);
}

Test(config, limits_that_are_wrong)
{
    const char *const wrong[] = {"/s", "1/d", "1000001/s", "1.5/s", "-1", "1 /s"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[64];
        char message[256];
        snprintf(text, sizeof text, "[queue q]\nrate = %s\n", wrong[i]);
        snprintf(message, sizeof message,
                 "a.conf:2: rate in [queue q] must be a rate such as 100/s, 30/m or 5/h with a "
                 "number from 1 to 1000000, or 0 for no limit, got '%s'",
                 wrong[i]);
        assert_refused(text, message);
    }
    assert_refused("[queue q]\nrate_burst = 3\n",
                   "a.conf:2: rate_burst in [queue q] needs a rate");
    assert_refused("[target t]\ntype = worker\nrate_burst = 3\n",
                   "a.conf:3: rate_burst in [target t] needs a rate");
}
