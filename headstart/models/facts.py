"""What a model can, read from its config and the headers of its weights alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.contract import Kind
from headstart.models import catalogue, sources
from headstart.models.family import Family


@dataclass(frozen=True)
class Facts:
    """A model before its weights are read. `parameters` is None where only pickled weights are."""

    reference: str
    folder: Path
    row: Family
    config: Mapping[str, Any]
    width: int
    layers: int
    positions: int
    parameters: int | None
    weights: str

    @property
    def family(self) -> str:
        """The family's name."""
        return self.row.family

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What it can be loaded as."""
        return self.row.kinds

    @property
    def heads(self) -> tuple[str, ...]:
        """The head kinds that it can carry."""
        return self.row.heads

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of a fine-tuned model, in class order; () when there are none."""
        names = self.config.get("id2label") or {}
        return tuple(str(names[key]) for key in sorted(names, key=int))


def facts(reference: str, *, allow_pickle: bool = False) -> Facts:
    """What a model can; raises UserError (66, 69, 77) for one that cannot be had, is damaged, or is not supported."""
    folder = sources.resolve(reference, allow_pickle=allow_pickle)
    config = sources.config_of(folder, reference)
    family = catalogue.find(str(config.get("model_type", "")), reference)
    sources.check_sizes(config, family.names, reference)
    weights = sources.check_weights(folder, reference, allow_pickle=allow_pickle)
    defaults = default_config(family)
    sizes = {role: int(config.get(key, getattr(defaults, key))) for role, key in family.names.items()}
    parameters = None
    if weights == "safetensors":
        parameters = sum(math.prod(entry["shape"]) for file in sorted(folder.glob("*.safetensors"))
                         for entry in sources.header(file).values())
    return Facts(reference, folder, family, config, sizes["width"], sizes["layers"], sizes["positions"], parameters, weights)


def default_config(family: Family) -> Any:
    """The family's config with its own defaults, for keys that an old config.json leaves out."""
    from transformers import CONFIG_MAPPING

    return CONFIG_MAPPING[family.model_type]()
