"""What the processes of a run do that do not lead: prepare the same, train along, and write nothing at all."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from headstart.progress import Reporter
from headstart.runs.initial_state import initial_state, rebuild_model
from headstart.runs.leading import Beginning
from headstart.runs.prepare import Prepared, prepare, prepare_fold
from headstart.runs.same_start import Start, refuse_other_command, start_alike, start_of
from headstart.runs.sharded import shard_model
from headstart.runs.signals import handling_stop_signals
from headstart.runs.training_steps import TrainingSteps
from headstart.settings.run_settings import RunSettings
from headstart.training.distributed import Message, SharedError, World, followed_error
from headstart.training.divergence import Diverged
from headstart.training.loop import TooLittleMemory, train
from headstart.training.process_setup import set_up_process
from headstart.training.shared_state import receive_state


def follow(world: World, command: Mapping[str, Any]) -> Path:
    """Do what the leader says until its run is over; gives the run's folder.

    `command` is this process's own command. Raises FollowedError for what the leader told, and LostProcess (69).
    """
    with handling_stop_signals(signal.SIG_IGN):  # the leader saves first, and then ends all
        message, content = world.hear()
        if message == Message.PREPARE:
            settings, leader_command = content
            try:
                start, world = start_alike(world, partial(prepare_quietly, settings, world.rank, leader_command,
                                                          command))
            except Exception as error:  # the leader was told, and says how the run ends
                return end_of_leader(world, error)
            follower = Follower(world, start.prepared)
            message, content = world.hear()
            while message != Message.OVER:
                if message == Message.BEGIN:
                    with world.together(SharedError):  # by another error nobody listens here any more
                        follower.train_along(*content)
                message, content = world.hear()
    return path_of(content)


def prepare_quietly(settings: RunSettings, rank: int, leader_command: Mapping[str, Any],
                    command: Mapping[str, Any]) -> Start:
    """What the leader prepares, without a word and without a file."""
    refuse_other_command(rank, leader_command, command)
    set_up_process()
    settings = dataclasses.replace(settings, data=dataclasses.replace(settings.data, cache=""))
    return start_of(prepare(settings, Reporter(), None))


def end_of_leader(world: World, error: Exception) -> Path:
    """How the leader ends a run that could not begin."""
    try:
        message, content = world.hear()
    except Exception:
        raise error from None
    assert message == Message.OVER, "a run that cannot begin ends"
    return path_of(content)


def path_of(content: tuple[str, Mapping[str, Any] | None]) -> Path:
    """The run's folder; raises FollowedError where it ended with an error."""
    folder, error = content
    if error is not None:
        raise followed_error(error)
    return Path(folder)


class Follower:
    """A process's own copies of the models that the leader trains, one after the other."""

    def __init__(self, world: World, prepared: Prepared) -> None:
        self.world, self.run = world, prepared
        self.fold: int | None = None
        self.steps: TrainingSteps | None = None  # of the fold at hand

    def train_along(self, beginning: Beginning, description: Mapping[str, Any]) -> None:
        """One training, to where the leader ends it."""
        steps = self.steps_of(beginning)
        prepared = steps.prepared
        state = initial_state(prepared, precision=beginning.precision, packed=beginning.packed)
        receive_state(state, description, self.world)
        shard_model(state, prepared, beginning, self.world)
        try:
            for _ in train(state, steps.plan(), steps.make_batches, steps.objective(), steps.total_weight(),
                           beginning.training, total_steps=prepared.total_steps, seed=prepared.settings.seed,
                           precision=beginning.precision, device=prepared.settings.device, world=self.world):
                pass
        except (Diverged, TooLittleMemory):
            if self.world.parted.is_set():  # it went wrong here alone
                raise
            return  # so did the leader's, which says how it goes on

    def steps_of(self, beginning: Beginning) -> TrainingSteps:
        """The steps of the fold that begins, with a model as it was before any of them."""
        if self.steps is not None and self.fold == beginning.fold:
            rebuild_model(self.steps.prepared)
            return self.steps
        prepared = (self.run if beginning.fold is None else prepare_fold(self.run, beginning.fold, Reporter()))
        self.fold, self.steps = beginning.fold, TrainingSteps(prepared, beginning.packed, Reporter())
        return self.steps
