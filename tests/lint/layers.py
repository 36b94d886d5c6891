"""layers.py - dependencies point one way, and only lib/ring touches the world.

clients -> io -> ring -> core; the daemon sees the public headers only; nothing above lib/ring calls
the system for I/O, time, waiting or randomness, so that a simulator can stand in for lib/ring.
A line that must break the second rule says why in a comment on it: `/* lint: direct - reason */`.
"""

import re

import source

# What each library folder may include of the others; "await" (public headers) is open to all.
MAY_INCLUDE = {
    "core": {"core"},
    "ring": {"core", "ring"},
    "io": {"core", "ring", "io"},
    "clients": {"core", "ring", "io", "clients"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)

# Calls that reach the world. lib/ring holds them; lib/core may use pthreads and memory mappings.
DIRECT_CALLS = """
read write pread pwrite readv writev preadv pwritev preadv2 pwritev2 open openat open64 creat close
fopen fdopen fclose fread fwrite fgets fputs fputc getline freopen sendfile splice
socket socketpair bind listen accept accept4 connect send sendto sendmsg recv recvfrom recvmsg
shutdown getsockopt setsockopt getsockname getpeername pipe pipe2 eventfd signalfd timerfd_create
poll ppoll select pselect epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait
fsync fdatasync sync syncfs sync_file_range ftruncate truncate fallocate posix_fallocate
stat fstat lstat fstatat statx access faccessat rename renameat unlink unlinkat mkdir mkdirat rmdir
chmod fchmod chown fchown link symlink readlink realpath opendir readdir statvfs fstatvfs flock
fcntl clock_gettime time gettimeofday clock clock_nanosleep nanosleep sleep usleep timespec_get
getrandom getentropy rand random srand srandom drand48 arc4random rand_r
syscall io_uring_enter io_uring_setup sigwait sigwaitinfo sigtimedwait pause
fork vfork popen system execve execvp waitpid wait
""".split()
CALL = re.compile(r"(?<![\w.>])(" + "|".join(DIRECT_CALLS) + r")\s*\(")

# The library hands errors to its caller; it never prints, logs or ends the process.
LOUD_CALLS = """
printf fprintf vprintf vfprintf puts putchar perror dprintf syslog exit _exit _Exit
""".split()
LOUD = re.compile(r"(?<![\w.>])(" + "|".join(LOUD_CALLS) + r")\s*\(")

EXCUSE = re.compile(r"lint: direct - \S+")
# `int close(...)` in a header or `static int open(...)` declares; it does not call.
DECLARATION = re.compile(r"^\s*(?:static\s+|extern\s+|inline\s+)*(?:const\s+)?(?:struct\s+)?"
                         r"(?!return\b|else\b|do\b|case\b|goto\b|sizeof\b)\w+[\s*]+$")


def included(path, text):
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match.group(1), match.group(2)


def check_includes(path, text, complaints):
    parts = path.parts
    for line, bracket, name in included(path, text):
        if name.startswith("liburing") and parts[:2] != ("lib", "ring"):
            complaints.add(path, line, f"{name}: only lib/ring includes liburing")
        folder = name.split("/")[0]
        if parts[:2] == ("lib", "include"):
            if bracket == '"' or folder in MAY_INCLUDE:
                complaints.add(path, line, f"{name}: a public header includes public headers only")
        elif parts[0] == "lib" and parts[1] in MAY_INCLUDE:
            if folder in MAY_INCLUDE and folder not in MAY_INCLUDE[parts[1]]:
                complaints.add(path, line, f"{name}: lib/{parts[1]} must not know lib/{folder}")
            if name.startswith(("daemon/", "protocol/", "queue/", "targets/")) or "../" in name:
                complaints.add(path, line, f"{name}: the library must not know the daemon")
        elif parts[0] == "daemon":
            if folder in MAY_INCLUDE or name.startswith("lib/") or "../" in name:
                complaints.add(path, line,
                               f"{name}: the daemon includes <await.h> and <await/...> only")
            if folder == "await" and bracket == '"':
                complaints.add(path, line, f"{name}: public headers are included as <{name}>")


def check_calls(path, text, complaints):
    parts = path.parts
    in_library = parts[0] == "lib" and parts[1] != "ring"
    in_daemon = parts[0] == "daemon" and parts[1] != "ctl"
    if not in_library and not in_daemon:
        return
    lines = text.split("\n")
    for number, code in enumerate(source.code_only(text).split("\n"), 1):
        if code.lstrip().startswith("#") or EXCUSE.search(lines[number - 1]):
            continue
        for match in CALL.finditer(code):
            if not DECLARATION.match(code[:match.start()]):
                complaints.add(path, number, f"{match.group(1)}(): only lib/ring reaches the "
                               "world; use an aw_* or ring function")
        if in_library:
            for match in LOUD.finditer(code):
                complaints.add(path, number,
                               f"{match.group(1)}(): the library never prints or exits")


def check(complaints):
    for path in source.files(("lib", "daemon")):
        text = source.text_of(path)
        check_includes(path, text, complaints)
        check_calls(path, text, complaints)
    for path in source.files(("lib",)):
        if path.parts[:2] == ("lib", "ring") and DIRECT_MARK.search(source.text_of(path)):
            complaints.add(path, 1, "lib/ring needs no `lint: direct` marks")


DIRECT_MARK = re.compile(r"lint: direct")

if __name__ == "__main__":
    source.exit_with(check)
