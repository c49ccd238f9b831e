"""Three processes that stay, for tests of many processes: torch is loaded once in each, and cases come by pipe.

    answers = pool.ask("training", case, size=2)    what the first two of them make of the case, in their order
"""

from __future__ import annotations

import dataclasses
import hashlib
import multiprocessing
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

SIZE = 3
PATIENCE = 120  # seconds for a case


@dataclass(frozen=True)
class Case:
    """A training of a few steps: its files and settings."""

    rows: str
    task: str | None
    model: str | None
    values: dict[str, Any] = field(default_factory=dict)
    teacher: str | None = None
    to: str = ""


class Pool:
    """The three processes."""

    def __init__(self, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipes, self.processes = [], []
        for rank in range(SIZE):
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(rank, str(folder / "store"), theirs), daemon=True)
            process.start()
            self.pipes.append(ours)
            self.processes.append(process)

    def ask(self, kind: str, *arguments: Any, size: int) -> list[Any]:
        """The answers of the first `size` processes; fails with the words of one that fails."""
        for pipe in self.pipes[:size]:
            pipe.send((kind, size, arguments))
        answers = []
        for rank, pipe in enumerate(self.pipes[:size]):
            assert pipe.poll(PATIENCE), f"process {rank} did not answer"
            is_well, answer = pipe.recv()
            assert is_well, f"process {rank}: {answer}"
            answers.append(answer)
        return answers

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.join()


def open_pool(tmp_path_factory: Any) -> Iterator[Pool]:
    """For a fixture: a pool that is closed at the end."""
    pool = Pool(tmp_path_factory.mktemp("pool"))
    yield pool
    pool.close()


def case_folder(tmp_path_factory: Any) -> Path:
    """For a fixture: a folder for files and runs of cases."""
    return Path(tmp_path_factory.mktemp("cases"))


def serve(rank: int, store_path: str, pipe: Any) -> None:
    """What each process does: answer one case after another."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    warnings.simplefilter("error")
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
    import torch.distributed as dist

    dist.init_process_group("gloo", store=dist.FileStore(store_path, SIZE), rank=rank, world_size=SIZE,
                            timeout=timedelta(seconds=PATIENCE))
    groups = {size: dist.new_group(list(range(size))) for size in (2, 3)}
    while True:
        kind, size, arguments = pipe.recv()
        try:
            pipe.send((True, ANSWERS[kind](world_of(rank, size, groups), *arguments)))
        except Exception:
            pipe.send((False, traceback.format_exc()))


def world_of(rank: int, size: int, groups: dict[int, Any]) -> Any:
    from headstart.training.distributed import ALONE, World

    group = groups.get(size)
    return ALONE if size == 1 else World(rank, size, size, control=group, steps=group, gradients=group)


def run_settings_of(case: Case) -> Any:
    from headstart.settings.run_settings import run_settings

    return run_settings({"train": case.rows, "task": case.task, "model": case.model, "teacher": case.teacher}, {},
                        case.values)


PREPARED: dict[str, Any] = {}


def training(world: Any, case: Case, changes: dict[str, Any]) -> dict[str, Any]:
    """Hash of all weights after three steps, the losses, and the first step's gradient."""
    import torch

    from headstart.progress import Reporter
    from headstart.runs.initial_state import initial_state, rebuild_model
    from headstart.runs.prepare import prepare
    from headstart.runs.training_steps import TrainingSteps
    from headstart.training.loop import train
    from headstart.training.optimizer import trained_weights

    key = str(case)
    if key not in PREPARED:
        PREPARED.clear()
        PREPARED[key] = prepare(run_settings_of(case), Reporter(), None)
    else:
        rebuild_model(PREPARED[key])
    prepared = PREPARED[key]
    prepared.settings = dataclasses.replace(prepared.settings, training=dataclasses.replace(
        prepared.settings.training, **changes))
    steps = TrainingSteps(prepared, prepared.variant.can_pack(prepared.model, prepared.settings), Reporter(),
                          features_epoch=-1)
    state = initial_state(prepared, precision=case.values["training.precision"], packed=steps.packed)
    losses, gradient = [], []
    for step in train(state, steps.plan(), steps.make_batches, steps.objective(), steps.total_weight(),
                      prepared.settings.training, total_steps=3, seed=prepared.settings.seed,
                      precision=case.values["training.precision"], device="cpu", world=world):
        losses.append(step.loss)
        gradient = gradient or [torch.zeros_like(weight).flatten() if weight.grad is None else weight.grad.flatten().clone()
                                for weight in trained_weights(state.optimizer)]
    weights = hashlib.sha256()
    for weight in prepared.model.module.parameters():
        weights.update(weight.detach().contiguous().numpy().tobytes())
    batches = steps.make_batches(steps.plan()(0)[0], state.micro_batch_size)
    return {"sum": weights.hexdigest(), "losses": losses, "gradient": torch.cat(gradient).numpy(),
            "micro": len(batches), "size": state.micro_batch_size}


def finetuned(world: Any, case: Case) -> tuple[str, str]:
    """A whole run: the kind of its end, and its words."""
    from headstart.runs.run import finetune

    return end_of_run(world, lambda reporter: finetune(run_settings_of(case), case.to, overwrite=False,
                                                       reporter=reporter, world=world))


def resumed(world: Any, case: Case) -> tuple[str, str]:
    """The same of a run that goes on."""
    from headstart.runs.run import resume

    return end_of_run(world, lambda reporter: resume(Path(case.to), reporter=reporter, world=world))


def end_of_run(world: Any, run: Any) -> tuple[str, str]:
    """The kind of a run's end, or its folder, and its words."""
    from headstart.errors import FollowedError, UserError
    from headstart.progress import Reporter
    from headstart.training.open_world import one_fate

    words: list[str] = []

    class Words:
        def receive(self, event: Any) -> None:
            words.append(getattr(event, "text", ""))

    try:
        with one_fate(world):
            path = run(Reporter(Words()))
    except FollowedError as error:
        return "followed", error.message
    except UserError as error:
        return type(error).__name__, f"{error.exit}: {error.message}"
    return str(path), "\n".join(words)


def answer_of(world: Any, name: str, *arguments: Any) -> Any:
    """A function of a test's own module, by its name."""
    import importlib

    module, _, function = name.rpartition(".")
    return getattr(importlib.import_module(module or "test_distributed"), function)(world, *arguments)


ANSWERS = {"training": training, "finetuned": finetuned, "resumed": resumed, "function": answer_of}
