"""Training with `--processes`: one process of one thread, one of two threads, two of one thread each, in turn.

    python benchmarks/processes.py MODEL --data FOLDER [--steps 60] [--turns 3] [--batch-size 64]

FOLDER has banking77/train.csv. What is measured is a run of the command; tokens a second are those of its steps after
the first third, by log.jsonl. Every measurement is a line of results/processes.jsonl, and one that is there already is
not made again. Memory is the highest of each process, in MB. Seconds are those of the clock: nothing else should run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from growing_results import append_line, read_lines
from turns import RESULTS, machine

SYSTEMS = {"1 process x 1 thread": (1, 1), "1 process x 2 threads": (1, 2), "2 processes x 1 thread": (2, 1)}
LINES = RESULTS / "processes.jsonl"


def peak_memory(pid: int) -> float:
    """The highest memory of a process so far, in MB; 0 where it has ended."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def trainers_of(pid: int, processes: int) -> list[int]:
    """The processes that train: those that the command started, or itself."""
    if processes == 1:
        return [pid]
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def measure(model: str, train: Path, processes: int, threads: int, steps: int, batch_size: int,
            flags: Sequence[str] = ()) -> dict[str, Any]:
    """One run of some steps: tokens a second, seconds in all, and the memory of each process."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "headstart", "finetune", str(train), "--model", model, "--to", str(run),
                   "--batch-size", str(batch_size), "--processes", str(processes), "--quiet", "--set",
                   f"training.max_steps={steps}", "--set", f"training.evaluate_every={steps}", "--set",
                   "evaluation.baselines=false", "--set", "evaluation.resamples=0", "--set", "data.dev_rows=200",
                   "--set", "data.test_rows=200", *flags]
        start, peaks = time.perf_counter(), dict[int, float]()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                   env={**os.environ, "OMP_NUM_THREADS": str(threads)})
        while process.poll() is None:
            for pid in trainers_of(process.pid, processes):
                peaks[pid] = max(peaks.get(pid, 0.0), peak_memory(pid))
            time.sleep(0.2)
        if process.returncode:
            raise SystemExit(f"this ended with {process.returncode}: {' '.join(command)}")
        logged = [line for line in read_lines(run / "log.jsonl") if line["event"] == "step"]
        first = next(line for line in logged if line["step"] >= steps / 3)
        last = logged[-1]
    return {"tokens_per_second": (last["tokens"] - first["tokens"]) / (last["seconds"] - first["seconds"]),
            "seconds": time.perf_counter() - start, "memory_mb": sorted(peaks.values(), reverse=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=64)
    arguments = parser.parse_args()
    if arguments.steps < 30:
        parser.error("--steps takes 30 or more: log.jsonl has every tenth step")
    train = Path(arguments.data) / "banking77" / "train.csv"
    known = {(line["system"], line["turn"]): line for line in read_lines(LINES)
             if (line["steps"], line["batch_size"]) == (arguments.steps, arguments.batch_size)}
    for turn in range(arguments.turns):
        for system in list(SYSTEMS) if turn % 2 == 0 else list(reversed(SYSTEMS)):
            if (system, turn) in known:
                continue
            line = {"system": system, "turn": turn, "steps": arguments.steps, "batch_size": arguments.batch_size,
                    **measure(arguments.model, train, *SYSTEMS[system], arguments.steps, arguments.batch_size)}
            append_line(LINES, line)
            known[system, turn] = line
            print(f"{system:<24} {line['tokens_per_second']:8.0f} tokens/s   {line['memory_mb'][0]:6.0f} MB",
                  flush=True)
    speeds = {system: statistics.median(known[system, turn]["tokens_per_second"] for turn in range(arguments.turns))
              for system in SYSTEMS}
    one, threads, two = speeds.values()
    single, many = "1 process x 1 thread", "2 processes x 1 thread"
    memory = statistics.median(known[many, turn]["memory_mb"][1] / known[single, turn]["memory_mb"][0]
                               for turn in range(arguments.turns))
    print(f"2 x 1 against 1 x 1: {two / one:.2f}; against 1 x 2: {two / threads:.2f}; memory of the second process: "
          f"{memory:.2f} of a single one's")
    print(json.dumps({"machine": machine(), **speeds}))


if __name__ == "__main__":
    main()
