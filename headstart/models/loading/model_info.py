"""What a model can, read from its config and the headers of its weights alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.contract import Kind
from headstart.models.family import Family
from headstart.models.loading import catalogue, integrity, sources


@dataclass(frozen=True)
class Facts:
    """A model before its weights are read. `parameters` and `shapes` are not known of pickled weights."""

    reference: str
    folder: Path
    row: Family
    config: Mapping[str, Any]
    width: int
    layers: int
    positions: int
    parameters: int | None
    weights: str
    files: tuple[Path, ...]
    shapes: Mapping[str, tuple[int, ...]] = field(repr=False)
    sums: Mapping[str, str] = field(repr=False)
    licence: str | None = None

    @property
    def family(self) -> str:
        """The family's name."""
        return self.row.family

    @property
    def unnamed(self) -> str | None:
        """The family's model_type where config.json does not tell it."""
        return None if self.config.get("model_type") else self.row.model_type

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What it can be loaded as."""
        return self.row.kinds

    @property
    def heads(self) -> tuple[str, ...]:
        """The head kinds that it can carry."""
        return tuple(self.row.heads)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of its classes in their order; LABEL_0, LABEL_1 … where nobody named them."""
        return tuple(self.config["id2label"].values())


def facts(reference: str, *, allow_pickle: bool = False) -> Facts:
    """What a model can; raises UserError (66, 69, 77) for one that cannot be had, is damaged, or is not supported."""
    source = sources.resolve(reference, allow_pickle=allow_pickle)
    folder = source.folder
    config = integrity.config_of(folder, reference)
    family = catalogue.family_of(config, reference)
    integrity.check_sizes(config, family.names, reference)
    weights, files = integrity.check_weights(folder, reference, allow_pickle=allow_pickle)
    shapes = integrity.shapes(files) if weights == "safetensors" else {}
    sizes = sizes_of(config, family)
    return Facts(reference, folder, family, config, sizes["width"], sizes["layers"], sizes.get("positions", family.longest),
                 integrity.parameters(shapes) if shapes else None, weights, tuple(files), shapes, source.sums,
                 licence(folder))


def licence(folder: Path) -> str | None:
    """The licence that the model card's header names; None where it names none."""
    try:
        with (folder / "README.md").open(encoding="utf-8", errors="replace") as opened:
            head = opened.read(4000)
    except OSError:
        return None
    found = re.search(r"\A---\n(?:.*\n)*?license:\s*([\w.+-]+)", head)
    return found.group(1) if found else None


def sizes_of(config: Mapping[str, Any], family: Family) -> dict[str, int]:
    """Width, layers and positions as a config tells them, else as the family has them by itself."""
    found = {role: integrity.value_at(config, key) for role, key in family.names.items()}
    defaults = None if all(found.values()) else default_config(family)
    return {role: int(found[role] or inner_value(defaults, key)) for role, key in family.names.items()}


def inner_value(config: Any, path: str) -> Any:
    """An attribute of a config, or of its part."""
    for name in path.split("."):
        config = getattr(config, name)
    return config


def default_config(family: Family) -> Any:
    """The family's config with its own defaults, for keys that an old config.json leaves out."""
    from transformers import CONFIG_MAPPING

    return CONFIG_MAPPING[family.model_type]()
