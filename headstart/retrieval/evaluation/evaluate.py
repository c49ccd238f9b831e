"""All that is measured of an index on questions with known answers: what it finds, when to abstain, what is written from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Json
from headstart.errors import UserError
from headstart.progress import Voice
from headstart.retrieval.answering.reranker import DEPTH, Reranker
from headstart.retrieval.evaluation import answers, calibration
from headstart.retrieval.evaluation import search as measuring
from headstart.retrieval.evaluation.search import Asked, Measured, Search
from headstart.retrieval.mining.questions import read_questions
from headstart.settings import Data, Evaluation

if TYPE_CHECKING:
    from headstart.retrieval.index.index import Index, Source


@dataclass(frozen=True)
class Wanted:
    """What is to be measured beside the search."""

    writer: str | None = None
    reranker: str | None = None
    source: str | None = None
    passages: int = 5
    calibrate: bool = False
    answer_score: float = 3.0


def index_scores(index: Index, path: str, wanted: Wanted, *, data: Data, given: Mapping[str, str], evaluation: Evaluation, seed: int,
                 device: str, voice: Voice) -> dict[str, Any]:
    """{"scores": JSON, "words": text} of the questions in a file; raises UserError, DataError."""
    writer = None if wanted.writer is None else answers.open_writer(wanted.writer, device=device)
    reranker = None if wanted.reranker is None else Reranker.load(wanted.reranker, device=device)
    if wanted.source is not None and wanted.source != "sparse" and not index.has_vectors:
        raise UserError(f"This index cannot be searched by {wanted.source}: it has no vectors.", fix="Leave --search-by out.")
    questions = read_questions(path, data, given, answered=False)  # some may have no answer: that they are not answered counts
    asked = measuring.with_answers(index, questions, answer_score=wanted.answer_score)
    voice.say(f"{len(questions):,} questions; {asked.left_out:,} of them are answered by no passage of the index and take part in "
              "abstention alone")
    best_mix = calibration.mix(index, asked) if wanted.calibrate else None
    if best_mix is not None:
        index.share = best_mix.share
    ways = measured(index, asked, reranker, evaluation, seed, voice)
    gaps = differences(ways, asked, evaluation, seed)
    scores: dict[str, Json] = {"retrieval": {one.name: one.json() for one in ways}, "differences": gaps}
    words = [measuring.table(ways, gaps)]
    way = chosen(ways, wanted.source)
    found = calibration.calibrate(index, asked, way.listed, passages=wanted.passages)
    scores["abstention"] = found.json()
    words.append(found.words())
    if wanted.calibrate:
        calibration.keep(index, found, best_mix)
    if best_mix is not None:
        scores["mix"] = best_mix.json()
        words.append(best_mix.words())
    if writer is not None:
        made = answers.measure(index, writer, asked.questions, [held[:wanted.passages] for held in way.listed],
                                        right=asked.right, evaluation=evaluation, seed=seed, voice=voice)
        scores["answers"] = {"search": way.name, **made.json()}
        words.append(f"passages by {way.name}\n{made.words()}")
        known = answers.learned_by_heart(wanted.writer or "", asked.questions)
        if known is not None:
            scores["answers"]["training_overlap"] = known.json()
            words.append(f"{len(known.twins):,} of {known.questions:,} questions have a near duplicate among those that the writer learned")
    return {"scores": scores, "words": "\n\n".join(words)}


def measured(index: Index, asked: Asked, reranker: Reranker | None, evaluation: Evaluation, seed: int, voice: Voice) -> list[Measured]:
    """Each way to search that there is, the richest first."""
    frequencies, count = measuring.document_frequencies(index), len(index.passages)
    names: tuple[Source, ...] = ("mixed", "sparse", "dense") if index.has_vectors else ("sparse",)
    ways: dict[str, Search] = {name: searching(index, name) for name in names}
    if reranker is not None:
        first = names[0]
        ways = {f"{first} + re-ranked": reranked(index, first, reranker)} | ways
    found = []
    for name, search in ways.items():
        voice.say(f"searching by {name}")
        found.append(measuring.measure(name, search, asked, frequencies, count, resamples=evaluation.resamples, seed=seed))
    return found


def searching(index: Index, source: Source) -> Search:
    """The index's own search by one source."""
    return lambda questions, k: index.search(questions, source=source, k=k)


def reranked(index: Index, source: Source, reranker: Reranker) -> Search:
    """A search whose first passages are read again together with the question."""
    return lambda questions, k: [held[:k] for held in reranker.ordered(questions, index.search(questions, source=source, k=max(k, DEPTH)))]


def differences(ways: list[Measured], asked: Asked, evaluation: Evaluation, seed: int) -> dict[str, Any]:
    """The mixed search minus the best single one, vectors minus words, re-ranked minus not."""
    by_name = {one.name: one for one in ways}
    pairs: list[tuple[Measured, Measured]] = []
    single = [by_name[name] for name in ("sparse", "dense") if name in by_name]
    if "mixed" in by_name:
        best = max(single, key=lambda one: one.scores["ndcg_10"].value or 0.0)
        pairs += [(by_name["mixed"], best), (by_name["dense"], by_name["sparse"])]
    pairs += [(one, ways[1]) for one in ways[:1] if "re-ranked" in one.name]
    return {f"{one.name} minus {other.name}": measuring.difference(one, other, asked, resamples=evaluation.resamples, seed=seed)
            for one, other in pairs}


def chosen(ways: list[Measured], source: str | None) -> Measured:
    """The way that passages are taken from: the one asked for, else the first; raises UserError (2)."""
    if source is None:
        return ways[0]
    found = next((one for one in ways if one.name == source), None)
    if found is None:
        raise UserError(f"This index cannot be searched by {source}.", fix=f"It has {', '.join(one.name for one in ways)}.")
    return found
