"""The task's simple baselines, fitted and scored on the split that the model is judged on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from headstart.contract import Baseline, Example, Task
from headstart.evaluation.compare import BaselineComparison, Fits, compare_baseline, compare_in_folds
from headstart.evaluation.evaluate import SplitEvaluation
from headstart.models.loading.load import load
from headstart.models.model import Model
from headstart.prediction.predictor import random_features
from headstart.prediction.torch_runtime import pooled_states
from headstart.preparation.dataset import Dataset
from headstart.runs.fit import Fit
from headstart.runs.parts import Parts

TEXT_PIECES = 1_000  # of a running text that baselines are fitted on: about 8 MB


def fit_baselines(fit: Fit, evaluated: SplitEvaluation, split: str, parts: Parts,
                  fits: Fits) -> list[BaselineComparison]:
    """Every baseline beside the model's scores; one that cannot be fitted is told, not hidden. Those in `fits` are
    fitted already.
    """
    prepared, task = fit.prepared, fit.prepared.task
    baselines = [baseline for baseline in task.baselines()
                 if prepared.variant.pretrained or not baseline.needs_states]
    if baselines:
        fit.reporter.info(f"fitting the baselines, which are scored on the same {split} rows")
    compared = [parts.attempt(f"the baseline {baseline.name}", comparison) for baseline, comparison in
                pending_comparisons(fit, baselines, evaluated, split, task, fits)]
    return [comparison for comparison in compared if comparison is not None]


def pending_comparisons(fit: Fit, baselines: Sequence[Baseline], evaluated: SplitEvaluation, split: str,
                        task: Task[Any], fits: Fits) -> list[tuple[Baseline, Callable[[], BaselineComparison]]]:
    """Each baseline with what fits it, in folds where the model was scored in folds, and compares the model with it."""
    if not baselines:
        return []
    prepared, settings = fit.prepared, fit.prepared.settings
    compare: Callable[..., BaselineComparison] = (compare_in_folds if evaluated.folds
                                                  else partial(compare_baseline, fits=fits))
    rows: Sequence[Any] = fold_rows(prepared.dataset, settings.evaluation.baseline_rows,
                                    settings.seed) if evaluated.folds else fitted_rows(fit)
    states = pretrained_states(fit)
    return [(baseline, partial(
        compare, task, baseline, rows, evaluated, split=split, states=states,
        resamples=settings.evaluation.resamples, seed=settings.seed,
        features=lambda examples: random_features(task, prepared.model.tokenizer, examples, settings.seed)))
        for baseline in baselines]


def fold_rows(dataset: Dataset, most: int, seed: int) -> list[tuple[list[int], list[int]]]:
    """For each fold the places of the rows that baselines are fitted on, at most so many, and of those they predict."""
    folds, parts = dataset.folds, []
    assert folds is not None, "there are no folds"
    for fold in range(folds.count):
        places = folds.train_places(fold)
        if len(places) > most:
            places = np.sort(np.random.default_rng(seed).choice(places, most, replace=False))
        parts.append((places.tolist(), folds.held_out_places(fold).tolist()))
    return parts


def fitted_rows(fit: Fit) -> Sequence[Example]:
    """The training rows that baselines are fitted on: all, or as many as evaluation.baseline_rows, in their order."""
    train, settings = fit.prepared.dataset.splits["train"], fit.prepared.settings
    row_count, most = len(train), settings.evaluation.baseline_rows
    if train.is_running_text and row_count > TEXT_PIECES:
        fit.reporter.info(f"the baselines count the first {TEXT_PIECES:,} pieces of the training text (of "
                          f"{row_count:,}), so that memory stays small")
        return train[:TEXT_PIECES]
    if row_count <= most:
        return train
    fit.reporter.info(f"the baselines are fitted on {most:,} of the {row_count:,} training rows, drawn by the seed "
                      "(evaluation.baseline_rows)")
    positions = np.random.default_rng(settings.seed).choice(row_count, most, replace=False)
    return train.part(np.sort(positions))


def pretrained_states(fit: Fit) -> Callable[[Any], Any]:
    """A function that gives the pooled states of the pretrained model, before any training, for examples."""
    prepared, settings = fit.prepared, fit.prepared.settings
    loaded: list[Model] = []

    def states(examples: Any) -> Any:
        if not loaded:
            loaded.append(load_pretrained(fit, prepared.task))
        return pooled_states(prepared.task, loaded[0], examples, batch_tokens=settings.evaluation.batch_tokens)

    return states


def load_pretrained(fit: Fit, task: Task[Any]) -> Model:
    """The model as it was before training."""
    model, settings = fit.prepared.model, fit.prepared.settings
    return load(str(model.info.folder), task.head_for(model.info.family.kinds[0]), seed=settings.seed,
                device=settings.device,
                allow_pickle=settings.allow_pickle, max_length=model.tokenizer.max_length,
                language=settings.data.language)
