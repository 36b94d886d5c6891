#!/usr/bin/env python3
"""reference.py - manual pages of section 3 and docs/REFERENCE.md, from the public headers.

`reference.py FOLDER` writes a page for each contract, under the name of its first function, `.so`
pages for the others, a page for each header, and libawait(7) into FOLDER/man3 and FOLDER/man7.
`reference.py --index` writes docs/REFERENCE.md; `reference.py --check` says whether that is up to
date and what the contracts leave open (contracts.py).
"""

import errno
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import contracts  # noqa: E402
from generate import plain  # noqa: E402

INDEX = contracts.TREE / "docs" / "REFERENCE.md"
INDEX_HEAD = """# Reference of libawait

Every public function, by header. The whole contract is the comment in the header and the manual page
of the function's name: `man aw_gather` (after `make install`, or `make man` and
`man -M build/man aw_gather`); `man await-task` is the page of a header, `man libawait` that of the
library. **S**: may suspend the calling task; **S!**: may suspend, and is not interrupted.

This page is made from the headers by `docs/man/reference.py --index`; `make lint` fails when it is
stale, or when a contract lacks an argument, an error, the result or an owner.
"""
WORD = re.compile(r"(\baw_\w+\b(?:\(\))?|\bAW_[A-Z_0-9]+\b|`[^`]+`)")


# --- text ------------------------------------------------------------------------------------------

def words(text):
    """A line of prose: names and code in bold."""
    shown = "".join(f"\\fB{plain(part.strip('`'))}\\fR" if number % 2 else plain(part)
                    for number, part in enumerate(WORD.split(text)) if part)
    return "\\&" + shown if shown.startswith((".", "'")) else shown


def verbatim(lines):
    return [".PP", ".RS 4", ".nf", *[plain(line) or "\\&" for line in lines], ".fi", ".RE"]


def prose(lines):
    """The lines of a comment: paragraphs, and as they are what is indented."""
    out, paragraph, block = [], [], []

    def flush():
        if paragraph:
            out.extend([".PP", words(" ".join(paragraph))])
            paragraph.clear()
        while block and not block[-1]:
            block.pop()
        if block:
            width = min(len(line) - len(line.lstrip()) for line in block if line)
            out.extend(verbatim([line[width:] for line in block]))
            block.clear()

    for line in lines:
        if line.startswith("  ") or (block and not line):
            if paragraph:
                flush()
            block.append(line)
        elif not line:
            flush()
        else:
            if block:
                flush()
            paragraph.append(line.strip())
    flush()
    return out


def sentence(text):
    text = re.sub(r"\s+", " ", text).strip()
    text = text[0].upper() + text[1:] if re.match(r"[a-z]+\b(?!_)", text) else text
    return text if text.endswith(".") else text + "."


def summary(text):
    """The first sentence, to stand behind a name."""
    first = contracts.first_sentence(text)
    if len(first) > 110:
        first = re.split(r", | \(", first)[0]
    if re.match(r"([A-Z][a-z]|A )", first) and not re.match(r"(Unix|UDP|TCP)\b", first):
        first = first[0].lower() + first[1:]
    return first.replace("`", "")


def prototype(function):
    """The declaration, broken at the parameters where it is too long."""
    text = f"{function.prototype}"
    if len(text) <= 76:
        return [text]
    head, _, tail = text.partition("(")
    parts = contracts.split_arguments(tail[:tail.rindex(")")])
    return [f"{head}(", *[f"    {part}," for part in parts[:-1]], f"    {parts[-1]});"]


# --- one contract ----------------------------------------------------------------------------------

def argument_entries(contract, common):
    """(declaration, meaning): what means the same everywhere, else what the contract says of it."""
    seen = []
    for function in contract.functions:
        for kind, name, declared in function.arguments:
            if name in seen:
                continue
            seen.append(name)
            told = [clause for clause in contracts.clauses(contract.prose)
                    if re.search(rf"(?<!\w){name}\b", clause)]
            meaning = contracts.common_argument(common, name)
            if told and (not meaning or name.startswith("ret_")):
                meaning = told[0]
            yield declared, meaning or f"An object of {contract.header.page}(3)."


def suspension_notes(contract):
    told = []
    for marked in (True, False):
        names = [one.name for one in contract.functions if one.suspends == marked]
        if not names:
            continue
        who = "" if len(names) == len(contract.functions) else f" ({', '.join(names)})"
        if not marked:
            told.append(f"Never suspends{who}.")
        elif contract.is_cancellation_point:
            told.append(f"May suspend the calling task{who} and is a cancellation point: in a "
                        "cancelled task, or past a deadline of its scopes, it ends early. Call it "
                        "only inside aw_run.")
        else:
            told.append(f"May suspend the calling task{who}, and is not cut short by cancellation "
                        "or deadlines. Call it only inside aw_run.")
    if any(one.must_check for one in contract.functions):
        told.append("The compiler warns when the result is not looked at.")
    return told


def types_of(contract):
    """The declarations of the header that the signatures name."""
    text = " ".join(function.prototype for function in contract.functions)
    names = re.findall(r"\b(?:struct|enum) (aw_\w+)", text) + re.findall(r"\b(aw_\w+)\b", text)
    for source in contract.header.types:
        found = re.search(r"(?:struct|enum) (aw_\w+) \{|\(\*(aw_\w+)\)|typedef .*\b(aw_\w+);", source)
        if found and next(filter(None, found.groups())) in names:
            yield source


def titled(name, section):
    return [f".TH {plain(name)} {section} \"\" \"libawait\" \"Library Functions Manual\""]


def see_also(names):
    shown = [f".BR {plain(name)} ({section})" for name, section in names]
    return [".SH SEE ALSO", *[line + "," for line in shown[:-1]], shown[-1]]


def contract_page(contract, arguments, errors):
    first = contract.functions[0].name
    out = titled(first.upper(), 3)
    out += [".SH NAME", f"{', '.join(contract.names)} \\- {plain(summary(contract.text))}",
            ".SH SYNOPSIS", ".nf", f"\\fB#include <await/{contract.header.name}>\\fR", ".PP"]
    for function in contract.functions:
        out += [f"\\fB{plain(line)}\\fR" for line in prototype(function)]
    out += [".fi", ".PP", "Link with \\fB\\-lawait\\fR (pkg\\-config await).",
            ".SH DESCRIPTION", *prose(contract.comment)]
    for source in types_of(contract):
        out += verbatim(source.split("\n"))
    entries = list(argument_entries(contract, arguments))
    if entries:
        out += [".SH ARGUMENTS"]
    for declared, meaning in entries:
        out += [".TP", f"\\fB{plain(declared)}\\fR", words(sentence(meaning))]
    results = dict.fromkeys(sentence for function in contract.functions
                            for sentence in contracts.result_of(contract, function))
    results = results or [contracts.first_sentence(contract.text) + "."]
    out += [".SH RETURN VALUE", *[line for one in results for line in (".PP", words(one))]]
    told = contracts.errors_of(contract, errors)
    if told:
        out += [".SH ERRORS"]
    for name, meaning in told:
        if not meaning or len(contracts.ERRNO.findall(meaning)) > 2:
            # one of a list: what the system calls it
            meaning = os.strerror(getattr(errno, name[1:]))
        out += [".TP", f"\\fB{plain(name)}\\fR", words(sentence(meaning))]
    if re.search(r"\(2\)", contract.text + " ".join(contract.header.head)):
        out += [".PP", "Other errors of the system calls that it makes are possible; see",
                ".BR libawait (7)."]
    out += [".SH NOTES", *[line for one in suspension_notes(contract)
                           for line in (".PP", words(one))]]
    owners = [one for one in contracts.sentences(contract.prose)
              if contracts.OWNERSHIP.search(one) and len(one) < 250]
    out += [".PP", "Ownership: " + (words(" ".join(owners)) if owners else
                                    "what the arguments point at stays the caller\\(aqs and is not "
                                    "kept.")]
    others = dict.fromkeys(re.findall(r"\baw_\w+\b", contract.text))
    known = KNOWN & set(others) - set(contract.names)
    out += see_also([(contract.header.page, 3), *[(name, 3) for name in others if name in known],
                     ("libawait", 7)])
    return "\n".join(out) + "\n"


# --- a header, and the library -----------------------------------------------------------------------

def header_page(header):
    out = titled(header.page.upper(), 3)
    out += [".SH NAME", f"{header.page} \\- {plain(summary(' '.join(header.head)))}",
            ".SH SYNOPSIS", f"\\fB#include <await/{header.name}>\\fR", ".SH DESCRIPTION",
            *prose(header.head)]
    if header.types:
        out += [".SH TYPES"]
        for source in header.types:
            out += verbatim(source.split("\n"))
    if header.contracts:
        out += [".SH FUNCTIONS"]
        for contract in header.contracts:
            names = ", ".join(f"\\fB{plain(name)}\\fR(3)" for name in contract.names)
            out += [".TP", names, words(summary(contract.text))]
    return "\n".join(out + see_also([("libawait", 7)])) + "\n"


def library_page(headers):
    base = next(header for header in headers if header.name == "base.h")
    out = titled("LIBAWAIT", 7)
    out += [".SH NAME", "libawait \\- asyncio for C on io_uring", ".SH SYNOPSIS",
            "\\fB#include <await.h>\\fR", ".PP",
            "\\fBcc program.c $(pkg\\-config \\-\\-cflags \\-\\-libs await)\\fR", ".SH DESCRIPTION",
            "Coroutines, tasks, deadlines, cancellation, context managers, locks and queues, files, "
            "sockets and clients on one io_uring loop. Each header has a page, and so has each "
            "function.", ".SH HEADERS"]
    for header in headers:
        if header.name != "base.h":
            out += [".TP", f".BR {plain(header.page)} (3)", words(summary(" ".join(header.head)))]
    out += [".SH WHAT HOLDS FOR EVERY FUNCTION", *prose(base.head[1:])]
    return "\n".join(out + see_also([("io_uring", 7)])) + "\n"


KNOWN = set()


def pages(headers):
    """{file: text} of all pages."""
    arguments, errors = contracts.common_arguments(headers), contracts.common_errors(headers)
    KNOWN.update(name for header in headers for contract in header.contracts
                 for name in contract.names)
    made = {"man7/libawait.7": library_page(headers)}
    for header in headers:
        if header.name != "base.h":
            made[f"man3/{header.page}.3"] = header_page(header)
        for name in header.macros:
            made[f"man3/{name}.3"] = f".so man3/{header.page}.3\n"
        for contract in header.contracts:
            first = contract.functions[0].name
            made[f"man3/{first}.3"] = contract_page(contract, arguments, errors)
            for name in contract.names[1:]:
                made[f"man3/{name}.3"] = f".so man3/{first}.3\n"
    return made


def index(headers):
    out = [INDEX_HEAD]
    for header in headers:
        if not header.contracts:
            continue
        out.append(f"\n## [{header.name}](../lib/include/await/{header.name})\n"
                   f"{summary(' '.join(header.head))}\n\n| function | | what |\n|---|---|---|")
        for contract in header.contracts:
            mark = "" if not contract.suspends else \
                "S" if contract.is_cancellation_point else "S!"
            names = ", ".join(f"`{name}`" for name in contract.names)
            out.append(f"| {names} | {mark} | {summary(contract.text).replace('|', chr(92) + '|')} |")
    return "\n".join(out) + "\n"


def main():
    headers = contracts.read_all()
    wanted = sys.argv[1:] or ["--help"]
    if wanted[0] == "--index":
        INDEX.write_text(index(headers), encoding="utf-8")
    elif wanted[0] == "--check":
        found = list(contracts.complaints(headers))
        if not INDEX.exists() or INDEX.read_text(encoding="utf-8") != index(headers):
            found.append("docs/REFERENCE.md: is not what docs/man/reference.py --index makes: run it")
        print("\n".join(found), end="\n" if found else "")
        return 1 if found else 0
    elif wanted[0].startswith("-"):
        print(__doc__)
        return 2
    else:
        for name, text in pages(headers).items():
            page = pathlib.Path(wanted[0]) / name
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
