"""Refuses functions that want different features of one crate: `sam build` would compile it, and what depends on it, for each.

    python3 .ci/features.py [--write]

With --write, lists the features of all functions in shared/features/Cargo.toml, on which every function depends.
"""

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
MANIFEST = ROOT / "shared/features/Cargo.toml"
HEAD = "# Written by `python3 .ci/features.py --write`.\n[dependencies]\n"
LINE = re.compile(r"(\S+) v(\S+)( \(.*\))?\|(\S*)( \(\*\))?$")


def linked(function):
    """The crates of other people that a function links: (name, version) to its features."""
    command = ["cargo", "tree", "--package", function, "--edges", "normal,no-proc-macro", "--prefix", "none",
               "--format", "{p}|{f}", "--target", "x86_64-unknown-linux-gnu"]
    printed = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    crates = {}
    for line in printed.splitlines():
        name, version, place, features, _ = LINE.match(line).groups()
        # A folder of the workspace.
        if not place:
            crates[name, version] = frozenset(features.split(",")) - {""}
    return crates


def differences():
    """The crates of which functions want different features, with all of these."""
    wanted = defaultdict(set)
    for function in sorted((ROOT / "functions").iterdir()):
        if (function / "Cargo.toml").exists():
            for crate, features in linked(function.name).items():
                wanted[crate].add(features)
    return {crate: sorted(frozenset.union(*sets)) for crate, sets in wanted.items() if len(sets) > 1}


def listed():
    """The lines of the manifest's dependencies, by the crate."""
    lines = MANIFEST.read_text().split(HEAD)[1].splitlines()
    pattern = re.compile(r'package = "([^"]+)", version = "([^"]+)", .*features = \[([^]]*)\]')
    found = (pattern.search(line).groups() for line in lines if line)
    return {(name, version): re.findall(r'"([^"]+)"', features) for name, version, features in found}


def write(crates):
    names = sorted(crates)
    rows = []
    for name, version in names:
        several = sum(other == name for other, _ in names) > 1
        key = f"{name}_{version.replace('.', '_')}" if several else name
        features = ", ".join(f'"{feature}"' for feature in crates[name, version])
        rows.append(f'{key} = {{ package = "{name}", version = "{version}", default-features = false, features = [{features}] }}\n')
    MANIFEST.write_text(MANIFEST.read_text().split(HEAD)[0] + HEAD + "".join(rows))


def main():
    found = differences()
    if "--write" in sys.argv:
        crates = listed()
        # What is listed may want features of others in turn.
        while found and crates != crates | found:
            crates |= found
            write(crates)
            found = differences()
    for (name, version), features in sorted(found.items()):
        print(f"{name} {version}: the functions want different features of {', '.join(features)}")
    if found:
        print("python3 .ci/features.py --write gives all functions the same")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
