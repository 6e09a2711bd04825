#!/usr/bin/env python3
"""Writes advisories.txt from a checkout of RustSec's advisory database:

    git clone https://github.com/rustsec/advisory-db
    tests/supply_chain/renew_advisories.py advisory-db > tests/supply_chain/advisories.txt

A line is an advisory: its id, its kind, its crate, and the ranges of versions that it does not affect, separated by `;`.
"""

import re
import subprocess
import sys
import tomllib


def git(*arguments):
    return subprocess.run(["git", "-C", sys.argv[1], *arguments], check=True, capture_output=True, text=True).stdout


print("# RustSec's advisory database at", git("log", "-1", "--format=%H of %cs", "HEAD").strip())
lines = []
for path in git("ls-tree", "-r", "--name-only", "HEAD", "crates").split():
    text = git("show", f"HEAD:{path}")
    found = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    if not found:
        continue
    entry = tomllib.loads(found[1])
    advisory, versions = entry["advisory"], entry.get("versions", {})
    if "withdrawn" in advisory:
        continue
    kind = advisory.get("informational", "vulnerability")
    unaffected = versions.get("patched", []) + versions.get("unaffected", [])
    ranges = ";".join(re.sub(r"\s+", "", text) for text in unaffected)
    lines.append(f"{advisory['id']} {kind} {advisory['package']} {ranges}".rstrip())
print("\n".join(sorted(lines)))
