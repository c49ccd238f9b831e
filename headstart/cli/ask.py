"""`headstart ask INDEX QUESTION…`: an answer from the user's own documents, with the passages that it stands on."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.cli import _flags
from headstart.errors import UserError

if TYPE_CHECKING:
    from headstart.progress import Voice
    from headstart.retrieval.answering.pipeline import Asking

SUMMARY = "an answer from your own documents, with the passages it stands on"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("index", metavar="INDEX", help="folder that headstart index made")
    parser.add_argument("questions", metavar="QUESTION", nargs="*", help="what is asked; - reads one a line from standard input")
    parser.add_argument("--writer", metavar="MODEL", help="a long-answer run, or another model that writes; else sentences are quoted")
    parser.add_argument("--rerank", metavar="RUN", help="a text-classification run on pairs that puts the passages in a better order")
    parser.add_argument("--source", choices=("mixed", "sparse", "dense", "none"),
                        help="search by words, by vectors, by both (default), or not at all")
    parser.add_argument("--passages", type=int, default=5, metavar="N", help="passages that are shown and written from (default 5)")
    parser.add_argument("--passages-only", action="store_true", help="show passages, write nothing")
    parser.add_argument("--known", metavar="FILE", help="questions with answers: the one most like yours is shown, too")
    parser.add_argument("--serve", action="store_true", help="a page on this machine (127.0.0.1) in the place of questions here")
    parser.add_argument("--port", type=int, default=8777, metavar="N", help="of the page; 0 takes a free one (default 8777)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the draws (with generation.sample=true)")
    _flags.common(parser, training=False, groups=("generation.",))


def run(given: argparse.Namespace) -> int:
    """Answer; answers go to standard output, words to standard error."""
    from headstart.retrieval.answering.pipeline import Asking, open_known
    from headstart.retrieval.index.index import Index
    from headstart.runs.prepare import choose_device

    own, _, values = _flags.values(given)
    voice = _flags.voice(given)
    settings = _flags.groups(values)["generation"] if values else None  # else the writer's own
    if not 1 <= given.passages <= 50:
        raise UserError(f"--passages takes a whole number from 1 to 50, but it is {given.passages}.")
    if not given.questions and not given.serve:
        raise UserError("There is no question.", fix='For example: headstart ask INDEX "why do leaves turn red?"')
    index = Index.open(Path(given.index), device=given.device or own.get("device", "auto"))
    asking = Asking.of(index, writer=given.writer, reranker=given.rerank, known=open_known(given.known, index, {}),
                       device=choose_device(given.device or own.get("device", "auto")))
    held = index.about()
    voice.say(f"index: {given.index}, {held['documents']:,} documents, {held['passages']:,} passages; search by "
              f"{given.source or asking.sources[0]}; " + (f"writer: {given.writer}" if given.writer else
                                                          "answers are quoted, as no --writer was named"))
    if asking.threshold is not None:
        voice.say(f"it says so where no passage reaches {asking.threshold:.3f}, the calibrated threshold")
    if given.serve:
        return page(given, asking, voice)
    questions = [line.strip() for line in sys.stdin if line.strip()] if given.questions == ["-"] else given.questions
    for question in questions:
        answered(given, asking, question, settings)
    return 0


def page(given: argparse.Namespace, asking: Asking, voice: Voice) -> int:
    """The question page until Ctrl-C."""
    from headstart.serving.index_backend import IndexDesk
    from headstart.serving.serve import serve

    desk = IndexDesk(asking, Path(given.index).name, given.writer, measured_grounding(given.writer), given.seed)
    serve(desk, port=given.port, ready=lambda address: voice.say(f"ask at {address} (this machine only; Ctrl-C ends it)"))
    return 0


def measured_grounding(writer: str | None) -> float | None:
    """The grounding of a writer's run on its test rows; None where it was not measured."""
    place = Path(writer or "") / "scores.json"
    if writer is None or not place.is_file():
        return None
    scores = json.loads(place.read_text(encoding="utf-8"))
    held = (scores.get("test") or scores.get("dev") or {}).get("grounding") or {}
    value: float | None = held.get("value")
    return value


def answered(given: argparse.Namespace, asking: Asking, question: str, settings: Any) -> None:
    """One question: passages, then the answer, as text or JSON."""
    found = asking.passages(question, source=given.source, k=given.passages)
    made = None if given.passages_only else asking.answer(question, found, settings, seed=given.seed, from_memory=given.source == "none")
    if given.json:
        print(json.dumps(asking.row(question, found, made), ensure_ascii=False))
        return
    near = asking.nearest(question)
    if len(given.questions) > 1 or given.questions == ["-"]:
        print(f"? {question}")
    if made is not None:
        print(written(made) + "\n")
    if near is not None:
        print(f"a known question like it ({near['similarity']:.2f}): {near['question']}\n    {near['answer'][:300]}\n")
    print("\n".join(shown_passage(number, one) for number, one in enumerate(found, start=1)) or "(no passages)")


def written(made: Any) -> str:
    """An answer as text: each sentence with the numbers of its passages."""
    text = " ".join(one["text"] + "".join(f"[{number}]" for number in one["citations"]) for one in made.sentences)
    return (text or made.prediction) + (f"\n({made.note})" if made.note else "")


def shown_passage(number: int, one: Any) -> str:
    """A passage as text on one line, under where it stands."""
    title, section = one.passage.title, one.passage.section
    place = section if section.startswith(title) else " > ".join(part for part in (title, section) if part)
    return f"[{number}] {place or one.passage.document} ({one.passage.document}, {one.score:.3f})\n    {' '.join(one.passage.text.split())}"
