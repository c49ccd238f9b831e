"""Whether a model folder is complete and safe, before weights are read: config, headers, sizes, checksums."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from headstart.errors import Exit, UserError
from headstart.files import sha256

SAFETENSORS, SAFETENSORS_INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLE, PICKLE_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
MAX_JSON_BYTES = 20_000_000  # the largest published config with labels has about 1 MB
MAX_LAYERS, MAX_WIDTH, MAX_ROWS = 1_000, 65_536, 10_000_000  # beyond these a config is damaged or malicious
MAX_LABELS = 200_000
# Keys of a config that name code or another loader; other keys are filtered by the fields of the family's class.
CODE_KEYS = ("auto_map", "attn_implementation", "_attn_implementation", "_attn_implementation_internal",
              "experts_implementation", "_experts_implementation", "custom_pipelines")
COPY_AGAIN = "Copy or download the folder again."


def damaged(message: str, fix: str = COPY_AGAIN) -> UserError:
    """A folder that cannot be used as it is (69)."""
    return UserError(message, fix=fix, exit=Exit.UNAVAILABLE)


def read_config(folder: Path, reference: str) -> dict[str, Any]:
    """config.json without the keys that load code; raises UserError (69) for a missing or broken one."""
    if not (folder / "config.json").exists():
        raise damaged(f"{reference} has no config.json.",
                      "A model is a folder with config.json, model.safetensors and a tokenizer.")
    config = read_json(folder / "config.json", reference)
    nested_configs = [value for value in config.values() if isinstance(value, dict)]  # of an encoder-decoder pair
    for part in (config, *nested_configs):
        for key in CODE_KEYS:
            part.pop(key, None)
    if config.get("quantization_config"):
        raise damaged(f"{reference} has quantized weights, which headstart does not train.",
                      "Choose the model it was made from.")
    has_decoder_class = (config.get("architectures") or [""])[0].endswith(("ForCausalLM", "LMHeadModel"))
    if (config.get("is_decoder") and not has_decoder_class) or config.get("add_cross_attention"):
        raise damaged(f"{reference} is set up as a decoder (is_decoder in config.json); this family is used as an "
                      "encoder.",
                      "Choose a checkpoint of the encoder.")
    if config.get("position_embedding_type", "absolute") not in ("absolute", None):
        raise damaged(f"{reference} has positions of the kind {config['position_embedding_type']!r}, which the library "
                      "no longer supports: its predictions would be wrong.",
                      "Choose a checkpoint with absolute positions.")
    config["id2label"] = label_names(config, reference)
    return config


def read_json(file: Path, reference: str) -> dict[str, Any]:
    """A JSON object of a model folder; raises UserError (69)."""
    try:
        if not file.is_file() or file.stat().st_size > MAX_JSON_BYTES:
            raise ValueError(f"it is no file of at most {MAX_JSON_BYTES:,} bytes")
        content = json.loads(file.read_text(encoding="utf-8"), parse_constant=refuse_constant)
        if not isinstance(content, dict):
            raise ValueError("it is no object")
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(f"{file.name} of {reference} cannot be read: {error}.") from None
    return content


def refuse_constant(constant: str) -> float:
    """NaN and Infinity are not JSON."""
    raise ValueError(f"{constant} is no number")


def label_names(config: Mapping[str, Any], reference: str) -> dict[str, str]:
    """id2label with class ids from 0 on; transformers leaves it out where labels have no names of their own."""
    names = config.get("id2label")
    if names is None:
        count = config.get("num_labels", config.get("_num_labels", 2))
        if not isinstance(count, int) or not 0 <= count <= MAX_LABELS:
            raise damaged(f"config.json of {reference} says num_labels = {count!r}; a whole number was expected.")
        return {str(class_id): f"LABEL_{class_id}" for class_id in range(count)}
    if (not isinstance(names, dict) or len(names) > MAX_LABELS
        or set(map(str, names)) != set(map(str, range(len(names))))
            or not all(isinstance(name, str | int | float) for name in names.values())):
        raise damaged(f"id2label in config.json of {reference} does not name the classes 0, 1, 2 … one by one.")
    return {str(class_id): str(names[str(class_id)]) for class_id in range(len(names))}


def value_at(config: Mapping[str, Any], key: str) -> Any:
    """The value of a key; "decoder.hidden_size" is a key of the nested config `decoder`."""
    path, _, name = key.rpartition(".")
    nested_config = config.get(path) if path else config
    return nested_config.get(name) if isinstance(nested_config, Mapping) else None


def set_keys(config: dict[str, Any], keys: Iterable[str], value: Any) -> None:
    """Set keys of a config, those of nested configs too."""
    for key in keys:
        path, _, name = key.rpartition(".")
        if path:
            config[path] = dict(config[path]) | {name: value}
        else:
            config[name] = value


def check_sizes(config: Mapping[str, Any], names: Mapping[str, str], reference: str) -> None:
    """Refuse a config whose sizes no real model has, before memory is asked for."""
    maxima = {"layers": MAX_LAYERS, "positions": MAX_ROWS}
    maxima = {names.get(role, role): maximum for role, maximum in maxima.items()} | {"vocab_size": MAX_ROWS}
    widths = (names["width"], "hidden_dim", "intermediate_size", "embedding_size", "num_attention_heads", "n_heads",
              "type_vocab_size", "local_attention")
    for key, maximum in (dict.fromkeys(widths, MAX_WIDTH) | maxima).items():
        value = value_at(config, key)
        minimum = 0 if key == "type_vocab_size" else 1
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)
                                  or not minimum <= value <= maximum):
            raise damaged(f"config.json of {reference} says {key} = {value!r}; a whole number from {minimum} to "
                          f"{maximum:,} was expected.", "The folder is damaged or not what it seems; copy it again.")


def weights_format(folder: Path, *, allow_pickle: bool) -> str | None:
    """"safetensors" or "pickle": the format of the folder's weights; None when there are none that may be read."""
    if any((folder / name).exists() for name in (SAFETENSORS, SAFETENSORS_INDEX)):
        return "safetensors"
    if allow_pickle and any((folder / name).exists() for name in (PICKLE, PICKLE_INDEX)):
        return "pickle"
    return None


def check_weights(folder: Path, reference: str, *, allow_pickle: bool) -> tuple[str, list[Path]]:
    """The format of the weights, and their files; refuses pickles without `allow_pickle` (77), missing files (69)."""
    kind = weights_format(folder, allow_pickle=allow_pickle)
    if kind is None:
        if any(list(folder.glob(pattern)) for pattern in ("pytorch_model*.bin", "*.pt", "*.ckpt")):
            raise UserError(f"{reference} has only pickled weights (pytorch_model.bin), which can contain code.",
                            fix="Pass --allow-pickle to read them by torch's weights-only reader, if you trust where "
                            "they come from.", exit=Exit.REFUSED)
        raise damaged(f"{reference} has no weights ({SAFETENSORS}).")
    name, index = (SAFETENSORS, SAFETENSORS_INDEX) if kind == "safetensors" else (PICKLE, PICKLE_INDEX)
    files = [folder / name] if (folder / name).exists() else shards(folder, index, reference)
    for file in files:
        if not file.is_file():
            raise damaged(f"{reference} lacks {file.name}, a part of its weights.")
    return kind, files


def shards(folder: Path, index: str, reference: str) -> list[Path]:
    """The files that an index names; raises UserError (69) for names that lead out of the folder."""
    weight_map = read_json(folder / index, reference).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise damaged(f"{index} of {reference} names no files.")
    for name in weight_map.values():
        if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+\.(safetensors|bin)", name):
            raise damaged(f"{index} of {reference} names {name!r}, which is no file of this folder.",
                          "Do not use this folder: it is damaged or malicious.")
    return [folder / name for name in sorted(set(weight_map.values()))]


def read_header(file: Path) -> dict[str, tuple[int, ...]]:
    """The names and shapes in a safetensors file; raises UserError (69) when it is cut off or damaged."""
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > min(size, 10**8):
                raise ValueError("its header is longer than the file")
            entries = json.loads(stream.read(length))
        entries.pop("__metadata__", None)
        data_bytes = max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
        if size != 8 + length + data_bytes:
            raise ValueError(f"it has {size:,} bytes, its header says {8 + length + data_bytes:,}")
        return {str(name): tuple(int(dimension) for dimension in entry["shape"]) for name, entry in entries.items()}
    except (OSError, ValueError, struct.error, KeyError, IndexError, TypeError, AttributeError,
            RecursionError) as error:
        raise damaged(f"{file} is damaged or cut off: {error}.", "Copy or download it again.") from None


def shapes(files: list[Path]) -> dict[str, tuple[int, ...]]:
    """The names and shapes of all weights of a folder."""
    return {name: shape for file in files for name, shape in read_header(file).items()}


def parameter_count(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """The number of parameters of weights of these shapes."""
    return sum(math.prod(shape) for shape in shapes.values())


def check_checksums(folder: Path, files: list[Path], expected_sums: Mapping[str, str]) -> None:
    """Refuse weights that differ from their expected SHA-256 (69): a bit may have flipped on the way.

    Checksums come from a package's RECORD, the hub's cache (a blob's name), and headstart.json.
    """
    for file in files:
        blob = file.resolve().name
        expected_sum = expected_sums.get(file.name) or (blob if re.fullmatch(r"[0-9a-f]{64}", blob) else None)
        if expected_sum is None:
            continue
        checksum = sha256(file)
        if checksum != expected_sum:
            raise damaged(f"{file} is damaged: its SHA-256 is {checksum[:12]}…, {expected_sum[:12]}… was expected.",
                          "Copy or download it again." if blob == file.name
                          else f"Delete {file.resolve()} and fetch it again.")


def recorded_checksums(folder: Path) -> dict[str, str]:
    """The SHA-256 of files in headstart.json; {} where there are none."""
    try:
        checksums = json.loads((folder / "headstart.json").read_text(encoding="utf-8")).get("sha256", {})
        return {str(name): str(value) for name, value in checksums.items()}
    except (OSError, ValueError, AttributeError):
        return {}
