#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the hard size limits of CONTRIBUTING.md: lines per file and function, parameters, includes, columns.

Everything tracked that is C counts; generated code is never tracked. Files of other languages have the file limit only.
"""
import json
import re
import subprocess
import sys
from pathlib import Path

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
PARAMETERS_MAX = 5
INCLUDES_MAX = 12
COLUMNS_MAX = 100
TEXT = (".c", ".h", ".py", ".sh", ".cmake", ".proto")
OPENERS, CLOSERS = "([{", ")]}"
# Whose parameters a library fixed: callbacks are given to it as they are.
FIXED_BY_LIBRARY = {
    "base/grpc_session.c": {"read_reply", "on_header", "on_data"},
    "base/tls.c": {"choose_protocol"},
    "base/testdata/h2_client.h": {"h2_read_body", "h2_on_header", "h2_on_data"},
}
UPSTREAM = {"cri/proto/api.proto"}  # an interface of others, with its own order and length


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def sources():
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard").split("\n")
    return [f for f in listed if f.endswith(TEXT) and Path(f).is_file()]


def check_file(path):
    lines = Path(path).read_text().split("\n")
    problems = []
    if len(lines) - 1 > FILE_LINES_MAX and path not in UPSTREAM:
        problems.append(f"{path}: {len(lines) - 1} lines, {FILE_LINES_MAX} are allowed")
    if not path.endswith((".c", ".h")):
        return problems
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            problems.append(f"{path}:{number}: {len(line)} columns, {COLUMNS_MAX} are allowed")
    count = sum(1 for line in lines if re.match(r"\s*#\s*include\b", line))
    # cmocka.h wants four standard headers in front of it: the five count as one.
    count -= 4 if any("<cmocka.h>" in line for line in lines) else 0
    if count > INCLUDES_MAX:
        problems.append(f"{path}: {count} includes, {INCLUDES_MAX} are allowed")
    return problems


def parameters(signature):
    """How many parameters "(int a, void (*f)(int, int))" has; the error at the end, which is a second result, is none."""
    inside = re.sub(r",?\s*struct err \*\s*\w+$", "", signature.strip()[1:-1].strip())
    if inside in ("", "void"):
        return 0
    depth, commas = 0, 0
    for character in inside:
        depth += (character in OPENERS) - (character in CLOSERS)
        commas += character == "," and depth == 0
    return commas + 1


def functions(paths):
    """One ctags record per function definition."""
    command = ["ctags", "-f", "-", "--output-format=json", "--languages=C", "--langmap=C:.c.h", "--kinds-C=f",
               "--fields=+neS", "-I", "MUST_CHECK,PRINTF_LIKE+", "-L", "-"]
    result = subprocess.run(command, input="\n".join(paths), check=True, capture_output=True, text=True)
    return [json.loads(line) for line in result.stdout.split("\n") if line]


def check_function(tag):
    problems = []
    where = f"{tag['path']}:{tag['line']}: {tag['name']}()"
    length = tag.get("end", tag["line"]) - tag["line"] + 1
    if length > FUNCTION_LINES_MAX:
        problems.append(f"{where} has {length} lines, {FUNCTION_LINES_MAX} are allowed")
    count = parameters(tag.get("signature", "()"))
    if count > PARAMETERS_MAX and tag["name"] not in FIXED_BY_LIBRARY.get(tag["path"], ()):
        problems.append(f"{where} has {count} parameters, {PARAMETERS_MAX} are allowed")
    return problems


def main():
    paths = sources()
    problems = [problem for path in paths for problem in check_file(path)]
    tags = functions([p for p in paths if p.endswith((".c", ".h"))])
    if not tags:
        problems.append("ctags found no function at all")
    problems += [problem for tag in tags for problem in check_function(tag)]
    for problem in problems:
        print(f"sizes: {problem}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
