"""Scores of every checkpoint that a run kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.contract import Learned, Task
from headstart.errors import Exit, UserError
from headstart.evaluation.evaluate_file import evaluate_file
from headstart.models import lora
from headstart.models.loading.load import load
from headstart.models.model import Model
from headstart.models.precision_choice import choose_evaluation_precision
from headstart.prediction.torch_runtime import torch_predictor
from headstart.progress import Reporter
from headstart.settings import Data, Evaluation
from headstart.settings.run_settings import read_settings_file, run_settings
from headstart.training import checkpoint
from headstart.training.state import load_weights


def evaluate_checkpoints(run: Path, task: Task[Any], model: Model, path: str, *, settings: Data,
                         columns: Mapping[str, str],
                         evaluation: Evaluation, seed: int, reporter: Reporter) -> list[dict[str, Any]]:
    """Scores of every kept checkpoint of a run on a labelled file, oldest first: [{"step": 400, "scores": {…}}].

    Raises UserError (66) for a run without checkpoints, DataError for faulty rows.
    """
    rows = []
    model = with_checkpoint_layout(run, task, model)
    choice = choose_evaluation_precision(evaluation.precision, model.device.type, scores=True)
    choice.tell(reporter)
    for folder in checkpoint.list_checkpoints(run / "checkpoints"):
        reason = checkpoint.verify(folder)
        if reason is not None:
            reporter.warning(f"skipped {folder.name}: {reason}")
            continue
        load_weights(model, folder)
        learned = checkpoint.read_progress(folder).get("learned")
        checkpoint_task = task.with_learned(Learned.from_json(learned)) if learned is not None else task
        predictor = torch_predictor(checkpoint_task, model, batch_tokens=evaluation.batch_tokens,
                                    precision=choice.name)
        scores = evaluate_file(predictor, path, settings=settings, columns=columns, evaluation=evaluation,
                               seed=seed, to=None, reporter=reporter, compares_depths=False)
        rows.append({"step": int(folder.name.rpartition("-")[2]), "scores": scores["test"]})
    if not rows:
        raise UserError(f"{run} has no checkpoints.", fix="Name a run folder; training.keep_last and "
                                                          "training.keep_best say how many stay.",
                        exit=Exit.NO_INPUT)
    return rows


def with_checkpoint_layout(run: Path, task: Task[Any], model: Model) -> Model:
    """The model that a run's checkpoints fit into: for an adapter's, the base with a place for the adapter."""
    if not (run / "settings.toml").exists():
        return model
    settings = run_settings(*read_settings_file(run / "settings.toml"))
    if settings.training.adapter == "none":
        return model
    base = load(str(settings.model), task.head_for(model.info.family.kinds[0]), seed=settings.seed,
                device=model.device.type,
                allow_pickle=settings.allow_pickle, max_length=model.tokenizer.max_length,
                language=settings.data.language, target_language=settings.data.target_language)
    lora.apply(base, settings.adapter, seed=settings.seed)
    return base
