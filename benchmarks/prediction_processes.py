"""`--processes`: one process of one thread, two of one thread each, one of two threads, in turn, in one run.

    python benchmarks/prediction_processes.py RUN --data FOLDER [--rows 100000] [--turns 3] [--processes 2]

RUN is a text classifier of headstart, FOLDER has banking77/train.csv, whose texts are repeated. Every system predicts
once to be warm; seconds are those of the clock, so that nothing else should run beside it. Of a busy machine
`busiest_seconds` still say something: the processor time of the process that has most to do. Memory is what a worker
has for itself (private: modules, weights in bf16), and what it shares (weights in fp32, from the file).
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from prediction_speed import read_texts
from turns import measure_in_turns, rate, record


def memory_mb(pid: int) -> tuple[float, float]:
    """Of a process, what it has in memory for itself, and what it shares with others, in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    sizes = {fields[0].rstrip(":"): int(fields[1]) for fields in map(str.split, lines) if len(fields) == 3}
    private = sizes["Private_Clean"] + sizes["Private_Dirty"]
    return private / 1024, (sizes["Rss"] - private) / 1024


def measure(system: str, run: str, precision: str, texts: list[str], rows: int) -> dict[str, Any]:
    """One system's rows a second; memory of its first worker."""
    import torch

    from headstart.api.model import load
    from headstart.prediction.worker_pool import WorkerPool
    from headstart.progress import Reporter

    count, threads = (int(number) for number in system.split("x"))
    torch.set_num_threads(threads)
    model = load(run)
    predictor = model.predictor(precision=precision)
    examples = repeated_examples(model, texts, rows)
    if count == 1:
        list(predictor.predict(examples[:64]))
        start, processor_start = time.perf_counter(), time.process_time()
        list(predictor.predict(examples))
        return {"amount": rows, "seconds": time.perf_counter() - start,
                "busiest_seconds": time.process_time() - processor_start}
    parts = list(predictor.chunks(examples))
    with WorkerPool(model.shared_work(4096, precision), count, Reporter()) as pool:
        start = time.perf_counter()
        list(pool.results(small_parts(parts, count)))
        starting = time.perf_counter() - start
        pids = [os.getpid(), *(worker.process.pid for worker in pool.workers)]
        start, used_before = time.perf_counter(), [processor_seconds(pid) for pid in pids]
        list(pool.results(parts))
        seconds = time.perf_counter() - start
        used = [processor_seconds(pid) - before for pid, before in zip(pids, used_before, strict=True)]
        private, shared = memory_mb(pids[1])
    return {"amount": rows, "seconds": seconds, "busiest_seconds": max(used), "parent_seconds": used[0],
            "start_seconds": starting, "worker_private_mb": private, "worker_shared_mb": shared}


def processor_seconds(pid: int) -> float:
    """The processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def small_parts(parts: list[Any], count: int) -> Iterator[Any]:
    """Parts of few rows, one for each process, to be warm."""
    return ((examples[:64], random) for examples, random in islice(parts, count))


def repeated_examples(model: Any, texts: list[str], rows: int) -> list[Any]:
    """So many examples of the model's task, of texts that are repeated."""
    from headstart.contract import Row

    return [model.task.read(Row(row, {"text": texts[row % len(texts)]})) for row in range(rows)]


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    """What the command says, and of that what each system is called with."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--system")
    arguments = parser.parse_args()
    return arguments, [arguments.run, "--data", str(arguments.data), "--rows", str(arguments.rows), "--precision",
                       arguments.precision, "--processes", str(arguments.processes)]


def main() -> None:
    """All systems in turn."""
    arguments, options = parse_arguments()
    if arguments.system:
        print(json.dumps(measure(arguments.system, arguments.run, arguments.precision, read_texts(arguments.data),
                                 arguments.rows)))
        return
    systems = ["1x1", f"{arguments.processes}x1", f"1x{arguments.processes}"]
    print("processes x threads")
    measured = measure_in_turns(__file__, systems, options, arguments.turns)
    for system, results in measured.items():
        print(f"  {system:<8} {rate(results):9.1f}/s   {rate(results) / rate(measured[systems[0]]):5.2f} x")
    record(f"prediction_processes_{arguments.processes}", f"Predicting {arguments.rows:,} short texts, processes x "
           "threads", "a second of the clock", measured)


if __name__ == "__main__":
    main()
