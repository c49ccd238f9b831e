"""A known dataset's files as its several publishers lay them out: GLUE's own zips, Kaggle's, exports of the hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.data.table import open_table
from headstart.errors import Exit, UserError, first_names
from headstart.settings import Data

PACKED = ("", ".zip", ".gz")
ENDINGS = ("tsv", "csv", "jsonl", "parquet", "json")
DEV_NAMES = ("dev", "validation", "val", "dev_matched", "validation_matched", "matched_validation")


@dataclass(frozen=True)
class Layout:
    """Files by split, where each may have one of several names, and the columns that they have."""

    files: Mapping[str, Sequence[str]]
    columns: Mapping[str, str] = field(default_factory=dict)
    header: bool = True


@dataclass(frozen=True)
class FoundDataset:
    """A dataset in a folder: its files, its columns, and in words what differs from how its maker publishes it."""

    files: Mapping[str, Path]
    columns: Mapping[str, str]
    settings: Mapping[str, Any]
    note: str = ""


def pair_columns(text: str, pair: str, target: str) -> dict[str, str]:
    """The columns of a pair of texts."""
    return {"text": text, "pair": pair, target.split("=")[0]: target.split("=")[-1]}


PAIRS = tuple(pair_columns(text, pair, "label") for text, pair in (
    ("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"), ("question", "sentence")))
LAYOUTS: Mapping[str, tuple[Layout, ...]] = {  # beside what the preset itself says
    "glue/mrpc": (Layout({"train": ("msr_paraphrase_train.txt",), "test": ("msr_paraphrase_test.txt",)},
                         {"text": "#1 String", "pair": "#2 String", "label": "Quality"}),),
    "glue/qqp": (Layout({"train": ("quora_duplicate_questions.tsv",)},
                        {"text": "question1", "pair": "question2", "label": "is_duplicate"}),),
}
EXPORTED_COLUMNS: Mapping[str, tuple[Mapping[str, str], ...]] = {  # of files called train and validation
    "glue/cola": ({"text": "sentence", "label": "label"},), "glue/sst-2": ({"text": "sentence", "label": "label"},),
    "glue/sts-b": (pair_columns("sentence1", "sentence2", "target=label"),),
    "jigsaw": (), "jigsaw/rarest": (), "hans": PAIRS[:2],
    **{f"glue/{name}": PAIRS for name in ("mrpc", "qqp", "mnli", "qnli", "rte", "wnli")}}


def find_dataset(name: str, folder: Path, files: Mapping[str, str], columns: Mapping[str, str],
                 settings: Mapping[str, Any]) -> FoundDataset:
    """The dataset's files below a folder: as the preset names them, else in another of its layouts.

    Raises UserError (66) where there is none, with what the folder holds.
    """
    if folder.is_file():
        raise UserError(f"{name} is a folder of files, and {folder} is one file.",
                        fix="Unpack it, and name the folder." if folder.suffix == ".zip" else
                        "Name the folder that it is in.", exit=Exit.NO_INPUT)
    own_files = {split: find_file(folder, [file]) for split, file in files.items()}
    if all(own_files.values()):
        return FoundDataset({split: path for split, path in own_files.items() if path is not None}, columns, settings)
    exported = [Layout({"train": with_endings(("train",)), "dev": with_endings(DEV_NAMES)}, names)
                for names in (columns, *EXPORTED_COLUMNS.get(name, ()))]
    for layout in (*LAYOUTS.get(name, ()), *(exported if name in EXPORTED_COLUMNS else ())):
        paths = {split: find_file(folder, names) for split, names in layout.files.items()}
        if (train := paths.get("train")) is not None and has_columns(train, layout.columns):
            found_files = {split: path for split, path in paths.items() if path is not None}
            column_text = ", ".join(f"{field_name} = {column}" for field_name, column in layout.columns.items())
            dev = "" if "dev" in found_files else "; there is no dev file, so dev rows are split off"
            return FoundDataset(found_files, layout.columns,
                                {key: value for key, value in settings.items() if key != "data.header"},
                                f"{name} in another layout: {train.name}, {column_text}{dev}")
    missing = next(split for split, path in own_files.items() if path is None)
    raise UserError(f"{name} needs {folder / files[missing]}, which is not there{listing(folder)}.",
                    fix="Name the folder as it was unpacked.", exit=Exit.NO_INPUT)


def with_endings(names: Sequence[str]) -> tuple[str, ...]:
    """Each name with each ending of a table."""
    return tuple(f"{name}.{ending}" for name in names for ending in ENDINGS)


def find_file(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of these files in a folder or in a folder in it, packed by itself or not; nearest to the top."""
    if not folder.is_dir():
        return None
    for name in names:
        for packed in PACKED:
            paths = sorted(folder.rglob(name + packed), key=lambda path: (len(path.parts), str(path)))
            if paths:
                return paths[0]
    return None


def has_columns(path: Path, columns: Mapping[str, str]) -> bool:
    """Whether a file has all of these columns; one that cannot be read has none, and is told where it is read."""
    try:
        present = set(open_table(str(path), Data()).columns)
    except UserError:
        return False
    return bool(columns) and all(column in present for names in columns.values() for column in names.split(","))


def listing(folder: Path) -> str:
    """What a folder holds, in words."""
    if not folder.is_dir():
        return ""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())[:200]
    return f"; it holds {first_names(names, 8)}" if names else "; it is empty"
