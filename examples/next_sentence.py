"""Does one text follow another? Learned from documents alone, as BERT learned it; then asked about pairs.

    python examples/next_sentence.py stories.jsonl
    python examples/next_sentence.py book.csv --text sentence --document chapter --ask "She opened the door." "It was
    snowing outside."

Neighbouring sentences of a document are pairs that follow; every second pair gets a second sentence of another document
instead.
"""

import argparse

import headstart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="documents: csv, jsonl or parquet, or a text file with a line a sentence")
    parser.add_argument("--text", help="the column of documents, or of their sentences")
    parser.add_argument("--document", help="the column that says which sentences belong together")
    parser.add_argument("--model", default="bert-base-cased", help="of the BERT family")
    parser.add_argument("--to", help="the run folder")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--ask", nargs=2, metavar="TEXT", default=("She opened the door.", "It was snowing outside."),
                        help="a pair to answer at the end")
    args = parser.parse_args()
    columns = {name: vars(args)[name] for name in ("text", "document") if vars(args)[name]}
    run = headstart.finetune(args.train, task="next-sentence", columns=columns, model=args.model, to=args.to,
                             epochs=args.epochs, reporter=headstart.console_reporter())
    print(f"\n{run.summary()}")
    text, pair = args.ask
    (answer,) = run.model.predict([{"text": text, "pair": pair}])
    print(f"\n{text}\n{pair}\n  {answer['prediction']} ({answer['probability']:.3f})")


if __name__ == "__main__":
    main()
