"""Training in many processes: who this process is among them, and the few ways in which they speak.

Process 0 leads: it alone writes, evaluates and decides. The others follow: they make the same plan, compute their share
of each step's micro-batches, and add up gradients with the rest. A world of one process calls nothing of
torch.distributed.

| channel | for | waits |
|---|---|---|
| control | what the leader says: begin, go on, stop, done | as long as the leader lives (an evaluation may be long) |
| steps | small numbers of a step, on processors | `training.timeout` seconds |
| gradients | gradients and vectors, on the device | `training.timeout` seconds |

The parts of a sharded model (FSDP2) are gathered and summed over the channel of gradients.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from headstart.errors import Exit, FollowedError, UserError, out_of_memory

if TYPE_CHECKING:
    from torch import Tensor

Answer = TypeVar("Answer")


class LostProcess(UserError):
    """Another process of the run has ended or no longer answers."""


class SharedError(UserError):
    """What goes wrong in all processes of a run alike; the leader tells it."""


class Message(IntEnum):
    """What the leader says."""

    STEP = 1  # go on with the next step
    END = 2  # this training is over
    BEGIN = 3  # a training, with what it starts from
    PREPARE = 4  # read and prepare, with the settings
    OVER = 5  # the run is over, with how it ended
    GATHER = 6  # of a sharded model: have all weights whole, so that the leader can compute alone
    DROP = 7  # and keep the parts alone again
    SAVE = 8  # write the parts into a folder


LOST_NOTE = "lost.txt"  # for the launcher: what the leader would say of lost processes
RUN_NOTE = "run.txt"  # the run's folder, once there is something to resume
WITH_CONTENT = (Message.BEGIN, Message.PREPARE, Message.OVER, Message.SAVE)


@dataclass(frozen=True)
class World:
    """This process among those of a run: `rank` counts from 0, `size` is their number."""

    rank: int = 0
    size: int = 1
    local_size: int = 1  # of them on this machine
    control: Any = None
    steps: Any = None
    gradients: Any = None
    device: str = "cpu"  # of gradients
    timeout: int = 0  # seconds, of steps and gradients
    launcher: Path | None = None  # a folder of notes for `--processes`, which started this process
    buffers: dict[int, Tensor] = field(default_factory=dict)  # of gradients that are added up, kept from step to step
    parted: Event = field(default_factory=Event)  # set once this process left a stretch that all walk together

    @property
    def leads(self) -> bool:
        """Whether this process writes, evaluates and decides."""
        return self.rank == 0

    def tell_launcher(self, name: str, text: str) -> None:
        """Leave a note for the launcher, where there is one and its folder is still there."""
        if self.leads and self.launcher is not None:
            with contextlib.suppress(OSError):
                (self.launcher / name).write_text(text, encoding="utf-8")

    def buffer(self, number: int, size: int, like: Tensor) -> Tensor:
        """A flat tensor of so many numbers, of another tensor's type and device; the same memory in each step."""
        import torch

        flat = self.buffers.get(number)
        if flat is None or (flat.numel(), flat.dtype, flat.device) != (size, like.dtype, like.device):
            self.buffers[number] = flat = torch.empty(size, dtype=like.dtype, device=like.device)
        return flat

    def numbers_of_own(self, count: int) -> range:
        """The numbers of this process's micro-batches, of so many: every size-th."""
        return range(self.rank, count, self.size)

    def with_channels(self, device: str, timeout: int) -> World:
        """The same with channels for steps and gradients; every process calls it at the same moment."""
        if self.size == 1:
            return self
        import torch.distributed as dist

        refuse_shared_gpu(device, self.local_size)
        from_now = limit(timeout)
        with self.reached():
            steps = dist.new_group(backend="gloo", timeout=from_now)
            gradients = dist.new_group(backend="nccl", timeout=from_now) if device.startswith("cuda") else steps
        return dataclasses.replace(self, steps=steps, gradients=gradients, timeout=timeout,
                                   device="cuda" if device.startswith("cuda") else "cpu")

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Turns the library's error of a connection that broke, or of a wait that was too long, into LostProcess."""
        try:
            yield
        except RuntimeError as error:
            if out_of_memory(error) or not is_of_connection(error):
                raise
            self.parted.set()
            late = "timed out" in str(error).lower() or "timeout" in str(error).lower()
            reason = (f"did not answer within {self.timeout} s (training.timeout)" if late and self.timeout else
                      "has ended or cannot be reached")
            raise LostProcess(f"Another of the {self.size} processes {reason}, so process {self.rank} stopped.",
                              fix="Run headstart resume RUN: it goes on from the last checkpoint, with any number of "
                                  "processes.", exit=Exit.UNAVAILABLE) from error

    @contextmanager
    def together(self, *shared: type[BaseException]) -> Iterator[None]:
        """A stretch that all processes walk together: who leaves it alone, by another error than a `shared` one, says
        nothing more, since the others are not listening; they end when its connections do.
        """
        try:
            yield
        except shared:
            raise
        except BaseException:
            self.parted.set()
            raise

    def say(self, message: Message, content: Any = None) -> None:
        """As the leader: say it to the others, who listen for it; nothing where they do not any more."""
        if self.size == 1 or self.parted.is_set():
            return
        import torch
        import torch.distributed as dist

        with self.reached():
            dist.broadcast(torch.tensor([int(message)]), 0, group=self.control)
            if message in WITH_CONTENT:
                dist.broadcast_object_list([content], 0, group=self.control)
        if message == Message.OVER:
            self.parted.set()

    def hear(self) -> tuple[Message, Any]:
        """As a follower: wait for what the leader says."""
        import torch
        import torch.distributed as dist

        number, content = torch.zeros(1, dtype=torch.long), [None]
        with self.reached():
            dist.broadcast(number, 0, group=self.control)
            message = Message(int(number))
            if message in WITH_CONTENT:
                dist.broadcast_object_list(content, 0, group=self.control)
        return message, content[0]

    def goes_on(self, follow: Callable[[Message, Any], None]) -> bool:
        """Whether training takes one more step: the leader says so, a follower hears it, and does what it hears before.
        """
        if self.size == 1:
            return True
        if self.leads:
            self.say(Message.STEP)
            return True
        while True:
            message, content = self.hear()
            if message in (Message.STEP, Message.END):
                return message == Message.STEP
            follow(message, content)

    def gather(self, value: Any) -> list[Any]:
        """The value of every process, in their order, on all of them."""
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        values: list[Any] = [None] * self.size
        with self.reached():
            dist.all_gather_object(values, value, group=self.steps or self.control)
        return values

    def copy_from_leader(self, tensor: Tensor) -> Tensor:
        """The leader's values of a tensor, on the processor."""
        import torch.distributed as dist

        values = tensor.detach().cpu().contiguous()
        with self.reached():
            dist.broadcast(values, 0, group=self.control)
        return values

    def add_numbers(self, numbers: Tensor) -> Tensor:
        """Small numbers on the processor, summed over all processes, in place."""
        import torch.distributed as dist

        with self.reached():
            dist.all_reduce(numbers, group=self.steps)
        return numbers

    def add_up(self, flat: Tensor) -> None:
        """A flat tensor on the device, summed over all processes, in place; the same bits on each."""
        import torch.distributed as dist

        with self.reached():
            dist.all_reduce(flat, group=self.gradients)

    def copy_from(self, rank: int, flat: Tensor) -> None:
        """A tensor on the device, as that process has it, in place."""
        import torch.distributed as dist

        with self.reached():
            dist.broadcast(flat, rank, group=self.gradients)

    def on_all(self, compute: Callable[[], Answer]) -> Answer:
        """What `compute` gives, once it went well in every process; raises MemoryError in all where memory was too
        little in one."""
        if self.size == 1:
            return compute()
        import torch

        shortage, results = None, list[Answer]()
        try:
            results.append(compute())
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            shortage = error
        if int(self.add_numbers(torch.tensor([float(shortage is not None)]))):
            raise MemoryError("not enough memory in one of the processes") from shortage
        return results[0]


ALONE = World()
# What gloo and the sockets below it say; sharded layers compute inside collectives, whose own errors name them as well.
CONNECTION_WORDS = ("gloo/transport", "closed by peer", "reset by peer", "connection refused", "broken pipe", "socket",
                    "pair closure", "connectfullmesh", "timed out", "timeout")


def is_of_connection(error: RuntimeError) -> bool:
    """Whether an error is one of the channel, and not of what was computed beside it."""
    import torch.distributed as dist

    return isinstance(error, dist.DistError) or any(word in str(error).lower() for word in CONNECTION_WORDS)


def refuse_shared_gpu(device: str, processes: int) -> None:
    """Refuse so many processes of one machine on fewer GPUs; raises UserError (69, 78)."""
    import torch

    if device.startswith("mps"):
        raise UserError("Apple's GPU is one, which several processes cannot share.",
                        fix="Use --device cpu, or one process.", exit=Exit.UNAVAILABLE)
    if ":" in device and processes > 1:
        raise UserError(f"{processes} processes here need a GPU each, but run.device={device} names one.",
                        fix="Leave out its number: run.device=cuda.", exit=Exit.SETTINGS)
    if device.startswith("cuda") and processes > torch.cuda.device_count():
        raise UserError(f"{processes} processes here need a GPU each, but there are {torch.cuda.device_count()}.",
                        fix="Start fewer, or use --device cpu.", exit=Exit.UNAVAILABLE)


def limit(seconds: float) -> Any:
    """So many seconds as torch takes them."""
    from datetime import timedelta

    return timedelta(seconds=seconds)


def resume_advice(folder: str) -> str:
    """What to do where a process was lost, and the run in this folder can be resumed."""
    return (f"Resume it: headstart resume {shlex.quote(folder)} goes on from the last checkpoint, with any number of "
            "processes.")


def end_of_run(error: BaseException) -> Mapping[str, Any]:
    """How a run ended in one process, for the others."""
    if isinstance(error, UserError):
        return {"message": error.message, "fix": error.fix, "exit": int(error.exit)}
    code = Exit.INTERRUPTED if isinstance(error, KeyboardInterrupt) else Exit.BUG
    return {"message": f"The run ended: {type(error).__name__}: {error}", "fix": "", "exit": int(code)}


def followed_error(end: Mapping[str, Any]) -> FollowedError:
    """What a follower ends with, by the leader's `end_of_run`."""
    return FollowedError(end["message"], fix=end["fix"], exit=Exit(end["exit"]))
