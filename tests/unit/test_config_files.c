/* test_config_files.c - the configuration's files, passwords and owners; inside a loop, in a folder
 * of the test's own. */
#include "config/config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/test_config.XXXXXX";

static void make_folder(void)
{
    char path[64];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.conf.d", folder);
    cr_assert_eq(mkdir(path, 0700), 0);
}

static void remove_folder(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

static void write_file(const char *name, mode_t mode, const char *format, ...) AW_PRINTF(3, 4);
static void write_file(const char *name, mode_t mode, const char *format, ...)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(chmod(path, mode), 0);
}

struct loading {
    struct config config;
    struct aw_error error;
};

static int load(void *argument)
{
    struct loading *loading = argument;
    char path[64];
    snprintf(path, sizeof path, "%s/a.conf", folder);
    return config_load(path, &loading->config, &loading->error);
}

static void assert_load_refused(int number, const char *format)
{
    struct loading loading = {0};
    char message[AW_ERROR_MESSAGE_SIZE] = "";
    for (const char *at = format; *at; at++)
        snprintf(message + strlen(message), sizeof message - strlen(message),
                 *at == '@' ? "%s" : "%.1s", *at == '@' ? folder : at);
    cr_assert_eq(aw_run(load, &loading), number, "%s", loading.error.message);
    cr_assert_eq(loading.error.number, number);
    cr_assert_str_eq(loading.error.message, message, "%s", loading.error.message);
}

Test(config_files, drop_ins_override_in_the_order_of_their_names, .init = make_folder,
     .fini = remove_folder)
{
    write_file("a.conf", 0600, "[daemon]\nnode = 1\nclients_max = 5\n[queue q]\nretry = 1\n");
    write_file("a.conf.d/20-b.conf", 0600, "[daemon]\nnode = 3\nstate = /b\n");
    write_file("a.conf.d/10-a.conf", 0600, "[daemon]\nnode = 2\nstate = /a\n[queue q]\nkeep = 0\n");
    write_file("a.conf.d/ignored.txt", 0600, "nonsense\n");
    write_file("a.conf.d/.hidden.conf", 0600, "nonsense\n");
    struct loading loading = {0};
    cr_assert_eq(aw_run(load, &loading), 0, "%s", loading.error.message);
    cr_assert_eq(loading.config.node, 3);
    cr_assert_eq(loading.config.clients_max, 5);
    cr_assert_str_eq(loading.config.state, "/b");
    cr_assert_eq(loading.config.queue_count, 1);
    cr_assert_eq(loading.config.queues[0].retry, 1);
    cr_assert_eq(loading.config.queues[0].keep_ms, 0);
    config_free(&loading.config);

    write_file("a.conf.d/30-c.conf", 0600, "[daemon]\nnode = x\n");
    assert_load_refused(-EINVAL, "@/a.conf.d/30-c.conf:2: node in [daemon] must be a number from 0 "
                                 "to 1023, got 'x'");
}

Test(config_files, the_main_file_must_be_there, .init = make_folder, .fini = remove_folder)
{
    assert_load_refused(-ENOENT, "cannot read the configuration @/a.conf: No such file or "
                                 "directory; name another one with --config FILE");
}

static void write_target(const char *key, const char *value)
{
    write_file("a.conf", 0600, "[target t]\ntype = redis\nuri = redis://x\n%s = %s\n", key, value);
}

Test(config_files, passwords_from_files, .init = make_folder, .fini = remove_folder)
{
    char path[64];
    snprintf(path, sizeof path, "%s/password", folder);
    write_target("password_file", path);
    assert_load_refused(-ENOENT, "@/a.conf:4: cannot read the password of [target t] in "
                                 "@/password: No such file or directory");
    write_file("password", 0600, "\n");
    assert_load_refused(-EINVAL,
                        "@/a.conf:4: @/password is empty: it should hold the password of [target "
                        "t]");
    write_file("password", 0600, "a%cb\n", 0);
    assert_load_refused(-EINVAL, "@/a.conf:4: @/password has a NUL byte: it should hold the "
                                 "password of [target t]");
    struct loading loading = {0};
    write_file("password", 0600, " pass word \r\n");
    cr_assert_eq(aw_run(load, &loading), 0, "%s", loading.error.message);
    cr_assert_str_eq(loading.config.targets[0].password, " pass word ");
    cr_assert_eq(loading.config.warning_count, 0);
    config_free(&loading.config);
    write_file("password", 0604, "secret");
    cr_assert_eq(aw_run(load, &loading), 0, "%s", loading.error.message);
    cr_assert_str_eq(loading.config.targets[0].password, "secret");
    cr_assert_eq(loading.config.warning_count, 1);
    cr_assert_null(strstr(loading.config.warnings[0], "secret"));
    config_free(&loading.config);
}

Test(config_files, passwords_from_credentials, .init = make_folder, .fini = remove_folder)
{
    write_target("credential", "password");
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_load_refused(-EINVAL, "@/a.conf:4: there is no credential 'password': "
                                 "CREDENTIALS_DIRECTORY is not set; give the service "
                                 "LoadCredential=password:PATH, or use password_file");
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    write_file("password", 0600, "secret\n");
    struct loading loading = {0};
    cr_assert_eq(aw_run(load, &loading), 0, "%s", loading.error.message);
    cr_assert_str_eq(loading.config.targets[0].password, "secret");
    config_free(&loading.config);
}

Test(config_files, owners_are_looked_up, .init = make_folder, .fini = remove_folder)
{
    write_file("a.conf", 0600, "[socket s]\npath = /s\nuser = root\ngroup = 77\n");
    struct loading loading = {0};
    cr_assert_eq(aw_run(load, &loading), 0, "%s", loading.error.message);
    cr_assert_eq(loading.config.sockets[0].uid, 0);
    cr_assert_eq(loading.config.sockets[0].gid, 77);
    config_free(&loading.config);
    write_file("a.conf", 0600, "[socket s]\npath = /s\ngroup = no-such-group\n");
    assert_load_refused(-EINVAL, "@/a.conf:3: group 'no-such-group' of [socket s] is not known on "
                                 "this machine (No such file or directory)");
}
