"""A folder of texts in, a folder of texts out, under the same names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from headstart.contract import Predictor, Row
from headstart.errors import DataError, Exit, Finding, UserError, first_names
from headstart.files import disk_errors, make_folder, write_text
from headstart.prediction.every_row import MAX_TOLD
from headstart.prediction.journal import PredictionJournal, journal_key, predict_with_journal
from headstart.prediction.processes import Sharing
from headstart.progress import Reporter

TEXT_PATTERN = "*.txt"


def is_text_folder(path: str) -> bool:
    """Whether a path is a folder of texts."""
    return path != "-" and os.path.isdir(path) and next(Path(path).rglob(TEXT_PATTERN), None) is not None


def predict_folder(predictor: Predictor, path: str, to: str, *, overwrite: bool, reporter: Reporter,
                   sharing: Sharing | None = None) -> int:
    """Generate a text for each text of a folder, an empty one for one that is empty; returns how many.

    Raises DataError (65) for texts that are no UTF-8, UserError (2, 73) for a missing or existing output.
    """
    source, folder = Path(path), Path(to)
    if to == "-":
        raise UserError(f"{path} is a folder of texts, and no output folder was named.", fix="Name one with --to.")
    names = [file.relative_to(source) for file in sorted(source.rglob(TEXT_PATTERN))]
    # the outputs would be read as inputs the next time
    if source.resolve() in (folder.resolve(), *folder.resolve().parents):
        raise refusal(f"{to} is in the folder of the texts")
    if folder.is_file():
        raise refusal(f"{to} is a file")
    texts = read_texts(source, names)
    field = predictor.task.fields[0].name
    examples = [predictor.task.read(Row(index, {field: text})) for index, text in enumerate(texts.values())
                if text.strip()]
    reporter.info(f"{path}: {len(texts):,} texts")
    empty_names = [str(name) for name, text in texts.items() if not text.strip()]
    if empty_names:
        reporter.warning(f"{len(empty_names):,} texts are empty, and so is what is written for them: "
                         f"{first_names(empty_names, MAX_TOLD)}")
    digest = hashlib.sha256(repr(texts).encode("utf-8")).hexdigest()
    journal = PredictionJournal(str(folder).rstrip("/"), journal_key(predictor, digest, sharing))
    with disk_errors(folder):
        make_folder(folder.parent)
    with journal.locked():
        existing = next((folder / name for name in names if (folder / name).exists()), None)
        if existing is not None and not overwrite and not journal.holds():  # an interrupted prediction wrote some
            raise refusal(f"{existing} exists already")
        predictions = {prediction.row: f"{prediction.values['prediction']}\n" for prediction in predict_with_journal(
            journal, predictor, examples, reporter=reporter, sharing=sharing)}
        for index, name in enumerate(texts):
            with disk_errors(folder):
                make_folder((folder / name).parent)
            write_text(folder / name, predictions.get(index, ""))
        journal.remove()
    return len(texts)


def refusal(reason: str) -> UserError:
    """The error for an output that is in the way (73)."""
    return UserError(f"{reason}; nothing was overwritten.", fix="Name another folder with --to, or pass --overwrite.",
                     exit=Exit.EXISTS)


def read_texts(source: Path, names: list[Path]) -> Mapping[Path, str]:
    """Every text by its name; raises DataError with all that cannot be read."""
    texts, faults = {}, []
    for index, name in enumerate(names):
        try:
            texts[name] = (source / name).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            faults.append(Finding("E103", f"it is not UTF-8 text: {error}.", "Save it as UTF-8.", str(source / name),
                                  row=index))
    if faults:
        raise DataError(faults)
    return texts
