"""What other installed packages add to headstart: tasks, readers, metrics and families, by entry points.

    [project.entry-points."headstart.metrics"]
    edit_distance = "my_package.scores:EDIT_DISTANCE"

Nothing is looked up before it is asked for, and packages are listed once; a package is imported when its extension is.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any, Literal

from headstart.errors import Exit, UserError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Group = Literal["tasks", "readers", "metrics", "families"]
NOUNS: dict[Group, str] = {"tasks": "task", "readers": "reader", "metrics": "metric", "families": "family"}
ENTRY_POINTS = "entry_points.txt"


@dataclass(frozen=True)
class Extension:
    """One task, reader, metric or family of another package; `package` is its name and version."""

    group: Group
    name: str
    package: str
    entry_point: EntryPoint

    @property
    def origin(self) -> str:
        """Where it comes from: "my_package.scores:EDIT_DISTANCE of the package my-package 1.0"."""
        return f"{self.entry_point.value} of the package {self.package}"

    def load(self) -> Any:
        """What the entry point names; raises UserError (69) that names the package when it cannot be imported."""
        try:
            return self.entry_point.load()
        except (Exception, SystemExit) as error:
            raise self.unusable(f"cannot be imported: {type(error).__name__}: {error}") from error

    def unusable(self, fault: str) -> UserError:
        """The error for an extension that breaks what headstart expects of it."""
        return UserError(f"The {NOUNS[self.group]} {self.name!r} ({self.origin}) {fault}.",
                         fix=f"Repair or uninstall {self.package.split()[0]}, or report it to its makers.",
                         exit=Exit.UNAVAILABLE)


@cache
def installed_entry_points() -> tuple[EntryPoint, ...]:
    """Those for headstart of all packages; where there is certainly none, importlib.metadata is left alone: it takes
    25 ms of a cold start.
    """
    if not (finds_elsewhere() or any(map(may_extend, sys.path))):
        return ()
    from importlib.metadata import entry_points

    every_entry_point = entry_points()  # of a type that Python changed in 3.12
    return tuple(entry_point for group in NOUNS
                 for entry_point in every_entry_point.select(group=f"headstart.{group}"))


def finds_elsewhere() -> bool:
    """Whether packages are found by other means than the folders of sys.path."""
    return any(hasattr(finder, "find_distributions") for finder in sys.meta_path if finder is not PathFinder)


def may_extend(place: str) -> bool:
    """Whether a package in this place of sys.path may add something: not where it is a folder whose packages name no
    group of headstart's.
    """
    try:
        packages = [name for name in os.listdir(place or os.curdir)
                    if name.lower().endswith((".dist-info", ".egg-info"))]
    except FileNotFoundError:
        return False
    except OSError:  # an archive, or what may not be listed
        return True
    return place.lower().endswith(".egg") or any(
        declares(os.path.join(place, package, ENTRY_POINTS)) for package in packages)


def declares(file: str) -> bool:
    """Whether a package's list of entry points has a group of headstart's, or cannot be read."""
    try:
        with open(file, "rb") as stream:
            return re.search(rb"\[\s*headstart\.", stream.read()) is not None
    except (FileNotFoundError, NotADirectoryError):  # it has none
        return False
    except OSError:
        return True


@cache
def extensions(group: Group) -> tuple[Extension, ...]:
    """Every extension of a group, in alphabetical order of names and packages."""
    listed_extensions = {}
    for entry_point in installed_entry_points():
        if entry_point.group != f"headstart.{group}":
            continue
        distribution = entry_point.dist
        package = "(unknown)" if distribution is None else f"{distribution.name} {distribution.version}"
        extension = Extension(group, entry_point.name, package, entry_point)
        listed_extensions[extension.name, package, entry_point.value] = extension
    return tuple(listed_extensions[key] for key in sorted(listed_extensions))


def names(group: Group) -> list[str]:
    """The names of a group's extensions, each once, in alphabetical order."""
    return list(dict.fromkeys(extension.name for extension in extensions(group)))


def find(group: Group, name: str, *, builtin: str = "") -> Extension | None:
    """The extension of this name; None when no package adds one.

    `builtin` says where headstart's own thing of this name is. Raises UserError (69) when two packages, or a package
    and headstart, have the same name: which of them is meant is not for us to guess.
    """
    matches = [extension for extension in extensions(group) if extension.name == name]
    origins = [*([f"{builtin} of headstart"] if builtin else []), *(extension.origin for extension in matches)]
    if matches and len(origins) > 1:
        packages = " or ".join(dict.fromkeys(extension.package.split()[0] for extension in matches))
        raise UserError(f"There are {len(origins)} {group} with the name {name!r}: {', and '.join(origins)}.",
                        fix=f"Uninstall {packages}, or give its {NOUNS[group]} another name.", exit=Exit.UNAVAILABLE)
    return matches[0] if matches else None
