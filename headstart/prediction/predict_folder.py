"""A folder of texts in, a folder of texts out, under the same names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.contract import Row, Task
from headstart.errors import DataError, Exit, Finding, UserError
from headstart.prediction.journal import Journal, journalled, key_of
from headstart.progress import Voice
from headstart.runs.folder import write_whole

if TYPE_CHECKING:
    from headstart.models.model import Model

TEXTS = "*.txt"


def holds_texts(task: Task[Any], path: str) -> bool:
    """Whether a path is a folder of texts for a task that writes."""
    return task.writes and path != "-" and Path(path).is_dir() and next(Path(path).rglob(TEXTS), None) is not None


def predict_folder(task: Task[Any], model: Model, path: str, to: str, *, overwrite: bool, batch_tokens: int, voice: Voice) -> int:
    """Write a text for each text of a folder; returns how many.

    Raises DataError (65) for texts that are empty or no UTF-8, UserError (2, 73) for no or a taken place.
    """
    source, place = Path(path), Path(to)
    if to == "-":
        raise UserError(f"{path} is a folder of texts, and no folder was named for what is written.", fix="Name one with --to.")
    names = [file.relative_to(source) for file in sorted(source.rglob(TEXTS))]
    taken = [name for name in names if (place / name).exists()]
    inside = source.resolve() in (place.resolve(), *place.resolve().parents)  # what is written would be read the next time
    if place.is_file() or (taken and not overwrite) or inside:
        what = (f"{to} is a file" if place.is_file() else f"{to} is in the folder of the texts" if inside else
                f"{place / taken[0]} is there already")
        raise UserError(f"{what}; nothing was written over.", fix="Name another folder with --to, or pass --overwrite.", exit=Exit.EXISTS)
    texts = read_texts(source, names)
    field = task.fields[0].name
    examples = [task.read(Row(number, {field: text})) for number, text in enumerate(texts.values())]
    voice.say(f"{path}: {len(texts):,} texts")
    hashed = hashlib.sha256(repr(texts).encode("utf-8")).hexdigest()
    place.parent.mkdir(parents=True, exist_ok=True)
    journal = Journal(str(place).rstrip("/"), key_of(task, model, hashed))
    made = list(journalled(journal, task, model, examples, batch_tokens=batch_tokens, voice=voice))
    for name, one in zip(texts, made, strict=True):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        write_whole(place / name, f"{one.values['prediction']}\n")
    journal.end()
    return len(made)


def read_texts(source: Path, names: list[Path]) -> Mapping[Path, str]:
    """Every text by its name; raises DataError with all that cannot be used."""
    found, faults = {}, []
    for number, name in enumerate(names):
        try:
            found[name] = (source / name).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            faults.append(Finding("E103", f"it is no text in UTF-8: {error}.", "Save it as UTF-8.", str(source / name), row=number))
            continue
        if not found[name].strip():
            faults.append(Finding("E201", "the text is empty.", "Fill it in, or take the file away.", file=str(source / name), row=number))
    if faults:
        raise DataError(faults)
    return found
