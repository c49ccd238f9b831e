"""The model folder: plain transformers files, and beside them headstart.json with what headstart adds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.artifacts.fold import folds_scale
from headstart.artifacts.metadata import (
    LABEL_HEADS,
    model_folder,
    read_metadata,
    task_from_config,
    task_from_metadata,
)
from headstart.contract import Json, Task
from headstart.errors import UserError
from headstart.files import disk_errors, staged_folder
from headstart.models.exits import exit_heads
from headstart.models.loading import manifest
from headstart.models.loading.family_tokenizer import load_family_tokenizer
from headstart.models.loading.json_files import damaged
from headstart.models.loading.load import load as load_model
from headstart.models.loading.manifest import METADATA_FILE
from headstart.models.loading.model_info import ModelInfo, model_info
from headstart.models.precision import DTYPES, cast_copy
from headstart.models.tokenizers.token_record import token_record
from headstart.settings import EarlyExit
from headstart.version import __version__

if TYPE_CHECKING:
    from headstart.models.model import Model

MAX_GOLDEN_TEXT = 300  # characters of a dev text whose token ids are kept


def save(folder: Path, model: Model, task: Task[Any], card: str, facts: Mapping[str, Json], *,
         dtype: str = "fp32") -> None:
    """Write the artifact, its weights as `dtype`, so that it is there whole or not at all; raises UserError (74)."""
    with disk_errors(folder), staged_folder(folder) as staging:
        learned, fold = task.export_state() if folds_scale(model, task, dtype) else (task.learned, None)
        if all(weight.dtype == DTYPES[dtype] for weight in model.module.parameters()):
            model.save(staging, fold)
        else:
            with model.folded_for_export(fold):
                cast_model = dataclasses.replace(model, module=cast_copy(model.module, DTYPES[dtype]))
            cast_model.save(staging)
        manifest.mark_config(staging, __version__)
        metadata = metadata_of(model, task.with_learned(learned), facts)
        golden_texts = [str(golden.get("text", ""))[:MAX_GOLDEN_TEXT] for golden in metadata.get("golden", ())]
        record_files(staging, metadata, model.info, golden_texts, manifest.file_hashes(staging))
        (staging / "README.md").write_text(card, encoding="utf-8")


def record_files(folder: Path, metadata: Mapping[str, Json], info: ModelInfo, texts: Sequence[str],
                 hashes: Mapping[str, str]) -> None:
    """Write headstart.json with the hash of each file, and with how the folder's own tokenizer reads some texts."""
    saved_info = dataclasses.replace(info, reference=str(folder), folder=folder, tokenizer_record={},
                                     config={**info.config, "model_type": info.family.model_type})
    record = token_record(load_family_tokenizer(saved_info), texts, language_tokens=info.family.language_tokens)
    manifest.write(folder, {**metadata, "tokenizer": record, "sha256": dict(hashes)})


def metadata_of(model: Model, task: Task[Any], facts: Mapping[str, Json]) -> dict[str, Json]:
    """headstart.json: task, its settings, what it learned, the longest input, and more facts (scores …)."""
    return {
        "headstart": __version__,
        "task": task.name,
        "task_settings": vars(task.settings),
        "learned": task.learned.json(),
        "columns": {field: list(columns) for field, columns in task.trained_columns.items()},
        "max_length": model.tokenizer.max_length,
        **({} if model.early_exit is None else {"early_exit": vars(model.early_exit)}),
        **facts,
    }


def load(reference: str, *, task_name: str | None = None, device: str = "cpu",
         allow_pickle: bool = False, language: str | None = None,
         target_language: str | None = None, dtype: str = "fp32") -> tuple[Task[Any], Model]:
    """A run folder, a model folder, a hub name or pip:PACKAGE, ready to predict, with its task.

    The task comes from headstart.json, else from the config of a published model. Raises UserError: 66 or 69 when it
    is not there, 2 when no task fits.
    """
    folder = model_folder(reference)
    info = model_info(str(folder), allow_pickle=allow_pickle)
    metadata = read_metadata(str(info.folder))
    if metadata is not None and task_name not in (None, metadata["task"]):
        raise UserError(f"{reference} was trained for {metadata['task']}, not for {task_name}.",
                        fix=f"Leave --task out, or use --task {metadata['task']}.")
    task = (task_from_config(str(folder), info.config, task_name) if metadata is None
            else task_from_metadata(metadata, f"{METADATA_FILE} of {folder}"))
    max_length = int(metadata["max_length"]) if metadata is not None else None
    model = load_model(str(folder), None, seed=0, device=device, allow_pickle=allow_pickle, max_length=max_length,
                       language=language, target_language=target_language, info=info, dtype=dtype)
    check_outputs(task, model, reference)
    if metadata is not None and "early_exit" in metadata:
        exit_heads.load(model.module, info.layers - 1, info.folder, info.checksums, info.repair)
        model.early_exit = EarlyExit(**metadata["early_exit"])
    return task, model


def check_outputs(task: Task[Any], model: Model, reference: str) -> None:
    """Refuse labels that are not as many as the head's outputs; raises UserError (69)."""
    outputs, labels = getattr(model.module.config, "num_labels", None), task.learned.labels
    if model.head in LABEL_HEADS and labels and outputs != len(labels):
        raise damaged(f"{reference} has {len(labels)} labels in headstart.json, and its head {outputs} outputs.",
                      "The files belong to two models; copy the folder again.")
