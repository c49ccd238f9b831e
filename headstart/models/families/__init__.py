"""One file for each family with what is peculiar to it; the folder is the registry."""

from __future__ import annotations

import importlib
from pathlib import Path

from headstart.models.family import Family


def families() -> dict[str, Family]:
    """Every family by its model_type in config.json."""
    found = {}
    here = Path(__file__).parent
    for path in sorted([*here.glob("*.py"), *here.glob("*/row.py")]):  # a folder where the model is our own
        if path.stem != "__init__":
            name = ".".join(path.relative_to(here).with_suffix("").parts)
            family: Family = importlib.import_module(f"headstart.models.families.{name}").FAMILY
            found[family.model_type] = family
    return found
