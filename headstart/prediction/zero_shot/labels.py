"""Labels as a user names them: `billing,delivery`, `billing=questions about an invoice;delivery`, or a file of them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.contract import Json
from headstart.data.readers import plain_text
from headstart.data.readers.installed import endings
from headstart.data.readers.table_builder import TextReading
from headstart.data.table import Table, open_table
from headstart.errors import Exit, UserError, first_names, nearest
from headstart.settings import Data

EXAMPLE = ('--labels "billing,delivery,praise", --labels "billing=questions about an invoice; delivery=where a parcel '
           'is", or --labels labels.csv with the columns label and description')
LABEL_COLUMN, DESCRIPTION_COLUMN = "label", "description"
MAX_NAMED = 5  # labels that a message lists


@dataclass(frozen=True)
class Label:
    """A label, and what it means where the user says so."""

    name: str
    description: str = ""

    @classmethod
    def of(cls, name: str, description: str) -> Label:
        """A label as a user wrote it, without blanks around it."""
        return cls(name.strip(), " ".join(description.split()))

    @property
    def text(self) -> str:
        """What a model reads of it: its description, else its name with blanks for underscores."""
        return self.description or " ".join(self.name.replace("_", " ").split())


@dataclass(frozen=True)
class LabelSet:
    """Two labels or more, no two alike; `notes` say how they were read where there was a choice."""

    labels: tuple[Label, ...]
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The labels as they stand in predictions."""
        return tuple(label.name for label in self.labels)

    @property
    def texts(self) -> tuple[str, ...]:
        """What a model reads of each."""
        return tuple(label.text for label in self.labels)


def read_labels(source: Any) -> LabelSet:
    """The labels of a text or file, of a list of names, or of {name: description}; raises UserError (2, 65, 66)."""
    if source is None:
        raise UserError("Settings of zero_shot came without labels.", fix='Name them: labels=["good", "bad"].')
    if isinstance(source, str | os.PathLike):
        text = os.fspath(source)
        if is_file_name(text) or isinstance(source, os.PathLike):
            labels, notes = file_labels(text)
            return label_set(labels, f"{text}: ", Exit.DATA, notes=notes)
        labels = list(text_labels(text))
        return label_set(labels, "", Exit.USAGE, notes=tuple(comma_notes(labels)) if ";" in text else (), text=text)
    if isinstance(source, Mapping):
        pairs = [(name, "" if description is None else description) for name, description in source.items()]
    elif isinstance(source, Iterable):
        pairs = [(name, "") for name in source]
    else:
        raise UserError(f"labels are {source!r:.60}; names were expected.", fix='For example labels=["good", "bad"].')
    for pair in pairs:
        if not all(isinstance(text, str) for text in pair):
            raise UserError(f"labels hold {pair!r:.60}; texts were expected.",
                            fix='For example labels=["good", "bad"], or labels={"good": "the writer is content"}.')
    return label_set([Label.of(name, description) for name, description in pairs], "", Exit.USAGE)


def is_file_name(text: str) -> bool:
    """Whether a text names a file of labels: one is there, or it looks like a path and not like labels."""
    try:
        if os.path.isfile(text):
            return True
    except ValueError:  # a NUL: no path has one
        return False
    if any(sign in text for sign in ",;="):
        return False
    return text.startswith(("./", "../", "/", "~")) or Path(text).suffix.lower().removeprefix(".") in (
        *endings(), "gz", "zip", "xlsx")


def text_labels(text: str) -> Iterator[Label]:
    """The labels of a text: separated by semicolons where it has one, else by commas; NAME=DESCRIPTION says more."""
    for part in text.split(";" if ";" in text else ","):
        name, _, description = part.partition("=")
        yield Label.of(name, description)


def comma_notes(labels: Sequence[Label]) -> Iterator[str]:
    """What is one label where semicolons separate labels, though a comma stands in it."""
    single_labels = [repr(label.name) for label in labels if "," in label.name]
    # "delivery=where a parcel is, praise=a word of thanks" has the sign of a second label in its description
    single_labels += [repr(f"{label.name}={label.description}") for label in labels
                      if re.search(r",[^,=]+=", label.description)]
    if single_labels:
        ending = " each" if len(single_labels) > 1 else ""
        yield (f"{first_names(single_labels, MAX_NAMED)}: read as one label{ending}, because semicolons separate "
               "labels here; a comma separates them only where there is no semicolon")


def file_labels(path: str) -> tuple[list[Label], tuple[str, ...]]:
    """The labels of a file with the columns label and description (of a plain text: a label a line), and notes.

    Raises UserError (65, 66) and DataError.
    """
    table = open_table(path, Data(), every_row=True, text_reading=TextReading("lines"))
    if table.findings and table.counts:
        faults = [finding for finding in table.findings if finding.level == "fault"]
        if faults:
            raise UserError(f"{path}: a label a row was expected, but {faults[0].message}", fix=faults[0].fix,
                            exit=Exit.DATA)
    columns = {name.strip().lower(): index for index, name in enumerate(table.columns)}
    if is_plain_text := Path(path).suffix.lower() in plain_text.SUFFIXES:
        columns = {LABEL_COLUMN: 0}
    if LABEL_COLUMN not in columns:
        raise UserError(f"{path}: there is no column {LABEL_COLUMN!r}; there are "
                        f"{', '.join(map(repr, table.columns[:20]))}.", exit=Exit.DATA,
                        fix=f"Its first line says what stands where: {LABEL_COLUMN},{DESCRIPTION_COLUMN}")
    labels = list(rows_as_labels(table, columns))
    unread = [] if is_plain_text else [table.columns[index] for name, index in columns.items()
                                       if name not in (LABEL_COLUMN, DESCRIPTION_COLUMN)]
    return labels, (f"{path}: columns that are not read: {', '.join(unread)}",) if unread else ()


def rows_as_labels(table: Table, columns: Mapping[str, int]) -> Iterator[Label]:
    """A label for each row of a table; one without a name is told by whoever checks them."""
    for record in table:
        name = cell_text(record.values[columns[LABEL_COLUMN]])
        description = cell_text(record.values[columns[DESCRIPTION_COLUMN]]) if DESCRIPTION_COLUMN in columns else ""
        yield Label.of(name, description)


def cell_text(value: Json) -> str:
    """A cell as text; "" where there is none."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def label_set(labels: list[Label], place: str, code: Exit, *, notes: tuple[str, ...] = (), text: str = "") -> LabelSet:
    """The labels, two or more, each with a name, no two alike but for case and blanks; raises UserError.

    `text` is what the user wrote, where the labels stand in it.
    """
    nameless = next((number for number, label in enumerate(labels, start=1) if not label.name), None)
    if nameless is not None and labels:
        raise UserError(f"{place}label {nameless} of {len(labels)} is empty.", fix=f"Name each: {EXAMPLE}.", exit=code)
    if len(labels) < 2:
        near_files = sorted(Path().glob(f"{labels[0].name}.*")) if labels and text and "/" not in text and not any(
            sign in text for sign in "*?[\0") else []
        hint = f"Did you mean the file {near_files[0]}? " if near_files else ""
        raise UserError(f"{place}two labels were expected at least, but "
                        f"{f'{labels[0].name!r} alone' if labels else 'none'} came.", exit=code,
                        fix=f"{hint}Name what the texts are told apart by: {EXAMPLE}.")
    names: dict[str, str] = {}
    for label in labels:
        key = " ".join(label.name.split()).casefold()
        if key in names:
            how = "twice" if names[key] == label.name else f"beside {names[key]!r}, which differs in case or spaces"
            raise UserError(f"{place}the label {label.name!r} is named {how}.", fix="Name each label once.",
                            exit=code)
        names[key] = label.name
    return LabelSet(tuple(labels), (*notes, *reading_notes(labels)))


def reading_notes(labels: list[Label]) -> Iterator[str]:
    """How labels without a description are read."""
    bare = [label for label in labels if not label.description]
    if bare and len(bare) < len(labels):
        names = first_names([label.name for label in bare], MAX_NAMED)
        verb, subject = ("has", "its name is") if len(bare) == 1 else ("have", "their names are")
        yield f"{len(bare)} of {len(labels)} labels {verb} no description, {subject} read: {names}"
    if changed := next((label for label in bare if label.text != label.name), None):
        yield f"underscores of names are read as spaces: {changed.name} as {changed.text!r}"


def joined_labels(labels: Sequence[str], most: int) -> str:
    """Labels with commas between them, of many the first, and how many there are."""
    return ", ".join(labels[:most]) + (f" … ({len(labels)})" if len(labels) > most else "")


def nearest_label(name: str, labels: Iterable[str]) -> str | None:
    """The label that a file's label may have been meant for; None where none is near."""
    by_key = {label.replace("_", " ").casefold(): label for label in labels}
    key = name.replace("_", " ").casefold()
    return by_key.get(key) or by_key.get(nearest(key, by_key) or "")
