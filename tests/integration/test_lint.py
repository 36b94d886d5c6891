"""test_lint.py - the lint fails on each rule it claims to check, and on nothing in a clean tree."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
COPIED = ("Makefile", "README.md", "LICENSE", "lib", "daemon", "tests", ".ci", "docs")


@pytest.fixture
def tree(tmp_path):
    copy = tmp_path / "tree"
    copy.mkdir()
    for name in COPIED:
        source = TREE / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, copy / name)
    return copy


def lint(tree, script):
    command = [sys.executable, "-B", str(tree / "tests/lint" / script)]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=60,
                          check=False)


def plant(tree, name, body):
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"/* {path.name} - planted. */\n{body}\n", encoding="utf-8")


PLANTED = [
    ("layers.py", "lib/core/planted.c", '#include "ring/backend.h"', "must not know lib/ring"),
    ("layers.py", "lib/ring/planted.c", '#include "io/file.h"', "must not know lib/io"),
    ("layers.py", "lib/io/planted.c", '#include "clients/pg.h"', "must not know lib/clients"),
    ("layers.py", "lib/io/planted.c", "#include <liburing.h>", "only lib/ring includes liburing"),
    ("layers.py", "lib/io/planted.c", '#include "protocol/buffer.h"', "must not know the daemon"),
    ("layers.py", "daemon/planted.c", '#include "core/task.h"', "the daemon includes"),
    ("layers.py", "daemon/planted.c", '#include "../lib/ring/backend.h"', "the daemon includes"),
    ("layers.py", "lib/include/await/planted.h", '#include "core/task.h"', "public headers only"),
    ("layers.py", "lib/io/planted.c", "int f(int d)\n{\n    return (int)read(d, 0, 0);\n}",
     "read(): only lib/ring"),
    ("layers.py", "daemon/planted.c", "int f(int d)\n{\n    return fsync(d);\n}",
     "fsync(): only lib/ring"),
    ("layers.py", "daemon/queue/planted.c", "void f(void)\n{\n    usleep(1);\n}",
     "usleep(): only lib/ring"),
    ("layers.py", "lib/clients/planted.c", "long f(void)\n{\n    return time(0);\n}",
     "time(): only lib/ring"),
    ("layers.py", "lib/core/planted.c", 'void f(void)\n{\n    fprintf(stderr, "x");\n}',
     "never prints"),
    ("shape.py", "lib/core/planted.c", "\n" * 500, "lines; the limit is 500"),
    ("shape.py", "lib/core/planted.c", "void f(void)\n{\n" + "    g();\n" * 71 + "}",
     "function of 71 lines"),
    ("shape.py", "lib/core/planted.c", "/* " + "x" * 100 + " */", "columns; the limit is 100"),
    ("shape.py", "lib/core/planted.c", "/* TO" "DO: later */", "unfinished work"),
    ("shape.py", "daemon/planted.c", "\tint x;", "a tab"),
    ("headers.py", "lib/include/await/planted.h", "\n/* Does. */\nint aw_planted(void);",
     "aw_planted() is not AW_API"),
    ("headers.py", "lib/include/await/planted.h", "\nAW_API int aw_planted(void);",
     "has no comment above it"),
    ("headers.py", "lib/include/await/planted.h", "\n/* Does. */\nAW_API int planted(void);",
     "public names begin with aw_"),
    ("headers.py", "lib/include/await/planted.h", "", "does not include <await/planted.h>"),
    ("toplevel.py", "scripts/planted.h", "", "not an agreed top-level entry"),
]


@pytest.mark.parametrize(("script", "name", "body", "complaint"), PLANTED)
def test_planted_violation_is_found(tree, script, name, body, complaint):
    plant(tree, name, body)
    result = lint(tree, script)
    assert result.returncode == 1
    planted = [line for line in result.stdout.split("\n")
               if "planted" in line or "scripts" in line]
    assert any(complaint in line for line in planted), result.stdout


CONTRACTS = [
    ("/* Does. -EBUSY. */\nAW_API AW_MUST_CHECK int aw_planted(void);", "-EBUSY is named but not"),
    ("/* Returns it. */\nAW_API AW_MUST_CHECK int aw_planted(void);", "no error is named"),
    ("/* Whether. */\nAW_API bool aw_planted(int depth);", "nothing is said of its argument depth"),
    ("/* Gives one. */\nAW_API struct aw_x *aw_planted(void);", "whose is what it gives?"),
    ("/* Does. */\nAW_API size_t aw_planted(void);", "its result is not described"),
    ("AW_API void aw_planted(void);", "no contract above it"),
]


@pytest.mark.parametrize(("body", "complaint"), CONTRACTS)
def test_incomplete_contract_is_found(tree, body, complaint):
    plant(tree, "lib/include/await/planted.h", f"\n{body}")
    result = subprocess.run([sys.executable, "-B", str(tree / "docs/man/reference.py"), "--check"],
                            cwd=tree, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert any("planted.h" in line and complaint in line for line in result.stdout.split("\n")), \
        result.stdout
    assert "docs/REFERENCE.md: is not what" in result.stdout


def test_function_without_a_test_is_found(tree):
    plant(tree, "lib/include/await/planted.h", "\n/* Does. */\nAW_API void aw_planted(void);")
    assert "aw_planted: no unit test calls it" in lint(tree, "inventory.py").stdout
    (tree / "tests/unit/test_planted.c").write_text("void f(void)\n{\n    aw_planted();\n}\n",
                                                    encoding="utf-8")
    assert "aw_planted" not in lint(tree, "inventory.py").stdout


def test_wait_that_nobody_cancels_is_found(tree):
    plant(tree, "lib/include/await/planted.h",
          "\n/* Waits. */\nAW_API AW_SUSPENDS int aw_planted(void);")
    test = tree / "tests/unit/test_planted.c"
    test.write_text("int f(void)\n{\n    return aw_planted();\n}\n", encoding="utf-8")
    assert "aw_planted: no test cancels it" in lint(tree, "inventory.py").stdout
    test.write_text('#include "support/cancel.h"\n' + test.read_text(encoding="utf-8"),
                    encoding="utf-8")
    assert "aw_planted" not in lint(tree, "inventory.py").stdout


def test_file_without_a_head_is_found(tree):
    (tree / "lib/core").mkdir(exist_ok=True)
    (tree / "lib/core/planted.c").write_text("int x;\n", encoding="utf-8")
    assert "planted.c:1: the file begins with" in lint(tree, "shape.py").stdout


def test_excused_line_passes(tree):
    plant(tree, "daemon/planted.c",
          "int f(int d)\n{\n    return close(d); /* lint: direct - before the loop runs */\n}")
    assert "planted.c" not in lint(tree, "layers.py").stdout


def test_words_in_comments_and_strings_are_no_calls(tree):
    plant(tree, "daemon/planted.c",
          '/* read(2) and time() are not called here */\nconst char *x = "close(1)";')
    assert "planted.c" not in lint(tree, "layers.py").stdout


def test_cppcheck_finds_a_planted_error(tree):
    if shutil.which("cppcheck") is None:
        pytest.fail("cppcheck is missing: make deps")
    plant(tree, "daemon/planted.c",
          "int f(void);\nint f(void)\n{\n    int x[2];\n    x[2] = 1;\n    return x[0];\n}")
    for path in [*tree.glob("lib/*/*.c"), *tree.glob("daemon/*/*.c")]:
        path.unlink()  # the planted file alone, to be quick
    result = subprocess.run([str(tree / "tests/lint/lint.sh")], cwd=tree, capture_output=True,
                            text=True, timeout=120, check=False,
                            env={**os.environ, "BUILD": str(tree / "build-lint")})
    assert result.returncode == 1
    assert "arrayIndexOutOfBounds" in result.stdout


@pytest.mark.parametrize("missing, figure", [("", "1.2"), ("RestrictNamespaces=yes\n", "2.0")])
def test_the_exposure_of_the_unit_is_printed_and_limited(tree, missing, figure):
    unit = (TREE / "systemd/awaitd.service").read_text(encoding="utf-8")
    assert missing in unit
    (tree / "systemd").mkdir()
    (tree / "systemd/awaitd.service").write_text(unit.replace(missing, ""), encoding="utf-8")
    result = subprocess.run([str(tree / "tests/lint/exposure.sh")], cwd=tree, capture_output=True,
                            text=True, timeout=60, check=False)
    assert result.stdout.splitlines()[-1] == figure
    assert result.returncode == (1 if missing else 0)
    assert ("RestrictNamespaces" in result.stdout) == bool(missing)
