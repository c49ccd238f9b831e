"""Which files of a model leave this machine: those that it is loaded from, and its card; no rows of anybody's.

headstart.json keeps a few dev rows (golden examples, and the same texts with their token ids): they stay here, unless
they are asked for.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.artifacts.metadata import model_folder
from headstart.data.readers.source_file import SUFFIXES
from headstart.errors import Exit, UserError
from headstart.models.loading import manifest
from headstart.models.loading.json_files import COPY_AGAIN
from headstart.models.loading.sources import Source, folder_source, is_model_file, resolve
from headstart.models.tokenizers.token_record import PROBE_TEXTS
from headstart.runs.folder import RunFolder

CARD = "README.md"
WEIGHTS = (".safetensors", ".onnx")
# Endings that are rows wherever they stand; a vocabulary is a .txt or .json too.
ROW_SUFFIXES = frozenset(SUFFIXES) - {"txt", "json"}


@dataclass(frozen=True)
class Shipment:
    """Files of a model by the name that they get there: paths, and texts that are written anew."""

    folder: Path
    paths: Mapping[str, Path]
    texts: Mapping[str, str]
    left_out: tuple[str, ...]  # names of files beside the model that stay here
    golden_rows: int  # dev rows that headstart.json keeps here

    @property
    def names(self) -> frozenset[str]:
        """The name that each file gets there."""
        return frozenset((*self.paths, *self.texts))

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return (sum(path.stat().st_size for path in self.paths.values())
                + sum(len(text.encode()) for text in self.texts.values()))

    def summary(self, *, with_examples: bool = False) -> list[str]:
        """What goes and what stays, in sentences."""
        lines = [f"{len(self.names)} files of {self.folder}, {self.size_bytes / 1e6:,.1f} MB"]
        if self.golden_rows and with_examples:
            lines.append(f"{self.golden_rows} dev rows of headstart.json go along")
        elif self.golden_rows:
            lines.append(f"{self.golden_rows} dev rows of headstart.json stay here, and their texts")
        if self.left_out:
            count_note = f" and {len(self.left_out) - 5} more" if self.left_out[5:] else ""
            lines.append(f"left out, as no model needs it: {', '.join(self.left_out[:5])}{count_note}")
        return lines


def finished_model(reference: str) -> str:
    """The model folder of a finished run, or the reference as it is; raises UserError (66)."""
    folder = model_folder(reference)
    if folder != reference and not RunFolder(Path(reference)).is_finished:
        raise UserError(f"{reference} is a run that is not finished: its scores and report are still to be written.",
                        fix=f"Finish it: headstart resume {reference}", exit=Exit.NO_INPUT)
    return folder


def shipment_of(reference: str, *, with_examples: bool = False, only_own: bool = False) -> Shipment:
    """What leaves of a run or model folder (with `only_own` of one that headstart saved), else of a model by its name.

    Raises UserError: 66 for what is no finished model, 69 for a damaged one, 77 for rows among its files.
    """
    source = source_of(finished_model(reference), reference, only_own=only_own)
    folder = source.folder
    if not (folder / "config.json").is_file():
        raise UserError(f"{reference} is not a model: it has no config.json.", fix="Name a run, or a model's folder.",
                        exit=Exit.NO_INPUT)
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    if not any(name.endswith(WEIGHTS) for name in files):
        raise UserError(f"{reference} has no weights in safetensors, which hold no code.",
                        fix="Load it and save it again: headstart.load(…).save(FOLDER)", exit=Exit.UNAVAILABLE)
    if source.metadata is None:
        paths = {name: path for name, path in files.items() if is_model_file(path.name)}
        refuse_rows(paths, reference)
        return Shipment(folder, paths, {}, other_names(files, paths), 0)
    recorded = source.metadata["sha256"]
    if changed := manifest.differences(folder, recorded):
        name, reason = next(iter(changed.items()))
        raise UserError(f"{reference} is not as it was saved: {name} is {reason}.",
                        fix=manifest.accept_hint(reference, source.metadata) if reason == "changed" else COPY_AGAIN,
                        exit=Exit.UNAVAILABLE)
    refuse_rows(files, reference)
    paths = {name: files[name] for name in [*recorded, CARD] if name in files}
    golden_rows = len(source.metadata.get("golden", ()))
    metadata = source.metadata if with_examples else without_rows(source.metadata)
    texts = {manifest.METADATA_FILE: manifest.text_of(metadata)}
    return Shipment(folder, paths, texts, other_names(files, {*paths, *texts}), golden_rows)


def source_of(folder: str, reference: str, *, only_own: bool) -> Source:
    """The folder of a model; raises UserError (66) for one that must be ours and is not."""
    if not only_own:
        return folder_source(Path(folder)) if Path(folder).is_dir() else resolve(folder)
    if not Path(folder).is_dir():
        raise UserError(f"There is no folder {reference}.", fix="Name a run, or the model folder of one.",
                        exit=Exit.NO_INPUT)
    source = folder_source(Path(folder))
    if source.metadata is None:
        raise UserError(f"{reference} is not a model that headstart saved: it has no {manifest.METADATA_FILE}.",
                        fix="Name a run, or the model folder of one.", exit=Exit.NO_INPUT)
    return source


def other_names(files: Mapping[str, Path], shipped: Collection[str]) -> tuple[str, ...]:
    """Names of the files that stay; what the system keeps beside is not worth a word."""
    return tuple(name for name in files if name not in shipped and not Path(name).name.startswith("."))


def refuse_rows(files: Mapping[str, Path], reference: str) -> None:
    """Refuse a folder that holds files of rows; raises UserError (77)."""
    for name, path in files.items():
        endings = {ending.lower().removeprefix(".") for ending in path.suffixes}  # rows.csv.gz, too
        if endings & ROW_SUFFIXES or (path.suffix == ".json" and holds_rows(path)):
            raise UserError(f"{reference} holds rows: {name}. No data leaves with a model.",
                            fix=f"Move {name} out of the folder.", exit=Exit.REFUSED)


def holds_rows(path: Path) -> bool:
    """Whether a JSON file is a list of objects, as files of rows are and a model's are not."""
    if path.name == "modules.json":  # of sentence-transformers: a list of layers
        return False
    with path.open("rb") as file:
        if not file.read(64).lstrip().startswith(b"["):
            return False
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return isinstance(content, list) and any(isinstance(entry, dict) for entry in content)


def without_rows(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """headstart.json without anybody's texts: no golden rows, and of recorded texts those that every model has."""
    record = metadata["tokenizer"]
    texts = [entry for entry in record.get("texts", ()) if entry["text"] in PROBE_TEXTS]
    return {name: value for name, value in metadata.items() if name not in ("golden", manifest.SEAL)} | {
        "tokenizer": {**record, "texts": texts} if record else record}
