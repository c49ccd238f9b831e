"""A model that is sharded over all processes while it is trained: when it is, and how it becomes whole again.

    every process    loads the model, shards it, reads its parts of the checkpoint, trains
    the leader       and then loads the model anew, whole, and reads the best checkpoint into it
"""

from __future__ import annotations

from headstart.errors import Exit
from headstart.models.family import layers_of
from headstart.runs.initial_state import initial_state, rebuild_model
from headstart.runs.leading import Beginning
from headstart.runs.prepare import Prepared
from headstart.settings import Training
from headstart.training import optimizer as optimizers
from headstart.training.distributed import SharedError, World
from headstart.training.state import TrainingState


def is_sharded(training: Training, world: World) -> bool:
    """Whether the model is sharded over several processes."""
    return training.sharded and world.size > 1


def shard_model(state: TrainingState, prepared: Prepared, beginning: Beginning, world: World) -> None:
    """Shard the model, whose weights are the same in every process, and go on from the checkpoint (training.sharded).

    Every process calls it. Raises SharedError (69) where processes do not see the same folder, and LostProcess.
    """
    from headstart.training.sharding import shard

    training, module = beginning.training, prepared.model.module
    if not is_sharded(training, world):
        return
    refuse_other_folder(beginning, world)
    layers = layers_of(module, prepared.model.info.family)
    state.sharding = shard(module, layers, world, offload=training.cpu_offload)
    state.optimizer = optimizers.build_optimizer(prepared.model, training)
    if beginning.checkpoint is not None:
        state.load_tensors(beginning.checkpoint)


def refuse_other_folder(beginning: Beginning, world: World) -> None:
    """Refuse processes that would write their parts elsewhere than the leader; raises SharedError (69)."""
    folder = beginning.checkpoints
    numbers = world.gather(folder.stat().st_ino if folder.is_dir() else None)
    strangers = [str(rank) for rank, number in enumerate(numbers) if number != numbers[0]]
    if strangers:
        raise SharedError(f"The folder {folder} of process 0 is not that of process {', '.join(strangers)}; with "
                        "training.sharded each writes its part there.",
                        fix="Put the run on a disk that all machines share (--to).", exit=Exit.UNAVAILABLE)


def whole_again(state: TrainingState, prepared: Prepared, *, precision: str, packed: bool) -> TrainingState:
    """The leader's training, with the model whole as it was before the first step; weights are read into it then."""
    counts = state.counts()
    rebuild_model(prepared)
    state = initial_state(prepared, precision=precision, packed=packed)
    state.load_counts(counts)
    return state
