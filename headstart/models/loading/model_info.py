"""Family, sizes and files of a model, read from its config and the headers of its weights alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from headstart.contract import Kind
from headstart.errors import UserError
from headstart.models.family import Family
from headstart.models.loading import catalogue, integrity, manifest, sources
from headstart.models.loading.field_types import check_other_files
from headstart.models.loading.json_files import COPY_AGAIN
from headstart.models.loading.links import check_links


@dataclass(frozen=True)
class ModelInfo:
    """A model before its weights are read. `parameters` and `shapes` are empty for pickled weights.

    `layers` and `positions` are counts; `weights` is "safetensors", "pickle" or "none"; `checksums` are SHA-256 by file
    name.
    """

    reference: str
    folder: Path
    family: Family
    config: Mapping[str, Any]
    width: int
    layers: int
    positions: int
    parameters: int | None
    weights: str
    files: tuple[Path, ...]
    shapes: Mapping[str, tuple[int, ...]] = field(repr=False)
    checksums: Mapping[str, str] = field(repr=False)
    licence: str | None = None
    repair: str = COPY_AGAIN  # what to do where a file differs from its checksum
    tokenizer_record: Mapping[str, Any] = field(default_factory=dict, repr=False)  # of headstart.json: texts with ids

    @property
    def family_name(self) -> str:
        """The family's name."""
        return self.family.name

    @property
    def assumed_model_type(self) -> str | None:
        """The family's model_type where config.json lacks it."""
        return None if self.config.get("model_type") else self.family.model_type

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that it loads as: encoder, decoder, encoder-decoder."""
        return self.family.kinds

    @property
    def heads(self) -> tuple[str, ...]:
        """The head kinds that it can have."""
        return tuple(self.family.heads)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of its classes in their order; LABEL_0, LABEL_1 … where they have no names."""
        return tuple(self.config["id2label"].values())


def model_info(reference: str, *, allow_pickle: bool = False) -> ModelInfo:
    """The info of a model; raises UserError (66, 69, 77) for one that is not available, damaged, or not supported."""
    source = sources.resolve(reference, allow_pickle=allow_pickle)
    folder = source.folder
    if source.metadata is not None and "runtime" in source.metadata:
        integrity.check_small_files(folder, reference, source.checksums, source.repair)  # is the file gone?
        raise export_refusal(reference, "the weights themselves")
    if not reference.startswith("pip:"):  # a package's files have hashes, and some installers link them
        check_links(folder, reference)
    integrity.check_small_files(folder, reference, source.checksums, source.repair)
    config = integrity.read_config(folder, reference)
    if manifest.MARK in config and source.metadata is None:
        raise manifest.missing_metadata(folder, reference)
    check_other_files(folder, reference)
    family = catalogue.family_of(config, reference)
    integrity.check_sizes(config, family.size_keys, reference)
    weights, files = integrity.check_weights(folder, reference, allow_pickle=allow_pickle)
    shapes = integrity.shapes(files) if weights == "safetensors" else {}
    return ModelInfo(reference, folder, family, config, **sizes_of(config, family),
                     parameters=integrity.parameter_count(shapes) if shapes else None, weights=weights,
                     files=tuple(files), shapes=shapes, checksums=source.checksums, licence=licence(folder),
                     repair=source.repair, tokenizer_record=(source.metadata or {}).get("tokenizer", {}))


def export_refusal(reference: str, needed: str) -> UserError:
    """An exported model has neither weights nor layers of its own: why it cannot do what needs them."""
    return UserError(f"{reference} is a model exported to ONNX: it predicts, and is evaluated and served; this needs "
                     f"{needed}.", fix="Use the run that it was exported from.")


def licence(folder: Path) -> str | None:
    """The licence in the model card's front matter; None where there is none."""
    try:
        with (folder / "README.md").open(encoding="utf-8", errors="replace") as card:
            front_matter = card.read(4000)
    except OSError:
        return None
    match = re.search(r"\A---\n(?:.*\n)*?license:\s*([\w.+-]+)", front_matter)
    return match.group(1) if match else None


class Sizes(TypedDict):
    """The sizes of a model as `ModelInfo` has them."""

    width: int
    layers: int
    positions: int


def sizes_of(config: Mapping[str, Any], family: Family) -> Sizes:
    """Width, layers and positions of a config, else of the family's default config."""
    values = {role: integrity.value_at(config, key) for role, key in family.size_keys.items()}
    default = None if all(values.values()) else default_config(family)
    sizes = {role: int(values[role] or nested_attribute(default, key)) for role, key in family.size_keys.items()}
    return Sizes(width=sizes["width"], layers=sizes["layers"], positions=sizes.get("positions", family.max_length))


def nested_attribute(config: Any, path: str) -> Any:
    """An attribute of a config, or of a nested config."""
    for name in path.split("."):
        config = getattr(config, name)
    return config


def default_config(family: Family) -> Any:
    """The family's config with its own defaults, for keys that an old config.json leaves out."""
    from transformers import CONFIG_MAPPING

    return CONFIG_MAPPING[family.model_type]()
