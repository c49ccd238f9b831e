"""--labels of predict and evaluate: the names of labels that a model was never trained on.

A flag of columns only ever names columns; --labels is one for models of several labels for each text, and for them
alone it stays one. Every other model has no such column, so there it names labels.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headstart import settings
from headstart.errors import Exit, UserError

if TYPE_CHECKING:
    from headstart.api.model import Model
    from headstart.progress import Reporter

PREFIX = "zero_shot."
MEANING = ("labels to choose from, without training; \"a,b,c\", \"a=what it means; b=…\", or a file with the columns "
           "label and description")


def add(parser: argparse.ArgumentParser) -> None:
    """The flag."""
    parser.add_argument("--labels", metavar="LABELS", dest="column_labels",
                        help=f"{MEANING} (of a model of several labels for each text: the column of its labels)")


def load_values(arguments: argparse.Namespace, columns: dict[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    """What `load` is told of labels, {} where --labels names no labels; such labels are taken out of `columns`.

    Where a text may have several, --label names the column of the right ones. Raises UserError (66, 69, 77, 78).
    """
    source = arguments.column_labels
    if source is not None:
        from headstart.prediction.zero_shot.method import reads_label_column

        if reads_label_column(arguments.model, arguments.task, allow_pickle=bool(arguments.allow_pickle)):
            source = None
    if source is None:
        refuse_settings(settings.parse_assignments(arguments.set))
        return {}
    columns.pop("labels", None)
    zero_shot = zero_shot_values(values)
    if settings.build({f"{PREFIX}{name}": value for name, value in zero_shot.items()})["zero_shot"].multi_label and (
            "label" in columns):
        columns["labels"] = columns.pop("label")
    return {"labels": source, "zero_shot": zero_shot}


def zero_shot_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the group zero_shot, by their names."""
    return {key.removeprefix(PREFIX): value for key, value in values.items() if key.startswith(PREFIX)}


def refuse_settings(assignments: Mapping[str, Any]) -> None:
    """Refuse settings of zero-shot without labels; raises UserError (78)."""
    for key in assignments:
        if key.startswith(PREFIX):
            raise UserError(f"{key} is read only together with --labels.",
                            fix='Name them: --labels "billing,delivery,praise", or leave the setting out.',
                            exit=Exit.SETTINGS)


def tell(model: Model, reporter: Reporter, *, is_measured: bool) -> None:
    """How the labels are told apart, and where there are no labelled rows that nothing measured it."""
    if model.zero_shot is None:
        return
    from headstart.prediction.zero_shot.load import NOT_MEASURED

    for line in model.zero_shot.words():
        reporter.info(line)
    if not is_measured:
        reporter.info(NOT_MEASURED)


def json_note(model: Model) -> dict[str, bool]:
    """What JSON says beside predictions of labels that --labels names: that nothing measured them; {} for others."""
    return {} if model.zero_shot is None else {"measured": False}


def refuse_flags(model: Model, flags: Mapping[str, Any]) -> None:
    """Refuse flags that --labels does not go with; raises UserError (2)."""
    for flag, value in flags.items():
        if model.zero_shot is not None and value:
            raise UserError(f"{flag} is for a run's own answers, not for labels that come with --labels.",
                            fix=f"Leave {flag} or --labels out.")
