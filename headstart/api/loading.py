"""From a reference to a task and its model: with labels of one's own, exported to ONNX, or as it was trained."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.contract import Task

if TYPE_CHECKING:
    from headstart.prediction.zero_shot.load import ZeroShotLabels


def load_parts(reference: str, task: str | None, *, device: str, allow_pickle: bool, language: str | None,
               target_language: str | None, dtype: str, labels: Sequence[str] | Mapping[str, str] | str | Path | None,
               zero_shot: Mapping[str, Any] | None) -> tuple[Task[Any], Any, ZeroShotLabels | None]:
    """The task, the model (an `ExportedModel` in its place), and the labels of one's own; raises UserError."""
    from headstart.models.loading.device import choose_device
    from headstart.prediction import exported

    if labels is not None or zero_shot:
        from headstart.prediction.zero_shot.load import load_zero_shot

        return load_zero_shot(reference, labels, zero_shot or {}, task_name=task, device=choose_device(device),
                              allow_pickle=allow_pickle, language=language, dtype=dtype)
    if exported.is_exported(reference):
        exported_task, stand_in = exported.load(reference, task_name=task, device=device)
        return exported_task, stand_in.transformer, None
    from headstart.artifacts import artifact  # with it comes torch, which an exported model does without

    loaded_task, transformer = artifact.load(reference, task_name=task, device=choose_device(device),
                                             allow_pickle=allow_pickle, language=language,
                                             target_language=target_language, dtype=dtype)
    return loaded_task, transformer, None


def with_whole_paths(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `load` that mean the same after the working folder has changed."""
    return {name: os.path.abspath(value) if name in ("reference", "labels") and isinstance(value, str | Path)
            and os.path.exists(value) else value for name, value in arguments.items()}
