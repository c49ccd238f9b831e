"""Whether all processes of a run start from the same: files, settings, versions and weights, compared before anything
is written.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.errors import Exit, UserError
from headstart.models.loading.weights import checksum
from headstart.runs.prepare import Prepared
from headstart.runs.record import hash_data, setting_text
from headstart.training.distributed import World, end_of_run
from headstart.version import __version__

PACKAGES = ("torch", "transformers", "tokenizers", "numpy")
MOST_DIFFERENCES = 4  # that are named
OWN_SETTINGS = ("data.cache", "data.workers")  # that change no number


@dataclass(frozen=True)
class Start:
    """What a run starts from."""

    prepared: Prepared
    data: Mapping[str, Any]  # of its files and splits, for data.json
    data_hash: str


def start_of(prepared: Prepared) -> Start:
    """What was prepared, with the hash of its rows."""
    data = prepared.dataset.json() | {"lengths": prepared.lengths.json()}
    return Start(prepared, data, hash_data(data))


def start_alike(world: World, make: Callable[[], Start]) -> tuple[Start, World]:
    """What `make` prepares, once every process has prepared the same, and the world with its channels for training;
    raises UserError in all where one cannot (its exit code) or has something else (78).
    """
    if world.size == 1:
        return make(), world
    with world.together():
        try:
            start: Start | Exception = make()
        except Exception as error:  # told to the others, then raised
            start = error
        reports = world.gather({"error": end_of_run(start)} if isinstance(start, Exception) else report(start))
    if isinstance(start, Exception):
        raise start
    for rank, contents in enumerate(reports):
        if contents["error"] is not None:
            end = contents["error"]
            raise UserError(f"Process {rank} of {world.size} could not begin: {end['message']}", fix=end["fix"],
                            exit=Exit(end["exit"]))
    refuse_differences(reports)
    settings = start.prepared.settings
    return start, world.with_channels(settings.device, settings.training.timeout)


def report(start: Start) -> dict[str, Any]:
    """What one process starts from, in hashes and settings."""
    prepared = start.prepared
    versions = {"headstart": __version__, "python": platform.python_version(),
                **{name: importlib.metadata.version(name) for name in PACKAGES}}
    settings = {key: value for key, value in prepared.settings.flat().items() if key not in OWN_SETTINGS}
    return {"error": None, "versions": versions, "settings": settings,
            "hashes": {"the rows of its files": start.data_hash,
                       "the tokens of its training rows": hashlib.sha256(prepared.features.tokens).hexdigest(),
                       "the weights of its model": checksum(prepared.model.module.parameters())}}


def refuse_differences(reports: Sequence[Mapping[str, Any]]) -> None:
    """Refuse processes that do not start alike; raises UserError (78) that names what differs, and where."""
    first = reports[0]
    for rank, contents in enumerate(reports[1:], start=1):
        words = [*differences(rank, first["versions"], contents["versions"]),
                 *differences(rank, first["settings"], contents["settings"]),
                 *(f"process {rank} differs from process 0 in {name}" for name, value in first["hashes"].items()
                   if contents["hashes"][name] != value)]
        if words:
            raise UserError(f"The processes do not start alike: {'; '.join(words[:MOST_DIFFERENCES])}.",
                            fix="Give each process the same command, the same files, and the same versions of the "
                                "packages.", exit=Exit.SETTINGS)


def refuse_other_command(rank: int, leader: Mapping[str, Any], follower: Mapping[str, Any]) -> None:
    """Refuse a process that was asked for something else than the leader; raises UserError (78)."""
    words = differences(rank, leader, follower)
    if words:
        raise UserError(f"The processes were not given the same command: {'; '.join(words[:MOST_DIFFERENCES])}.",
                        fix="Give each process the same command.", exit=Exit.SETTINGS)


def differences(rank: int, leader: Mapping[str, Any], follower: Mapping[str, Any]) -> list[str]:
    """What a process has another value of than the leader, in words."""
    return [f"{key} is {setting_text(leader.get(key))} in process 0 and {setting_text(follower.get(key))} in process "
            f"{rank}" for key in dict.fromkeys([*leader, *follower]) if leader.get(key) != follower.get(key)]
