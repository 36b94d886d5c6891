"""headers.py - every function of a public header is AW_API, begins with aw_, and has its contract.

A declaration is documented by the comment above it; declarations that follow each other without an
empty line between share one. <await.h> must pull in every header of <await/>, but for
those that are apart.
"""

import pathlib
import re

import source

PUBLIC = pathlib.Path("lib/include/await")
UMBRELLA = pathlib.Path("lib/include/await.h")
# They need the header of a library that <await.h> shall not ask for.
APART = {"http_json.h"}
# A function's declaration at file level: it begins in column one and its first ( follows a name.
FUNCTION_NAME = re.compile(r"\b(\w+)\s*\((?!\s*\*)")
MARKS = {"AW_PRINTF", "__attribute__", "AW_NONNULL", "__asm__"}


def declarations(text):
    """(line, statement) of every statement that begins in column one and ends in ; or {."""
    code = source.code_only(text).split("\n")
    number = 0
    while number < len(code):
        line = code[number]
        if not line.strip() or line.startswith("#"):
            while line.endswith("\\") and number + 1 < len(code):
                number += 1
                line = code[number]
            number += 1
            continue
        if line[0] in " \t}":
            number += 1
            continue
        begin = number
        statement = line
        while not re.search(r"[;{]\s*$", statement) and number + 1 < len(code):
            number += 1
            statement += " " + code[number].strip()
        number += 1
        yield begin + 1, statement.strip()


def documented(lines, number):
    """Whether a comment ends above line `number`, or above the run of lines it belongs to."""
    above = number - 2
    while above >= 0 and lines[above].strip():
        if lines[above].rstrip().endswith("*/"):
            return True
        above -= 1
    return False


def check_header(path, complaints):
    text = source.text_of(path)
    lines = text.split("\n")
    for number, statement in declarations(text):
        if statement.endswith("{") or statement.startswith(("typedef", "_Static_assert", "extern")):
            if statement.startswith("extern") and "AW_API" not in statement and \
                    not statement.endswith("{"):
                complaints.add(path, number, "an exported object without AW_API")
            continue
        names = [name for name in FUNCTION_NAME.findall(statement) if name not in MARKS]
        if not names:
            continue
        name = names[0]
        if name.isupper():
            continue
        if "AW_API" not in statement:
            complaints.add(path, number, f"{name}() is not AW_API")
        if not name.startswith("aw_"):
            complaints.add(path, number, f"{name}(): public names begin with aw_")
        if not documented(lines, number):
            complaints.add(path, number, f"{name}() has no comment above it")


def check(complaints):
    if not PUBLIC.is_dir():
        complaints.add(PUBLIC, 1, "no public headers")
        return
    umbrella = source.text_of(UMBRELLA)
    for path in sorted(PUBLIC.glob("*.h")):
        check_header(path, complaints)
        if path.name not in APART and f"<await/{path.name}>" not in umbrella:
            complaints.add(UMBRELLA, 1, f"does not include <await/{path.name}>")


if __name__ == "__main__":
    source.exit_with(check)
