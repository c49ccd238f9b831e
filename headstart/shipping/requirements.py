"""What a model needs to run elsewhere: the packages that are installed here, with their exact versions."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable, Iterator, Mapping

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from headstart.errors import Exit, UserError

# torch itself names the exact libraries of its GPU build, which a machine without a GPU has not.
OF_TORCH = re.compile(r"(nvidia|cuda|triton|cusparselt|nvshmem)")


def pins(extras: Iterable[str], roots: Iterable[str] = ()) -> dict[str, str]:
    """{"numpy": "numpy==2.4.6"}: everything that headstart with these extras, and these packages, stand on, on Linux.

    Versions are those that are installed here, without a build's suffix ("+cpu"). What Linux alone needs and is not
    here has the bounds of who needs it. Raises UserError (69) for a package of an extra that is not installed.
    """
    lines: dict[str, str] = {}
    waiting = [("headstart", frozenset(extras)), *((root, frozenset[str]()) for root in roots)]
    visited: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, chosen_extras = waiting.pop()
        if (name, chosen_extras) in visited:
            continue
        visited.add((name, chosen_extras))
        for requirement in requirements_of(name, chosen_extras):
            needed = canonicalize_name(requirement.name)
            if name == "torch" and OF_TORCH.match(needed):
                continue
            version = installed_version(needed)
            if version is None and name == "headstart":
                raise UserError(f"{requirement.name} is not installed here; the package of a model needs it.",
                                fix=f"pip install '{requirement.name}'", exit=Exit.UNAVAILABLE)
            lines[needed] = f"{needed}=={version}" if version else f"{needed}{requirement.specifier}"
            if version:
                waiting.append((needed, frozenset(requirement.extras)))
    for root in roots:
        lines[canonicalize_name(root)] = f"{canonicalize_name(root)}=={installed_version(root)}"
    return dict(sorted(lines.items()))


def requirements_of(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    """What a package asks for on Linux, with some of its extras; raises UserError (69) where it is not installed."""
    try:
        texts = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        raise UserError(f"{name} is not installed as a package here: its requirements are not known.",
                        fix="pip install -e . in its folder", exit=Exit.UNAVAILABLE) from None
    for requirement in map(Requirement, texts):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({**environment(), "extra": extra}) for extra in ("", *extras)):
            yield requirement


def environment() -> Mapping[str, str]:
    """This Python, on Linux, as markers of requirements ask for it."""
    variables = {name: str(value) for name, value in default_environment().items()}
    return variables | {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}


def installed_version(name: str) -> str | None:
    """The version that is installed, without a build's suffix; None where it is not."""
    try:
        return importlib.metadata.version(name).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None


def package_of(module: str) -> str | None:
    """The package that brings a module, for a task of another package; None for one of headstart."""
    top = module.partition(".")[0]
    return None if top == "headstart" else next(iter(importlib.metadata.packages_distributions().get(top, ())), None)
