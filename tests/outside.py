"""Packages of somebody else, as an installer would leave them: modules, and a dist-info folder with entry points.

    package = outside.Package(tmp_path / "site", "reviews-tools", {"reviews_tools.py": source},
                              {"headstart.metrics": {"kappa": "reviews_tools:KAPPA"}})
    package.run(["headstart", "tasks"], cwd=tmp_path)
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


class Package:
    """A package in a folder that stands on the path of a process of its own; no installer, no network."""

    def __init__(self, site: Path, name: str, modules: Mapping[str, str],
                 entry_points: Mapping[str, Mapping[str, str]], version: str = "1.0") -> None:
        self.site = site
        metadata = site / f"{name.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
                                           encoding="utf-8")
        lines = [line for group, values in entry_points.items()
                 for line in (f"[{group}]", *(f"{key} = {value}" for key, value in values.items()))]
        (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        for path, source in modules.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_text(source, encoding="utf-8")

    def run(self, command: Sequence[Any], cwd: Path) -> subprocess.CompletedProcess[str]:
        """A command in a process that sees this package; "headstart" is the one of this checkout."""
        words = [str(word) for word in command]
        if words[0] == "headstart":
            words = [sys.executable, "-m", *words]
        elif words[0] == "python":
            words = [sys.executable, *words[1:]]
        path = os.pathsep.join([str(self.site), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        return subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False,
                              env=os.environ | {"PYTHONPATH": path, "COLUMNS": "200"})


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.S)


def package_of_page(page: Path, site: Path) -> Package:
    """The package that a page tells its reader to write: each module under the name in its first line, and the entry
    points of its pyproject.toml.
    """
    project = tomllib.loads(blocks(page, "toml")[0])["project"]
    modules = {match[1]: source for source in blocks(page, "python") if (match := re.match(r"# (\S+\.py)\n", source))}
    return Package(site, project["name"], modules, project["entry-points"], project["version"])


def sessions(page: Path) -> list[tuple[str, str]]:
    """(command, what it prints) of every `$ command` in the page's console blocks."""
    pairs = []
    for block in blocks(page, "console"):
        for session in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = session.partition("\n")
            pairs.append((command, output))
    return pairs


def prints(expected: str, output: str) -> bool:
    """Whether an output is what a page says, where "…" stands for anything."""
    pattern = ".*?".join(re.escape(part) for part in expected.strip().split("…"))
    return re.fullmatch(pattern, output.strip(), re.S) is not None
