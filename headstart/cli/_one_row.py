"""One row without a file: `--value NAME=TEXT`, or a text in the place of the file."""

from __future__ import annotations

import argparse
import glob
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.cli import _labels
from headstart.contract import Task
from headstart.errors import Exit, UserError, nearest
from headstart.progress import Reporter

if TYPE_CHECKING:
    from headstart.api.model import Model

Row = dict[str, str]
EXAMPLE = "For example --value text='…'"


def parse_values(texts: list[str]) -> Row:
    """`--value question=… --value passage=@FILE` as a row; raises UserError (2, 66)."""
    row: Row = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals:
            raise UserError(f"--value takes NAME=TEXT or NAME=@FILE, but it is {text!r}.", fix=EXAMPLE)
        if name in row:
            raise UserError(f"--value names {name!r} twice.", fix="Name each field once.")
        row[name] = read_text(value[1:]) if value.startswith("@") else value
    return row


def read_text(path: str) -> str:
    """The text of a file; raises UserError (66)."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.", fix="Check the path after @.", exit=Exit.NO_INPUT) from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"{path} cannot be read as UTF-8 text: {error}.", exit=Exit.NO_INPUT) from None


def check_place(arguments: argparse.Namespace) -> None:
    """Refuse to write over what stands there, over what is read, or in an unknown format, before the model is loaded;
    raises UserError (2, 73, 74).
    """
    from headstart.data.outputs.layout import check_name
    from headstart.prediction.predict_file import check_prediction_output
    from headstart.prediction.predict_folder import is_text_folder

    texts = [value.partition("=")[2].strip() for value in arguments.value]
    inputs = [text[1:] for text in texts if text.startswith("@")] + [arguments.settings or ""]
    source = arguments.input or ""
    # A folder of texts is written as a folder, which is looked at file by file.
    if arguments.on is not None and is_elsewhere(source, arguments.to):
        return  # what stands there is looked at where it is written
    if not source or not is_text_folder(source):
        check_prediction_output(arguments.to, source, overwrite=arguments.overwrite, inputs=inputs)
        check_name(arguments.to, source)


def is_elsewhere(source: str, to: str) -> bool:
    """Whether a folder of parts is predicted, or what is read or written is not on this machine."""
    from headstart.prediction.on_ray.parts import is_parts
    from headstart.prediction.on_ray.places import is_remote

    return is_remote(source) or is_remote(to) or is_parts(source, to)


def is_row_text(text: str) -> bool:
    """Whether the argument in the place of a file is a text: no such file, and it does not look like a path."""
    from headstart.data.readers.installed import endings

    if text == "-" or not text.strip():
        return False
    try:
        if os.path.exists(text):
            return False
    except ValueError:  # a NUL: no path has one
        return True
    path = Path(text)
    if text.startswith((".", "/", "~")) or path.suffix.lower().removeprefix(".") in (*endings(), "gz", "zip", "xlsx"):
        return False
    if any(separator in text for separator in "/\\"):
        return any(map(str.isspace, text)) and not path.parent.exists()
    return not near_files(text)


def near_files(text: str) -> list[Path]:
    """Files whose name is this text and an ending: `reviews` beside reviews.csv means the file."""
    return sorted(Path(text).parent.glob(f"{glob.escape(Path(text).name)}.*"))


def main_field(task: Task[Any]) -> str | None:
    """The one field that a row of this task needs; None where it needs several."""
    inputs = [field for field in task.fields if not field.target]
    required = [field.name for field in inputs if field.required]
    if len(required) > 1 or not inputs:
        return None
    return required[0] if required else task.text_field


def text_row(task: Task[Any], text: str, reporter: Reporter) -> Row:
    """The text as a row of the task, told; raises UserError (66) where a row needs more than one text."""
    name = main_field(task)
    if name is None:
        flags = " ".join(f"--value {field.name}='…'" for field in task.fields if field.required and not field.target)
        raise UserError(f"There is no file {shortened(text)}, and one text is no row for {task.name}.",
                        fix=f"Check the path, or give one row: {flags}", exit=Exit.NO_INPUT)
    reporter.info(f"there is no file of this name, so it is taken as one row: {name} = {shortened(text)}")
    return {name: text}


def shortened(text: str) -> str:
    """A text in quotes, its beginning where it is long."""
    return repr(text if len(text) <= 80 else text[:79] + "…")


def predict_row(model: Model, row: Row, arguments: argparse.Namespace, reporter: Reporter) -> None:
    """Predict one row; it is printed as JSON, or with --to written, the row's texts beside it. Raises UserError."""
    from headstart.data.writers import open_writer
    from headstart.prediction.every_row import prediction_columns
    from headstart.prediction.predict_file import truncation_words

    names = [field.name for field in model.task.fields]
    for name in row:
        if name not in names:
            suggestion = nearest(name, names)
            raise UserError(f"{model.task.name} has no field {name!r}; it has {', '.join(names)}.",
                            fix=f"Did you mean --value {suggestion}=…?" if suggestion else EXAMPLE, exit=Exit.DATA)
    predictions = model.predict([row])
    if predictions.truncated:
        reporter.warning(truncation_words(predictions.truncated))
    for prediction in predictions:
        if arguments.to == "-":
            note = _labels.json_note(model) if arguments.json else {}
            print(json.dumps(prediction | note, ensure_ascii=False))
            continue
        columns = prediction_columns(list(row), list(prediction))
        written_row = row | {columns[name]: value for name, value in prediction.items()}
        with open_writer(arguments.to, list(written_row), overwrite=arguments.overwrite,
                         tell=reporter.warning) as writer:
            writer.write(written_row)
        reporter.info(f"wrote 1 row to {arguments.to}")
