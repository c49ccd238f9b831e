"""Runs, indexes and predictions that are killed, interrupted, short of disk, damaged, raced for: what held, what fell.

    python benchmarks/reliability.py            all of it: every file operation, 300 random kills …
    python benchmarks/reliability.py --quick    a tenth

Works run in children forked from processes that have torch imported (a cold start takes 5 s), 20 in processes of their
own. After each mishap the command that a user would type next must end with the same files as work that was left alone;
nothing is ever removed by hand. Exit code 1 where anything fell.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

import faults
import trials
from trials import Trial, Work, Workshop

RUN_FILES = ("data.json", "settings.toml", "log.jsonl", "environment.json", "first_batch.json", "checkpoints/")
OLD_SEED = ["--seed", "3"]


@dataclass(frozen=True)
class Job:
    """One trial of a kind."""

    kind: str
    work: Work
    attempt: Callable[[Trial], str]  # what fell; "" where all held


class Plan:
    """All trials, each with random numbers of its own, so that any part of them can be run alone."""

    def __init__(self, workshop: Workshop, share: float, seed: int) -> None:
        self.workshop, self.share, self.seed = workshop, share, seed
        self.jobs: list[Job] = []

    def add(self, kind: str, work: Work, attempt: Callable[[Trial], str]) -> None:
        """One more trial."""
        self.jobs.append(Job(kind, work, attempt))

    def count(self, number: int) -> int:
        """So many of a kind, or the share of them that is asked for."""
        return max(1, round(number * self.share))

    def rng(self) -> random.Random:
        """Random numbers of the next trial."""
        return random.Random(f"{self.seed}:{len(self.jobs)}")

    def operations(self, work: Work, replaced: Path | None = None) -> range:
        """The numbers of a work's file operations, those of --overwrite where it replaces a run; all, or evenly spread
        ones.
        """
        total = self.workshop.operations(work) if replaced is None else self.workshop.operations(
            work, ("--overwrite",), lambda to: shutil.copytree(replaced, to))
        return range(1, total + 1, max(1, round(1 / self.share)))

    def everywhere(self, works: Sequence[Work], kind: str) -> None:
        """kill -9 before each file operation, and a disk that fails from each on."""
        for work in works:
            for index, number in enumerate(self.operations(work)):
                code = trials.DISK_CODES[index % len(trials.DISK_CODES)]
                self.add(f"kill -9 at each file operation: {kind}", work,
                         lambda trial, number=number, way=index % 3: trials.kill_trial(trial, number, way=way))
                self.add(f"disk full, broken or forbidden from each file operation on: {kind}", work,
                         lambda trial, number=number, code=code: trials.disk_trial(trial, number, code))

    def replaced(self, work: Work, old_work: Work, old: Path) -> None:
        """kill -9 at each file operation of --overwrite, and again while the old run is brought back."""
        expected_old = self.workshop.prepare(old_work)
        for number in self.operations(work, old):
            self.add("kill -9 at each file operation of --overwrite", work, lambda trial, number=number:
                     trials.overwrite_trial(trial, old, number, expected_old=expected_old))
        for _ in range(self.count(60)):
            rng = self.rng()
            number, again = rng.randrange(5, 60), rng.randrange(3, 30)
            self.add("killed again while the old run is brought back", work, lambda trial, number=number, again=again:
                     trials.recovery_trial(trial, old, number, again, expected_old=expected_old))

    def at_random(self, works: Sequence[Work]) -> None:
        """300 kills, one to three for each trial, 20 of them of fresh processes; 50 signals."""
        kills = 0
        while kills < self.count(280):
            work, rng = works[len(self.jobs) % len(works)], self.rng()
            delays = [rng.uniform(0, self.workshop.seconds[work.name]) for _ in range(rng.randint(1, 3))]
            kills += len(delays)
            self.add("kill -9 at random moments (one to three each)", work,
                     lambda trial, delays=delays: trials.random_kill_trial(trial, delays))
        for _ in range(self.count(20)):
            share = self.rng().random()
            self.add("kill -9 of fresh processes", works[len(self.jobs) % len(works)],
                     lambda trial, share=share: fresh_trial(trial, share))
        for index in range(self.count(50)):
            work, rng = works[index % len(works)], self.rng()
            seconds = rng.uniform(0, self.workshop.seconds[work.name])
            number = (signal.SIGTERM, signal.SIGINT)[index % 2]
            self.add("SIGTERM or SIGINT at random moments", work, lambda trial, seconds=seconds, number=number:
                     trials.signal_trial(trial, seconds, number))

    def damaged(self, work: Work, finished: Path, index: Path) -> None:
        """Files of interrupted runs damaged in five ways; single bits of checkpoints, artifacts and indexes."""
        for name in RUN_FILES:
            for damage in trials.DAMAGES:
                for _ in range(self.count(4)):
                    rng = self.rng()
                    self.add(f"damaged {name} of an interrupted run", work, lambda trial, name=name, damage=damage,
                             rng=rng: trials.damage_trial(trial, name, damage, rng))
        for place, folder, command in (("model/", finished, predict_command), ("index", index, ask_command)):
            files = [path.relative_to(folder) for path in sorted(folder.rglob("*"))
                     if path.is_file() and path.stat().st_size and path.name != ".lock"
                     and (place == "index" or "model" in path.parts)]
            for file in files:
                for _ in range(self.count(5)):
                    rng = self.rng()
                    self.add(f"a flipped bit in a file of {place}", work, lambda trial, folder=folder, file=file,
                             command=command, rng=rng: flip_trial(trial, folder, file, command, rng))

    def others(self, work: Work) -> None:
        """Races for one folder; folders and files that are removed while a run works."""
        for _ in range(self.count(50)):
            self.add("four runs that want one folder", work, trials.race_trial)
        total = self.workshop.operations(work)
        for name in ("", "settings.toml", "environment.json", "log.jsonl", "data.json", "checkpoints"):
            for _ in range(self.count(5)):
                number = self.rng().randrange(60, total)
                self.add("removed while the run works", work, lambda trial, number=number, name=name:
                         trials.removal_trial(trial, number, name))


def fresh_trial(trial: Trial, share: float) -> str:
    """kill -9 of a process of its own, at a share of its time after the run has begun to write."""
    command = [sys.executable, "-m", "headstart", *map(str, trial.work.command(trial.to))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not trial.to.exists():
        time.sleep(0.002)
    time.sleep(share * 3)
    process.kill()
    code = process.wait()
    return trial.check() if code == 0 else trial.finish()


def predict_command(folder: Path, trial: Trial) -> list[object]:
    return ["predict", folder, trial.work.arguments[1], "--quiet"]


def ask_command(folder: Path, trial: Trial) -> list[object]:
    return ["ask", folder, "Who waters the roses?", "--passages-only", "--quiet"]


def flip_trial(trial: Trial, folder: Path, file: Path, command: Callable[[Path, Trial], list[object]],
               rng: random.Random) -> str:
    """One bit of a finished run's model or of an index is flipped: the same answers, or words."""
    shutil.copytree(folder, trial.to)
    whole = trial.run(*command(trial.to, trial))
    assert whole.code == 0, whole.text
    trials.flip_bit(trial.to / file, rng)
    outcome = trial.run(*command(trial.to, trial))
    if outcome.code == 0:
        return "" if outcome.text == whole.text else f"another answer with exit 0 ({file})"
    return trials.crash_text(outcome) or ("" if outcome.code in trials.REFUSALS else f"exit {outcome.code} ({file})")


def make_plan(workshop: Workshop, share: float, seed: int) -> Plan:
    """Every trial; the works that are needed are done once before."""
    plan, work = Plan(workshop, share, seed), workshop.classification()
    old_work = Work("old", [*work.arguments, *OLD_SEED])
    index, prediction, finishing = workshop.index(), workshop.prediction(), workshop.finishing()
    old, built = workshop.folder / "old", workshop.folder / "built"
    for old_arguments, to in ((old_work.command(old), old), (index.command(built), built)):
        outcome = faults.run_command(old_arguments, workshop.folder / "before.txt")
        assert outcome.code == 0, f"{to}: {outcome.text}"
    works = [*workshop.runs(), workshop.distillation(old), finishing]
    for each in (*works, index, prediction):
        workshop.prepare(each)
    plan.everywhere([work], "a run")
    plan.everywhere([index], "an index")
    plan.everywhere([prediction], "a prediction")
    plan.share, whole_share = share * 0.08, plan.share
    plan.everywhere([each for each in works if each != work], "other tasks, LoRA, accumulation, distillation")
    plan.share = whole_share
    plan.replaced(work, old_work, old)
    plan.at_random([*works, index, prediction])
    plan.damaged(work, old, built)
    plan.others(work)
    return plan


def run_jobs(plan: Plan, numbers: Sequence[int], stream: int) -> None:
    """Run some trials; a line of JSON for each: its number, its kind and what fell."""
    for number in numbers:
        job = plan.jobs[number]
        with plan.workshop.trial(job.work) as trial:
            try:
                problem = job.attempt(trial)
            except Exception as error:
                problem = f"the trial failed: {type(error).__name__}: {error}"
            steps = trial.log if problem else []
        os.write(stream, (json.dumps([number, problem, steps]) + "\n").encode())


def results(plan: Plan, processes: int) -> Iterator[tuple[int, str, list[str]]]:
    """The outcome of every trial, from so many processes, as they come."""
    reading, writing = os.pipe()
    children = []
    for process in range(processes):
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                os.close(reading)
                run_jobs(plan, range(process, len(plan.jobs), processes), writing)
            os._exit(0)
        children.append(child)
    os.close(writing)
    with open(reading, encoding="utf-8") as lines:
        for line in lines:
            number, problem, steps = json.loads(line)
            yield number, problem, steps
    for child in children:
        os.waitpid(child, 0)


def table(attempts: Counter[str], fallen: Counter[str]) -> str:
    """kind | tried | held | fell."""
    rows = [(kind, str(count), str(count - fallen[kind]), str(fallen[kind])) for kind, count in attempts.items()]
    rows.append(("all", str(attempts.total()), str(attempts.total() - fallen.total()), str(fallen.total())))
    return "\n".join(["| kind | tried | held | fell |", "|---|---|---|---|",
                      *(f"| {' | '.join(row)} |" for row in rows)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the trials")
    parser.add_argument("--share", type=float, help="another share of them")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)  # a fork has none of its parent's threads
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        plan = make_plan(Workshop(Path(folder)), arguments.share or (0.1 if arguments.quick else 1), arguments.seed)
        print(f"{len(plan.jobs):,} trials, prepared in {time.perf_counter() - start:.0f} s", flush=True)
        attempts: Counter[str] = Counter()
        fallen: Counter[str] = Counter()
        for number, problem, steps in results(plan, arguments.processes):
            job = plan.jobs[number]
            attempts[job.kind] += 1
            fallen[job.kind] += bool(problem)
            if problem:
                print(f"FELL  {job.kind} ({job.work.name}, trial {number}): {problem}", *steps, sep="\n    ",
                      flush=True)
            if attempts.total() % 50 == 0:
                print(f"{attempts.total():,} of {len(plan.jobs):,}, {fallen.total()} fell, "
                      f"{time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    missing = len(plan.jobs) - attempts.total()
    print(table(attempts, fallen), f"{time.perf_counter() - start:.0f} s"
          + (f"; {missing} trials did not end" if missing else ""), sep="\n\n")
    sys.exit(bool(fallen.total() or missing))


if __name__ == "__main__":
    main()
