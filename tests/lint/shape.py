"""shape.py - rooms stay small: lines a file or function, columns, heads, no unfinished work."""

import re

import source

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
SCRIPTS = (".py", ".sh", ".mk")
# Spelled in pieces so that this file passes its own check.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b|not (yet )?impl" r"emented")


def check_head(path, lines, complaints):
    if path.suffix in (".c", ".h", ".S"):
        if not lines[0].startswith(f"/* {path.name} - "):
            complaints.add(path, 1, f"the file begins with '/* {path.name} - what it means'")
    elif path.suffix in (".py", ".sh"):
        if not any(path.name in line and " - " in line for line in lines[:4]):
            complaints.add(path, 1, f"the file's head says '{path.name} - what it means'")


def check_functions(path, lines, complaints):
    """With the house's braces a body is from a lone { to a lone }, both in column one."""
    begin = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            begin = number
        elif line == "}" and begin is not None:
            length = number - begin - 1
            if length > FUNCTION_LINES_MAX:
                complaints.add(path, begin, f"function of {length} lines; the limit is "
                               f"{FUNCTION_LINES_MAX}")
            begin = None


def check(complaints):
    for path in source.files(suffixes=(".c", ".h", ".S") + SCRIPTS):
        lines = source.text_of(path).split("\n")
        if lines and lines[-1] == "":
            lines.pop()
        if not lines:
            complaints.add(path, 1, "empty file")
            continue
        if len(lines) > FILE_LINES_MAX:
            complaints.add(path, len(lines), f"{len(lines)} lines; the limit is {FILE_LINES_MAX}")
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MAX and path.suffix not in (".mk",):
                complaints.add(path, number, f"{len(line)} columns; the limit is {COLUMNS_MAX}")
            if UNFINISHED.search(line):
                complaints.add(path, number, "reads like unfinished work")
            if line != line.rstrip():
                complaints.add(path, number, "blanks at the end of the line")
            if "\t" in line and path.suffix not in (".mk", ".S"):
                complaints.add(path, number, "a tab; indent with four spaces")
        check_head(path, lines, complaints)
        if path.suffix == ".c":
            check_functions(path, lines, complaints)


if __name__ == "__main__":
    source.exit_with(check)
