#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that the folders are layers: nothing is included, and no symbol is used, from above or from the side.

    check_layers.py [--build DIR]     DIR: a build folder whose libraries' symbols are checked too

Rules (CONTRIBUTING.md, "Layers"):
  includes  "folder/file.h" from the root, only from the own folder or one below, and the file exists or is generated
  wrappers  a third-party header is included by one file only (x.c and x.h count as one); tests are free
  symbols   what a library needs from another library of ours, that library may see
"""
import argparse
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

BELOW = {
    "base": set(),
    "storage": {"base"},
    "net": {"base"},
    "cri": {"net", "storage", "base"},
    "s3gw": {"net", "storage", "base"},
    "agent": {"cri", "s3gw", "net", "storage", "base"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')
# A second wrapper of a library, and why it is not the first one's business.
SECOND_WRAPPERS = {
    ("seccomp", "base/confine"): "programs of ours lock themselves in; containers' profiles are none of its concern",
    ("libcap", "base/confine"): "the same",
    ("openssl", "base/tls"): "its sessions have nothing to do with digests, which digest.c wraps",
    ("openssl", "base/tls_cert"): "certificates are made once, with an interface that nothing else uses",
    ("isa-l", "storage/zdb/zdb_format"): "its CRC-32C has nothing to do with decompressing layers",
}
TEST_FILE = re.compile(r"_(test|fuzz)\.c$|/testdata/|(_rig|_sample|/testbed|/scratch)\.h$")
# Packages whose headers are the platform: libc, the kernel's interface. The compiler's own come on top.
PLATFORM_PACKAGES = ("libc6-dev", "linux-libc-dev")
HEADER_ROOTS = re.compile(r"^/usr/include/(?:[a-z0-9_]+-linux-gnu/)?(.+\.h)$")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def sources():
    """Tracked C sources of the layers."""
    files = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.c", "*.h").split("\n")
    return [f for f in files if f.split("/")[0] in BELOW and Path(f).is_file()]


def platform_headers():
    names = set()
    for line in run("dpkg", "-L", *PLATFORM_PACKAGES).split("\n"):
        match = HEADER_ROOTS.match(line)
        if match:
            names.add(match.group(1))
    compiler = Path(run("gcc", "-print-file-name=include").strip())
    return names | {str(p.relative_to(compiler)) for p in compiler.rglob("*.h")}


def includes(path):
    """(line number, own header or None, system header or None) of each include."""
    for number, line in enumerate(Path(path).read_text().split("\n"), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


def generated(header):
    """api.pb-c.h is made from api.proto."""
    return header.endswith(".pb-c.h") and Path(header.replace(".pb-c.h", ".proto")).is_file()


def check_own_include(path, number, header):
    layer, target = path.split("/")[0], header.split("/")[0]
    if target not in BELOW:
        return [f'{path}:{number}: "{header}" is not a path from the root']
    if target != layer and target not in BELOW[layer]:
        return [f'{path}:{number}: {layer}/ must not include "{header}"']
    if not Path(header).is_file() and not generated(header):
        return [f'{path}:{number}: "{header}" does not exist']
    return []


def library_of(header):
    """What counts as one third-party library: openssl/evp.h and openssl/err.h are both openssl."""
    known = {"archive_entry.h": "archive", "zstd_errors.h": "zstd", "sys/capability.h": "libcap"}
    return known.get(header, header.split("/")[0].removesuffix(".h"))


def check_includes():
    problems, wrappers, platform = [], defaultdict(dict), platform_headers()
    for path in sources():
        for number, own, system in includes(path):
            if own:
                problems += check_own_include(path, number, own)
            elif system not in platform and not TEST_FILE.search(path):
                noun = str(Path(path).with_suffix(""))
                if (library_of(system), noun) not in SECOND_WRAPPERS:
                    wrappers[library_of(system)].setdefault(noun, f"{path}:{number}")
    for library, places in sorted(wrappers.items()):
        if len(places) > 1:
            problems.append(f"{library} has {len(places)} wrappers, one is allowed: {', '.join(sorted(places.values()))}")
    return problems


def symbols(archive):
    """(defined, needed) global symbols of a static library."""
    defined, needed = set(), set()
    for line in run("nm", "--extern-only", "--portability", "--quiet", str(archive)).split("\n"):
        words = line.split()
        if len(words) >= 2 and len(words[1]) == 1:
            (needed if words[1] in "Uwv" else defined).add(words[0])
    return defined, needed - defined


def check_symbols(build):
    archives = {layer: Path(build, layer, f"lib{layer}.a") for layer in BELOW}
    table = {layer: symbols(path) for layer, path in archives.items() if path.is_file()}
    if not table:
        return [f"{build}: no library of ours is there to check"]
    home = defaultdict(set)
    for layer, (defined, _) in table.items():
        for symbol in defined:
            home[symbol].add(layer)
    problems = []
    for layer, (_, needed) in table.items():
        for symbol in sorted(needed):
            if home[symbol] and not home[symbol] & BELOW[layer]:
                problems.append(f"lib{layer}.a needs {symbol} from {'/, '.join(sorted(home[symbol]))}/")
    for symbol, layers in sorted(home.items()):
        if len(layers) > 1 and not symbol.startswith("__"):
            problems.append(f"{symbol} is defined in {' and '.join(sorted(layers))}")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", help="a build folder")
    options = parser.parse_args()
    problems = check_includes()
    if options.build:
        problems += check_symbols(options.build)
    for problem in problems:
        print(f"layers: {problem}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
