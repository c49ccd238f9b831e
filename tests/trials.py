"""Work that is cut short in every way, finished by what a user would type, and compared with work that was left alone.

Tests take samples of these trials, `benchmarks/reliability.py` takes them all.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import faults
import tiny
import tiny_writers
from conftest import review_rows, write_csv
from faults import Outcome

from headstart.training import checkpoint

QUICK = ["--quiet", "--set", "evaluation.resamples=5", "--set", "evaluation.baselines=false", "--batch-size", "8",
         "--folds", "0"]
LEFTOVER = re.compile(r"\..*\.(part|old)|\.replac.*|\.discarded")
DISK_CODES = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EACCES)
REFUSALS = (65, 66, 69, 77, 78)  # exit codes of what is refused with words
Fingerprint = dict[str, str]


@dataclass(frozen=True)
class Work:
    """A command that writes to a place, the command that goes on with it, and what it ends with."""

    name: str
    arguments: Sequence[object]  # without --to
    is_run: bool = True

    def command(self, to: Path, *flags: object) -> list[object]:
        return [*self.arguments, "--to", to, *flags]

    def fingerprint(self, to: Path) -> Fingerprint:
        """Hashes of all that must not depend on how often the work was cut short."""
        if not self.is_run:
            files = [to] if to.is_file() else sorted(path for path in to.rglob("*") if path.is_file()
                                                     and path.name not in ("index.json", ".lock"))
            return {path.name: digest(path) for path in files}
        scores = json.loads((to / "scores.json").read_text())
        return {"model": digest(to / "model" / "model.safetensors"), "predictions": digest(to / "predictions.jsonl"),
                "scores": json.dumps({name: scores[name] for name in ("dev", "test", "best") if name in scores})}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass
class Trial:
    """One piece of work in a place of its own; `problem` says what fell, "" where all held."""

    work: Work
    to: Path
    scratch: Path
    expected: Fingerprint
    log: list[str] = field(default_factory=list)

    def run(self, *arguments: object, **options) -> Outcome:
        outcome = faults.run_command(arguments, self.scratch / f"{self.to.name}.txt", **options)
        self.log.append(f"{' '.join(map(str, arguments[:1]))} -> {outcome.code}: {outcome.text[-600:]}")
        return outcome

    def finish(self, way: int = 0) -> str:
        """What a user does after a mishap: resume, or the command again, or with --overwrite; "" where the end is right.

        Nothing is ever removed by hand.
        """
        commands = {0: [["resume", self.to, "--quiet"], self.work.command(self.to)],
                    1: [self.work.command(self.to), ["resume", self.to, "--quiet"]],
                    2: [self.work.command(self.to, "--overwrite")]}[way] if self.work.is_run else [
                        self.work.command(self.to)]
        allowed = {0: 66, 1: 73}.get(way)
        for command in commands:
            outcome = self.run(*command)
            if outcome.code == 0:
                return self.check()
            if outcome.code != allowed or not self.work.is_run:
                break
        return f"ends with {outcome.code}: {outcome.text[-400:]}"

    def check(self) -> str:
        """Whether the work ended as work that was left alone, with nothing half written beside it."""
        if self.work.fingerprint(self.to) != self.expected:
            return "ends with other files"
        places = [self.to, self.to / "checkpoints", self.to / "model"] if self.work.is_run else [self.to.parent]
        leftovers = [path.name for place in places if place.is_dir() for path in place.iterdir()
                     if LEFTOVER.fullmatch(path.name)]
        return f"leaves {leftovers}" if leftovers else ""


def crash_text(outcome: Outcome) -> str:
    """What no mishap may do, a traceback or a bug report; "" where there is none."""
    if "Traceback" in outcome.text or outcome.code in (70, 99):
        return f"exit {outcome.code}: {outcome.text[-400:]}"
    return ""


def kill_trial(trial: Trial, number: int, *, way: int = 0) -> str:
    """kill -9 before operation `number`, then finish."""
    outcome = trial.run(*trial.work.command(trial.to), observer=faults.kill_at(number), watched=trial.to.parent)
    if not outcome.killed:
        return crash_text(outcome) or (trial.check() if outcome.code == 0 else f"exit {outcome.code}")
    return trial.finish(way)


def disk_trial(trial: Trial, number: int, code: int) -> str:
    """A disk that fails from operation `number` on: 74, checkpoints whole, and the work can be finished afterwards."""
    outcome = trial.run(*trial.work.command(trial.to), observer=faults.fail_from(number, code),
                        watched=trial.to.parent)
    if outcome.code not in (74, 0):
        return f"exit {outcome.code}: {outcome.text[-400:]}"
    if trial.work.is_run:
        for path in checkpoint.list_checkpoints(trial.to / "checkpoints"):
            reason = checkpoint.verify(path)
            if reason is not None:
                return f"{path.name}: {reason}"
    return trial.check() if outcome.code == 0 else trial.finish()


def signal_trial(trial: Trial, seconds: float, number: signal.Signals) -> str:
    """A polite signal after some seconds: 75 and resumable, or done already."""
    output = trial.scratch / f"{trial.to.name}.txt"
    process = faults.start_command(trial.work.command(trial.to), output)
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)
    outcome = faults.wait_for(process, output)
    trial.log.append(f"signal after {seconds:.2f} s -> {outcome.code}: {outcome.text[-600:]}")
    if outcome.code == 0:
        return trial.check()
    if outcome.code != 75:
        return f"exit {outcome.code}: {outcome.text[-400:]}"
    return trial.finish()


def random_kill_trial(trial: Trial, delays: Sequence[float]) -> str:
    """kill -9 after each of these seconds, the work taken up in between, then finish."""
    output, command = trial.scratch / f"{trial.to.name}.txt", trial.work.command(trial.to)
    for delay in delays:
        process = faults.start_command(command, output)
        time.sleep(delay)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        outcome = faults.wait_for(process, output)
        trial.log.append(f"{command[0]}, killed after {delay:.2f} s -> {outcome.code}: {outcome.text[-300:]}")
        if outcome.code == 0:
            return trial.check()
        if not outcome.killed and not (outcome.code == 66 and command[0] == "resume"):
            return f"exit {outcome.code}: {outcome.text[-400:]}"
        if trial.work.is_run:
            command = ["resume", trial.to, "--quiet"] if outcome.killed else trial.work.command(trial.to)
    return trial.finish()


def race_trial(trial: Trial, runners: int = 4) -> str:
    """Several processes want one folder at once: one gets it, the others are told so."""
    outputs = [trial.scratch / f"{trial.to.name}-{runner}.txt" for runner in range(runners)]
    processes = [faults.start_command(trial.work.command(trial.to), output) for output in outputs]
    codes = sorted(faults.wait_for(process, output).code for process, output in zip(processes, outputs, strict=True))
    return trial.check() if codes == [0, *[73] * (runners - 1)] else f"exit codes {codes}"


def flip_bit(path: Path, rng: random.Random) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


class Workshop:
    """Makes the works' data and models, and trials in places of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder, 0
        self.expected: dict[str, Fingerprint] = {}
        self.seconds: dict[str, float] = {}
        self.reviews = write_csv(folder / "reviews.csv", review_rows(40))
        self.bert = tiny.model_folder("bert", folder / "bert")

    def runs(self) -> list[Work]:
        """Six tasks, LoRA, accumulation, distillation."""
        folder = self.folder
        texts = tiny.texts(40, seed=3)
        numbers = write_csv(folder / "numbers.csv", [(text, len(text)) for text in texts], ("text", "target"))
        pairs = write_csv(folder / "pairs.csv", [(text, text[:20]) for text in texts], ("source", "target"))
        questions = write_csv(folder / "questions.csv", [
            (f"{index}: {text}", "who?", f"{index}: {text}"[:6]) for index, text in enumerate(texts)],
            ("passage", "question", "answer"))
        tokens = folder / "tokens.jsonl"
        tokens.write_text("".join(json.dumps({"tokens": text.split(), "tags": [
            "B-x" if word[0].isupper() else "O" for word in text.split()]}) + "\n" for text in texts))
        book = folder / "lines.csv"
        write_csv(book, [(text,) for text in texts], ("text",))
        t5 = tiny_writers.model_folder("t5", folder / "t5", seed=2)
        gpt = tiny.model_folder("gpt2", folder / "gpt2")
        few = ["--set", "generation.max_new_tokens=4"]
        epochs = ["--epochs", "2", *QUICK]
        return [
            self.classification(),
            Work("regression", ["finetune", numbers, "--task", "regression", "--model", self.bert, *epochs]),
            Work("token-tagging", ["finetune", tokens, "--task", "token-tagging", "--model", self.bert, *epochs]),
            Work("question-answering", ["finetune", questions, "--task", "question-answering", "--model", self.bert,
                                        *epochs]),
            Work("text-to-text", ["finetune", pairs, "--task", "text-to-text", "--model", t5, *epochs, *few]),
            Work("language-model", ["finetune", book, "--task", "language-model", "--model", gpt, *epochs,
                                    "--set", "evaluation.generated_samples=0"]),
            Work("lora", ["finetune", self.reviews, "--model", self.bert, *epochs, "--set", "training.adapter=lora"]),
            Work("accumulation", ["finetune", self.reviews, "--model", self.bert, *epochs, "--set",
                                  "training.micro_batch_size=2", "--set", "training.save_every=1", "--set",
                                  "training.keep_last=2"]),
            self.folds(),
        ]

    def classification(self) -> Work:
        return Work("text-classification", ["finetune", self.reviews, "--model", self.bert, "--epochs", "2", *QUICK])

    def folds(self) -> Work:
        """Three folds, then the model on all rows."""
        return Work("folds", ["finetune", self.reviews, "--model", self.bert, "--epochs", "1", *QUICK, "--folds", "3"])

    def finishing(self) -> Work:
        """A run whose end takes longest: baselines, intervals, explained errors."""
        return Work("finishing", ["finetune", self.reviews, "--model", self.bert, "--epochs", "1", "--quiet",
                                  "--batch-size", "16", "--set", "evaluation.resamples=100", "--folds", "0"])

    def distillation(self, teacher: Path) -> Work:
        return Work("distil", ["distil", teacher, self.reviews, "--epochs", "2", *QUICK])

    def index(self) -> Work:
        source = self.folder / "documents"
        source.mkdir(exist_ok=True)
        for number, text in enumerate(tiny.texts(12, seed=5)):
            (source / f"{number}.txt").write_text(f"{text}\n")
        return Work("index", ["index", source, "--model", self.bert, "--quiet"], is_run=False)

    def prediction(self) -> Work:
        """A writing task, whose predictions are journaled."""
        rows = write_csv(self.folder / "rows.csv", [(text,) for text in tiny.texts(12, seed=5)], ("source",))
        t5 = self.folder / "t5-writer"
        if not t5.exists():
            tiny_writers.model_folder("t5", t5, seed=2)
        return Work("predict", ["predict", t5, rows, "--task", "summarization", "--quiet", "--set",
                                "generation.max_new_tokens=4"], is_run=False)

    def place(self, work: Work) -> Path:
        """A new place for a trial of a work."""
        self.number += 1
        folder = self.folder / "trials" / f"{os.getpid()}-{self.number:05}"
        folder.mkdir(parents=True)
        return folder / ("out.csv" if work.name == "predict" else "work")

    def prepare(self, work: Work) -> Fingerprint:
        """What the work ends with when it is left alone; asked twice, so that its seconds are those of a warm start."""
        if work.name not in self.expected:
            for _ in range(2):
                to, start = self.place(work), time.monotonic()
                outcome = faults.run_command(work.command(to), self.folder / "left-alone.txt")
                assert outcome.code == 0, f"{work.name}: {outcome.text}"
                fingerprint = work.fingerprint(to)
                assert self.expected.setdefault(work.name, fingerprint) == fingerprint, work.name
                self.seconds[work.name] = time.monotonic() - start
        return self.expected[work.name]

    def operations(self, work: Work, flags: Sequence[object] = (), prepare: Callable[[Path], object] | None = None) -> int:
        """How many operations the work makes."""
        to = self.place(work)
        if prepare is not None:
            prepare(to)
        outcome, operations = faults.operations_of(work.command(to, *flags), to.parent, self.folder)
        assert outcome.code == 0, outcome.text
        return len(operations)

    @contextlib.contextmanager
    def trial(self, work: Work) -> Iterator[Trial]:
        """A trial in a place of its own, which goes at the end."""
        expected, to = self.prepare(work), self.place(work)
        yield Trial(work, to, to.parent, expected)
        shutil.rmtree(to.parent, ignore_errors=True)


def overwrite_trial(trial: Trial, old: Path, number: int, *, expected_old: Fingerprint) -> str:
    """kill -9 while a finished run is replaced: the old or the new one is there, and the new one can be made."""
    shutil.copytree(old, trial.to)
    outcome = trial.run(*trial.work.command(trial.to, "--overwrite"), observer=faults.kill_at(number),
                        watched=trial.to.parent)
    if not outcome.killed:
        return crash_text(outcome) or trial.check()
    outcome = trial.run("resume", trial.to, "--quiet")
    if outcome.code != 0:
        return f"resume ends with {outcome.code}: {outcome.text[-400:]}"
    if trial.work.fingerprint(trial.to) not in (expected_old, trial.expected):
        return "neither the old nor the new run is there"
    return trial.finish(2)


def recovery_trial(trial: Trial, old: Path, number: int, again: int, *, expected_old: Fingerprint) -> str:
    """Killed while a run is replaced, and killed again while `resume` brings it back."""
    shutil.copytree(old, trial.to)
    trial.run(*trial.work.command(trial.to, "--overwrite"), observer=faults.kill_at(number), watched=trial.to.parent)
    trial.run("resume", trial.to, "--quiet", observer=faults.kill_at(again), watched=trial.to.parent)
    outcome = trial.run("resume", trial.to, "--quiet")
    if outcome.code != 0 or trial.work.fingerprint(trial.to) not in (expected_old, trial.expected):
        return f"resume ends with {outcome.code}: {outcome.text[-400:]}"
    return ""


def removal_trial(trial: Trial, number: int, name: str = "") -> str:
    """The run folder, or a file in it, is removed while the run works: words (74), or the run goes on."""
    def observer(count: int, operation: str, path: Path) -> None:
        if count == number:
            target = trial.to / name
            shutil.rmtree(target, ignore_errors=True)
            target.unlink(missing_ok=True) if name and target.is_file() else None

    outcome = trial.run(*trial.work.command(trial.to), observer=observer, watched=trial.to.parent)
    if outcome.code in (0, 74, 73):
        return crash_text(outcome)
    return f"exit {outcome.code}: {outcome.text[-400:]}"


def interrupt(trial: Trial, checkpoints: int = 1) -> None:
    """Cut the work short after so many checkpoints."""
    def observer(count: int, name: str, path: Path) -> None:
        if name == "make_folder" and path.name.startswith(".step-"):
            observer.started += 1
            if observer.started > checkpoints:
                os.kill(os.getpid(), signal.SIGKILL)

    observer.started = 0
    outcome = trial.run(*trial.work.command(trial.to), observer=observer, watched=trial.to.parent)
    assert outcome.killed, outcome.text


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "a bit is flipped": flip_bit,
    "it is cut in half": lambda path, rng: path.write_bytes(path.read_bytes()[:path.stat().st_size // 2]),
    "it is empty": lambda path, rng: path.write_bytes(b""),
    "it is gone": lambda path, rng: path.unlink(),
    "it is a list": lambda path, rng: path.write_text("[1, 2]\n"),
}


def damage_trial(trial: Trial, name: str, damage: str, rng: random.Random) -> str:
    """A file of an interrupted run is damaged: the run ends with the same files, or is refused in words."""
    interrupt(trial)
    paths = [path for path in sorted(trial.to.rglob("*")) if path.is_file() and path.name != ".lock"
             and path.relative_to(trial.to).as_posix().startswith(name)]
    DAMAGES[damage](rng.choice(paths), rng)
    outcome = trial.run("resume", trial.to, "--quiet")
    if outcome.code == 0:
        return trial.check()
    return crash_text(outcome) or ("" if outcome.code in REFUSALS else f"exit {outcome.code}")
