"""The README of a repository of the hub: which files its front matter names for which split, and its columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from headstart.errors import Exit, UserError

MAX_CARD = 2**20  # bytes of a README that are looked at
MAX_FILES = 100_000  # files of a repository that are looked at


def read(folder: Path) -> dict[str, Any]:
    """The front matter of a folder's README.md; {} where there is none. Raises UserError (66) for what is no YAML."""
    path = folder / "README.md"
    if path.is_symlink() or not path.is_file():
        return {}
    with path.open("rb") as file:
        text = file.read(MAX_CARD).decode("utf-8-sig", errors="replace").replace("\r\n", "\n")
    if not text.startswith("---\n"):
        return {}
    front_matter, mark, _ = text.removeprefix("---\n").partition("\n---")
    if not mark or not any(key in front_matter for key in ("configs:", "dataset_info:")):
        return {}
    import yaml

    try:
        card = yaml.safe_load(front_matter)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(f"{path}: its front matter is not YAML ({str(error).splitlines()[0]}).",
                        fix="Correct it, or name a file in the folder.", exit=Exit.NO_INPUT) from None
    return card if isinstance(card, dict) else {}


def chosen_config(folder: Path, card: Mapping[str, Any], config: str) -> Mapping[str, Any]:
    """The data set that was named, else the default one, else the only one; raises UserError (66) for several."""
    entries = card.get("configs")
    configs = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    if not configs and not config:
        return {}
    names = [str(entry.get("config_name", "default")) for entry in configs]
    if config:
        named_entries = [entry for name, entry in zip(names, configs, strict=True) if name == config]
        if not named_entries:
            raise UserError(f"{folder} has no data set {config!r}; there are {', '.join(names) or 'none'}.",
                            fix="Name one of them after the folder and a colon.", exit=Exit.NO_INPUT)
        return named_entries[0]
    default = [entry for name, entry in zip(names, configs, strict=True)
               if entry.get("default") is True or name == "default" or len(configs) == 1]
    if not default:
        raise UserError(f"{folder} holds several data sets: {', '.join(names)}.",
                        fix=f"Name one: {folder}:{names[0]}", exit=Exit.NO_INPUT)
    return default[0]


def split_files(folder: Path, card: Mapping[str, Any], config: str,
                endings: Iterable[str]) -> dict[str, tuple[Path, ...]]:
    """The files of each split that the card names; {} where it names none. Raises UserError (66) for a pattern that
    fits no file.
    """
    entry = chosen_config(folder, card, config)
    patterns = entry.get("data_files")
    if patterns is None and isinstance(entry.get("data_dir"), str):
        patterns = f"{entry['data_dir'].rstrip('/')}/*"
    if patterns is None:
        return {}
    places = patterns if isinstance(patterns, list) and all(isinstance(place, dict) for place in patterns) else [
        {"split": split, "path": path} for split, path in patterns.items()] if isinstance(patterns, dict) else [
        {"split": "train", "path": patterns}]
    prefix = str(entry.get("data_dir") or "").strip("/")
    names = file_names(folder, endings)
    splits: dict[str, tuple[Path, ...]] = {}
    for place in places:
        split, paths = str(place.get("split", "train")), place.get("path")
        texts = [str(path) for path in (paths if isinstance(paths, list) else [paths])]
        matching = [name for text in texts for name in names
                    if fits(name, text) or (prefix and fits(name, f"{prefix}/{text}"))]
        if not matching:
            raise UserError(f"{folder}: its README.md names {', '.join(texts)} for {split}; no file of rows is there.",
                            fix="Copy the missing files, or name a file in the folder.", exit=Exit.NO_INPUT)
        splits[split] = tuple(folder / name for name in dict.fromkeys(matching))
    return splits


def file_names(folder: Path, endings: Iterable[str]) -> list[str]:
    """The files of rows below a folder, in order, as their names in it."""
    known_endings = set(endings)
    names = []
    for count, path in enumerate(folder.rglob("*")):
        if count > MAX_FILES:
            raise UserError(f"{folder} holds more than {MAX_FILES:,} files.", fix="Name a file in it.",
                            exit=Exit.NO_INPUT)
        parts = path.relative_to(folder).parts
        if set(path.name.split(".")[1:]) & known_endings and not any(part.startswith(".") for part in parts) \
                and path.is_file():
            names.append("/".join(parts))
    return sorted(names)


def fits(name: str, pattern: str) -> bool:
    """Whether a name fits a pattern of a card: * and ? within a folder, ** over several."""
    name_parts, pattern_parts = name.split("/"), pattern.removeprefix("./").split("/")
    if "**" in pattern_parts:
        return fnmatchcase(name, pattern.removeprefix("./").replace("**/", "*"))
    return len(name_parts) == len(pattern_parts) and all(
        fnmatchcase(part, pattern_part) for part, pattern_part in zip(name_parts, pattern_parts, strict=True))


def features(card: Mapping[str, Any], config: str) -> dict[str, Any]:
    """What the card says of the columns' classes, as `datasets` writes it into files; {} where it says nothing."""
    entries = card.get("dataset_info")
    descriptions = [entry for entry in (entries if isinstance(entries, list) else [entries]) if isinstance(entry, dict)]
    description = next((entry for entry in descriptions if config and entry.get("config_name") == config),
                       descriptions[0] if len(descriptions) == 1 else {})
    columns = description.get("features")
    return {str(column["name"]): feature for column in (columns if isinstance(columns, list) else ())
            if isinstance(column, dict) and "name" in column and (feature := class_feature(column)) is not None}


def class_feature(column: Mapping[str, Any]) -> dict[str, Any] | None:
    """A column of class numbers, or of lists of them, as a feature; None for any other."""
    for key in ("list", "sequence"):
        inner = column.get(key)
        if isinstance(inner, dict):
            entry = class_feature({"dtype": inner})
            return None if entry is None else {"feature": entry, "_type": "List"}
    kind = column.get("dtype")
    names = kind.get("class_label", {}).get("names") if isinstance(kind, dict) and isinstance(
        kind.get("class_label"), dict) else None
    if isinstance(names, dict) and all(str(key).isdigit() for key in names):
        names = [names[key] for key in sorted(names, key=lambda key: int(str(key)))]
    return {"names": [str(name) for name in names], "_type": "ClassLabel"} if isinstance(names, list) else None
