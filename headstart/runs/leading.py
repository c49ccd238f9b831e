"""How the leader of several processes takes the others along through a training, and ends the run for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headstart.settings import Training
from headstart.training.distributed import LostProcess, Message, World, resume_advice
from headstart.training.shared_state import describe_state, send_state
from headstart.training.state import TrainingState


@dataclass(frozen=True)
class Beginning:
    """A training that the others make along: of a fold or of the model itself, with the attempt's learning rate."""

    fold: int | None
    training: Training
    precision: str
    packed: bool
    checkpoints: Path  # the folder of its checkpoints
    checkpoint: Path | None = None  # what a sharded training goes on from, read by every process


@contextmanager
def leading(world: World, state: TrainingState, beginning: Beginning, shard: Callable[[], None]) -> Iterator[None]:
    """Tell the others of a training, send them what it starts from, and tell them when it is over, however it ends.

    `shard` shards the model over all processes, where that is asked for.
    """
    if world.size == 1:
        yield
        return
    world.say(Message.BEGIN, (beginning, describe_state(state)))
    send_state(state, world)
    shard()
    try:
        yield
    finally:
        world.say(Message.END)


@contextmanager
def resumable_in(folder: Path, world: World) -> Iterator[None]:
    """Tell the others, at its end, where the run is; where one of them was lost, the error names the folder."""
    try:
        yield
    except LostProcess as lost:
        raise LostProcess(lost.message, fix=resume_advice(str(folder)), exit=lost.exit) from lost
    world.say(Message.OVER, (str(folder), None))
