"""count_report.py - a report of pytest (junitxml) as counts, and what failed, and why.

count_report.py REPORT RESULT: writes "passed failed skipped" to RESULT and, when something failed,
RESULT.failures; exits 1 when a test failed or none ran."""

import sys
import xml.etree.ElementTree

LINES_MAX = 15


def main(report, result):
    suite = next(xml.etree.ElementTree.parse(report).iter("testsuite"))
    count = {name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")}
    failed = count["failures"] + count["errors"]
    passed = count["tests"] - failed - count["skipped"]
    with open(result, "w", encoding="utf-8") as file:
        file.write(f'{passed} {failed} {count["skipped"]}\n')
    if failed:
        with open(f"{result}.failures", "w", encoding="utf-8") as file:
            for case in suite.iter("testcase"):
                for problem in (*case.iter("failure"), *case.iter("error")):
                    file.write(f'{case.get("classname")}::{case.get("name")}\n')
                    for line in (problem.text or problem.get("message")
                                 or "").splitlines()[-LINES_MAX:]:
                        file.write(f"    {line[:300]}\n")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
