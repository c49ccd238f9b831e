"""Whether a model folder is complete and safe, before weights are read: config, headers, sizes, checksums."""

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
from headstart.files import sha256
from headstart.models.loading.field_types import check_config
from headstart.models.loading.json_files import COPY_AGAIN, damaged, read_json
from headstart.settings.values import value_text

SAFETENSORS, SAFETENSORS_INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLE, PICKLE_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
MAX_LAYERS, MAX_WIDTH, MAX_ROWS = 1_000, 65_536, 10_000_000  # beyond these a config is damaged or malicious
MAX_LABELS = 200_000
FLOATS = ("F16", "BF16", "F32", "F64")
SMALL_ENDINGS = (".json", ".txt", ".model", ".spm", ".jinja")
BLOB_NAME = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")  # of the hub's cache
# Keys of a config that name code or another loader; other keys are filtered by the fields of the family's class.
CODE_KEYS = ("auto_map", "attn_implementation", "_attn_implementation", "_attn_implementation_internal",
              "experts_implementation", "_experts_implementation", "custom_pipelines")


def read_config(folder: Path, reference: str) -> dict[str, Any]:
    """config.json without the keys that load code; raises UserError (69) for a missing or broken one."""
    if not (folder / "config.json").exists():
        if (folder / "adapter_config.json").exists():
            raise damaged(f"{reference} is an adapter (LoRA): no model without the one that it was trained on.",
                          "Name the folder that holds it merged: model/ beside it, in a run of headstart.")
        raise damaged(f"{reference} has no config.json.",
                      "A model is a folder with config.json, model.safetensors and a tokenizer.")
    config = read_json(folder / "config.json", reference)
    check_config(config, reference)
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


def label_names(config: Mapping[str, Any], reference: str) -> dict[str, str]:
    """id2label with class ids from 0 on; transformers leaves it out where labels have no names of their own."""
    names = config.get("id2label")
    if names is None:
        count = config.get("num_labels", config.get("_num_labels", 2))
        if not isinstance(count, int) or not 0 <= count <= MAX_LABELS:
            raise damaged(f"config.json of {reference} says num_labels = {value_text(count)}; a whole number to "
                          f"{MAX_LABELS:,} was expected.")
        return {str(class_id): f"LABEL_{class_id}" for class_id in range(count)}
    if (not isinstance(names, dict) or len(names) > MAX_LABELS
        or set(map(str, names)) != set(map(str, range(len(names))))
            or not all(isinstance(name, str | int | float) for name in names.values())):
        raise damaged(f"id2label in config.json of {reference} does not name the classes 0, 1, 2 … one by one.")
    if config.get("num_labels", len(names)) != len(names):
        raise damaged(f"config.json of {reference} says num_labels = {config['num_labels']}, and names {len(names)} "
                      "classes in id2label.")
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
            raise damaged(f"{index} of {reference} names {name!r}, which is not a file of this folder.",
                          "Do not use this folder: it is damaged or malicious.")
    return [folder / name for name in sorted(set(weight_map.values()))]


def read_header(file: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The names, types ("F32") and shapes in a safetensors file; raises UserError (69) when it is cut off or damaged.
    """
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
        return {str(name): (str(entry["dtype"]), tuple(int(dimension) for dimension in entry["shape"]))
                for name, entry in entries.items()}
    except (OSError, ValueError, struct.error, KeyError, IndexError, TypeError, AttributeError, OverflowError,
            RecursionError) as error:
        raise damaged(f"{file} is damaged or cut off: {error}.", "Copy or download it again.") from None


def shapes(files: Iterable[Path]) -> dict[str, tuple[int, ...]]:
    """The names and shapes of all weights of a folder."""
    return {name: shape for file in files for name, (_, shape) in read_header(file).items()}


def other_types(files: Iterable[Path]) -> dict[str, str]:
    """The names and types of a folder's tensors that are no floating-point numbers of 16 bits or more."""
    return {name: dtype for file in files for name, (dtype, _) in read_header(file).items() if dtype not in FLOATS}


def parameter_count(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """The number of parameters of weights of these shapes."""
    return sum(math.prod(shape) for shape in shapes.values())


def check_checksums(files: Iterable[Path], expected_sums: Mapping[str, str], *, names: Mapping[Path, str] | None = None,
                    repair: str = COPY_AGAIN) -> None:
    """Refuse files that differ from their expected checksum (69): a bit may have flipped on the way.

    Checksums are SHA-256, of a package's RECORD or headstart.json, by file name; or the name of a blob in the hub's
    cache: SHA-256 of weights, Git's SHA-1 of small files. `repair` says what to do.
    """
    for file in files:
        blob = file.resolve()
        expected_sum = expected_sums.get((names or {}).get(file, file.name))
        advice = repair
        if expected_sum is None and blob.parent.name == "blobs" and BLOB_NAME.fullmatch(blob.name):
            expected_sum, advice = blob.name, f"Delete {blob} and fetch it again."
        if expected_sum is None:
            continue
        checksums = [sha256(file)] if len(expected_sum) == 64 else sha1_names(file)
        if expected_sum not in checksums:
            raise damaged(f"{file} is not the file that was saved: its SHA-{'256' if len(expected_sum) == 64 else '1'} "
                          f"is {checksums[0][:12]}…, {expected_sum[:12]}… was expected.", advice)


def sha1_names(file: Path) -> list[str]:
    """The SHA-1 of a file as Git, and so the hub's cache, names it; and the plain one, as some mirrors of the hub do.
    """
    content = file.read_bytes()
    return [hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
            for header in (b"blob %d\0" % len(content), b"")]


def check_weights_file(folder: Path, name: str, reference: str, expected_sums: Mapping[str, str], repair: str) -> None:
    """Refuse one file that is missing or differs from its checksum (69)."""
    if not (folder / name).is_file():
        raise damaged(f"{reference} lacks {name}, which was saved with it.", repair)
    check_checksums([folder / name], expected_sums, names={folder / name: name}, repair=repair)


def check_small_files(folder: Path, reference: str, expected_sums: Mapping[str, str], repair: str) -> None:
    """Refuse missing files, and small ones that differ from their checksum (69); weights are compared when they are
    read.
    """
    for name in expected_sums:
        if not (folder / name).is_file():
            raise damaged(f"{reference} lacks {name}, which was saved with it.", repair)
    names = {folder / name: name for name in expected_sums}
    blobs = [file for file in folder.iterdir() if file.is_symlink() and file.is_file()]  # of the hub's cache
    small_files = {*names, *(file for file in blobs if file.suffix in SMALL_ENDINGS)}
    check_checksums(sorted(file for file in small_files if file.suffix != ".safetensors"), expected_sums, names=names,
                    repair=repair)
