"""The model folder: plain transformers files, and beside them headstart.json with what headstart adds."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import headstart
from headstart import tasks
from headstart.contract import Json, Learned, Task
from headstart.errors import Exit, UserError
from headstart.runs.folder import disk_words
from headstart.runs.run_config import task_settings

if TYPE_CHECKING:
    from headstart.models.model import Model

FILE = "headstart.json"


def save(folder: Path, model: Model, task: Task[Any], card: str, facts: Mapping[str, Json]) -> None:
    """Write the artifact beside its place, then put it there whole; raises UserError (74) when the disk is full."""
    staging = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        with disk_words(folder):
            staging.mkdir(parents=True)
            learned, fold = task.shipped() if model.can_fold else (task.known, None)
            model.save(staging, fold)
            sums = {file.name: sha256(file) for file in sorted(staging.glob("*.safetensors"))}
            held = described(model, task.knowing(learned), {**facts, "sha256": sums})
            text = json.dumps(held, ensure_ascii=False, indent=2, allow_nan=False)
            (staging / FILE).write_text(text + "\n", encoding="utf-8")
            (staging / "README.md").write_text(card, encoding="utf-8")
            replace(folder, staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def sha256(path: Path) -> str:
    """The hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace(folder: Path, staging: Path) -> None:
    """Put a finished folder in the place of another."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.rename(folder, old)
    os.rename(staging, folder)
    shutil.rmtree(old, ignore_errors=True)


def described(model: Model, task: Task[Any], facts: Mapping[str, Json]) -> dict[str, Json]:
    """headstart.json: task, its settings, what it learned, the longest input, and more facts (scores …)."""
    return {
        "headstart": headstart.__version__,
        "task": task.name,
        "task_settings": vars(task.settings),
        "learned": task.known.json(),
        "longest": model.tokenizer.longest,
        **facts,
    }


def load(reference: str, *, task_name: str | None = None, device: str = "cpu",
         allow_pickle: bool = False, language: str | None = None, target_language: str | None = None) -> tuple[Task[Any], Model]:
    """A run folder, a model folder, a hub name or pip:PACKAGE, ready to predict, with its task.

    The task comes from headstart.json, else from the config of a published model. Raises UserError: 66 or 69 when it
    is not there, 2 when no task fits.
    """
    from headstart.models.loading.load import load as load_model
    from headstart.models.loading.model_info import facts

    place = model_folder(reference)
    held = read(place)
    if held is not None and task_name not in (None, held["task"]):
        raise UserError(f"{reference} was trained for {held['task']}, not for {task_name}.",
                        fix=f"Leave --task out, or use --task {held['task']}.")
    known = facts(str(place), allow_pickle=allow_pickle)
    task = from_held(held) if held is not None else from_config(str(place), known.config, task_name)
    longest = int(held["longest"]) if held is not None else None
    model = load_model(str(place), None, seed=0, device=device, allow_pickle=allow_pickle, longest=longest,
                       language=language, target_language=target_language)
    return task, model


def model_folder(reference: str) -> str:
    """The artifact of a run folder, or the reference as it is; raises UserError for a run without one."""
    place = Path(reference)
    if (place / "settings.toml").exists() and not (place / "config.json").exists():
        if not (place / "model" / "config.json").exists():
            raise UserError(f"{reference} is a run that has no model yet.",
                            fix=f"Finish it: headstart resume {reference}", exit=Exit.NO_INPUT)
        return str(place / "model")
    return reference


def read(place: str) -> dict[str, Any] | None:
    """headstart.json of a folder; None when it has none."""
    file = Path(place) / FILE
    if not file.is_file():
        return None
    try:
        held: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return held | {"task": held["task"], "learned": held["learned"], "longest": int(held["longest"])}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is damaged: {type(error).__name__}: {error}.",
                        fix="Copy the model folder again, or train anew.", exit=Exit.UNAVAILABLE) from None


def from_held(held: Mapping[str, Any]) -> Task[Any]:
    """The task as headstart.json tells it."""
    kind = tasks.find(held["task"])
    return kind(task_settings(kind.Settings, held.get("task_settings", {})), Learned.from_json(held["learned"]))


def from_config(reference: str, config: Mapping[str, Json], task_name: str | None) -> Task[Any]:
    """The task of a published fine-tuned model, read from its config; raises UserError when there is none."""
    for name in [task_name] if task_name is not None else tasks.names():
        kind = tasks.find(name)
        learned = kind.adopt(config)
        if learned is not None:
            return kind(kind.Settings(), learned)
    architecture = ", ".join(config.get("architectures") or []) or "no architecture"
    wanted = f"for {task_name}" if task_name is not None else "for any task"
    raise UserError(f"{reference} has no trained head {wanted}; it is {architecture}.",
                    fix="Train one first: headstart finetune FILE --model " + reference)
