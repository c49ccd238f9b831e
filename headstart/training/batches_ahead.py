"""The batches of the next step, laid out in a thread while a GPU computes this one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING

from headstart.contract import Batch

if TYPE_CHECKING:
    from headstart.contract import Ints

MakeBatches = Callable[["Ints", int], list[Batch]]  # a step's examples, most examples of a micro-batch -> micro-batches


class BatchesAhead:
    """Gives the batches of steps, one after the other; on a GPU those of the next step are begun with each.

    A processor would lay them out and compute with the same cores, so there nothing is begun early.
    """

    def __init__(self, make_batches: MakeBatches, device: str) -> None:
        self.make_batches = make_batches
        self.thread = ThreadPoolExecutor(1, "batches") if device.startswith("cuda") else None
        self.next: tuple[int, int, Future[list[Batch]]] | None = None  # step, size of its micro-batches, its batches

    def __enter__(self) -> BatchesAhead:
        """The thread ends with the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Wait for what was begun, and drop it."""
        if self.thread is not None:
            self.thread.shutdown(cancel_futures=True)

    def of_step(self, steps: Sequence[Ints], place: int, size: int) -> list[Batch]:
        """The batches of step `place` of an epoch, with micro-batches of at most `size` examples."""
        future = self.next[2] if self.next is not None and self.next[:2] == (place, size) else None
        batches = self.make_batches(steps[place], size) if future is None else future.result()
        self.next = None
        if self.thread is not None and place + 1 < len(steps):  # the next epoch may encode its examples anew
            self.next = place + 1, size, self.thread.submit(self.make_batches, steps[place + 1], size)
        return batches
