#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what every text file in the tree owes: the SPDX line, no unfinished ends, no stray bytes."""
import re
import subprocess
import sys
from pathlib import Path

SPDX = "SPDX-License-Identifier: Apache-2.0"
SPDX_LINES_MAX = 3  # a script's first line is its interpreter
CODE = (".c", ".h", ".py", ".sh", ".cmake", ".proto", "CMakeLists.txt", ".ci/run")
TEXT = CODE + (".md", ".yaml", ".service.in")
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")


def files():
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")
    return [f for f in listed if f.endswith(TEXT) and not f.startswith("tests/fuzz/") and Path(f).is_file()]


def check_line(path, number, line):
    where = f"{path}:{number}"
    problems = []
    if line != line.rstrip():
        problems.append(f"{where}: white space at the end")
    if "\t" in line and not path.endswith(".proto"):
        problems.append(f"{where}: a tab")
    if UNFINISHED.search(line):
        problems.append(f"{where}: unfinished: {line.strip()[:60]}")
    if line.startswith(("<<<<<<< ", ">>>>>>> ")):
        problems.append(f"{where}: a merge conflict")
    return problems


def check(path):
    text = Path(path).read_text()
    lines = text.split("\n")
    problems = [problem for number, line in enumerate(lines, 1) for problem in check_line(path, number, line)]
    if text and not text.endswith("\n"):
        problems.append(f"{path}: the last line has no end")
    if path.endswith(CODE) and not any(SPDX in line for line in lines[:SPDX_LINES_MAX]):
        problems.append(f"{path}: no '{SPDX}' in its first {SPDX_LINES_MAX} lines")
    if path.endswith(".h") and "#pragma once" not in lines:
        problems.append(f"{path}: no '#pragma once'")
    return problems


def main():
    problems = [problem for path in files() for problem in check(path)]
    for problem in problems:
        print(f"text: {problem}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
