"""What a run will take, measured before it begins."""

from __future__ import annotations

import numpy as np

from headstart.data.features.batches import example_costs
from headstart.progress import ResourcesEstimated
from headstart.runs.fit import Fit
from headstart.training import estimate


def estimate_resources(fit: Fit) -> None:
    """Measure the longest batch and say what the run will take; raises UserError when it cannot fit."""
    prepared, settings = fit.prepared, fit.prepared.settings
    if not prepared.total_steps:
        return
    steps = fit.plan()(0)
    costs = example_costs(prepared.model.kind, fit.features)
    longest = (max(steps, key=lambda step: int(costs[step].max())) if settings.training.batch_tokens else
               np.argsort(-costs, kind="stable")[:settings.training.examples_per_step])
    resources = estimate.measure(
        prepared.model, fit.make_batches(longest, fit.state.micro_batch_size), fit.objective(),
        steps=prepared.total_steps,
        mean_tokens=float(fit.features.example_lengths.sum()) / len(steps), precision=fit.precision,
        device=settings.device, folder=fit.folder.path, checkpoints=settings.training.keep_last)
    fit.reporter.info(resources.summary())
    fit.reporter.emit(ResourcesEstimated(resources.json()))
