"""Checkpoints of which each process writes its part: safetensors with the place of each part in its tensor.

    step-000400/   shard-00001-model-00001-of-00001.safetensors  shard-00002-…  state.json  manifest.json

Written and read by torch.distributed.checkpoint, in the format that needs no pickle. Any number of processes reads what
any other number wrote, also a checkpoint in one piece.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from headstart.errors import Exit
from headstart.training.distributed import ALONE, SharedError, World


def save_shards(folder: Path, tensors: Mapping[str, Tensor], world: World) -> None:
    """Write this process's parts of the tensors; every process calls it with the same folder.

    Raises OSError or MemoryError in all where one cannot write, and LostProcess.
    """
    with world.reached():
        try:
            save(dict(tensors), process_group=world.steps,
                 storage_writer=HuggingFaceStorageWriter(str(folder), save_distributed=True))
        except CheckpointException as error:
            raise cause(error) from error


def load_shards(folder: Path, targets: Mapping[str, Tensor], world: World | None = None) -> None:
    """Fill the targets, whole tensors or this process's parts of them; with a world every process calls it.

    Raises SharedError (69) in all where one cannot read, OSError without a world, and LostProcess.
    """
    try:
        with (ALONE if world is None else world).reached(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.distributed is disabled")  # meant so: one process reads
            load(dict(targets), storage_reader=HuggingFaceStorageReader(str(folder)), no_dist=world is None,
                 process_group=None if world is None else world.steps)
    except CheckpointException as error:
        if world is None:
            raise cause(error) from error
        raise SharedError(f"The checkpoint {folder} cannot be read by every process: {cause(error)}.",
                          fix="Put the run on a disk that all machines share, and resume it.",
                          exit=Exit.UNAVAILABLE) from error


def cause(error: CheckpointException) -> OSError | MemoryError | RuntimeError:
    """What went wrong in one of the processes."""
    causes = [failure[0] for failure in error.failures.values()]
    shortage = next((failure for failure in causes if isinstance(failure, OSError | MemoryError)), None)
    return shortage or RuntimeError(f"{type(causes[0]).__name__}: {causes[0]}")


def tensor_sizes(folder: Path) -> dict[str, torch.Size]:
    """The name and size of each tensor of a checkpoint."""
    described = HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata
    return {name: entry.size for name, entry in described.items() if isinstance(entry, TensorStorageMetadata)}
