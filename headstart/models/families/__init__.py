"""One file for each family with what is peculiar to it; the folder is the registry."""

from __future__ import annotations

import importlib
from pathlib import Path

from headstart.models.family import Family


def families() -> dict[str, Family]:
    """Every family by its model_type in config.json."""
    catalogue = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem != "__init__":
            family: Family = importlib.import_module(f"headstart.models.families.{path.stem}").FAMILY
            catalogue[family.model_type] = family
    return catalogue
