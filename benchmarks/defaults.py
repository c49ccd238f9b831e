"""What headstart's own choice of settings is worth beside the Trainer at three learning rates, on small sets.

    python benchmarks/defaults.py --data FOLDER [FOLDER …] --model minilm=FOLDER [--model NAME=FOLDER …]
                                  [--system headstart|trainer] [--only SET …] [--seeds 0 1] [--minutes 180]
    python benchmarks/defaults.py --page

One row of the table at a time is trained, scored on the test rows and appended to results/defaults.jsonl; what is there
already is not trained again, so that the command can be stopped and given again. `--again headstart` forgets the rows
of headstart first: they belong to the recipe of their day. `--page` writes the table into docs/defaults.md.
`default_sets.py` says which sets, `default_peers.py` how the Trainer is set.
"""

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from default_scores import measures, value
from default_sets import SETS, Set, Splits, write
from growing_results import append_line, json_line, read_lines

import headstart

RESULTS = Path(__file__).parent / "results" / "defaults.jsonl"
RATES = (5e-5, 1e-4, 2e-5)
OTHER_MODELS = ("trec", "cola", "rte")  # what models beyond the first are measured on, with one seed
Key = tuple[str, str, int, str]  # set, model, seed, system


def key(result: dict[str, Any]) -> Key:
    return result["set"], result["model"], result["seed"], result["system"]


def read_results() -> dict[Key, dict[str, Any]]:
    """Every row that was finished, the last of each key."""
    return {key(result): result for result in read_lines(RESULTS)}


def forget(system: str) -> None:
    remaining = [result for result in read_results().values() if not result["system"].startswith(system)]
    staging = RESULTS.with_suffix(".new")
    staging.write_text("".join(map(json_line, remaining)), encoding="utf-8")
    staging.replace(RESULTS)


def table_rows(models: list[str], seeds: list[int], systems: list[str], only: list[str]) -> Iterator[tuple[Set, Key]]:
    """The rows of the table in the order in which they are worth having."""
    first_model, other_models = models[0], models[1:]
    parts = [part for part in SETS if not only or part.name in only]
    rows = [(part, first_model, seed) for seed, part in itertools.product(seeds, parts)]
    rows += [(part, model, seeds[0]) for model, part in itertools.product(other_models, parts)
             if part.name in OTHER_MODELS]
    for part, model, seed in rows:
        for system in systems:
            yield part, (part.name, model, seed, system)


def run_headstart(part: Set, splits: Splits, model: str, seed: int, folder: Path) -> tuple[list[Any], dict[str, Any]]:
    """Predictions of the default settings, and what they were."""
    files = [write(part.task, rows, folder / name) for name, rows in vars(splits).items()]
    method = {"training": {"method": "plain"}} if part.task == "text-classification" else {}
    run = headstart.finetune(files[0], files[1], files[2], task=part.task, model=model, seed=seed, to=folder / "run",
                             evaluation={"baselines": False, "resamples": 0}, **method)
    records = [json.loads(line) for line in (run.path / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    events = [json.loads(line) for line in (run.path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    training = json.loads((run.path / "data.json").read_text(encoding="utf-8"))["settings"]
    settings = {name.removeprefix("training."): training.get(name) for name in
              ("training.learning_rate", "training.epochs", "training.max_steps", "training.batch_size",
               "training.warmup_ratio")}
    settings["steps"] = max(event["step"] for event in events if event["event"] == "step")
    settings["attempts"] = 1 + sum(event["event"] == "back_off" for event in events)
    return [record["prediction"] for record in records if record["split"] == "test"], settings


def measure(part: Set, row: Key, folders: list[Path], model: str) -> dict[str, Any]:
    """One row of the table."""
    path = part.path(folders)
    assert path is not None
    splits, start, cpu_start = part.splits(path), time.perf_counter(), time.process_time()
    settings: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        if row[3] == "headstart":
            predictions, settings = run_headstart(part, splits, model, row[2], Path(temporary))
        else:
            from default_peers import train_peer

            settings = {"learning_rate": float(row[3].split()[1]), "epochs": part.epochs}
            predictions = train_peer(part, splits, model, settings["learning_rate"], row[2], Path(temporary))
    row_measures = measures(part, splits.test, predictions)
    return {"set": row[0], "model": row[1], "seed": row[2], "system": row[3], "score": value(part, row_measures),
            "seconds": round(time.perf_counter() - start), "cpu_seconds": round(time.process_time() - cpu_start),
            "chosen": settings, "measures": row_measures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", default=[])
    parser.add_argument("--model", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--system", choices=("headstart", "trainer"))
    parser.add_argument("--only", nargs="+", default=[], choices=[part.name for part in SETS], metavar="SET")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--minutes", type=float, default=180, help="no further row is begun after so long")
    parser.add_argument("--again", choices=("headstart", "trainer"))
    parser.add_argument("--page", action="store_true")
    args = parser.parse_args()
    if args.again:
        forget(args.again)
    models = dict(text.split("=", 1) for text in args.model)
    systems = [system for system in ("headstart", *(f"trainer {rate:g}" for rate in RATES))
               if args.system in (None, system.split()[0])]
    end = time.monotonic() + 60 * args.minutes
    for part, row in table_rows(list(models), args.seeds, systems, args.only) if models else ():
        if row not in read_results() and part.path(args.data) is not None and time.monotonic() < end:
            result = measure(part, row, args.data, models[row[1]])
            append_line(RESULTS, result)
            print(f"{' '.join(map(str, row)):<40} {result['score']:.4f}  {result['cpu_seconds']} s of processor time",
                  flush=True)
    if args.page:
        from default_page import write_recipe

        write_recipe(list(read_results().values()))


if __name__ == "__main__":
    main()
