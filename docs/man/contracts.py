"""contracts.py - reads the public headers: each function with its contract, each type, each head.

A contract is the comment above a run of declarations; those that follow each other without an empty
line or a comment share it. What means the same everywhere (arguments, errors) is said once, in the
lists at the head of <await/base.h>. `complaints` says what a contract leaves open.
"""

import pathlib
import re
from dataclasses import dataclass, field

TREE = pathlib.Path(__file__).resolve().parents[2]
HEADERS = TREE / "lib" / "include" / "await"

MARKS = re.compile(r"\b(AW_API|AW_MUST_CHECK|AW_SUSPENDS)\b ?|AW_PRINTF\(\d+, \d+\)")
ERRNO = re.compile(r"-E[A-Z0-9]{2,}\b")
SHIELDED = re.compile(r"[Nn]ot a cancellation point|[Aa]lso when (the task is |it is |the caller is )?"
                      r"(interrupted|cancelled)")
OWNERSHIP = re.compile(
    r"\b(owns?|owned|owner|caller's|callers|frees?|freed|copied|copies|keeps?|kept|static|outlive"
    r"|belongs?|valid|its own|gives? (it |the \w+ )?(up|back)|must stay|the stream's|due|handle)\b")


@dataclass
class Function:
    name: str
    result: str                 # its type
    arguments: list             # (type, name, as declared)
    prototype: str              # without the marks
    suspends: bool
    must_check: bool


@dataclass
class Contract:
    header: "Header"
    line: int
    comment: list               # lines
    functions: list = field(default_factory=list)

    @property
    def text(self):
        return " ".join(line.strip() for line in self.comment).strip()

    @property
    def prose(self):
        """The text without its indented lines: tables, examples."""
        return " ".join(line for line in self.comment if not line.startswith("  ")).strip()

    @property
    def names(self):
        return [function.name for function in self.functions]

    @property
    def suspends(self):
        return any(function.suspends for function in self.functions)

    @property
    def is_cancellation_point(self):
        return self.suspends and not SHIELDED.search(self.text)


@dataclass
class Header:
    name: str                   # task.h
    head: list                  # lines of the comment at its top, the first without "task.h - "
    contracts: list = field(default_factory=list)
    types: list = field(default_factory=list)     # source text of structs, enums, constants
    macros: list = field(default_factory=list)    # those with arguments that the head tells of

    @property
    def page(self):
        return "await-" + self.name[:-2].replace("_", "-")

    @property
    def title(self):
        """The first sentence of the head."""
        return first_sentence(" ".join(self.head))


def first_sentence(text):
    """Up to the first stop, colon or semicolon that is not in parentheses."""
    depth = 0
    for index, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter in ".:;" and depth == 0 and text[index + 1:index + 2] in ("", " ", "\n") and \
                text[index - 1] != ".":
            text = text[:index]
            break
    return re.sub(r"\s+", " ", text).strip()


def comment_lines(text):
    """The lines of a comment without its frame."""
    body = text.strip()[2:-2]
    return [re.sub(r"^ ?\*? ?", "", line, count=1).rstrip() if number else line.strip()
            for number, line in enumerate(body.split("\n"))]


def split_arguments(text):
    parts, depth, begin = [], 0, 0
    for index, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(text[begin:index])
            begin = index + 1
    return [part.strip() for part in parts + [text[begin:]]]


def argument(text):
    """(type, name, text) of one parameter."""
    pointer = re.search(r"\(\*(\w+)\)\(", text)
    if pointer:
        return text, pointer.group(1), text
    found = re.fullmatch(r"(.*?)\b(\w+)(\[.*\])?", text)
    return (found.group(1) + (found.group(3) or "")).strip(), found.group(2), text


def function_of(statement):
    plain = re.sub(r"\s+", " ", MARKS.sub("", statement)).strip()
    found = re.fullmatch(r"(.*?\W)(\w+)\((.*)\) ?;", plain)
    inside = found.group(3)
    arguments = [] if inside == "void" else [argument(part) for part in split_arguments(inside)
                                             if part != "..."]
    return Function(found.group(2), found.group(1).strip(), arguments, plain,
                    "AW_SUSPENDS" in statement, "AW_MUST_CHECK" in statement)


def statement_end(lines, begin):
    """The line after the declaration that begins at `begin`: its braces and its ; are closed."""
    depth = 0
    for number in range(begin, len(lines)):
        code = re.sub(r"/\*.*?(\*/|$)", "", lines[number])
        depth += code.count("{") - code.count("}") + code.count("(") - code.count(")")
        if depth == 0 and code.rstrip().endswith(";"):
            return number + 1
    raise ValueError(f"a declaration without end: {lines[begin]}")


def read_header(path):
    lines = path.read_text(encoding="utf-8").split("\n")
    header = None
    comment, comment_line = [], 0
    contract = None
    number = 0
    while number < len(lines):
        line = lines[number]
        begin = number
        number += 1
        if line.startswith("/*"):
            while "*/" not in lines[number - 1]:
                number += 1
            comment = comment_lines("\n".join(lines[begin:number]))
            comment_line, contract = begin + 1, None
            if header is None:
                comment[0] = comment[0].partition(" - ")[2]
                header, comment = Header(path.name, comment), []
        elif not line.strip():
            comment, contract = [], None
        elif line.startswith("#"):
            while lines[number - 1].endswith("\\"):
                number += 1
            macro = re.match(r"#define (\w+)(\(?)", line)
            if macro and macro.group(2) and f"{macro.group(1)}(" in "".join(header.head):
                header.macros.append(macro.group(1))
            elif macro and not macro.group(2) and len(line.split()) > 2:
                header.types.append("\n".join(lines[begin:number]))
        elif line.startswith("AW_API"):
            number = statement_end(lines, begin)
            if comment and comment[0].startswith("Private"):
                continue
            if contract is None:
                contract = Contract(header, comment_line or begin + 1, comment)
                header.contracts.append(contract)
            contract.functions.append(function_of(" ".join(lines[begin:number])))
        elif re.match(r"(struct|enum|typedef)\b", line):
            if not line.rstrip().endswith(";"):
                number = statement_end(lines, begin)
            source = lines[begin:number]
            if not re.fullmatch(r"struct \w+;", line):
                above = [f"/* {comment[0]}", *[f" * {one}" for one in comment[1:]]] if comment \
                    else []
                if above:
                    above[-1] += " */"
                if "/* private */" in line or "/* private:" in line.lower():
                    source = [line.split("{")[0] + "{ /* private */ };"]
                header.types.append("\n".join(above + source))
            comment, contract = [], None
    return header


def read_all(folder=HEADERS):
    return [read_header(path) for path in sorted(folder.glob("*.h"))]


# --- what means the same everywhere ------------------------------------------------------------------

def common_list(headers, title):
    """The list under the line of base.h's head that begins with `title`: {name: meaning}."""
    base = next((header for header in headers if header.name == "base.h"), None)
    lines = base.head if base else []
    begin = next((number for number, line in enumerate(lines) if line.startswith(title)), len(lines))
    found, names = {}, []
    for line in lines[begin + 1:]:
        if not line.startswith("  "):
            break
        entry = re.match(r"  (\S.*?)  +(\S.*)", line)
        if entry:
            names = entry.group(1).split(", ")
            found.update((name, entry.group(2)) for name in names)
        else:
            found.update((name, f"{found[name]} {line.strip()}") for name in names)
    return found


def common_arguments(headers):
    return common_list(headers, "Arguments that mean the same")


def common_errors(headers):
    return common_list(headers, "Errors that mean the same")


def common_argument(common, name):
    if name in common:
        return common[name]
    for pattern, meaning in common.items():
        if "*" in pattern and re.fullmatch(pattern.replace("*", r"\w+"), name):
            return meaning
    return None


# --- errors ------------------------------------------------------------------------------------------

def clauses(text):
    """Sentences, cut at semicolons too."""
    return [part.strip() for sentence in sentences(text) for part in sentence.split("; ")]


def sentences(text):
    return [part.strip() for part in re.split(r"(?<=[^.][.])\s+(?=[A-Z0-9*`-])", text)
            if part.strip()]


def table_errors(lines):
    """{errno: meaning} of lines such as "  -EBUSY, -EAGAIN  somebody has it"."""
    found, names = {}, []
    for line in lines:
        row = re.match(r"\s+((?:-E[A-Z0-9]+(?:, | and )?)+)\s+(?:(\"\w+\")\s+)?(\S.*)", line)
        if row:
            names = ERRNO.findall(row.group(1))
            for name in names:
                found[name] = row.group(3)
        elif names and re.match(r"\s{6,}\S", line):
            for name in names:
                found[name] += " " + line.strip()
        else:
            names = []
    return found


GROUP = r"(-E[A-Z0-9]+(?:(?:,| and| or|, or) -E[A-Z0-9]+)*)"
CLAUSE = r"(.+?)(?=;|\.(?: |$)|, -E[A-Z]|$)"


def prose_errors(text):
    found = {}
    for pattern in (r"(-E[A-Z0-9]+) \(([^()]*(?:\([^()]*\)[^()]*)*)\)", GROUP + r": " + CLAUSE,
                    GROUP + r" ((?:when|where|if|after|once|above|below|says?|until|is|means?|"
                    r"then|outside|while|and|for) " + CLAUSE + ")"):
        for match in re.finditer(pattern, text):
            for name in ERRNO.findall(match.group(1)):
                found.setdefault(name, match.group(2).strip())
    return found


def errors_of(contract, common):
    """[(errno, meaning or None)] in the order of the contract; those of interruption are added."""
    text = contract.text
    meanings = table_errors(contract.comment)
    for name, meaning in prose_errors(text).items():
        meanings.setdefault(name, meaning)
    order = list(dict.fromkeys(ERRNO.findall(text)))
    if contract.is_cancellation_point and any(one.result == "int" for one in contract.functions):
        order += [name for name in ("-ECANCELED", "-ETIME") if name not in order]
    found = []
    for name in order:
        meaning = meanings.get(name) or common.get(name)
        if not meaning:
            for clause in clauses(text):
                words = re.sub(r"-E[A-Z0-9]+|\b(0|Errors|Returns|or)\b|\W", "", clause)
                if name in clause and len(words) > 10:
                    meaning = clause
                    break
        found.append((name, meaning))
    return found


# --- complaints --------------------------------------------------------------------------------------

REFERS = re.compile(r"\b(as|of|like|gives?|says?|said|errors|another|see)\b[^.;]*?\b"
                    r"((aw_\w+|[a-z_]+\(\d\)|above|same|aw_\w+'s))|\b[a-z_0-9]+\([23]\)")


def complaints_about(contract, arguments, errors):
    text = contract.text
    if not text or text.startswith("---"):
        yield "no contract above it"
        return
    for name, meaning in errors_of(contract, errors):
        if not meaning:
            yield f"{name} is named but not explained"
    head = " ".join(contract.header.head)
    for function in contract.functions:
        for kind, name, _ in function.arguments:
            if not re.search(rf"\b{name}\b", text) and not common_argument(arguments, name) and \
                    not re.search(r"struct aw_\w+ \*$", kind):
                yield f"{function.name}: nothing is said of its argument {name}"
        if function.must_check and function.result == "int" and not ERRNO.search(text) and \
                not REFERS.search(text) and not contract.is_cancellation_point:
            yield f"{function.name}: it can fail, but no error is named"
        gives = function.result.endswith("*") or \
            any(kind.endswith("**") and name.startswith("ret_")
                for kind, name, _ in function.arguments)
        if gives and not OWNERSHIP.search(text) and not OWNERSHIP.search(head):
            yield f"{function.name}: whose is what it gives?"
        if function.result in ("int", "bool", "uint32_t", "uint64_t", "size_t") and \
                not result_of(contract, function):
            yield f"{function.name}: its result is not described"


RESULT = re.compile(r"\b[Rr]eturns?\b|^(0|1)\b|\b(gives?|result)\b|^(Whether|How (many|long)|The )"
                    r"|: 0\b|\b0,? (or|when|once|if)\b|[Tt]heir number|the number of|[Tt]he same")


def result_of(contract, function):
    """The sentences that say what comes back."""
    if function.result == "void":
        return ["None."]
    found = [sentence for sentence in sentences(contract.text) if RESULT.search(sentence)]
    if not found and function.result == "int" and (function.must_check or function.suspends):
        found = ["0 on success, a negative errno on failure."]
    if not found and function.result == "struct aw_with":
        found = ["The block, for AW_WITH."]
    return found


def complaints(headers):
    """Lines `file:line: text` about what the contracts leave open."""
    arguments, errors = common_arguments(headers), common_errors(headers)
    for header in headers:
        for contract in header.contracts:
            for complaint in complaints_about(contract, arguments, errors):
                first = contract.functions[0].name
                told = complaint if complaint.startswith("aw_") else f"{first}: {complaint}"
                yield f"lib/include/await/{header.name}:{contract.line}: {told}"
