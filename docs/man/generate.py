#!/usr/bin/env python3
"""generate.py - awaitd.conf(5) from config/awaitd.conf, awaitd-protocol(7) from docs/PROTOCOL.md.

`generate.py` writes both beside itself; `generate.py --check` says which is not up to date.
"""

import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parents[1]
CONFIGURATION = TREE / "config" / "awaitd.conf"
PROTOCOL = TREE / "docs" / "PROTOCOL.md"

CONFIGURATION_HEAD = r""".TH AWAITD.CONF 5 "" "awaitd" "File Formats"
.SH NAME
awaitd.conf \- configuration of awaitd
.SH SYNOPSIS
.nf
/etc/awaitd/awaitd.conf
/etc/awaitd/awaitd.conf.d/*.conf
.fi
.SH DESCRIPTION
"""
CONFIGURATION_TAIL = r""".SH "SEE ALSO"
.BR awaitd (8),
.BR awaitctl (1),
.BR awaitd-protocol (7)
"""
PROTOCOL_HEAD = r""".TH AWAITD-PROTOCOL 7 "" "awaitd" "Miscellaneous Information"
.SH NAME
awaitd-protocol \- the commands that awaitd answers on its sockets
"""
PROTOCOL_TAIL = r""".SH "SEE ALSO"
.BR awaitd (8),
.BR awaitctl (1),
.BR awaitd.conf (5)
"""


def plain(text):
    """Text as troff takes it literally."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    text = text.replace("`", "\\(ga").replace("^", "\\(ha").replace("~", "\\(ti")
    text = "".join(one if ord(one) < 128 else f"\\[u{ord(one):04X}]" for one in text)
    return "\\&" + text if text.startswith(".") else text


def inline(text):
    """Code and bold in bold; links as their text."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text.replace("\\|", "|"))
    parts = re.split(r"(`[^`]+`|\*\*.+?\*\*)", text)
    shown = []
    for part in parts:
        if len(part) > 2 and part[0] == "`":
            shown.append(f"\\fB{plain(part[1:-1])}\\fR")
        elif part.startswith("**") and len(part) > 4:
            shown.append(f"\\fB{plain(part[2:-2].replace('`', ''))}\\fR")
        elif part:
            shown.append(plain(part))
    line = "".join(shown)
    return "\\&" + line if line.startswith((".", "'")) else line


# --- awaitd.conf(5) ---------------------------------------------------------------------------------

SECTION = re.compile(r";?\[(\w+)(?: [^]]+)?\]")
KEY = re.compile(r";?(\w+) =(.*)")
RULE = re.compile(r"; --- (.*?) ?-*$")


def entry(keys, comment):
    lines = []
    for index, (name, value) in enumerate(keys):
        lines.append(".TP" if index == 0 else ".TQ")
        lines.append(f"\\fB{plain(name)}\\fR = {plain(value)}".rstrip(" ="))
    return lines + [inline(" ".join(comment) or "As above.")]


def configuration():
    out = []
    comment, keys = [], []

    def flush():
        nonlocal comment, keys
        if keys:
            out.extend(entry(keys, comment))
        elif comment:
            out.extend([".PP", inline(" ".join(comment))])
        comment, keys = [], []

    for line in CONFIGURATION.read_text(encoding="utf-8").splitlines()[1:]:
        key, section, rule = KEY.fullmatch(line), SECTION.fullmatch(line), RULE.fullmatch(line)
        if rule:
            flush()
            out.append(f".SH {plain(rule.group(1).upper())}")
        elif section:
            flush()
            out.append((".SH " if line == "[daemon]" else ".SS ") + plain(line.lstrip(";")))
        elif key:
            keys.append((key.group(1), key.group(2).strip()))
        elif line.startswith(";"):
            if keys:
                flush()
            if line == ";":
                flush()
            else:
                comment.append(line[1:].strip())
        else:
            flush()
    flush()
    return CONFIGURATION_HEAD + "\n".join(out) + "\n" + CONFIGURATION_TAIL


# --- awaitd-protocol(7) -----------------------------------------------------------------------------

def table(rows):
    """Each row as a term and what it means."""
    out = []
    for row in rows[2:]:
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]
        meaning = " \u2014 ".join(cell for cell in cells[1:] if cell)
        out += [".TP", inline(cells[0]) or "\\&", inline(meaning) or "\\&"]
    return out


def blocks(lines):
    """Runs of lines that belong together: (kind, lines)."""
    index = 0
    while index < len(lines):
        line = lines[index]
        begin = index
        index += 1
        if line.lstrip().startswith("```"):
            while not lines[index].lstrip().startswith("```"):
                index += 1
            yield "code", lines[begin + 1:index]
            index += 1
        elif line.startswith("#"):
            yield "heading", [line]
        elif line.startswith("|"):
            while index < len(lines) and lines[index].startswith("|"):
                index += 1
            yield "table", lines[begin:index]
        elif line.strip():
            item = line.startswith("- ")
            while index < len(lines) and lines[index].strip() and \
                    not lines[index].lstrip().startswith(("- ", "```", "#", "|")):
                index += 1
            yield "item" if item else "text", lines[begin:index]


def protocol():
    out = [".SH DESCRIPTION"]
    for kind, lines in blocks(PROTOCOL.read_text(encoding="utf-8").splitlines()[1:]):
        text = " ".join(line.strip() for line in lines)
        if kind == "code":
            out += [".PP", ".RS 4", ".nf", *[plain(line) or "\\&" for line in lines], ".fi", ".RE"]
        elif kind == "heading":
            level, _, words = text.partition(" ")
            out.append(f".SH {plain(words.upper())}" if level == "##" else f".SS {plain(words)}")
        elif kind == "table":
            out += table(lines) + [".PP"]
        elif kind == "item":
            if "](#" not in text:  # the page's own contents
                out += [".IP \\(bu 2", inline(text[2:])]
        else:
            out += [".PP", inline(text)]
    return PROTOCOL_HEAD + "\n".join(out) + "\n" + PROTOCOL_TAIL


PAGES = {"awaitd.conf.5": configuration, "awaitd-protocol.7": protocol}


def main():
    stale = []
    for name, generate in PAGES.items():
        page = HERE / name
        text = generate()
        if "--check" in sys.argv[1:]:
            if not page.exists() or page.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            page.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"docs/man/{name}: is not what docs/man/generate.py makes: run it")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
