"""test_install.py - what `make install` puts into a folder is enough for an outside program: found
by pkg-config, linked shared and statically; the library shows its public names and no other."""

import concurrent.futures
import http.server
import os
import pathlib
import re
import subprocess
import threading

import pytest

from harness import daemon

ROOT = pathlib.Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(daemon.sanitized(), reason="what is installed has no sanitizer")

JSON_PROGRAM = """
#include <await.h>
#include <await/http_json.h>
#include <stdio.h>

static int ask(void *url)
{
    struct aw_http_client *client;
    struct aw_error error = {0};
    json_t *answer = NULL;
    int result = aw_http_client_open(&client, NULL, &error);
    if (result < 0)
        return result;
    result = aw_http_get_json(client, url, &answer, &error);
    printf("%s%s\\n", json_is_string(answer) ? json_string_value(answer) : "", error.message);
    json_decref(answer);
    aw_http_client_close(client);
    return result;
}

int main(int count, char **arguments)
{
    return count == 2 ? aw_run(ask, arguments[1]) < 0 : 2;
}
"""


def run(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                          timeout=300, check=False, **options)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


class Tree:
    """A prefix with everything in it, and a folder of somebody who uses it."""

    def __init__(self, folder):
        self.prefix, self.work = folder / "prefix", folder / "work"
        self.work.mkdir()
        run("make", "install", f"BUILD={os.environ.get('BUILD', 'build')}",
            f"PREFIX={self.prefix}", f"SYSCONFDIR={folder}/etc", "DESTDIR=", cwd=ROOT)
        self.environment = dict(os.environ, LD_LIBRARY_PATH=str(self.prefix / "lib"),
                                PKG_CONFIG_PATH=str(self.prefix / "lib/pkgconfig"))

    def config(self, *words):
        return run("pkg-config", *words, env=self.environment).split()

    def build(self, name, source, *words):
        (self.work / f"{name}.c").write_text(source)
        run("cc", "-Wall", "-Werror", f"{name}.c", *words, "-o", name, cwd=self.work)
        return self.work / name

    def needed(self, file):
        return set(re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", file)))


@pytest.fixture(scope="module", name="tree")
def tree_of(tmp_path_factory):
    return Tree(tmp_path_factory.mktemp("install"))


class Together(http.server.BaseHTTPRequestHandler):
    """Answers three requests when all three are there."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.barrier.wait()
        body = b'"hello"'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(name="serve")
def serve_of():
    servers = []

    def start(together):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Together)
        server.barrier = threading.Barrier(together, timeout=120)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def readme_program():
    listing, = re.findall(r"^```c\n(.*?)^```$", (ROOT / "README.md").read_text(),
                          re.MULTILINE | re.DOTALL)
    return listing


def expect_three_pages(program, base, environment):
    urls = [f"{base}/{page}" for page in "abc"]
    output = run(program, *urls, env=environment)
    assert sorted(output.splitlines()) == [f"{url}: status 200, 7 bytes" for url in urls]


def test_the_readmes_program_builds_and_downloads_three_pages_at_once(tree, serve):
    program = tree.build("shared", readme_program(), *tree.config("--cflags", "--libs", "await"))
    assert tree.needed(program) == {"libawait.so.0", "libc.so.6"}
    expect_three_pages(program, serve(3), tree.environment)


def test_it_builds_statically_too(tree, serve):
    folder, = tree.config("--variable=libdir", "await")
    program = tree.build("static", readme_program(), "-Wl,--as-needed", f"{folder}/libawait.a",
                         *tree.config("--cflags", "--static", "--libs", "await"))
    assert not {name for name in tree.needed(program) if "await" in name}
    expect_three_pages(program, serve(3), dict(os.environ))


def test_values_of_json_need_one_package_more(tree, serve):
    words = tree.config("--cflags", "--libs", "await", "jansson")
    program = tree.build("json", JSON_PROGRAM, *words)
    assert run(program, serve(1), env=tree.environment) == "hello\n"


def test_what_few_programs_need_is_not_loaded_with_the_library(tree):
    library = tree.prefix / "lib/libawait.so.0"
    assert "liburing.so.2" in tree.needed(library)
    assert not {name for name in tree.needed(library) if re.match("lib(curl|jansson)", name)}


def public_functions():
    """Every function that a header declares with AW_API."""
    text = "\n".join(path.read_text() for path in (ROOT / "lib/include").rglob("*.h"))
    text = re.sub(r"/\*.*?\*/|^#define(?:.*\\\n)*.*$", "", text, flags=re.DOTALL | re.MULTILINE)
    return set(re.findall(r"^AW_API\b[^;(]*?\b(aw_\w+)\s*\(", text, re.MULTILINE))


def test_the_library_shows_what_its_headers_declare_and_nothing_else(tree):
    symbols = {line.split()[-1].split("@")[0]: line.split()[-2] for line in run(
        "nm", "-D", "--defined-only", tree.prefix / "lib/libawait.so").splitlines()}
    assert symbols.pop("AWAIT_0") == "A"  # the version
    assert len(symbols) > 300
    assert public_functions() - set(symbols) == set()
    # besides them only what inline functions and macros of the headers refer to
    text = "\n".join(path.read_text() for path in (ROOT / "lib/include").rglob("*.h"))
    assert {name for name in symbols if not re.search(rf"\b{name}\b", text)} == set()
    assert all(name.startswith("aw_") for name in symbols)
    assert run("readelf", "-V", tree.prefix / "lib/libawait.so").count("Name: AWAIT_0") == 1


def test_each_header_can_be_included_alone(tree):
    flags = tree.config("--cflags", "await")
    headers = sorted((tree.prefix / "include").rglob("*.h"))
    assert len(headers) > 40

    def check(header):
        name = header.relative_to(tree.prefix / "include")
        run("cc", "-Wall", "-Werror", "-fsyntax-only", "-x", "c", *flags, "-",
            input=f"#include <{name}>\nint unused;\n")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(check, headers))


def test_pkg_config_names_where_it_was_installed(tree):
    assert tree.config("--variable=prefix", "await") == [str(tree.prefix)]
    version = re.search(r"^VERSION := (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert tree.config("--modversion", "await") == [version.group(1)]
    assert (tree.prefix / f"lib/libawait.so.{version.group(1)}").is_file()
