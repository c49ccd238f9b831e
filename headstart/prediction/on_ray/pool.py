"""Parts of one work, each done by an actor of a Ray cluster; their answers come in the order of the parts.

The parts are blocks of a Ray Data set, which are kept on the disk where there are more than memory holds; a pool of
actors, which grows with the cluster, opens the work once each. The part of an actor that is lost is done again by
another: the answer of a part is taken once.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from headstart.errors import Exit, UserError, first_line
from headstart.models.loading.process_count import count_cores
from headstart.prediction.on_ray.cluster import MAX_RESTARTS, Cluster, open_cluster
from headstart.prediction.worker import Work, attempt, message_of
from headstart.prediction.worker_pool import content_of
from headstart.progress import Reporter
from headstart.version import __version__

# Of each actor. With a whole one each, actors take all processors, and what hands them their blocks gets none.
CORES_PER_ACTOR = 0.5


def count_on_ray(processes: int | str) -> int | None:
    """How many processes of a Ray cluster "ray:8" asks for, 0 for "ray" (all that there are); None for what asks for
    none. Raises UserError (2).
    """
    name, colon, number = str(processes).partition(":")
    if name != "ray":
        return None
    if not colon:
        return 0
    if not (number.isascii() and number.isdigit() and int(number) >= 1):
        raise UserError(f"--processes takes a number with --on ray, but it is {number!r}.",
                        fix="Leave it out: then it is as many as the cluster has cores, or GPUs.")
    return int(number)


class Actor:
    """Opens the work once, then answers its parts; errors are answers too, so that they are told as in one process."""

    def __init__(self, work: Work, version: str, folder: str) -> None:
        with contextlib.suppress(OSError):  # where there is such a folder, relative paths mean what they mean here
            os.chdir(folder)
        self.answer: Callable[[Any], Any] = refuse_version(version) if version != __version__ else open_or_fail(work)

    def __call__(self, batch: Any) -> Any:
        """The number of a part with its answer: one row of an Arrow table for one row."""
        import pyarrow

        part = batch["part"][0].as_py()
        message = message_of(*attempt(lambda: self.answer(pickle.loads(part))))
        return pyarrow.table({"number": batch["number"], "answer": pyarrow.array([message], pyarrow.large_binary())})


def open_or_fail(work: Work) -> Callable[[Any], Any]:
    """The opened work; where that fails, what raises the error again for each part."""
    kind, content = attempt(lambda: work.open(0))
    if kind == "answer":
        answer: Callable[[Any], Any] = content
        return answer

    def fail(part: Any) -> Any:
        raise content if isinstance(content, Exception) else RuntimeError("\n".join(content))
    return fail


def refuse_version(version: str) -> Callable[[Any], Any]:
    """What raises UserError (69) for each part: the machines of the cluster have different versions."""
    def fail(part: Any) -> Any:
        raise UserError(f"headstart {version} gave the command, and a machine of the cluster has {__version__}.",
                        fix="Install the same version on every machine.", exit=Exit.UNAVAILABLE)
    return fail


@dataclass(eq=False)
class RayPool:
    """Actors that do one work, `count` at most (0: as many as the cluster has processors, or GPUs); a context."""

    work: Work
    count: int
    reporter: Reporter
    needs_gpu: bool = False
    exits: ExitStack = field(default_factory=ExitStack)
    cluster: Cluster | None = None

    def __enter__(self) -> Self:
        threads = max(1, count_cores() // (self.count or count_cores()))
        self.cluster = self.exits.enter_context(open_cluster(self.reporter, threads))
        if self.needs_gpu and not self.cluster.gpus:
            self.exits.close()
            raise UserError("--device cuda on Ray: the cluster has no GPU.", fix="Leave --device out.",
                            exit=Exit.UNAVAILABLE)
        return self

    def __exit__(self, error_class: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.exits.close()

    def results(self, parts: Iterable[Any]) -> Iterator[Any]:
        """The answer to each part, in their order; raises as `numbered_results` does."""
        for place, (number, answer) in enumerate(self.numbered_results(parts, in_order=True)):
            assert number == place, "Ray Data keeps the order of blocks"
            yield answer

    def numbered_results(self, parts: Iterable[Any], *, in_order: bool = False) -> Iterator[tuple[int, Any]]:
        """The number of each part with its answer, as they come, unless `in_order`.

        Raises what an actor raised, MemoryError among it, and UserError (69) where actors are lost again and again.
        """
        assert self.cluster is not None, "a pool is a context"
        ray, blocks = self.cluster.ray, self.blocks(parts)
        if not blocks:
            return
        ray.data.DataContext.get_current().execution_options.preserve_order = in_order
        try:
            for row in self.dataset(blocks).iter_rows():
                yield row["number"], content_of(row["answer"])
        except ray.exceptions.RayError as error:
            raise UserError(f"Ray gave up: {first_line(error)}", exit=Exit.UNAVAILABLE,
                            fix=f"A part was tried {MAX_RESTARTS + 1} times. Is the memory of the machines enough? Try "
                                "fewer --processes, or a smaller evaluation.batch_tokens.") from None

    def blocks(self, parts: Iterable[Any]) -> list[Any]:
        """References to the parts, each a table of one row in Ray's store."""
        import pyarrow

        assert self.cluster is not None
        return [self.cluster.ray.put(pyarrow.table({
            "number": [number], "part": pyarrow.array([pickle.dumps(part, pickle.HIGHEST_PROTOCOL)],
                                                      pyarrow.large_binary())}))
            for number, part in enumerate(parts)]

    def dataset(self, blocks: list[Any]) -> Any:
        """The answers as a Ray Data set, which computes when it is read."""
        assert self.cluster is not None
        cluster, data = self.cluster, self.cluster.ray.data
        units = cluster.gpus if self.needs_gpu else cluster.cores
        most = max(1, min(self.count or units, len(blocks)))
        # On this machine the size stays; a cluster may get machines and lose them.
        compute = data.ActorPoolStrategy(size=most) if cluster.is_own else data.ActorPoolStrategy(
            min_size=1, max_size=most, initial_size=max(1, min(most, units)))
        with warnings.catch_warnings():
            # Until Ray has another way to say how often an actor is restarted: it says that it will have one.
            warnings.simplefilter("ignore", ray_deprecation())
            return data.from_arrow_refs(blocks).map_batches(
                Actor, fn_constructor_args=(self.work, __version__, os.getcwd()), batch_size=1, batch_format="pyarrow",
                compute=compute, num_cpus=CORES_PER_ACTOR, num_gpus=1 if self.needs_gpu else None,
                max_restarts=MAX_RESTARTS, max_task_retries=MAX_RESTARTS)


def ray_deprecation() -> type[Warning]:
    """What Ray warns by of what it will change."""
    from ray.util.annotations import RayDeprecationWarning

    category: type[Warning] = RayDeprecationWarning
    return category
