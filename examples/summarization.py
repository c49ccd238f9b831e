"""Train a model that sums texts up, look at its scores beside those of baselines, then let it write.

    python examples/summarization.py articles.jsonl --model google-t5/t5-small
    python examples/summarization.py talks.csv --source dialogue --target notes --num-beams 4 --write "Anna: We meet at
    nine. Ben: Fine."
"""

import argparse

import headstart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="csv, tsv, jsonl, json or parquet; dev and test rows are split off unless given")
    parser.add_argument("--dev")
    parser.add_argument("--test")
    parser.add_argument("--source", help="the column of the texts")
    parser.add_argument("--target", help="the column of their summaries")
    parser.add_argument("--model", default="google-t5/t5-small")
    parser.add_argument("--to", help="the run folder")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--num-beams", type=int, default=1, help="of every text that is written")
    parser.add_argument("--write", action="append", default=[],
                        help="a text that is summed up afterwards; may be given often")
    args = parser.parse_args()
    columns = {name: column for name in ("source", "target") if (column := getattr(args, name))}
    run = headstart.finetune(args.train, args.dev, args.test, task="summarization", columns=columns, model=args.model,
                             to=args.to,
                             epochs=args.epochs, reporter=headstart.console_reporter(),
                             **{"generation.num_beams": args.num_beams})
    print(f"\n{run.summary()}")
    for text, row in zip(args.write, run.model.predict([{"source": text} for text in args.write]), strict=True):
        print(f"\n{text}\n-> {row['prediction']}")


if __name__ == "__main__":
    main()
