"""Folders that hold a dataset as `datasets` saves it, as a repository of the hub lays it out, or in numbered files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.data.readers import repository_card
from headstart.errors import Exit, UserError, first_names

SPLIT_NAMES = {"train": "train", "training": "train", "dev": "dev", "valid": "dev", "validation": "dev", "val": "dev",
               "eval": "dev", "test": "test", "testing": "test"}
MAX_DESCRIPTION = 2**24  # bytes of a folder's description
NUMBERED = re.compile(r"(?P<name>.+?)[-_.](?P<number>\d{1,6})[-_]of[-_](?P<count>\d{1,6})(?=\.)")


@dataclass(frozen=True)
class DatasetFolder:
    """A dataset in a folder: how it is laid out, in words, and the files of each split in their order."""

    layout: str
    splits: Mapping[str, tuple[Path, ...]]
    features: Mapping[str, Any] = field(default_factory=dict)  # what its description says of the columns
    left_out: tuple[str, ...] = ()  # splits that are none of train, dev and test

    def words(self) -> str:
        """The layout and the splits, in one line."""
        left_out = f"; not used: {', '.join(self.left_out)}" if self.left_out else ""
        return f"{self.layout} (splits: {', '.join(self.splits)}{left_out})"


def find_layout(folder: Path, endings: Iterable[str], config: str = "") -> DatasetFolder | None:
    """The dataset in a folder; None where it is laid out in no way that is known here. `endings` are those of files of
    rows, `config` is the one of several data sets of a repository that was named.

    Raises UserError (66) for a layout that is broken, or holds several data sets.
    """
    if (folder / "dataset_dict.json").is_file():
        return saved_splits(folder)
    if (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file():
        return DatasetFolder("saved by datasets", {"train": saved_files(folder)}, saved_features(folder))
    card = repository_card.read(folder)
    files = {name: tuple(checked_inside(folder, path) for path in paths)
             for name, paths in repository_card.split_files(folder, card, config, endings).items()}
    layout = f"a repository of the hub{f' ({config})' if config else ''}"
    if not files:
        files, layout = numbered_files(folder, endings), "numbered files"
    if not files:
        return None
    return with_split_names(folder, layout, files, repository_card.features(card, config))


def with_split_names(folder: Path, layout: str, files: Mapping[str, tuple[Path, ...]],
                     features: Mapping[str, Any]) -> DatasetFolder:
    """A dataset whose splits have headstart's names; raises UserError (66) without training rows where there are
    several.
    """
    splits = {split_name(name) or "": paths for name, paths in files.items()}
    left_out = tuple(name for name in files if split_name(name) is None)
    splits.pop("", None)
    if len(splits) + len(left_out) < len(files):
        raise UserError(f"{folder}: two of its splits are the same: {', '.join(files)}.",
                        fix="Keep one, or name the files one by one.", exit=Exit.NO_INPUT)
    if not splits and len(files) == 1:
        return DatasetFolder(layout, {"train": next(iter(files.values()))}, features)
    if not splits:
        raise UserError(f"{folder} is {layout}, with the splits {', '.join(files)}; none is train, dev or test.",
                        fix="Name the file of one.", exit=Exit.NO_INPUT)
    return DatasetFolder(layout, splits, features, left_out)


def saved_splits(folder: Path) -> DatasetFolder:
    """A folder of `DatasetDict.save_to_disk`; raises UserError (66)."""
    names = read_description(folder / "dataset_dict.json").get("splits")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise broken(folder, "dataset_dict.json names no splits")
    files = {name: saved_files(checked_inside(folder, folder / name)) for name in names}
    return with_split_names(folder, "saved by datasets", files, saved_features(folder / names[0]))


def saved_files(folder: Path) -> tuple[Path, ...]:
    """The files of `Dataset.save_to_disk` in their order; raises UserError (66) where one is missing."""
    if not folder.is_dir():
        raise broken(folder, "there is no such folder")
    state = read_description(folder / "state.json")
    entries = state.get("_data_files")
    names = [entry.get("filename") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    if not names or not all(isinstance(name, str) for name in names):
        raise broken(folder, "state.json names no files")
    if state.get("_indices_data_files"):
        raise broken(folder, "its rows are picked out by a file of numbers, as versions before 2.0 wrote")
    paths = tuple(checked_inside(folder, folder / str(name)) for name in names)
    for path in paths:
        if not path.is_file():
            raise broken(folder, f"{path.name} is missing ({len(paths)} files are named in state.json)")
    return paths


def saved_features(folder: Path) -> Mapping[str, Any]:
    """What dataset_info.json says of the columns; {} where there is none."""
    path = folder / "dataset_info.json"
    features = read_description(path).get("features") if path.is_file() else None
    return features if isinstance(features, dict) else {}


def read_description(path: Path) -> dict[str, Any]:
    """A JSON object of a saved dataset; raises UserError (66)."""
    try:
        if path.stat().st_size > MAX_DESCRIPTION:
            raise broken(path.parent, f"{path.name} has more than {MAX_DESCRIPTION:,} bytes")
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise broken(path.parent, f"{path.name} cannot be read ({str(error).splitlines()[0]})") from None
    if not isinstance(description, dict):
        raise broken(path.parent, f"{path.name} is not an object")
    return description


def broken(folder: Path, reason: str) -> UserError:
    """The error for a folder that is laid out as a dataset and lacks something."""
    return UserError(f"{folder} is laid out as a saved dataset, but {reason}.",
                     fix="Copy or save it again (dataset.save_to_disk), or name a file in it.", exit=Exit.NO_INPUT)


def checked_inside(folder: Path, path: Path) -> Path:
    """A path that stays in its folder; raises UserError (66) for one that leads out of it."""
    try:
        path.resolve().relative_to(folder.resolve())
    except (ValueError, OSError, RuntimeError):
        raise UserError(f"{path} leads out of {folder} (by a link, or by its name); it is not read.",
                        fix="Copy the files themselves into the folder.", exit=Exit.NO_INPUT) from None
    return path


def numbered_files(folder: Path, endings: Iterable[str]) -> dict[str, tuple[Path, ...]]:
    """The files of each split that are numbered (train-00000-of-00002.parquet), in the folder or in its data/; {} for
    none. Files without a number beside them count as whole splits. Raises UserError (66) where a number is missing.
    """
    known_endings = set(endings)
    for place in (folder, folder / "data"):
        paths = sorted(path for path in place.iterdir() if path.is_file() and not path.name.startswith(".")
                       and set(path.name.split(".")[1:]) & known_endings) if place.is_dir() else []
        if place != folder or any(NUMBERED.match(path.name) for path in paths):
            splits: dict[str, list[Path]] = {}
            for path in paths:
                match = NUMBERED.match(path.name)
                name = match["name"] if match else path.name.split(".")[0]
                splits.setdefault(name, []).append(checked_inside(folder, path))
            if splits and (any(map(NUMBERED.match, (path.name for path in paths))) or any(map(split_name, splits))):
                return {name: whole_split(folder, name, files) for name, files in splits.items()}
    return {}


def whole_split(folder: Path, name: str, paths: list[Path]) -> tuple[Path, ...]:
    """The files of a split by their numbers; raises UserError (66) where one is missing or twice there."""
    matches = [NUMBERED.match(path.name) for path in paths]
    numbers = [(int(match["number"]), int(match["count"])) for match in matches if match is not None]
    counts = {count for _, count in numbers}
    is_whole = (len(paths) == 1 and not numbers) or (
        len(numbers) == len(paths) and len(counts) == 1
        and sorted(number for number, _ in numbers) in ([*range(len(paths))], [*range(1, len(paths) + 1)])
        and counts == {len(paths)})
    if not is_whole:
        listing = first_names([path.name for path in paths], 6)
        raise UserError(f"{folder}: the files of {name} are not one numbered set: {listing}.",
                        fix="Copy the missing ones, or take away what does not belong to them.", exit=Exit.NO_INPUT)
    return tuple(path for _, path in sorted(zip(numbers, paths, strict=True))) if numbers else tuple(paths)


def split_name(name: str) -> str | None:
    """"validation" -> "dev", "test_mismatched" -> "test/mismatched"; None for what is no split."""
    lowered = name.lower()
    for prefix in sorted(SPLIT_NAMES, key=len, reverse=True):
        if lowered == prefix:
            return SPLIT_NAMES[prefix]
        if lowered.startswith(prefix) and lowered[len(prefix)] in "_-":
            return f"{SPLIT_NAMES[prefix]}/{name[len(prefix) + 1:]}"
    return None
