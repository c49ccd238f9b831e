"""The task of a model folder: what headstart.json says of it, or the config of a published model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart import tasks
from headstart.contract import Json, Learned, Task
from headstart.contract.abstention import ABSTENTION, TEMPERATURE, Abstention
from headstart.errors import Exit, UserError
from headstart.models.loading import manifest
from headstart.models.loading.json_files import (
    BOOLEAN,
    NULL,
    OBJECT,
    TEXT,
    Kind,
    check_fields,
    damaged,
    list_of,
    number,
    object_of,
    whole_number,
)
from headstart.models.loading.manifest import METADATA_FILE
from headstart.settings import build
from headstart.settings.run_settings import parse_task_settings
from headstart.settings.values import value_text

LABEL_HEADS = ("sequence-classification", "token-classification")  # an output for each label, one for a number
VALUE_KINDS = {bool: BOOLEAN, float: number(), list: list_of(number())}
COMMON_VALUES = {"generation": OBJECT | NULL, "prefix": TEXT | NULL, "answer_words": number(0), "layout": TEXT,
                 "rows": object_of(whole_number(0, 2**53)), TEMPERATURE: number(1e-6, 1e6),
                 ABSTENTION: Kind("what a model abstains by (risk, threshold …)", Abstention.reads)}


def model_folder(reference: str) -> str:
    """The artifact of a run folder, or the reference as it is; raises UserError for a run without one."""
    path = Path(reference)
    if not (path / "settings.toml").exists() and any((path / name).is_dir() for name in (".replacing", ".replaced")):
        raise UserError(f"{reference} was about to be replaced by another run, which had not begun.",
                        fix=f"Bring it back: headstart resume {reference}", exit=Exit.NO_INPUT)
    if (path / "settings.toml").exists() and not (path / "config.json").exists():
        if not (path / "model" / "config.json").exists():
            raise UserError(f"{reference} is a run that has no model yet.",
                            fix=f"Finish it: headstart resume {reference}", exit=Exit.NO_INPUT)
        return str(path / "model")
    return reference


def read_metadata(folder: str, *, sealed: bool = True) -> dict[str, Any] | None:
    """headstart.json of a folder; None when it has none. Raises UserError (69) for one that was changed since it was
    saved, or holds wrong values; with `sealed` false only for the latter.
    """
    return manifest.read(Path(folder), sealed=sealed)


def task_from_metadata(metadata: Mapping[str, Any], place: str = METADATA_FILE) -> Task[Any]:
    """The task as headstart.json tells it; `place` is that file as an error names it. Raises UserError (69)."""
    fix = "Copy the folder again, or train again."
    try:
        task_class = tasks.find(metadata["task"])
        task_settings = parse_task_settings(task_class.Settings, metadata["task_settings"])
    except UserError as error:
        raise damaged(f"{place} cannot be used: {error.message}", fix) from None
    learned = Learned.from_json(metadata["learned"])
    check_learned(task_class, learned, place, fix)
    return task_class(task_settings, learned, trained_columns=metadata.get("columns", {}))


def check_learned(task_class: type[Task[Any]], learned: Learned, place: str, fix: str) -> None:
    """Refuse learned values that the task cannot use; raises UserError (69)."""
    kinds = {name: VALUE_KINDS[value_type] for name, value_type in task_class.learned_values.items()}
    place = f"{place}, in learned.values,"
    check_fields(learned.values, kinds | COMMON_VALUES, place, required=tuple(kinds), fix=fix)
    for name, value in learned.values.items():
        if isinstance(value, list) and name in kinds and len(value) != len(learned.labels):
            raise damaged(f"{place} says {name} = {value_text(value)}; one for each of {len(learned.labels)} labels "
                          "was expected.", fix)
    try:
        build({f"generation.{name}": value for name, value in (learned.values.get("generation") or {}).items()})
    except UserError as error:
        raise damaged(f"{place} has settings that cannot be used: {error.message}", fix) from None


def task_from_config(reference: str, config: Mapping[str, Json], task_name: str | None) -> Task[Any]:
    """The task of a published fine-tuned model, read from its config; raises UserError when there is none."""
    for task_class in [tasks.find(task_name)] if task_name is not None else tasks.usable()[0]:
        learned = task_class.from_model_config(config)
        if learned is not None:
            return tasks.find(task_class.name)(task_class.Settings(), learned)
    architecture = ", ".join(config.get("architectures") or []) or "no architecture"
    purpose = f"for {task_name}" if task_name is not None else "for any task"
    raise UserError(f"{reference} has no trained head {purpose}; it is {architecture}.",
                    fix="Train one first: headstart finetune FILE --model " + reference)
