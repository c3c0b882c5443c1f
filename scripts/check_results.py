#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts what JUnit files of ctest and pytest say, and names what failed or was skipped.

    check_results.py TOTALS FILE...    prints names and reasons, adds "passed failed skipped" as a line to TOTALS

A ctest program counts with its cmocka cases; one that dies counts as one failure more than its cases tell. A file that
is not there is a failure: something that should have run did not.
"""
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

CASE = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] (?!\d+ test)(\S+)", re.MULTILINE)
OUTPUT_LINES_MAX = 40
SANITIZER = re.compile(r"(ERROR: \w+Sanitizer|runtime error:|==\d+==)")


class Totals:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def skip(self, name, reason):
        self.skipped += 1
        print(f"  SKIPPED {name}: {reason}")

    def fail(self, name, output):
        self.failed += 1
        print(f"  FAILED {name}")
        for line in output[-OUTPUT_LINES_MAX:]:
            print(f"    {line}")


def skip_reason(text, name):
    """A cmocka case says why on the line in front of its verdict: "SKIP: reason"."""
    lines = text.split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith("[  SKIPPED ]") and line.endswith(name))
    reasons = [line for line in lines[max(0, at - 3):at] if line and not line.startswith("[")]
    return reasons[-1].removeprefix("SKIP:").strip() if reasons else "no reason given"


def interesting(text):
    """The lines of a failure worth showing: from the first sanitizer report on, else the end."""
    lines = text.split("\n")
    first = next((i for i, line in enumerate(lines) if SANITIZER.search(line)), None)
    return lines[first:first + OUTPUT_LINES_MAX] if first is not None else lines


def count_program(totals, case):
    """One ctest program."""
    name, text = case.get("name"), case.findtext("system-out") or ""
    verdicts = {}
    for verdict, test in CASE.findall(text):
        verdicts[test] = verdict
    values = list(verdicts.values())
    failed = values.count("FAILED")
    totals.passed += values.count("OK")
    for test in (t for t, v in verdicts.items() if v == "SKIPPED"):
        totals.skip(f"{name}.{test}", skip_reason(text, test))
    for test in (t for t, v in verdicts.items() if v == "FAILED"):
        totals.fail(f"{name}.{test}", interesting(text))
    if case.get("status") == "run":
        totals.passed += not values
    elif not failed:
        totals.fail(name, interesting(text) or ["(no output)"])


def count_pytest(totals, case):
    name = f"{case.get('classname')}.{case.get('name')}"
    skipped = case.find("skipped")
    broken = [child for child in case if child.tag in ("failure", "error")]
    if skipped is not None:
        totals.skip(name, skipped.get("message"))
    elif broken:
        totals.fail(name, (broken[0].text or broken[0].get("message") or "").split("\n"))
    else:
        totals.passed += 1


def count(totals, path):
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as problem:
        totals.fail(Path(path).name, [f"no results: {problem}"])
        return
    for case in root.iter("testcase"):
        count_program(totals, case) if case.get("status") else count_pytest(totals, case)


def main():
    totals = Totals()
    for path in sys.argv[2:]:
        count(totals, path)
    with open(sys.argv[1], "a") as out:
        out.write(f"{totals.passed} {totals.failed} {totals.skipped}\n")
    sys.exit(1 if totals.failed else 0)


if __name__ == "__main__":
    main()
