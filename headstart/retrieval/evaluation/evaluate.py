"""All that is measured of an index on questions with known answers: what it finds, when to abstain, what is written
from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Json
from headstart.errors import UserError
from headstart.progress import Reporter
from headstart.retrieval.answering.reranker import RERANK_DEPTH, Reranker
from headstart.retrieval.documents.passage import ScoredPassage
from headstart.retrieval.evaluation import answer_metrics, calibration, search_metrics
from headstart.retrieval.evaluation.search_metrics import JudgedQuestions, Search, SearchMetrics
from headstart.retrieval.mining.questions import read_questions
from headstart.settings import Data, Evaluation

if TYPE_CHECKING:
    from headstart.retrieval.index.index import Index, Source


@dataclass(frozen=True)
class EvaluateOptions:
    """What is to be measured beside the search."""

    writer: str | None = None
    reranker: str | None = None
    source: str | None = None
    passages: int = 5
    calibrate: bool = False
    answer_score: float = 3.0


def evaluate_index(index: Index, path: str, options: EvaluateOptions, *, data: Data, columns: Mapping[str, str],
                   evaluation: Evaluation, seed: int, device: str, reporter: Reporter) -> dict[str, Any]:
    """{"scores": JSON, "words": text} of the questions in a file; raises UserError, DataError."""
    generator = None if options.writer is None else answer_metrics.load_generator(
        options.writer, device=device, batch_tokens=evaluation.batch_tokens, precision=index.precision)
    reranker = None if options.reranker is None else Reranker.load(options.reranker, device=device,
                                                                   precision=index.precision)
    if options.source is not None and options.source != "sparse" and not index.has_vectors:
        raise UserError(f"This index cannot be searched by {options.source}: it has no vectors.",
                        fix="Leave --retrieval out.")
    judged = read_judged_questions(index, path, options, data=data, columns=columns, reporter=reporter)
    fusion = calibration.calibrate_fusion(index, judged) if options.calibrate else None
    if fusion is not None:
        index.dense_weight = fusion.dense_weight
    searches = measure_searches(index, judged, reranker, evaluation, seed, reporter)
    score_differences = differences(searches, judged, evaluation, seed)
    scores: dict[str, Json] = {"retrieval": {search.name: search.json() for search in searches},
                               "differences": score_differences}
    tables = [search_metrics.table(searches, score_differences)]
    chosen_search = choose_search(searches, options.source)
    calibrated = calibration.calibrate_abstention(index, judged, chosen_search.hits, passages=options.passages)
    scores["abstention"] = calibrated.json()
    tables.append(calibrated.summary())
    if options.calibrate:
        calibration.write_to_index(index, calibrated, fusion)
    if fusion is not None:
        scores["mix"] = fusion.json()
        tables.append(fusion.summary())
    if generator is not None:
        hits = [question_hits[:options.passages] for question_hits in chosen_search.hits]
        answers = answer_metrics.measure_answers(index, generator, judged.questions, hits, relevant=judged.relevant,
                                                 evaluation=evaluation, seed=seed, reporter=reporter)
        scores["answers"] = {"search": chosen_search.name, **answers.json()}
        tables.append(f"passages by {chosen_search.name}\n{answers.table()}")
        overlap = answer_metrics.training_overlap(options.writer or "", judged.questions)
        if overlap is not None:
            scores["answers"]["training_overlap"] = overlap.json()
            tables.append(f"{len(overlap.near_duplicates):,} of {overlap.questions:,} questions have a near duplicate "
                          "among those that the writer was trained on")
    return {"scores": scores, "words": "\n\n".join(tables)}


def read_judged_questions(index: Index, path: str, options: EvaluateOptions, *, data: Data, columns: Mapping[str, str],
                          reporter: Reporter) -> JudgedQuestions:
    """The questions of a file with the passages that answer them; those that none answers count in abstention."""
    questions = read_questions(path, data, columns, need_answer=False)
    judged = search_metrics.judge_questions(index, questions, answer_score=options.answer_score)
    reporter.info(f"{len(questions):,} questions; {judged.unanswerable_count:,} of them are answered by no passage of "
                  "the index and take part in abstention alone")
    return judged


def measure_searches(index: Index, judged: JudgedQuestions, reranker: Reranker | None, evaluation: Evaluation,
                     seed: int, reporter: Reporter) -> list[SearchMetrics]:
    """The metrics of each search that the index has, the richest first."""
    frequencies, count = search_metrics.document_frequencies(index), len(index.passages)
    names: tuple[Source, ...] = ("mixed", "sparse", "dense") if index.has_vectors else ("sparse",)
    searches: dict[str, Search] = {name: index_search(index, name) for name in names}
    if reranker is not None:
        best_source = names[0]
        searches = {f"{best_source} + re-ranked": reranked_search(index, best_source, reranker)} | searches
    measured = []
    for name, search in searches.items():
        reporter.info(f"searching by {name}")
        measured.append(search_metrics.measure_search(name, search, judged, frequencies, count,
                                                      resamples=evaluation.resamples, seed=seed,
                                                      precision="" if name == "sparse" else index.precision))
    return measured


def index_search(index: Index, source: Source) -> Search:
    """The index's own search by one source."""
    return lambda questions, k: index.search(questions, source=source, k=k)


def reranked_search(index: Index, source: Source, reranker: Reranker) -> Search:
    """A search whose first passages are re-ranked."""
    def search(questions: Sequence[str], k: int) -> list[list[ScoredPassage]]:
        hits = index.search(questions, source=source, k=max(k, RERANK_DEPTH))
        return [question_hits[:k] for question_hits in reranker.rerank(questions, hits)]

    return search


def differences(searches: list[SearchMetrics], judged: JudgedQuestions, evaluation: Evaluation,
                seed: int) -> dict[str, Any]:
    """The mixed search minus the best single one, vectors minus words, re-ranked minus not."""
    by_name = {search.name: search for search in searches}
    pairs: list[tuple[SearchMetrics, SearchMetrics]] = []
    single = [by_name[name] for name in ("sparse", "dense") if name in by_name]
    if "mixed" in by_name:
        best = max(single, key=lambda candidate: candidate.scores["ndcg_10"].value or 0.0)
        pairs += [(by_name["mixed"], best), (by_name["dense"], by_name["sparse"])]
    pairs += [(search, searches[1]) for search in searches[:1] if "re-ranked" in search.name]
    return {f"{search.name} minus {baseline.name}":
            search_metrics.difference(search, baseline, judged, resamples=evaluation.resamples, seed=seed)
            for search, baseline in pairs}


def choose_search(searches: list[SearchMetrics], source: str | None) -> SearchMetrics:
    """The search that passages are taken from: by the named source, else the first; raises UserError (2)."""
    if source is None:
        return searches[0]
    match = next((search for search in searches if search.name == source), None)
    if match is None:
        raise UserError(f"This index cannot be searched by {source}.",
                        fix=f"It has {', '.join(search.name for search in searches)}.")
    return match
