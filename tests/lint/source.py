"""source.py - what the lint checks share: the files, and C text without its comments."""

import pathlib
import re
import sys

CODE_FOLDERS = ("lib", "daemon", "tests")
SKIPPED_PARTS = {"__pycache__", ".git"}


def files(folders=CODE_FOLDERS, suffixes=(".c", ".h", ".S")):
    """The files under the folders with one of the suffixes, sorted, relative to the tree."""
    found = []
    for folder in folders:
        root = pathlib.Path(folder)
        if root.is_dir():
            found += [path for path in root.rglob("*")
                      if path.is_file() and path.suffix in suffixes
                      and not SKIPPED_PARTS.intersection(path.parts)]
    return sorted(found)


def text_of(path):
    return path.read_text(encoding="utf-8", errors="replace")


TOKENS = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def code_only(text):
    """The text with comments and the insides of literals blanked, its lines in their places."""

    def blank(match):
        found = match.group(0)
        kept = re.sub(r"[^\n]", " ", found)
        return found[0] + kept[1:-1] + found[-1] if found[0] in "\"'" else kept

    return TOKENS.sub(blank, text)


class Complaints:
    """Collects file:line: text; `finish` prints them and gives the exit code."""

    def __init__(self):
        self.lines = []

    def add(self, path, line, text):
        self.lines.append(f"{path}:{line}: {text}")

    def finish(self):
        for line in self.lines:
            print(line)
        return 1 if self.lines else 0


def exit_with(check):
    complaints = Complaints()
    check(complaints)
    sys.exit(complaints.finish())
