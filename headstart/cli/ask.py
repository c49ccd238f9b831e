"""`headstart ask INDEX QUESTION…`: an answer from the user's own documents, with the passages that support it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.cli import _flags, _serving_flags
from headstart.errors import UserError

if TYPE_CHECKING:
    from headstart.progress import Reporter
    from headstart.retrieval.answering.pipeline import QAPipeline
    from headstart.serving.server import Place

SUMMARY = "answer a question from your own documents, with the passages it is based on"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("index", metavar="INDEX", help="folder that headstart index made")
    parser.add_argument("questions", metavar="QUESTION", nargs="*",
                        help="the question; - reads one per line from standard input")
    _flags.add_shared(parser, "--writer", "without one, sentences are quoted")
    _flags.add_shared(parser, "--rerank")
    _flags.add_shared(parser, "--retrieval", "none: no passages (else mixed)",
                      choices=("mixed", "sparse", "dense", "none"))
    _flags.add_shared(parser, "--top", "5 when not given", default=5)
    parser.add_argument("--passages-only", action="store_true", help="show passages, generate no answer")
    parser.add_argument("--known", metavar="FILE", help="questions with answers: the most similar one is shown, too")
    parser.add_argument("--serve", action="store_true", help="serve a web page on this machine instead")
    _serving_flags.add_place(parser, port=8777)
    _flags.add_shared(parser, "--seed", "of sampling (with generation.do_sample=true)", default=0)
    _flags.add_common(parser, reads=("generation.", "evaluation.precision"))


def run(arguments: argparse.Namespace) -> int:
    """Answer; answers go to standard output, messages to standard error."""
    from headstart.models.loading.device import choose_device
    from headstart.models.precision_choice import choose_evaluation_precision
    from headstart.retrieval.answering.pipeline import QAPipeline, load_faq
    from headstart.retrieval.index.index import Index

    check_usage(arguments)
    run_values, _, values = _flags.read_values(arguments)
    reporter = _flags.make_reporter(arguments)
    place = None
    if arguments.serve:
        place = _serving_flags.place_of(arguments, _serving_flags.read_token(arguments), reporter)
    groups = _flags.build_groups(values)
    has_settings = any(key.startswith("generation.") for key in values)
    settings = groups["generation"] if has_settings else None  # else the generator's own
    device = choose_device(arguments.device or run_values.get("device", "auto"))
    choice = choose_evaluation_precision(groups["evaluation"].precision, device)
    index = Index.open(Path(arguments.index), device=device, precision=choice.name)
    pipeline = QAPipeline.load(index, writer=arguments.writer, reranker=arguments.rerank,
                               faq=load_faq(arguments.known, index, {}), device=device, precision=choice.name)
    choice.tell(reporter)
    index_summary = index.summary()
    reporter.info(f"index: {arguments.index}, {index_summary['documents']:,} documents, {index_summary['passages']:,} "
                  f"passages; search by {arguments.retrieval or pipeline.sources[0]}; "
                  + (f"writer: {arguments.writer}" if arguments.writer
                     else "answers are quoted, as no --writer was named"))
    if pipeline.threshold is not None:
        reporter.info(f"no answer where no passage reaches {pipeline.threshold:.3f}, the calibrated threshold")
    if place is not None:
        return serve_page(arguments, pipeline, place, reporter)
    questions = [line.strip() for line in sys.stdin
                 if line.strip()] if arguments.questions == ["-"] else arguments.questions
    for question in questions:
        print_answer(arguments, pipeline, question, settings)
    return 0


def check_usage(arguments: argparse.Namespace) -> None:
    """Refuse what cannot be asked, and flags that nothing would read; raises UserError (2)."""
    is_open = arguments.token_file or arguments.no_auth or arguments.allowed_host
    if not arguments.serve and (is_open or arguments.host not in _serving_flags.LOOPBACK):
        raise UserError("--host, --token-file, --no-auth and --allowed-host are for a page, and none is served.",
                        fix="Add --serve, or leave them out.")
    if not 1 <= arguments.top <= 50:
        raise UserError(f"--top takes a whole number from 1 to 50, but it is {arguments.top}.")
    if not arguments.questions and not arguments.serve:
        raise UserError("There is no question.", fix='For example: headstart ask INDEX "why do leaves turn red?"')


def serve_page(arguments: argparse.Namespace, pipeline: QAPipeline, place: Place, reporter: Reporter) -> int:
    """The question page until SIGTERM or Ctrl-C."""
    from headstart.serving.index_backend import IndexBackend
    from headstart.serving.qa_app import QuestionEndpoints, QuestionService
    from headstart.serving.server import serve_endpoints

    backend = IndexBackend(pipeline, Path(arguments.index).name, arguments.writer, measured_grounding(arguments.writer),
                           arguments.seed)
    return serve_endpoints(QuestionEndpoints(QuestionService(backend)), place, reporter,
                           _serving_flags.event_printer(arguments), lambda: {"index": backend.name})


def measured_grounding(writer: str | None) -> float | None:
    """The grounding of a writer's run on its test rows; None where it was not measured."""
    path = Path(writer or "") / "scores.json"
    if writer is None or not path.is_file():
        return None
    scores = json.loads(path.read_text(encoding="utf-8"))
    grounding = (scores.get("test") or scores.get("dev") or {}).get("grounding") or {}
    value: float | None = grounding.get("value")
    return value


def print_answer(arguments: argparse.Namespace, pipeline: QAPipeline, question: str, settings: Any) -> None:
    """One question: passages, then the answer, as text or JSON."""
    hits = pipeline.passages(question, source=arguments.retrieval, k=arguments.top)
    answer = None if arguments.passages_only else pipeline.answer(question, hits, settings, seed=arguments.seed,
                                                                  from_memory=arguments.retrieval == "none")
    if arguments.json:
        print(json.dumps(pipeline.to_json(question, hits, answer), ensure_ascii=False))
        return
    similar = pipeline.nearest(question)
    if len(arguments.questions) > 1 or arguments.questions == ["-"]:
        print(f"? {question}")
    if answer is not None:
        print(answer_text(answer) + "\n")
    if similar is not None:
        print(f"a similar known question ({similar['similarity']:.2f}): {similar['question']}\n    "
              f"{similar['answer'][:300]}\n")
    print("\n".join(passage_text(number, hit) for number, hit in enumerate(hits, start=1)) or "(no passages)")


def answer_text(answer: Any) -> str:
    """An answer as text: each sentence with the numbers of its passages."""
    text = " ".join(sentence["text"] + "".join(f"[{number}]" for number in sentence["citations"])
                    for sentence in answer.sentences)
    return (text or answer.prediction) + (f"\n({answer.note})" if answer.note else "")


def passage_text(number: int, hit: Any) -> str:
    """A passage as text on one line, under its number, heading and score."""
    title, section = hit.passage.title, hit.passage.section
    heading = section if section.startswith(title) else " > ".join(part for part in (title, section) if part)
    text = " ".join(hit.passage.text.split())
    return f"[{number}] {heading or hit.passage.document} ({hit.passage.document}, {hit.score:.3f})\n    {text}"
