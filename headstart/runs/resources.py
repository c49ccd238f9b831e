"""What a run will take, measured before it begins."""

from __future__ import annotations

import numpy as np

from headstart.data.features.batches import example_costs
from headstart.errors import Exit, UserError
from headstart.models.loading.device import free_memory
from headstart.progress import ResourcesEstimated
from headstart.runs.fit import Fit
from headstart.runs.sharded import is_sharded
from headstart.training import estimate
from headstart.training.estimate import size_text


def estimate_resources(fit: Fit) -> None:
    """Measure the longest batch and say what the run will take; raises UserError when it cannot fit."""
    prepared, settings = fit.prepared, fit.prepared.settings
    if not prepared.total_steps:
        return
    if is_sharded(settings.training, fit.world):
        estimate_sharded(fit)
        return
    steps = fit.steps.plan()(0)
    costs = example_costs(prepared.model.kind, fit.steps.features)
    longest = (max(steps, key=lambda step: int(costs[step].max())) if settings.training.batch_tokens else
               np.argsort(-costs, kind="stable")[:settings.training.examples_per_step])
    world = fit.world
    batches = fit.steps.make_batches(longest, fit.state.micro_batch_size)[::world.size]  # as one process computes them
    resources = estimate.measure(
        prepared.model, batches, fit.steps.objective(), steps=prepared.total_steps,
        mean_tokens=float(fit.steps.features.example_lengths.sum()) / len(steps) / world.size, precision=fit.precision,
        device=settings.device, folder=fit.folder.path, checkpoints=settings.training.keep_last,
        processes=1 if settings.device.startswith("cuda") else world.local_size)
    fit.reporter.info(resources.summary())
    fit.reporter.emit(ResourcesEstimated(resources.json()))


def estimate_sharded(fit: Fit) -> None:
    """Say what each process holds of a sharded model, without measuring; raises UserError (69, 74)."""
    world, device = fit.world, fit.prepared.settings.device
    estimate.refuse_full_disk(estimate.disk_bytes(fit.prepared.model, fit.training.keep_last), fit.folder.path)
    weights = list(fit.prepared.model.module.parameters())
    whole_bytes = 4 * sum(weight.numel() for weight in weights)
    trained = 4 * sum(weight.numel() for weight in weights if weight.requires_grad)
    part = (whole_bytes + (1 + estimate.OPTIMIZER_MOMENTS) * trained) // world.size
    neighbours = 1 if device.startswith("cuda") else world.local_size  # in the same memory
    free = free_memory(device) + neighbours * whole_bytes  # which each has loaded
    text = (f"the model is sharded over {world.size} processes: each holds {size_text(part)} of weights, "
            f"gradients and moments, and {size_text(whole_bytes)} more while process 0 evaluates")
    if neighbours * (part + whole_bytes) > free:
        raise UserError(f"Memory is too small: {text}; {size_text(free)} are free here.",
                        fix="Start more processes on more machines or GPUs, or choose a smaller model.",
                        exit=Exit.UNAVAILABLE)
    fit.reporter.info(f"{text}, beside activations; {size_text(free)} are free here")


def tell_sharing(fit: Fit) -> None:
    """Say how several processes share a step, and warn where some have nothing to do."""
    world, training = fit.world, fit.prepared.settings.training
    if training.deterministic:
        warn_of_other_threads(fit)
    if training.sharded and world.size == 1:
        fit.reporter.info("training.sharded: one process holds the whole model")
    if world.size == 1 or not fit.prepared.total_steps:
        return
    count = len(fit.steps.make_batches(fit.steps.plan()(0)[0], fit.state.micro_batch_size))
    way = ("are added up part by part (training.sharded)" if training.sharded else
           "are added in one order (training.deterministic)" if training.deterministic else
           "are added up; one process would end with the same bits" if count == world.size == 2 else
           "are added up; training.deterministic adds them in one order, which any number of processes repeats")
    fit.reporter.info(f"{world.size} processes share the {count} micro-batch{'' if count == 1 else 'es'} of "
                      f"a step; their gradients {way}")
    if count < world.size:
        fit.reporter.warning(f"a step has {count} micro-batch{'' if count == 1 else 'es'}, so {world.size - count} of "
                             f"{world.size} processes have nothing to do; training.shares deals it into more")


def warn_of_other_threads(fit: Fit) -> None:
    """Say where a run goes on with another number of threads than it began with: sums of theirs are rounded otherwise.
    """
    import torch

    recorded, threads = (fit.folder.read_object("environment.json") or {}).get("threads"), torch.get_num_threads()
    if recorded not in (None, threads):
        fit.reporter.warning(f"training.deterministic: a process had {recorded} thread{'' if recorded == 1 else 's'} "
                             f"when the run began, and has {threads} now, which rounds otherwise; "
                             f"OMP_NUM_THREADS={recorded} repeats the run's bits")
