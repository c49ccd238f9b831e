"""One run from its settings to its report; every stage can be taken up again after an interruption."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headstart.contract import Json
from headstart.errors import Exit, UserError
from headstart.progress import Reporter
from headstart.runs.environment import environment
from headstart.runs.finalize import finalize
from headstart.runs.fit import begin, estimate_resources, first_batch, fit_all
from headstart.runs.folder import RunFolder, default_folder
from headstart.runs.log import RunLog
from headstart.runs.prepare import prepare
from headstart.runs.signals import Interrupts
from headstart.runs.unread import unread_settings
from headstart.settings.run_settings import RunSettings, read_settings_file, run_settings
from headstart.training.process_setup import set_up_process

MakeInputs = Callable[[Path, RunSettings], RunSettings]


def finetune(settings: RunSettings, to: str | None, *, overwrite: bool, reporter: Reporter,
             make_inputs: MakeInputs | None = None) -> Path:
    """A new run; gives its folder.

    `make_inputs` may make files in the folder and gives the settings to run on them. Raises UserError: 65 data, 66 and
    69 what cannot be had, 73 the folder, 74 disk, 75 interrupted, 78 settings.
    """
    path = Path(to) if to is not None else default_folder(settings.train)
    with RunFolder(path) as folder, Interrupts(path) as interrupts:
        folder.claim(overwrite=overwrite, mines=make_inputs is not None)
        try:
            if make_inputs is not None:
                settings = make_inputs(folder.path, settings)
            folder.write("settings.toml", settings.toml())  # from here on the run can be resumed
            return run_in_folder(folder, settings, interrupts, reporter)
        finally:
            folder.recover()


def resume(path: Path, *, reporter: Reporter) -> Path:
    """Go on with an interrupted run, bit for bit; a finished one is left as it is. Raises UserError (66, 73 …)."""
    if not (path / "settings.toml").exists():
        raise UserError(f"{path} holds no run (no settings.toml).", fix="Check the path.", exit=Exit.NO_INPUT)
    with RunFolder(path) as folder, Interrupts(path) as interrupts:
        folder.recover()
        if folder.is_finished:
            reporter.info(f"{path} is finished already")
            return path
        return run_in_folder(folder, run_settings(*read_settings_file(folder / "settings.toml")), interrupts, reporter)


def run_in_folder(folder: RunFolder, settings: RunSettings, interrupts: Interrupts, reporter: Reporter) -> Path:
    """Prepare, train, finalize."""
    was_prepared = (folder / "data.json").exists()
    set_up_process()
    try:
        prepared = prepare(settings, reporter, folder / "data_errors.jsonl")
        data = prepared.dataset.json() | {"lengths": prepared.lengths.json()}
        if was_prepared:
            check_same_data(folder.read_json("data.json"), data)
    except UserError as error:
        if error.exit != Exit.INTERRUPTED and not was_prepared:
            (folder / "settings.toml").unlink(missing_ok=True)  # nothing was begun: the folder is free again
        raise
    log = RunLog(folder / "log.jsonl")
    with reporter.listening(log):
        fit = begin(folder, prepared, log, reporter, interrupts)
        if not fit.state.step:
            estimate_resources(fit)
        if not was_prepared:
            folder.write("settings.toml", prepared.settings.toml(unread_settings(prepared.settings, prepared.task,
                                                                                 prepared.model)))
            folder.write_json("environment.json", environment(prepared.settings.device))
            folder.write_json("first_batch.json", first_batch(fit))
            folder.write_json("data.json", data)  # last: from here on the preparation is known to be done
            folder.recover()
        fit_all(fit)
        finalize(fit, command_of(folder, prepared.settings))
    return folder.path


def check_same_data(before: dict[str, Any], now: dict[str, Json]) -> None:
    """Refuse to go on with files that changed since the run began; raises UserError (65)."""
    hashes = {file["file"]: file["sha256"] for file in before["files"]}
    changed = [file["file"] for file in now["files"] if hashes.get(file["file"]) != file["sha256"]]
    if changed or before["splits"] != now["splits"]:
        raise UserError(f"{changed[0] if changed else 'The data'} has changed since the run began.",
                        fix="Restore the old file, or start a new run.", exit=Exit.DATA)


def command_of(folder: RunFolder, settings: RunSettings) -> str:
    """The command that repeats the run."""
    command = "finetune" if settings.teacher is None else "distil"
    return (f"headstart {command} --settings {shlex.quote(str(folder / 'settings.toml'))} --to "
            f"{shlex.quote(folder.path.name + '-again')}")
