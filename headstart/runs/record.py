"""What a run recorded of its settings and its data, so that a resumed run goes on with the same or not at all.

data.json holds it, and every checkpoint too: either may be damaged.

    {"settings": {"training.epochs": 3.0, …}, "data": hash of the files' hashes and of the rows of each split}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.contract import Json
from headstart.errors import Exit, UserError
from headstart.files import hash_json, sha256
from headstart.progress import Reporter
from headstart.runs.folder import RunFolder
from headstart.settings.run_settings import RunSettings, run_settings, split_settings, toml_text
from headstart.settings.values import load
from headstart.training import checkpoint

SETTINGS_FILE, DATA_FILE, CHECKPOINTS = "settings.toml", "data.json", "checkpoints"
# What weights, the optimizer's state or the rows were made with: another value is another run.
FIXED_SETTINGS = ("run.task", "run.model", "run.from_scratch", "run.teacher", "run.preset", "run.index", "run.seed",
                  "columns.", "training.method", "training.sharded", "training.optimizer", "training.adapter",
                  "training.freeze",
                  "adapter.",
                  "distil.layers", "distil.encoder_layers", "distil.decoder_layers", "distil.freeze_encoder",
                  "evaluation.folds", "evaluation.metric", "training.batch_tokens", "data.max_length", "data.split",
                  "data.train_rows", "data.dev_rows", "data.test_rows", "data.select_slice")

# What runs did that were begun by an older headstart, which had no such setting.
VALUES_BEFORE: Mapping[str, Any] = {"evaluation.folds": 0, "training.method": "plain"}


@dataclass(frozen=True)
class Record:
    """What a run recorded when it began; `data` is data.json where that is whole."""

    settings: Mapping[str, Any]
    data_hash: str
    data: Mapping[str, Any] | None = None

    def json(self) -> dict[str, Json]:
        """As a checkpoint holds it."""
        return {"settings": dict(self.settings), "data": self.data_hash}


@dataclass(frozen=True)
class Resumption:
    """How an interrupted run goes on: its settings, what it recorded (None before it began), and what was changed."""

    settings: RunSettings
    record: Record | None
    changes: Mapping[str, tuple[Any, Any]]  # {"training.epochs": (before, now)}


def was_trained_on(model: Path, file: Path) -> bool:
    """Whether a run (or its folder model/, beside data.json) was trained on rows of this very file."""
    content = (RunFolder(model).read_object(DATA_FILE) or RunFolder(model.parent).read_object(DATA_FILE) or {})
    try:
        train = content["splits"]["train"]
        names = set(train.get("files", [train["file"]]))
        sums = {source["sha256"] for source in content["files"] if source["file"] in names}
    except (KeyError, TypeError, AttributeError):  # data.json of something else
        return False
    return file.is_file() and sha256(file) in sums


def hash_data(data: Mapping[str, Any]) -> str:
    """The hash of what the files hold and of the rows of each split, wherever the files stand."""
    sums = {file["file"]: file["sha256"] or file["file"] for file in data["files"]}
    return hash_json({"files": sorted(sums.values()),
                      "splits": {name: [*(sums[file] for file in split.get("files", [split["file"]])), split["rows"]]
                                 for name, split in data["splits"].items()}})


def with_checksum(data: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a file of JSON, with a checksum of all the rest."""
    content = {name: value for name, value in data.items() if name != "checksum"}
    return content | {"checksum": hash_json(content)}


def read_record(folder: RunFolder) -> Record | None:
    """What the run recorded, from data.json, else from its newest good checkpoint; None where there is neither."""
    data = folder.read_object(DATA_FILE)
    try:
        if data is not None and data.get("checksum", "") in ("", with_checksum(data)["checksum"]):
            return Record(data.get("settings", {}), hash_data(data), data)
    except (KeyError, TypeError, AttributeError):
        pass  # damaged, and without a checksum: of an older headstart
    newest, _ = checkpoint.newest_valid(folder / CHECKPOINTS)
    record = None if newest is None else checkpoint.read_progress(newest).get("record")
    return None if record is None else Record(record["settings"], record["data"])


def holds_run(path: Path) -> bool:
    """Whether a folder holds a run, or what is left of one."""
    names = (SETTINGS_FILE, DATA_FILE, "report.html", ".replacing", ".replaced")
    return any((path / name).exists() for name in names) or bool(checkpoint.list_checkpoints(path / CHECKPOINTS))


def prepare_to_resume(folder: RunFolder, reporter: Reporter, *, accept_changes: bool) -> Resumption:
    """The settings that an interrupted run goes on with; settings.toml is written again where it is damaged.

    Raises UserError: 78 for settings that were changed since the run began, unless they are accepted; 66 and 78 where
    nothing tells the settings.
    """
    record = read_record(folder)
    path = folder / SETTINGS_FILE
    try:
        values = load(path)
    except UserError as error:
        if record is None or not record.settings:
            raise
        reporter.warning(f"{error.message} It was written again as the run recorded it.")
        folder.write(SETTINGS_FILE, toml_text(record.settings))
        values = load(path)
    changes = changed_settings(record.settings if record is not None else {}, values)
    if changes:
        refuse_changes(folder, changes, accept_changes=accept_changes)
        reporter.warning(f"continuing with changed settings: {change_text(changes)}")
    if record is not None and record.settings:
        values |= {key: value for key, value in VALUES_BEFORE.items() if key not in record.settings}
    return Resumption(run_settings(*split_settings(values)), record, changes)


def changed_settings(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The settings that differ from what was recorded, as (before, now); None stands for one that is not there."""
    if not recorded:
        return {}
    return {key: (recorded.get(key), now.get(key)) for key in sorted(set(recorded) | set(now))
            if recorded.get(key) != now.get(key)}


def change_text(changes: Mapping[str, tuple[Any, Any]]) -> str:
    """Changed settings in words."""
    return "; ".join(f"{key} was {setting_text(before)} and is {setting_text(now)}"
                     for key, (before, now) in changes.items())


def setting_text(value: Any) -> str:
    """A value of a settings file in words."""
    return "not set" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)


def refuse_changes(folder: RunFolder, changes: Mapping[str, tuple[Any, Any]], *, accept_changes: bool) -> None:
    """Refuse settings that were changed since the run began (78); some are refused also when changes are accepted."""
    fixed = {key: values for key, values in changes.items() if key.startswith(FIXED_SETTINGS)}
    if fixed and accept_changes:
        raise UserError(f"A run that has begun cannot continue with other values of these settings: "
                        f"{change_text(fixed)}.",
                        fix="Set them back, or start a new run: headstart finetune --settings "
                            f"{folder / SETTINGS_FILE} --to ANOTHER", exit=Exit.SETTINGS)
    if not accept_changes:
        raise UserError(f"{folder / SETTINGS_FILE} was changed since the run began: {change_text(changes)}.",
                        fix="Set them back (without the file, resume writes it as it was), or pass --accept-changes: "
                            "the run goes on with them, and log.jsonl and data.json say so.", exit=Exit.SETTINGS)


def check_same_data(record: Record, data: Mapping[str, Any], data_hash: str) -> None:
    """Refuse to go on with files that changed since the run began; raises UserError (65)."""
    if data_hash == record.data_hash:
        return
    before = {} if record.data is None else {file["file"]: file["sha256"] for file in record.data["files"]}
    changed = [file["file"] for file in data["files"] if before and before.get(file["file"]) != file["sha256"]]
    raise UserError(f"{changed[0] if changed else 'The data'} has changed since the run began.",
                    fix="Restore the old file, or start a new run.", exit=Exit.DATA)
