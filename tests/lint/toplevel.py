"""toplevel.py - the top level holds the agreed entries and nothing else."""

import os

import source

AGREED = {"Makefile", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "daemon", "lib",
          "config", "systemd", "tests", "docs", "debian"}


def check(complaints):
    for name in sorted(os.listdir(".")):
        built = name == "build" or name.startswith("build-")
        if name not in AGREED and not name.startswith(".") and not built:
            complaints.add(name, 1, "not an agreed top-level entry")


if __name__ == "__main__":
    source.exit_with(check)
