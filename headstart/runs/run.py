"""One run from its settings to its report; every stage can be taken up again after an interruption."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from headstart.errors import Exit, UserError
from headstart.files import disk_errors, remove
from headstart.progress import Reporter
from headstart.runs.back_off import fit_with_back_off
from headstart.runs.environment import environment
from headstart.runs.finalize import finalize
from headstart.runs.first_batch import first_batch
from headstart.runs.fit import Fit, begin
from headstart.runs.folder import RunFolder, default_folder
from headstart.runs.folds import FOLDS, tell_cost, train_folds
from headstart.runs.follow import follow
from headstart.runs.initial_state import examples_at_once
from headstart.runs.leading import resumable_in
from headstart.runs.log import RunLog
from headstart.runs.prepare import prepare
from headstart.runs.record import (
    DATA_FILE,
    SETTINGS_FILE,
    Record,
    Resumption,
    check_same_data,
    holds_run,
    prepare_to_resume,
    with_checksum,
)
from headstart.runs.resources import estimate_resources, tell_sharing
from headstart.runs.same_start import Start, start_alike, start_of
from headstart.runs.signals import Interrupts
from headstart.runs.unread import unread_settings
from headstart.settings.run_settings import RunSettings, toml_text
from headstart.settings.values import is_unicode
from headstart.training.distributed import ALONE, RUN_NOTE, LostProcess, Message, World
from headstart.training.process_setup import set_up_process

MakeInputs = Callable[[Path, RunSettings], RunSettings]


def finetune(settings: RunSettings, to: str | None, *, overwrite: bool, reporter: Reporter,
             make_inputs: MakeInputs | None = None, world: World = ALONE) -> Path:
    """A new run; gives its folder.

    `make_inputs` may make files in the folder and gives the settings to run on them. Of several processes the leader
    runs it, the others follow. Raises UserError: 65 data, 66 and
    69 what cannot be had, 73 the folder, 74 disk, 75 interrupted, 77 links in the folder, 78 settings.
    """
    command = {"command": "finetune", **settings.flat()}
    refuse_streams(settings, world)
    if not world.leads:
        return follow(world, command)
    path = Path(to) if to is not None else default_folder(settings.train, overwrite=overwrite)
    if not is_unicode(str(path)):
        raise UserError(f"The run folder {str(path)!r} is not UTF-8.", fix="Choose another name with --to.")
    with resumable_in(path, world), RunFolder(path) as folder, Interrupts(path) as interrupts:
        folder.claim(overwrite=overwrite, makes_inputs=make_inputs is not None)
        try:
            if make_inputs is not None:
                settings = make_inputs(folder.path, settings)
            settings = with_shares(settings, world.size)
            folder.write(SETTINGS_FILE, settings.toml())  # from here on the run can be resumed
            interrupts.resumable = not folder.replaces
            if interrupts.resumable:
                world.tell_launcher(RUN_NOTE, str(path))
            world.say(Message.PREPARE, (settings, command))
            return run_in_folder(folder, Resumption(settings, None, {}), interrupts, reporter, world)
        finally:
            folder.recover()


def refuse_streams(settings: RunSettings, world: World) -> None:
    """Refuse rows that only one of several processes would read; raises UserError (2)."""
    if world.size > 1 and "-" in (settings.train, settings.dev, settings.test):
        raise UserError("Several processes cannot read their rows from standard input.",
                        fix="Write them to a file first.", exit=Exit.USAGE)


def with_shares(settings: RunSettings, processes: int) -> RunSettings:
    """The settings with as many shares of a step as processes begin the run, so that any number may repeat it."""
    training = settings.training
    if processes == 1 or training.shares is not None or training.micro_batch_size is not None:
        return settings
    return dataclasses.replace(settings, training=dataclasses.replace(training, shares=processes))


def resume(path: Path, *, reporter: Reporter, accept_changes: bool = False, world: World = ALONE) -> Path:
    """Go on with an interrupted run, bit for bit; a finished one is left as it is.

    Raises UserError: 65 for data and 78 for settings that changed since the run began (unless `accept_changes`), 66 for
    a folder that holds no run, and those of `finetune`.
    """
    if not world.leads:
        return follow(world, {"command": "resume"})
    if not holds_run(path):
        raise UserError(f"{path} holds no run (no settings.toml).", fix="Check the path.", exit=Exit.NO_INPUT)
    with resumable_in(path, world), RunFolder(path) as folder, Interrupts(path) as interrupts:
        if folder.recover():
            reporter.info(f"{path} was about to be replaced by a run that had not begun: it is unchanged")
        if folder.is_finished:
            reporter.info(f"{path} is finished already")
            return path
        interrupts.resumable = True
        world.tell_launcher(RUN_NOTE, str(path))
        resumption = prepare_to_resume(folder, reporter, accept_changes=accept_changes)
        refuse_streams(resumption.settings, world)
        world.say(Message.PREPARE, (resumption.settings, {"command": "resume"}))
        return run_in_folder(folder, resumption, interrupts, reporter, world)


def run_in_folder(folder: RunFolder, resumption: Resumption, interrupts: Interrupts, reporter: Reporter,
                  world: World = ALONE) -> Path:
    """Prepare, train, finalize."""
    record = resumption.record
    set_up_process()
    with reporter.listening(interrupts):
        try:
            start, world = start_alike(world, partial(prepare_in, folder, resumption, reporter))
        except UserError as error:
            may_resume = error.exit == Exit.INTERRUPTED or isinstance(error, LostProcess)
            if not may_resume and record is None and not (folder / DATA_FILE).exists():
                remove(folder / SETTINGS_FILE)  # nothing was begun: the folder is free again
            raise
        prepared, log = start.prepared, RunLog(folder / "log.jsonl")
        with reporter.listening(log):
            unread = unread_settings(prepared.settings, prepared.task, prepared.model)
            new_record = Record(prepared.settings.flat(unread), start.data_hash, start.data)
            fit = begin(folder, prepared, log, reporter, interrupts, new_record.json(), world=world)
            if {"training.batch_size", "training.micro_batch_size", "training.shares"} & set(resumption.changes):
                fit.state.micro_batch_size = examples_at_once(prepared, packed=fit.steps.packed)
            tell_sharing(fit)
            if not fit.state.step:
                estimate_resources(fit)
                tell_cost(fit)
            if record is None:
                folder.write(SETTINGS_FILE, prepared.settings.toml(unread))
            restore_files(fit, is_new=record is None)
            if resumption.changes:
                remove(folder / FOLDS)  # with other settings those folds' models are others
            record_data(fit, resumption, new_record)  # last: from here on the preparation is known to be done
            folder.recover()
            interrupts.resumable = True
            world.tell_launcher(RUN_NOTE, str(folder.path))
            train_folds(fit)
            fit_with_back_off(fit)
            restore_files(fit, is_new=False)
            finalize(fit, command_of(folder, prepared.settings))
            with disk_errors(folder.path):
                remove(folder / FOLDS)
    return folder.path


def prepare_in(folder: RunFolder, resumption: Resumption, reporter: Reporter) -> Start:
    """Everything before the first step; raises UserError (65) where the files have changed since the run began."""
    start = start_of(prepare(resumption.settings, reporter, folder / "data_errors.jsonl"))
    if resumption.record is not None:
        check_same_data(resumption.record, start.data, start.data_hash)
    return start


def restore_files(fit: Fit, *, is_new: bool) -> None:
    """Write what tells of the run beside its weights, where it is not there, or is damaged."""
    folder, prepared = fit.folder, fit.prepared
    makers: dict[str, Callable[[], Any]] = {"environment.json": partial(environment, prepared.settings.device,
                                                                        fit.world.size),
                                            "first_batch.json": partial(first_batch, fit)}
    for name, make in makers.items():
        if is_new or folder.read_object(name) is None:
            folder.write_json(name, make())
            if not is_new:
                fit.reporter.warning(f"{name} was missing or damaged; it was written again.")
    if not (folder / SETTINGS_FILE).exists():
        folder.write(SETTINGS_FILE, toml_text(fit.record["settings"]))
        fit.reporter.warning(f"{SETTINGS_FILE} was missing; it was written again as it is used.")


def record_data(fit: Fit, resumption: Resumption, new_record: Record) -> None:
    """Write data.json where the run begins, where it is damaged, and where changed settings were accepted."""
    record, changes = resumption.record, resumption.changes
    if record is not None and record.data is not None and not changes:
        return
    content = dict(new_record.data or {}) | {"settings": dict(new_record.settings)}
    if record is not None and record.data is None:
        fit.reporter.warning(f"{DATA_FILE} was missing or damaged; it was made again from the same files.")
    earlier = [] if record is None or record.data is None else record.data.get("changed_settings", [])
    if changes:
        values = {"step": fit.state.step, "changes": {key: list(pair) for key, pair in changes.items()}}
        fit.log.write("changed_settings", values)
        earlier = [*earlier, values]
    fit.folder.write_json(DATA_FILE, with_checksum(content | ({"changed_settings": earlier} if earlier else {})))


def command_of(folder: RunFolder, settings: RunSettings) -> str:
    """The command that repeats the run."""
    command = "finetune" if settings.teacher is None else "distil"
    return (f"headstart {command} --settings {shlex.quote(str(folder / SETTINGS_FILE))} --to "
            f"{shlex.quote(folder.path.name + '-again')}")
