"""Is a model folder whole, and does it mean well? Asked before weights are read: config, headers, sizes, checksums."""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from headstart.errors import Exit, UserError

SAFE, SAFE_INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLE, PICKLE_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
LONGEST_JSON = 20_000_000  # bytes; the largest published config with labels has about 1 MB
MOST_LAYERS, MOST_WIDTH, MOST_ROWS = 1_000, 65_536, 10_000_000  # beyond these a config is damaged or hostile
MOST_LABELS = 200_000
# Keys of a foreign config that name code or another loader; the rest is filtered by the family's own fields.
REACH_CODE = ("auto_map", "attn_implementation", "_attn_implementation", "_attn_implementation_internal",
              "experts_implementation", "_experts_implementation", "custom_pipelines")
AGAIN = "Copy or download the folder again."


def damaged(message: str, fix: str = AGAIN) -> UserError:
    """A folder that cannot be used as it is (69)."""
    return UserError(message, fix=fix, exit=Exit.UNAVAILABLE)


def config_of(place: Path, reference: str) -> dict[str, Any]:
    """config.json without the keys that reach a code loader; raises UserError (69) for a missing or broken one."""
    if not (place / "config.json").exists():
        raise damaged(f"{reference} has no config.json.", "A model is a folder with config.json, model.safetensors and a tokenizer.")
    held = read_json(place / "config.json", reference)
    for part in (held, *(one for one in held.values() if isinstance(one, dict))):  # a pair's configs stand in the config
        for key in REACH_CODE:
            part.pop(key, None)
    if held.get("quantization_config"):
        raise damaged(f"{reference} has quantized weights, which headstart does not train.", "Choose the model it was made from.")
    writes = (held.get("architectures") or [""])[0].endswith(("ForCausalLM", "LMHeadModel"))
    if (held.get("is_decoder") and not writes) or held.get("add_cross_attention"):
        raise damaged(f"{reference} is set up as a decoder (is_decoder in config.json); this family is used as an encoder.",
                      "Choose a checkpoint of the encoder.")
    if held.get("position_embedding_type", "absolute") not in ("absolute", None):
        raise damaged(f"{reference} has positions of the kind {held['position_embedding_type']!r}, which the library "
                      "has no more: its answers would be wrong.", "Choose a checkpoint with absolute positions.")
    held["id2label"] = label_names(held, reference)
    return held


def read_json(file: Path, reference: str) -> dict[str, Any]:
    """A JSON object of a model folder; raises UserError (69)."""
    try:
        if not file.is_file() or file.stat().st_size > LONGEST_JSON:
            raise ValueError(f"it is no file of at most {LONGEST_JSON:,} bytes")
        held = json.loads(file.read_text(encoding="utf-8"), parse_constant=no_number)
        if not isinstance(held, dict):
            raise ValueError("it is no object")
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(f"{file.name} of {reference} cannot be read: {error}.") from None
    return held


def no_number(word: str) -> float:
    """NaN and Infinity are not JSON."""
    raise ValueError(f"{word} is no number")


def label_names(config: Mapping[str, Any], reference: str) -> dict[str, str]:
    """id2label with numbers from 0 on; transformers leaves it out where labels have no names of their own."""
    held = config.get("id2label")
    if held is None:
        count = config.get("num_labels", config.get("_num_labels", 2))
        if not isinstance(count, int) or not 0 <= count <= MOST_LABELS:
            raise damaged(f"config.json of {reference} says num_labels = {count!r}; a whole number was expected.")
        return {str(number): f"LABEL_{number}" for number in range(count)}
    if (not isinstance(held, dict) or len(held) > MOST_LABELS or set(map(str, held)) != set(map(str, range(len(held))))
            or not all(isinstance(name, str | int | float) for name in held.values())):
        raise damaged(f"id2label in config.json of {reference} does not name the classes 0, 1, 2 … one by one.")
    return {str(number): str(held[str(number)]) for number in range(len(held))}


def value_at(config: Mapping[str, Any], key: str) -> Any:
    """The value of a key; "decoder.hidden_size" is one of the config's part."""
    part, _, name = key.rpartition(".")
    held = config.get(part) if part else config
    return held.get(name) if isinstance(held, Mapping) else None


def put(config: dict[str, Any], keys: Iterable[str], value: Any) -> None:
    """Set keys of a config, those of its parts too."""
    for key in keys:
        part, _, name = key.rpartition(".")
        if part:
            config[part] = dict(config[part]) | {name: value}
        else:
            config[name] = value


def check_sizes(config: Mapping[str, Any], names: Mapping[str, str], reference: str) -> None:
    """Refuse a config whose sizes no real model has, before memory is asked for."""
    bounds = {"layers": MOST_LAYERS, "positions": MOST_ROWS}
    bounds = {names.get(role, role): bound for role, bound in bounds.items()} | {"vocab_size": MOST_ROWS}
    widths = (names["width"], "hidden_dim", "intermediate_size", "embedding_size", "num_attention_heads", "n_heads",
              "type_vocab_size", "local_attention")
    for key, bound in (dict.fromkeys(widths, MOST_WIDTH) | bounds).items():
        value = value_at(config, key)
        low = 0 if key == "type_vocab_size" else 1
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not low <= value <= bound):
            raise damaged(f"config.json of {reference} says {key} = {value!r}; a whole number from {low} to {bound:,} was "
                          "expected.", "The folder is damaged or not what it seems; copy it again.")


def weights_of(place: Path, *, allow_pickle: bool) -> str | None:
    """"safetensors" or "pickle": what the folder's weights are; None when there are none that may be read."""
    if any((place / name).exists() for name in (SAFE, SAFE_INDEX)):
        return "safetensors"
    if allow_pickle and any((place / name).exists() for name in (PICKLE, PICKLE_INDEX)):
        return "pickle"
    return None


def check_weights(place: Path, reference: str, *, allow_pickle: bool) -> tuple[str, list[Path]]:
    """Which weights there are, and their files; refuses pickles unasked (77), missing files (69)."""
    found = weights_of(place, allow_pickle=allow_pickle)
    if found is None:
        if any(list(place.glob(pattern)) for pattern in ("pytorch_model*.bin", "*.pt", "*.ckpt")):
            raise UserError(f"{reference} has only pickled weights (pytorch_model.bin), which can carry code.",
                            fix="Pass --allow-pickle to read them by torch's weights-only reader, if you trust where "
                            "they come from.", exit=Exit.REFUSED)
        raise damaged(f"{reference} has no weights ({SAFE}).")
    name, index = (SAFE, SAFE_INDEX) if found == "safetensors" else (PICKLE, PICKLE_INDEX)
    files = [place / name] if (place / name).exists() else shards(place, index, reference)
    for file in files:
        if not file.is_file():
            raise damaged(f"{reference} lacks {file.name}, a part of its weights.")
    return found, files


def shards(place: Path, index: str, reference: str) -> list[Path]:
    """The files that an index names; raises UserError (69) for names that lead out of the folder."""
    held = read_json(place / index, reference).get("weight_map")
    if not isinstance(held, dict) or not held:
        raise damaged(f"{index} of {reference} names no files.")
    for name in held.values():
        if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+\.(safetensors|bin)", name):
            raise damaged(f"{index} of {reference} names {name!r}, which is no file of this folder.",
                          "Do not use this folder: it is damaged or means harm.")
    return [place / name for name in sorted(set(held.values()))]


def header(file: Path) -> dict[str, tuple[int, ...]]:
    """The names and shapes in a safetensors file; raises UserError (69) when it is cut off or damaged."""
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            if length > min(size, 10**8):
                raise ValueError("its header is longer than the file")
            held = json.loads(opened.read(length))
        held.pop("__metadata__", None)
        end = max((int(entry["data_offsets"][1]) for entry in held.values()), default=0)
        if size != 8 + length + end:
            raise ValueError(f"it has {size:,} bytes, its header tells of {8 + length + end:,}")
        return {str(name): tuple(int(side) for side in entry["shape"]) for name, entry in held.items()}
    except (OSError, ValueError, struct.error, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(f"{file} is damaged or cut off: {error}.", "Copy or download it again.") from None


def shapes(files: list[Path]) -> dict[str, tuple[int, ...]]:
    """The names and shapes of all weights of a folder."""
    return {name: shape for file in files for name, shape in header(file).items()}


def parameters(held: Mapping[str, tuple[int, ...]]) -> int:
    """How many numbers the weights hold."""
    return sum(math.prod(shape) for shape in held.values())


def check_sums(place: Path, files: list[Path], expected: Mapping[str, str]) -> None:
    """Refuse weights that differ from the SHA-256 that is known of them (69): a bit that flipped on the way.

    Known are those that a package lists, the hub's cache (a blob's name), and headstart.json.
    """
    for file in files:
        blob = file.resolve().name
        wanted = expected.get(file.name) or (blob if re.fullmatch(r"[0-9a-f]{64}", blob) else None)
        if wanted is None:
            continue
        with file.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
        if found != wanted:
            raise damaged(f"{file} is damaged: its SHA-256 is {found[:12]}…, {wanted[:12]}… was expected.",
                          "Copy or download it again." if blob == file.name else f"Delete {file.resolve()} and fetch it again.")


def own_sums(place: Path) -> dict[str, str]:
    """The SHA-256 of files that headstart.json tells; {} where it does not."""
    try:
        held = json.loads((place / "headstart.json").read_text(encoding="utf-8")).get("sha256", {})
        return {str(name): str(value) for name, value in held.items()}
    except (OSError, ValueError, AttributeError):
        return {}
