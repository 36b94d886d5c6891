"""test_reference.py - each public function has a manual page that says all that it must."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = pathlib.Path(os.environ.get("BUILD", "build")).resolve() / "libawait.so"
SECTIONS = ("NAME", "SYNOPSIS", "DESCRIPTION", "RETURN VALUE", "NOTES", "SEE ALSO")


def generate(folder):
    subprocess.run([sys.executable, "-B", "docs/man/reference.py", str(folder)], cwd=TREE,
                   check=True, timeout=60)
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8")
            for path in folder.rglob("*.[37]")}


@pytest.fixture(scope="module", name="pages")
def pages_of_the_tree(tmp_path_factory):
    return generate(tmp_path_factory.mktemp("man"))


def exported():
    symbols = subprocess.run(["nm", "-D", "--defined-only", str(LIBRARY)], check=True,
                             capture_output=True, text=True, timeout=60).stdout
    private = {"aw_with_begin", "aw_with_end", "aw_with_leave"}  # the parts of AW_WITH
    return sorted(set(re.findall(r" T (aw_\w+)", symbols)) - private)


def test_every_exported_function_has_a_page(pages):
    names = exported()
    assert len(names) > 250
    assert [name for name in names if f"man3/{name}.3" not in pages] == []


def test_every_page_has_its_sections_and_every_alias_a_page(pages):
    for name, text in pages.items():
        alias = re.fullmatch(r"\.so (\S+)\n", text)
        if alias:
            assert alias.group(1) in pages, name
        elif name.startswith("man3/aw_"):
            found = re.findall(r"^\.SH (.*)$", text, re.M)
            assert [section for section in SECTIONS if section not in found] == [], name
            assert re.search(r"^(May suspend|Never suspends)", text, re.M), name
            assert "Ownership: " in text, name


def test_a_page_says_what_its_contract_says(pages):
    page = pages["man3/aw_wait.3"]
    assert "aw_wait \\- waits until the task has finished or the deadline has passed" in page
    assert "A task waits for itself." in page[page.index("EDEADLK"):]
    assert "in ns (\\fBaw_after_ms\\fR)" in page[page.index("deadline_ns\\fR"):]
    assert "is a cancellation point" in page
    assert pages["man3/aw_connect_tcp.3"] == ".so man3/aw_connect_unix.3\n"


def test_the_same_headers_make_the_same_pages(pages, tmp_path):
    assert generate(tmp_path) == pages
