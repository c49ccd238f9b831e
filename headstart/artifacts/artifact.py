"""The model folder: plain transformers files, and beside them headstart.json with what headstart adds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart import tasks
from headstart.contract import Json, Learned, Task
from headstart.errors import Exit, UserError
from headstart.files import disk_errors, sha256, staged_folder
from headstart.models.loading.load import load as load_model
from headstart.models.loading.model_info import model_info
from headstart.settings.run_settings import parse_task_settings
from headstart.version import __version__

if TYPE_CHECKING:
    from headstart.models.model import Model

METADATA_FILE = "headstart.json"


def save(folder: Path, model: Model, task: Task[Any], card: str, facts: Mapping[str, Json]) -> None:
    """Write the artifact so that it is there whole or not at all; raises UserError (74)."""
    with disk_errors(folder), staged_folder(folder) as staging:
        learned, fold = task.export_state() if model.can_fold else (task.learned, None)
        model.save(staging, fold)
        hashes = {file.name: sha256(file) for file in sorted(staging.glob("*.safetensors"))}
        metadata = metadata_of(model, task.with_learned(learned), {**facts, "sha256": hashes})
        text = json.dumps(metadata, ensure_ascii=False, indent=2, allow_nan=False)
        (staging / METADATA_FILE).write_text(text + "\n", encoding="utf-8")
        (staging / "README.md").write_text(card, encoding="utf-8")


def metadata_of(model: Model, task: Task[Any], facts: Mapping[str, Json]) -> dict[str, Json]:
    """headstart.json: task, its settings, what it learned, the longest input, and more facts (scores …)."""
    return {
        "headstart": __version__,
        "task": task.name,
        "task_settings": vars(task.settings),
        "learned": task.learned.json(),
        "max_length": model.tokenizer.max_length,
        **facts,
    }


def load(reference: str, *, task_name: str | None = None, device: str = "cpu",
         allow_pickle: bool = False, language: str | None = None,
         target_language: str | None = None) -> tuple[Task[Any], Model]:
    """A run folder, a model folder, a hub name or pip:PACKAGE, ready to predict, with its task.

    The task comes from headstart.json, else from the config of a published model. Raises UserError: 66 or 69 when it
    is not there, 2 when no task fits.
    """
    folder = model_folder(reference)
    metadata = read_metadata(folder)
    if metadata is not None and task_name not in (None, metadata["task"]):
        raise UserError(f"{reference} was trained for {metadata['task']}, not for {task_name}.",
                        fix=f"Leave --task out, or use --task {metadata['task']}.")
    info = model_info(str(folder), allow_pickle=allow_pickle)
    task = task_from_metadata(metadata) if metadata is not None else task_from_config(str(folder), info.config,
                                                                                      task_name)
    max_length = int(metadata["max_length"]) if metadata is not None else None
    model = load_model(str(folder), None, seed=0, device=device, allow_pickle=allow_pickle, max_length=max_length,
                       language=language, target_language=target_language)
    return task, model


def model_folder(reference: str) -> str:
    """The artifact of a run folder, or the reference as it is; raises UserError for a run without one."""
    path = Path(reference)
    if (path / "settings.toml").exists() and not (path / "config.json").exists():
        if not (path / "model" / "config.json").exists():
            raise UserError(f"{reference} is a run that has no model yet.",
                            fix=f"Finish it: headstart resume {reference}", exit=Exit.NO_INPUT)
        return str(path / "model")
    return reference


def read_metadata(folder: str) -> dict[str, Any] | None:
    """headstart.json of a folder; None when it has none."""
    file = Path(folder) / METADATA_FILE
    if not file.is_file():
        return None
    try:
        metadata: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return metadata | {"task": metadata["task"], "learned": metadata["learned"],
                           "max_length": int(metadata["max_length"])}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is damaged: {type(error).__name__}: {error}.",
                        fix="Copy the model folder again, or train again.", exit=Exit.UNAVAILABLE) from None


def task_from_metadata(metadata: Mapping[str, Any]) -> Task[Any]:
    """The task as headstart.json tells it."""
    task_class = tasks.find(metadata["task"])
    return task_class(parse_task_settings(task_class.Settings, metadata.get("task_settings", {})),
                      Learned.from_json(metadata["learned"]))


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
