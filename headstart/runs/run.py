"""One run from request to report; every stage can be taken up again after an interruption."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headstart.contract import Json
from headstart.errors import Exit, UserError
from headstart.progress import Voice
from headstart.runs.environment import environment
from headstart.runs.finish import finish
from headstart.runs.fit import begin, first_batch, fit_all, tell_estimate
from headstart.runs.folder import Log, RunFolder, default_folder
from headstart.runs.prepare import prepare, set_up_process
from headstart.runs.run_config import Request, from_file, request
from headstart.runs.signals import Interrupts

Before = Callable[[Path, Request], Request]


def finetune(asked: Request, to: str | None, *, overwrite: bool, voice: Voice, before: Before | None = None) -> Path:
    """A new run; gives its folder.

    `before` may make files in the folder and gives the request to run on them. Raises UserError: 65 data, 66 and 69 what
    cannot be had, 73 the folder, 74 disk, 75 interrupted, 78 settings.
    """
    place = Path(to) if to is not None else default_folder(asked.train)
    with RunFolder(place) as folder, Interrupts(place) as interrupts:
        folder.claim(overwrite=overwrite, mines=before is not None)
        try:
            if before is not None:
                asked = before(folder.path, asked)
            folder.write("settings.toml", asked.toml())  # from here on the run can be resumed
            return work(folder, asked, interrupts, voice, fresh=True)
        finally:
            folder.recover()


def resume(place: Path, *, voice: Voice) -> Path:
    """Go on with an interrupted run, bit for bit; a finished one is left as it is. Raises UserError (66, 73 …)."""
    if not (place / "settings.toml").exists():
        raise UserError(f"{place} holds no run (no settings.toml).", fix="Check the path.", exit=Exit.NO_INPUT)
    with RunFolder(place) as folder, Interrupts(place) as interrupts:
        folder.recover()
        if folder.finished:
            voice.say(f"{place} is finished already")
            return place
        own, columns, values = from_file(folder / "settings.toml")
        return work(folder, request(own, columns, values), interrupts, voice, fresh=False)


def work(folder: RunFolder, asked: Request, interrupts: Interrupts, voice: Voice, *, fresh: bool) -> Path:
    """Prepare, train, finish."""
    begun = (folder / "data.json").exists()
    set_up_process()
    try:
        prepared = prepare(asked, voice, folder / "data_errors.jsonl")
        found = prepared.data.json() | {"lengths": prepared.lengths.json()}
        if begun:
            same_data(folder.read_json("data.json"), found)
    except UserError as error:
        if error.exit != Exit.INTERRUPTED and not begun:
            (folder / "settings.toml").unlink(missing_ok=True)  # nothing was begun: the folder is free again
        raise
    log = Log(folder / "log.jsonl")
    fit = begin(folder, prepared, log, voice, interrupts)
    if not fit.state.update:
        tell_estimate(fit)
    if not begun:
        folder.write("settings.toml", prepared.request.toml())
        folder.write_json("environment.json", environment(prepared.request.device))
        folder.write_json("first_batch.json", first_batch(fit))
        folder.write_json("data.json", found)  # last: from here on the preparation is known to be done
        folder.recover()
    fit_all(fit)
    finish(fit, command_of(folder, prepared.request))
    voice.say(f"report: {folder / 'report.html'}")
    return folder.path


def same_data(before: dict[str, Any], now: dict[str, Json]) -> None:
    """Refuse to go on with files that changed since the run began."""
    hashes = {entry["file"]: entry["sha256"] for entry in before["files"]}
    changed = [entry["file"] for entry in now["files"] if hashes.get(entry["file"]) != entry["sha256"]]
    if changed or before["splits"] != now["splits"]:
        raise UserError(f"{changed[0] if changed else 'The data'} is not what it was when the run began.",
                        fix="Put the old file back, or begin anew with finetune.", exit=Exit.DATA)


def command_of(folder: RunFolder, asked: Request) -> str:
    """The command that repeats the run."""
    command = "finetune" if asked.teacher is None else "distil"
    return f"headstart {command} --settings {shlex.quote(str(folder / 'settings.toml'))} --to {shlex.quote(folder.path.name + '-again')}"
