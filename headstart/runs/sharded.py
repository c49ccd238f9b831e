"""A model that is dealt to all processes while it is trained: what can be dealt, when it is, and how it comes back.

    every process    loads the model, deals it, reads its parts of the checkpoint, trains
    the leader       and then loads the model anew, whole, and reads the best checkpoint into it
"""

from __future__ import annotations

from headstart.errors import Exit, UserError
from headstart.models.family import layers_of
from headstart.runs.initial_state import initial_state, rebuild_model
from headstart.runs.leading import Beginning
from headstart.runs.prepare import Prepared
from headstart.settings import Training
from headstart.training import optimizer as optimizers
from headstart.training.distributed import World
from headstart.training.state import TrainingState


def is_dealt(training: Training, world: World) -> bool:
    """Whether the model is dealt to several processes."""
    return training.sharded and world.size > 1


def deal_if_asked(state: TrainingState, prepared: Prepared, beginning: Beginning, world: World) -> None:
    """Deal the model, whose weights are the same in every process, and go on from the checkpoint (training.sharded).

    Every process calls it. Raises UserError (69) where processes do not see the same folder, and LostProcess.
    """
    from headstart.training.sharding import shard

    training, module = beginning.training, prepared.model.module
    if not is_dealt(training, world):
        return
    refuse_other_folder(beginning, world)
    layers = layers_of(module, prepared.model.info.family)
    state.sharding = shard(module, layers, world, offload=training.cpu_offload)
    state.optimizer = optimizers.build_optimizer(prepared.model, training)
    if beginning.checkpoint is not None:
        state.load_tensors(beginning.checkpoint)


def refuse_other_folder(beginning: Beginning, world: World) -> None:
    """Refuse processes that would write their parts elsewhere than the leader; raises UserError (69) in all."""
    folder = beginning.checkpoints
    numbers = world.gather(folder.stat().st_ino if folder.is_dir() else None)
    strangers = [str(rank) for rank, number in enumerate(numbers) if number != numbers[0]]
    if strangers:
        raise UserError(f"Process {', '.join(strangers)} does not have the folder {folder} of process 0; with "
                        "training.sharded each writes its part there.",
                        fix="Put the run on a disk that all machines share (--to).", exit=Exit.UNAVAILABLE)


def whole_again(state: TrainingState, prepared: Prepared, *, precision: str, packed: bool) -> TrainingState:
    """The leader's training, with the model whole as it was before the first step; weights are read into it then."""
    counts = state.counts()
    rebuild_model(prepared)
    state = initial_state(prepared, precision=precision, packed=packed)
    state.load_counts(counts)
    return state
