"""The processes of a run find one another: by the environment of torchrun, or by the folder of `--processes N`.

| variable | what it holds |
|---|---|
| RANK, WORLD_SIZE | this process's number, and how many there are |
| LOCAL_RANK, LOCAL_WORLD_SIZE | the same on this machine; a GPU each |
| MASTER_ADDR, MASTER_PORT | where process 0 is found (torchrun, Slurm, Kubernetes) |
| HEADSTART_PROCESSES | a folder for the processes of one machine, in the place of an address |
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headstart.errors import Exit, FollowedError, UserError
from headstart.training.distributed import (
    ALONE,
    LOST_NOTE,
    LostProcess,
    Message,
    World,
    end_of_run,
    followed_error,
    limit,
)

FOLDER, LAUNCHER = "HEADSTART_PROCESSES", "HEADSTART_LAUNCHER"  # the second: a pipe that ends with the launcher
START_SECONDS = 60  # that all processes have to come
LONGEST_WAIT = 30 * 24 * 3600  # seconds for the leader's next word; a broken connection ends the wait at once


@contextmanager
def open_world(environment: Mapping[str, str] = os.environ) -> Iterator[World]:
    """This process's place among those that were started together; a world of one where it was started alone.

    Raises UserError: 69 where not all come within a minute, 78 for an environment that is half set.
    """
    size = read_number(environment, "WORLD_SIZE", 1)
    if size == 1:
        yield ALONE
        return
    check_environment(environment)
    import torch.distributed as dist

    rank, folder = read_number(environment, "RANK", 0), environment.get(FOLDER, "")
    choose_gpu(read_number(environment, "LOCAL_RANK", 0))
    if LAUNCHER in environment:
        threading.Thread(target=end_with_launcher, args=(int(environment[LAUNCHER]),), daemon=True).start()
    opened_here = not dist.is_initialized()
    if opened_here:
        if folder:  # all on this machine: no name of it need be known to any network
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
        store = meet(rank, size, environment)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=limit(START_SECONDS))
    world = World(rank, size, read_number(environment, "LOCAL_WORLD_SIZE", size),
                  control=dist.new_group(backend="gloo", timeout=limit(LONGEST_WAIT)),
                  launcher=Path(folder) if folder else None)
    try:
        yield world
    finally:
        if opened_here:
            dist.destroy_process_group()


@contextmanager
def shared_run() -> Iterator[World]:
    """This process's place in a run, and one fate for all of it."""
    with open_world() as world, one_fate(world):
        yield world


@contextmanager
def one_fate(world: World) -> Iterator[None]:
    """Let all processes end as the leader does: an error is told once, by it.

    Raises FollowedError in the other processes, and in the leader where a launcher tells of a process that was lost.
    """
    try:
        yield
    except FollowedError:
        raise
    except LostProcess as error:
        if world.launcher is None:
            raise
        world.tell_launcher(LOST_NOTE, error.message)
        raise FollowedError(error.message, fix=error.fix, exit=Exit.INTERRUPTED) from error
    except BaseException as error:
        if not world.leads:
            end = followed(world, error)
            if end is error:  # from itself it would be a circle of causes, without an end for who walks along it
                raise
            raise end from error
        with contextlib.suppress(LostProcess):
            world.say(Message.OVER, ("", end_of_run(error)))
        raise


def followed(world: World, error: BaseException) -> BaseException:
    """What a follower ends with that cannot even begin: the leader hears of it, and tells it."""
    if world.parted.is_set() or not isinstance(error, Exception):
        return error
    try:
        message, content = world.hear()
        if message == Message.PREPARE:
            world.gather({"error": end_of_run(error)})
            message, content = world.hear()
        end = content[1]
    except LostProcess:
        return error
    return followed_error(end)


def read_number(environment: Mapping[str, str], name: str, default: int) -> int:
    """A whole number of the environment; raises UserError (78) for anything else."""
    text = environment.get(name) or str(default)
    if not text.isdigit():
        raise UserError(f"The environment says {name}={text!r}, which is not a whole number.",
                        fix="torchrun sets it; without torchrun, unset it.", exit=Exit.SETTINGS)
    return int(text)


def check_environment(environment: Mapping[str, str]) -> None:
    """Refuse an environment that lacks what processes need to find one another; raises UserError (78)."""
    needed = ("RANK",) if environment.get(FOLDER) else ("RANK", "MASTER_ADDR", "MASTER_PORT")
    missing = [name for name in needed if not environment.get(name)]
    if missing:
        raise UserError(f"The environment says WORLD_SIZE={environment['WORLD_SIZE']}, but not {', '.join(missing)}.",
                        fix="Start with torchrun, which sets all of them, or with --processes N; for one process unset "
                            "WORLD_SIZE.", exit=Exit.SETTINGS)
    rank, size = read_number(environment, "RANK", 0), read_number(environment, "WORLD_SIZE", 1)
    if rank >= size:
        raise UserError(f"The environment says RANK={rank} and WORLD_SIZE={size}; ranks count from 0 to {size - 1}.",
                        exit=Exit.SETTINGS)


def choose_gpu(local_rank: int) -> None:
    """Let "cuda" be this process's own GPU, where there is one for it."""
    import torch

    if torch.cuda.is_available() and local_rank < torch.cuda.device_count():
        torch.cuda.set_device(local_rank)


def meet(rank: int, size: int, environment: Mapping[str, str]) -> Any:
    """The store that all processes share, once all have come; raises UserError (69) that names those that have not."""
    from torch._C._distributed_c10d import FileStore
    from torch.distributed.rendezvous import rendezvous

    place = (f"{environment['MASTER_ADDR']}:{environment['MASTER_PORT']}" if not environment.get(FOLDER)
             else environment[FOLDER])
    try:
        store: Any = (FileStore(str(Path(place) / "store"), size) if environment.get(FOLDER) else
                      next(rendezvous("env://", rank, size, timeout=limit(START_SECONDS)))[0])
    except (RuntimeError, ValueError) as error:
        raise meeting_error(place, rank, size, str(error)) from error
    keys = [f"headstart/{number}" for number in range(size)]
    store.set(keys[rank], "here")
    try:
        store.wait(keys, limit(START_SECONDS))
    except RuntimeError as error:
        missing = [str(number) for number, key in enumerate(keys) if not has_key(store, key)]
        raise UserError(f"Of {size} processes, {', '.join(missing) or 'some'} did not come within {START_SECONDS} s.",
                        fix="See what they printed, and whether their machines reach one another; then start all of "
                            "them again.", exit=Exit.UNAVAILABLE) from error
    return store


def has_key(store: Any, key: str) -> bool:
    """Whether a process has come."""
    with contextlib.suppress(RuntimeError):
        return bool(store.check([key]))
    return False


def meeting_error(place: str, rank: int, size: int, reason: str) -> UserError:
    """The error where the meeting place cannot be opened or reached."""
    if "EADDRINUSE" in reason or "address already in use" in reason.lower():
        return UserError(f"The port of {place} is in use by another program.",
                         fix="Set another MASTER_PORT (torchrun --master-port …) for all processes.",
                         exit=Exit.UNAVAILABLE)
    if not rank:
        return UserError(f"Process 0 waited {START_SECONDS} s at {place}, and not all of the {size} processes came.",
                         fix="See what they printed, and whether their machines reach this one; then start all of them "
                             "again.", exit=Exit.UNAVAILABLE)
    return UserError(f"Process {rank} did not reach process 0 at {place} within {START_SECONDS} s.",
                     fix="Check MASTER_ADDR and MASTER_PORT, whether process 0 was started, and whether this machine "
                         "reaches its own.", exit=Exit.UNAVAILABLE)


def end_with_launcher(pipe: int) -> None:
    """Wait until the launcher is gone, then ask this process to save and stop."""
    with contextlib.suppress(OSError):
        while os.read(pipe, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
