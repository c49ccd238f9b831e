"""Which names say what a thing is, and which only what was done to it: `python tests/promises/binding_names.py` prints
the share.

A binding is whatever gives a name: an assignment, a parameter, a loop, a definition, an import under another name.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

# Refused as whole names: what was done to a thing, pronouns, and adverbs do not say what the thing is.
PARTICIPLES = frozenset(
    """answered asked begun carried chosen done drawn ended filled found given held joined kept known laid left listed
    made marked met mixed moved named opened said scored seen shown spoken taken told wanted written""".split())
PRONOUNS = frozenset(
    """about afresh alike apart at both each here inside mine more near one other others ours own same several
    theirs there these thing this those what where whole why""".split())
VAGUE = frozenset("foo item_ obj out res result stuff tmp utils val x".split())
REFUSED = PARTICIPLES | PRONOUNS | VAGUE
COUNTED = REFUSED | {"data"}  # vague too, but a group of settings and a file of the run folder bear the name


def bindings(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """(name, line) of everything that a file gives a name to."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(ctx=ast.Store()):
                yield node.id, node.lineno
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr, node.lineno
            case ast.arg():
                yield node.arg, node.lineno
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node.lineno
            case ast.Import() | ast.ImportFrom():
                yield from ((alias.asname, node.lineno) for alias in node.names if alias.asname)
            case ast.ExceptHandler(name=str()):
                yield str(node.name), node.lineno


def refused_in(path: Path) -> list[tuple[str, int]]:
    """The refused names that a file binds, with their lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [(name, line) for name, line in bindings(tree) if name.lower().strip("_") in REFUSED]


def main(folder: Path) -> None:
    """Print the share of names that say too little, and how often each stands."""
    counts: Counter[str] = Counter()
    total = 0
    for path in sorted(folder.rglob("*.py")):
        bound = list(bindings(ast.parse(path.read_text(encoding="utf-8"))))
        total += len(bound)
        names = refused_in(path)
        counts.update(name for name, _ in bound if name.lower().strip("_") in COUNTED)
        if "--lines" in sys.argv:
            print(*(f"{path}:{line} {name}" for name, line in names), sep="\n")
    print(f"{counts.total():,} of {total:,} bindings ({counts.total() / max(1, total):.1%}): "
          + ", ".join(f"{name} {count}" for name, count in counts.most_common(20)))


if __name__ == "__main__":
    folders = [word for word in sys.argv[1:] if not word.startswith("--")]
    main(Path(folders[0]) if folders else Path(__file__).parents[2] / "headstart")
