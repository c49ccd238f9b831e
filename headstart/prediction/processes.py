"""Predicting with several processes on one machine: the parts that one process predicts one after another are given to
several, and come back in their order.

    examples ─ predictor.chunks ─▶ parts ─ predictor.predict_chunk, here or in any process ─▶ predictions of each part

A part is what one process would predict together as well, so that the numbers are the same, as far as a library's do
not depend on its number of threads. Scores, journals and files are made of the predictions by this process alone.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, TypeVar

from headstart.contract import Example, Prediction, Predictor
from headstart.errors import Exit, UserError
from headstart.models.loading.process_count import choose_process_count, count_gpus, threads_text
from headstart.prediction.on_ray.pool import RayPool, count_on_ray
from headstart.prediction.worker import Work
from headstart.prediction.worker_pool import WorkerPool
from headstart.progress import Reporter
from headstart.settings import EarlyExit

P = TypeVar("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Sharing:
    """What several processes share: the work that each of them opens, and how many they are; `pool` where they are
    those of a Ray cluster.
    """

    work: Work
    count: int
    reporter: Reporter
    pool: RayPool | None = None
    fingerprint: str = ""  # of the predictor, where it is a model's work


@dataclass(frozen=True)
class ModelWork:
    """The predictor of a loaded model, as another process makes it: loaded by the same `load` with the same
    `arguments`, then with the task as it is here, early exits and generation as they were set.
    """

    load: Callable[..., Any]  # gives a headstart.Model
    arguments: dict[str, Any] | None  # None: a model that no process can load
    changes: dict[str, Any]  # of that Model: task, generation
    early_exit: EarlyExit | None
    batch_tokens: int
    precision: str
    fingerprint: str = ""  # of the predictor that has the same model here

    @property
    def device(self) -> str:
        """The device that the model was loaded for."""
        return self.arguments["device"] if self.arguments is not None else "cpu"

    def predictor(self, number: int = 0) -> Predictor:
        """The predictor, on GPU `number` where there are several; raises UserError, also where the model is no longer
        the one that was loaded here.
        """
        assert self.arguments is not None, "`share` refuses it"
        check_folder(self.arguments["reference"])
        model = self.load(**self.arguments | {"device": worker_device(self.arguments["device"], number)})
        for name, value in self.changes.items():
            setattr(model, name, value)
        if self.early_exit is not None:
            model.transformer = dataclasses.replace(model.transformer, early_exit=self.early_exit)
        predictor: Predictor = model.predictor(batch_tokens=self.batch_tokens, precision=self.precision)
        if self.fingerprint:
            check_model(self.arguments["reference"], predictor.fingerprint(), self.fingerprint)
        return predictor

    def open(self, number: int) -> Callable[[Any], list[Prediction]]:
        """What predicts a part: examples and their random numbers."""
        predictor = self.predictor(number)
        return lambda part: predictor.predict_chunk(*part)


def check_folder(reference: str) -> None:
    """Refuse a model whose folder was there for the first process and is not for this one; raises UserError (69)."""
    if os.path.isabs(reference) and not os.path.exists(reference):
        raise UserError(f"{reference} was there when the model was loaded first, and is not there now, or not on this "
                        "machine.", fix="Leave it in its place until the command has ended; on a cluster, put it where "
                        "every machine sees it.", exit=Exit.UNAVAILABLE)


def check_model(reference: str, fingerprint: str, expected: str) -> None:
    """Refuse a model that another process finds changed, whose answers would stand among those of the first; raises
    UserError (69).
    """
    if fingerprint != expected:
        raise UserError(f"{reference} is no longer the model that this command, or program, has loaded.",
                        fix="Was its folder written anew, or were its weights changed in memory? Start again with the "
                            "model that you want, or with one process.", exit=Exit.UNAVAILABLE)


def share(work: ModelWork, predictor: Predictor, processes: int | str, reporter: Reporter) -> Sharing | None:
    """How so many processes ("auto": one a GPU) do the work of a model, which makes this predictor; None for one.

    Raises UserError (2, 69).
    """
    work = with_fingerprint(work, predictor, processes)
    sharing = share_work(work, processes, work.device, reporter)
    if sharing is not None and work.arguments is None:
        raise UserError(f"{sharing.count or 'several'} processes were asked for; each loads the model, but this one "
                        "was trained here, and not loaded.",
                        fix="Load it: headstart.load(RUN), or leave processes out.")
    return None if sharing is None else dataclasses.replace(sharing, fingerprint=work.fingerprint)


def with_fingerprint(work: ModelWork, predictor: Predictor, processes: int | str) -> ModelWork:
    """The work with the fingerprint of its predictor, which several processes compare: all weights are read for it,
    once.
    """
    if work.fingerprint or processes in (1, "1"):
        return work
    return dataclasses.replace(work, fingerprint=predictor.fingerprint())


def share_work(work: Work, processes: int | str, device: str, reporter: Reporter) -> Sharing | None:
    """How so many processes do a work on a device; None for one. "ray" is a Ray cluster, "ray:8" at most 8 of its
    processes. Raises UserError (2, 69).
    """
    most = count_on_ray(processes)
    if most is not None:
        return Sharing(work, most, reporter, RayPool(work, most, reporter, needs_gpu=device.startswith("cuda")))
    count = 1 if processes in (1, "1") else choose_process_count(processes, device, reporter)
    return Sharing(work, count, reporter) if count > 1 else None


def worker_device(device: str, number: int) -> str:
    """The device of a process: of several GPUs its own."""
    return f"cuda:{number}" if device in ("auto", "cuda") and count_gpus() > 1 else device


def predict_rows(predictor: Predictor, examples: Iterable[Example], *, seed: int | None = None,
                 sharing: Sharing | None = None) -> Iterator[Prediction]:
    """One prediction for each example, in order, as `predictor.predict` gives them, by the processes of `sharing`."""
    return chain.from_iterable(predict_parts(predictor, predictor.chunks(examples, seed), sharing))


def predict_parts(predictor: Predictor, parts: Iterable[tuple[list[Example], Any]],
                  sharing: Sharing | None) -> Iterator[list[Prediction]]:
    """The predictions of each part (examples, and their random numbers), in their order."""
    return part_results(parts, lambda part: predictor.predict_chunk(*part), sharing)


def part_results(parts: Iterable[P], answer: Callable[[P], R], sharing: Sharing | None) -> Iterator[R]:
    """What `answer` gives for each part, in their order; by several processes where there are several parts.

    Raises what a process raises: UserError, MemoryError; UserError (69) where processes are lost.
    """
    if sharing is None:
        yield from map(answer, parts)
        return
    source = iter(parts)
    first_parts = list(islice(source, sharing.count or 2))
    count = len(first_parts)
    if count < 2:
        if count:
            sharing.reporter.info("the rows are one part, which is not divided: this process does it alone")
        yield from map(answer, first_parts)
        return
    if sharing.pool is not None:
        with sharing.pool as pool:
            yield from pool.results(chain(first_parts, source))
        return
    sharing.reporter.info(f"{count} processes, each with the model, {threads_text(count)} each"
                          + (f": there are no more parts of rows than {count}" if count < sharing.count else ""))
    with WorkerPool(sharing.work, count, sharing.reporter) as workers:
        yield from workers.results(chain(first_parts, source))
