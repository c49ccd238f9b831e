"""A model that is sharded over all processes while it is trained: when it is, and how it becomes whole again.

    every process    loads the model, shards it, reads its parts of the checkpoint, trains
    the leader       and then loads the model anew, whole, and reads the best checkpoint into it
"""

from __future__ import annotations

import secrets

from headstart.errors import Exit
from headstart.files import disk_errors, remove
from headstart.models.family import layers_of
from headstart.runs.folder import RESUME
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
    folder, name = beginning.checkpoints, f".seen-{secrets.token_hex(8)}"
    if world.leads:
        with disk_errors(folder, RESUME):
            (folder / name).touch()
    name = world.gather(name)[0]
    answers = world.gather((folder / name).exists())
    if world.leads:
        remove(folder / name)
    strangers = [str(rank) for rank, is_seen in enumerate(answers) if not is_seen]
    if strangers:
        raise SharedError(f"The folder {folder} of process 0 is not that of process {', '.join(strangers)}; with "
                        "training.sharded each writes its part there.",
                        fix="Put the run on a disk that all machines share (--to).", exit=Exit.UNAVAILABLE)


def whole_again(state: TrainingState, prepared: Prepared, *, precision: str, packed: bool) -> TrainingState:
    """The leader's training, with the model whole as it was before the first step; weights are read into it then."""
    counts = state.counts()
    state.optimizer.zero_grad()
    state.optimizer.state.clear()
    rebuild_model(prepared)
    state = initial_state(prepared, precision=precision, packed=packed)
    state.load_counts(counts)
    return state
