"""`headstart quickstart`: the shipped example, from its file to a report and three predictions."""

from __future__ import annotations

import argparse
import json
import shlex
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.cli import _flags, _results
from headstart.errors import Exit, UserError
from headstart.files import disk_errors, exists_error, make_folder, staged_file
from headstart.progress import Reporter

if TYPE_CHECKING:
    from headstart.api.finetune import Run

SUMMARY = "run the shipped example: train, evaluate, report, predict"
FOLDER = "headstart-quickstart"
TRAINING_FILE, NEW_FILE = "requests.csv", "new_requests.jsonl"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    _flags.add_shared(parser, "--to", f"a folder for the example's files and its run; {FOLDER} when not given",
                      default=FOLDER)
    _flags.add_shared(parser, "--model", "hub name, folder or pip:PACKAGE; the default model when not given")
    _flags.add_shared(parser, "--seed", "0 when not given")
    _flags.add_shared(parser, "--overwrite")
    _flags.add_shared(parser, "--device")
    _flags.add_shared(parser, "--quiet")
    _flags.add_shared(parser, "--json")


def run(arguments: argparse.Namespace) -> int:
    """Write the example's files, fine-tune on them, predict three new rows, and name the commands that do the same."""
    from headstart.api import finetune

    folder, reporter = Path(arguments.to), _flags.make_reporter(arguments)
    run_folder = folder / "run"
    if run_folder.exists() and not arguments.overwrite:
        raise exists_error(run_folder)
    with disk_errors(folder):
        make_folder(folder)
    for name in (TRAINING_FILE, NEW_FILE):
        write_example(folder / name, overwrite=arguments.overwrite)
    reporter.info(f"messages to the help desk of a library, each about one of eight things: {folder / TRAINING_FILE}\n"
                  f"$ {finetune_command(folder, arguments.model, arguments.seed)}")
    finished_run = finetune.finetune(folder / TRAINING_FILE, model=arguments.model, to=run_folder,
                                     seed=arguments.seed or 0, overwrite=arguments.overwrite,
                                     device=arguments.device or "auto", reporter=reporter)
    _results.print_run(finished_run, reporter, as_json=arguments.json)
    if not arguments.json:
        predict_new(finished_run, folder, reporter)
    return 0


def example_text(name: str) -> str:
    """A file of the example: of the installed package, or of the checkout that the package is run from; raises
    UserError (69) where neither has it.
    """
    packaged = files("headstart") / "example_data" / name
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    path = Path(__file__).parents[2] / "examples" / "data" / name
    if not path.is_file():
        raise UserError("The example is not part of this installation: headstart-predict only predicts.",
                        fix="pip uninstall headstart-predict, then pip install headstart", exit=Exit.UNAVAILABLE)
    return path.read_text(encoding="utf-8")


def write_example(path: Path, *, overwrite: bool) -> None:
    """Write a file of the example; raises UserError (73) where another of its name stands there, 74 for the disk."""
    text = example_text(path.name)
    with disk_errors(path):
        if path.is_file() and path.read_bytes() == text.encode():
            return  # of a quickstart that ended early
        with staged_file(path, overwrite=overwrite) as file:
            file.write(text)


def finetune_command(folder: Path, model: str | None, seed: int | None) -> str:
    """What one types to the same effect."""
    flags = [*(["--model", model] if model else []), *(["--seed", str(seed)] if seed else [])]
    return shlex.join(["headstart", "finetune", str(folder / TRAINING_FILE), *flags, "--to", str(folder / "run")])


def predict_new(finished_run: Run, folder: Path, reporter: Reporter) -> None:
    """Print what the model says of the new rows, and what to try next."""
    rows = [json.loads(line) for line in (folder / NEW_FILE).read_text(encoding="utf-8").splitlines()]
    reporter.info(f"$ {shlex.join(['headstart', 'predict', str(folder / 'run'), str(folder / NEW_FILE)])}")
    for row, prediction in zip(rows, finished_run.model.predict(rows), strict=True):
        print(f"{prediction['prediction']:<12} {prediction['probability']:.2f}  {row['text']}")
    reporter.info(f"next: open {finished_run.report} in a browser, and try it on a file of your own:\n"
                  "$ headstart finetune YOUR-FILE.csv")
