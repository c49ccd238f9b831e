"""One run from its settings to its report; every stage can be taken up again after an interruption."""

from __future__ import annotations

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
from headstart.runs.log import RunLog
from headstart.runs.prepare import prepare
from headstart.runs.record import (
    DATA_FILE,
    SETTINGS_FILE,
    Record,
    Resumption,
    check_same_data,
    hash_data,
    holds_run,
    prepare_to_resume,
    with_checksum,
)
from headstart.runs.resources import estimate_resources
from headstart.runs.signals import Interrupts
from headstart.runs.unread import unread_settings
from headstart.settings.run_settings import RunSettings, toml_text
from headstart.settings.values import is_unicode
from headstart.training.process_setup import set_up_process

MakeInputs = Callable[[Path, RunSettings], RunSettings]


def finetune(settings: RunSettings, to: str | None, *, overwrite: bool, reporter: Reporter,
             make_inputs: MakeInputs | None = None) -> Path:
    """A new run; gives its folder.

    `make_inputs` may make files in the folder and gives the settings to run on them. Raises UserError: 65 data, 66 and
    69 what cannot be had, 73 the folder, 74 disk, 75 interrupted, 77 links in the folder, 78 settings.
    """
    path = Path(to) if to is not None else default_folder(settings.train)
    if not is_unicode(str(path)):
        raise UserError(f"The run folder {str(path)!r} is no UTF-8.", fix="Choose another name with --to.")
    with RunFolder(path) as folder, Interrupts(path) as interrupts:
        folder.claim(overwrite=overwrite, makes_inputs=make_inputs is not None)
        try:
            if make_inputs is not None:
                settings = make_inputs(folder.path, settings)
            folder.write(SETTINGS_FILE, settings.toml())  # from here on the run can be resumed
            interrupts.resumable = not folder.replaces
            return run_in_folder(folder, Resumption(settings, None, {}), interrupts, reporter)
        finally:
            folder.recover()


def resume(path: Path, *, reporter: Reporter, accept_changes: bool = False) -> Path:
    """Go on with an interrupted run, bit for bit; a finished one is left as it is.

    Raises UserError: 65 for data and 78 for settings that changed since the run began (unless `accept_changes`), 66 for
    a folder that holds no run, and those of `finetune`.
    """
    if not holds_run(path):
        raise UserError(f"{path} holds no run (no settings.toml).", fix="Check the path.", exit=Exit.NO_INPUT)
    with RunFolder(path) as folder, Interrupts(path) as interrupts:
        if folder.recover():
            reporter.info(f"{path} was to be replaced by a run that had not begun: it is as it was before")
        if folder.is_finished:
            reporter.info(f"{path} is finished already")
            return path
        interrupts.resumable = True
        return run_in_folder(folder, prepare_to_resume(folder, reporter, accept_changes=accept_changes), interrupts,
                             reporter)


def run_in_folder(folder: RunFolder, resumption: Resumption, interrupts: Interrupts, reporter: Reporter) -> Path:
    """Prepare, train, finalize."""
    record = resumption.record
    set_up_process()
    with reporter.listening(interrupts):
        try:
            prepared = prepare(resumption.settings, reporter, folder / "data_errors.jsonl")
            data = prepared.dataset.json() | {"lengths": prepared.lengths.json()}
            data_hash = hash_data(data)
            if record is not None:
                check_same_data(record, data, data_hash)
        except UserError as error:
            if error.exit != Exit.INTERRUPTED and record is None and not (folder / DATA_FILE).exists():
                remove(folder / SETTINGS_FILE)  # nothing was begun: the folder is free again
            raise
        log = RunLog(folder / "log.jsonl")
        with reporter.listening(log):
            unread = unread_settings(prepared.settings, prepared.task, prepared.model)
            new_record = Record(prepared.settings.flat(unread), data_hash, data)
            fit = begin(folder, prepared, log, reporter, interrupts, new_record.json())
            if {"training.batch_size", "training.micro_batch_size"} & set(resumption.changes):
                fit.state.micro_batch_size = prepared.settings.training.examples_per_pass
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
            train_folds(fit)
            fit_with_back_off(fit)
            restore_files(fit, is_new=False)
            finalize(fit, command_of(folder, prepared.settings))
            with disk_errors(folder.path):
                remove(folder / FOLDS)
    return folder.path


def restore_files(fit: Fit, *, is_new: bool) -> None:
    """Write what tells of the run beside its weights, where it is not there, or is damaged."""
    folder, prepared = fit.folder, fit.prepared
    makers: dict[str, Callable[[], Any]] = {"environment.json": partial(environment, prepared.settings.device),
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
