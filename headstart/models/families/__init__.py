"""One file for each family with what is peculiar to it; the folder is the registry.

Other packages add families by entry points of the group `headstart.families`.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from headstart import extensions
from headstart.errors import UserError
from headstart.models.family import Family


def families() -> tuple[dict[str, Family], dict[str, UserError]]:
    """Every family by its model_type in config.json; and why families that other packages add cannot be used."""
    catalogue, errors = builtin_families(), {}
    for name in extensions.names("families"):
        try:
            builtin = f"headstart.models.families.{name}" if name in catalogue else ""
            extension = extensions.find("families", name, builtin=builtin)
            assert extension is not None, f"{name} is listed"
            catalogue[name] = load_extension(extension)
        except UserError as error:
            errors[name] = error
    return catalogue, errors


def load_extension(extension: extensions.Extension) -> Family:
    """The family of another package; raises UserError (69)."""
    family = extension.load()
    if not isinstance(family, Family):
        raise extension.unusable(f"is {family!r:.60}, a headstart.models.family.Family was expected")
    if family.model_type != extension.name:
        raise extension.unusable(f"calls itself {family.model_type!r}; both names must be the same")
    return family


def builtin_families() -> dict[str, Family]:
    """Every family of this folder by its model_type."""
    catalogue = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem != "__init__":
            family: Family = importlib.import_module(f"headstart.models.families.{path.stem}").FAMILY
            catalogue[family.model_type] = family
    return catalogue
