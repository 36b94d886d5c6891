"""exposition.py - a strict reader of Prometheus's text format 0.0.4."""

import math
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
TYPES = {"counter", "gauge", "histogram", "summary", "untyped"}
ESCAPES = {"\\": "\\", '"': '"', "n": "\n"}
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count", "")}


class Family:
    def __init__(self, name, kind, text):
        self.name = name
        self.kind = kind
        self.help = text
        self.samples = {}  # (name, ((label, value), ...)) -> number


def read_labels(text):
    """The labels between { and }, and what follows."""
    labels = []
    at = 1
    while text[at] != "}":
        name = LABEL_NAME.match(text, at)
        assert name, text
        at = name.end()
        assert text[at:at + 2] == '="', text
        at += 2
        value = ""
        while text[at] != '"':
            if text[at] == "\\":
                at += 1
                value += ESCAPES[text[at]]
            else:
                value += text[at]
            at += 1
        at += 1
        labels.append((name.group(), value))
        assert text[at] in ",}", text
        if text[at] == ",":
            at += 1
    assert len({name for name, _ in labels}) == len(labels), f"a label twice: {text}"
    return tuple(sorted(labels)), text[at + 1:]


def read_sample(line):
    name = NAME.match(line)
    assert name, line
    rest = line[name.end():]
    labels, rest = read_labels(rest) if rest.startswith("{") else ((), rest)
    assert rest.startswith(" ") and not rest.startswith("  "), line
    number = float(rest[1:])
    assert not math.isnan(number), line
    return name.group(), labels, number


def check_histogram(family):
    """Buckets only grow, and +Inf is the count."""
    series = {}
    for (name, labels), number in family.samples.items():
        if name.endswith("_bucket"):
            rest = tuple(pair for pair in labels if pair[0] != "le")
            series.setdefault(rest, []).append((float(dict(labels)["le"]), number))
    for rest, buckets in series.items():
        buckets.sort()
        assert [number for _, number in buckets] == sorted(number for _, number in buckets)
        assert buckets[-1] == (math.inf, family.samples[(family.name + "_count", rest)])


def parse(data):
    """Bytes to {name: Family}; anything that is not as the format has it is an AssertionError."""
    text = data.decode("utf-8")
    assert text.endswith("\n") and "\r" not in text
    families = {}
    family = None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, help_text = line[len("# HELP "):].split(" ", 1)
            assert NAME.fullmatch(name) and help_text, line
            assert name not in families, f"family {name} twice"
            family = Family(name, None, help_text)
            families[name] = family
        elif line.startswith("# TYPE "):
            name, kind = line[len("# TYPE "):].split(" ")
            assert family and name == family.name and family.kind is None, line
            assert kind in TYPES, line
            assert (kind == "counter") == name.endswith("_total"), line
            family.kind = kind
        else:
            name, labels, number = read_sample(line)
            assert family and family.kind, f"before its head: {line}"
            allowed = [family.name + suffix for suffix in SUFFIXES.get(family.kind, ("",))]
            assert name in allowed, f"not of {family.name}: {line}"
            assert (name, labels) not in family.samples, f"twice: {line}"
            assert family.kind == "gauge" or number >= 0, line
            family.samples[(name, labels)] = number
    for each in families.values():
        assert each.kind, each.name
        if each.kind == "histogram":
            check_histogram(each)
    return families


def value(families, name, **labels):
    """Of one sample; KeyError when there is none."""
    for suffix in ("", "_bucket", "_sum", "_count"):
        family = families.get(name[:len(name) - len(suffix)] if suffix else name)
        if family and (not suffix or name.endswith(suffix)):
            return family.samples[(name, tuple(sorted(labels.items())))]
    raise KeyError(name)
