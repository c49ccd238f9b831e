"""An adapter in a run: put beside the model before training, saved and merged at the end."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.artifacts import artifact
from headstart.contract import Task
from headstart.errors import Exit, UserError
from headstart.runs.folder import disk_words
from headstart.runs.run_config import Request, from_file, request

if TYPE_CHECKING:
    from headstart.models.model import Model
    from headstart.runs.fit import Fit


def put_on(model: Model, asked: Request) -> str:
    """Put the adapter beside the model's layers, and say what is trained; raises UserError (2, 69, 78)."""
    from headstart.models import lora

    if asked.from_scratch is not None or asked.training.freeze == "backbone":
        what = "--from-scratch" if asked.from_scratch is not None else "training.freeze=backbone"
        raise UserError(f"training.adapter={asked.training.adapter} moves nothing but small matrices beside a trained model; "
                        f"it does not go with {what}.", fix="Leave one of the two out.", exit=Exit.SETTINGS)
    return lora.apply(model, asked.adapter, seed=asked.seed)


def merge(fit: Fit) -> None:
    """The adapter by itself into the run (adapter/), then into the model: everything after sees an ordinary model."""
    from headstart.models import lora

    model, folder = fit.prepared.model, fit.folder / "adapter"
    staging = folder.with_name(".adapter.part")
    shutil.rmtree(staging, ignore_errors=True)
    reference = model.facts.reference if not model.facts.reference.startswith("pip:") else str(model.facts.folder)
    try:
        with disk_words(folder), model.shipped(fit.prepared.task.shipped()[1]):
            lora.save(model, staging, reference)
        artifact.replace(folder, staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    lora.merge(model)
    fit.voice.say(f"the adapter is in {folder}; model/ holds it merged")


def beside_base(run: Path, task: Task[Any], model: Model) -> Model:
    """The model that a run's checkpoints fit into: with an adapter's, the base with a place for the adapter."""
    from headstart.models.loading.load import load

    if not (run / "settings.toml").exists():
        return model
    asked = request(*from_file(run / "settings.toml"))
    if asked.training.adapter == "none":
        return model
    head = task.head_for(model.facts.row.kinds[0])
    base = load(str(asked.model), head, seed=asked.seed, device=model.device.type, allow_pickle=asked.allow_pickle,
                longest=model.tokenizer.longest, language=asked.data.language, target_language=asked.data.target_language)
    put_on(base, asked)
    return base
