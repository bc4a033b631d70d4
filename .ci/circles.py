"""Refuses circles of source files: two files of a crate that use each other can only be read together.

A file uses another one if it names an item that the other one defines, by whatever path: `pub use` is followed. A
module that declares another one does not use it by that. Crates cannot form circles: Cargo refuses them.
"""

import re
import sys
from pathlib import Path

USE = re.compile(r"(?ms)^[ \t]*(pub(?:\([^)]*\))?[ \t]+)?use[ \t]+(?:::)?([^;]*);")
PATH = re.compile(r"\b((?:crate|self|super)(?:::\w+)+)")
NAME = re.compile(r"\s*([\w*]+)\s*(::)?\s*(?:as\s+(\w+))?")


def split(text):
    """Divides what is between braces at its commas."""
    parts, depth, part = [], 0, ""
    for char in text:
        depth += {"{": 1, "}": -1}.get(char, 0)
        if char == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += char
    return [part for part in [*parts, part] if part.strip()]


def paths(tree, before=()):
    """The paths of a `use`, each with the name that it gets."""
    tree = tree.strip()
    if tree.startswith("{"):
        for part in split(tree[1:-1]):
            yield from paths(part, before)
        return
    match = NAME.match(tree)
    name = match[1]
    if match[2]:
        yield from paths(tree[match.end(2):], (*before, name))
    elif name == "self":
        yield before, match[3] or before[-1]
    else:
        yield (*before, name), match[3] or name


class Crate:
    def __init__(self, source):
        self.texts = {}
        for file in source.rglob("*.rs"):
            parts = list(file.relative_to(source).with_suffix("").parts)
            if parts[-1] in ("mod", "lib", "main"):
                parts.pop()
            text = re.sub(r"(?m)//.*$", "", file.read_text())
            # Tests may use whatever they test.
            self.texts[tuple(parts)] = re.split(r"#\[cfg\(test\)\]\s*mod tests \{", text)[0]
        self.exports = {}
        for module, text in self.texts.items():
            for public, tree in USE.findall(text):
                if public:
                    for path, name in paths(tree):
                        self.exports[(module, name)] = self.absolute(module, path)

    def absolute(self, module, path):
        """The path from the crate's root; of another crate's item, nothing."""
        path = list(path)
        if path[0] == "crate":
            return tuple(path[1:])
        base = list(module)
        if path[0] not in ("self", "super"):
            return (*base, *path) if (*base, path[0]) in self.texts else None
        while path and path[0] in ("self", "super"):
            if path.pop(0) == "super":
                base.pop()
        return (*base, *path)

    def defining(self, path):
        """The file that defines the item at this path."""
        seen = set()
        while path is not None and path not in seen:
            seen.add(path)
            module = path
            while module not in self.texts:
                module = module[:-1]
            rest = path[len(module):]
            if not rest or (module, rest[0]) not in self.exports:
                return module if rest else None
            target = self.exports[(module, rest[0])]
            path = None if target is None else (*target, *rest[1:])
        return None

    def uses(self, module):
        text = self.texts[module]
        named = [path for public, tree in USE.findall(text) if not public for path, _ in paths(tree)]
        named += [tuple(path.split("::")) for path in PATH.findall(USE.sub("", text))]
        for path in named:
            target = self.absolute(module, path)
            file = self.defining(target) if target is not None else None
            if file is not None and file != module:
                yield file

    def circles(self):
        """Groups of files that lead to each other (Tarjan's strongly connected components)."""
        graph = {module: set(self.uses(module)) for module in self.texts}
        index, low, stack, found = {}, {}, [], []

        def visit(node):
            index[node] = low[node] = len(index)
            stack.append(node)
            for other in graph[node]:
                if other not in index:
                    visit(other)
                if other in stack:
                    low[node] = min(low[node], low[other])
            if low[node] == index[node]:
                group = [stack.pop()]
                while group[-1] != node:
                    group.append(stack.pop())
                if len(group) > 1:
                    found.append((group, graph))

        for node in graph:
            if node not in index:
                visit(node)
        return found


def main():
    failed = False
    for manifest in sorted(Path().glob("**/Cargo.toml")):
        source = manifest.parent / "src"
        if "target" in manifest.parts or not source.is_dir():
            continue
        for group, graph in Crate(source).circles():
            failed = True
            print(f"{source}: these files use each other")
            for module in sorted(group):
                others = ["::".join(other) or "(root)" for other in sorted(graph[module]) if other in group]
                print(f"    {'::'.join(module) or '(root)'} uses {', '.join(others)}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
