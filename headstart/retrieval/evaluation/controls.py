"""Controls of answers from passages: would random passages, the training set, or mere copying have done as well?

Krishna et al. 2021 (Hurdles to Progress in Long-form Question Answering) found that all three nearly did.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headstart.contract import Json
from headstart.retrieval.documents.near_duplicates import jaccard
from headstart.retrieval.documents.passage import Passage, ScoredPassage
from headstart.tasks.long_answer.prompts import ContextPassage, QuestionWithPassages, best_sentence, first_sentences
from headstart.text.words import tokenize_words

SHINGLE = 2  # words of a shingle: questions are short
MIN_JACCARD = 0.5  # Jaccard from which two questions are near duplicates
MAX_FREQUENCY = 200  # a shingle of more training questions says nothing ("what is"), and would make the search slow


def random_passages(passages: Sequence[Passage], rankings: Sequence[Sequence[ScoredPassage]], *, seed: int,
                    relevant: Sequence[Sequence[int]] = ()) -> list[list[ScoredPassage]]:
    """As many random passages in the place of each question's own, never one of its own, nor one of the rows `relevant`
    that answer it; scores stay, so that thresholds do.

    Where the index has too few others, a question gets those there are. The same seed gives the same.
    """
    samples = []
    for index, hits in enumerate(rankings):
        excluded = {hit.row for hit in hits} | set(relevant[index] if relevant else ())
        rng = random.Random(f"{seed}:random-passages:{index}")
        count = min(len(hits), len(passages) - len(excluded))
        sample: list[int] = []
        while len(sample) < count and len(excluded) + len(sample) <= len(passages) // 2:
            row = rng.randrange(len(passages))
            if row not in excluded and row not in sample:
                sample.append(row)
        if len(sample) < count:  # few are left: choose among them
            candidates = [row for row in range(len(passages)) if row not in excluded and row not in sample]
            sample += rng.sample(candidates, count - len(sample))
        samples.append([ScoredPassage(passages[row], row, hit.score) for row, hit in zip(sample, hits, strict=False)])
    return samples


@dataclass(frozen=True)
class NearDuplicate:
    """A test question and the training question most like it: their rows, and their Jaccard similarity (0 to 1)."""

    test: int
    train: int
    similarity: float


@dataclass(frozen=True)
class Overlap:
    """How many test questions have a near duplicate in training; `near_duplicates` are sorted by similarity, highest
    first.
    """

    questions: int
    near_duplicates: tuple[NearDuplicate, ...]
    threshold: float

    @property
    def share(self) -> float | None:
        """Share of the test questions with a near duplicate; None without questions."""
        return len(self.near_duplicates) / self.questions if self.questions else None

    @property
    def clean(self) -> list[int]:
        """Rows of the test questions without one: scores on these alone say what was not memorized."""
        duplicated = {pair.test for pair in self.near_duplicates}
        return [index for index in range(self.questions) if index not in duplicated]

    def json(self) -> dict[str, Json]:
        """The same as a JSON object."""
        return {"questions": self.questions, "near_duplicates": len(self.near_duplicates), "share": self.share,
                "alike": self.threshold,
                "twins": [{"test": pair.test, "train": pair.train, "likeness": pair.similarity}
                          for pair in self.near_duplicates]}


def shingles(text: str, size: int = SHINGLE) -> frozenset[int]:
    """The n-grams of `size` words of a text as 64-bit hashes; of a shorter text the whole."""
    tokens = tokenize_words(text)
    ngrams = [" ".join(tokens[start:start + size]) for start in range(max(1, len(tokens) - size + 1))] if tokens else []
    return frozenset(int.from_bytes(hashlib.blake2b(ngram.encode(), digest_size=8).digest(), "big") for ngram in ngrams)



def measure_overlap(train: Sequence[str], test: Sequence[str], *, threshold: float = MIN_JACCARD,
                    size: int = SHINGLE) -> Overlap:
    """Near duplicates of test questions among the training questions, by the Jaccard of their shingles (Broder 1997).

    Only questions that share one of their rarest shingles are compared (two with a Jaccard of `threshold` or more share
    one among any n - ⌈threshold·n⌉ + 1 of the n that one has), and shingles of more than 200 training questions are
    left out unless a
    question has no other: the time grows with the rows, not with their product.
    """
    train_shingles, rows_by_shingle = [shingles(text, size) for text in train], defaultdict(list)
    for row, question_shingles in enumerate(train_shingles):
        for shingle in question_shingles:
            rows_by_shingle[shingle].append(row)
    pairs = []
    for row, question_shingles in enumerate(shingles(text, size) for text in test):
        match = nearest(question_shingles, train_shingles, rows_by_shingle, threshold)
        if match is not None and match[1] >= threshold:
            pairs.append(NearDuplicate(row, *match))
    return Overlap(len(test), tuple(sorted(pairs, key=lambda pair: (-pair.similarity, pair.test))), threshold)


def nearest(question_shingles: frozenset[int], train_shingles: Sequence[frozenset[int]],
            rows_by_shingle: dict[int, list[int]], threshold: float) -> tuple[int, float] | None:
    """The row of the most similar training question, and their Jaccard; the first of equals; None where none shares a
    rare shingle.
    """
    rare = sorted(question_shingles, key=lambda shingle: (len(rows_by_shingle.get(shingle, ())), shingle))
    rare = rare[:len(rare) - int(-(-threshold * len(rare) // 1)) + 1]  # so many that one of them must be shared
    searched = [shingle for shingle in rare if len(rows_by_shingle.get(shingle, ())) <= MAX_FREQUENCY] or rare[:1]
    candidates = sorted({row for shingle in searched for row in rows_by_shingle.get(shingle, ())})
    best = max(candidates, key=lambda row: (jaccard(question_shingles, train_shingles[row]), -row), default=None)
    return None if best is None else (best, jaccard(question_shingles, train_shingles[best]))


def copy_baselines(questions: Sequence[str], rankings: Sequence[Sequence[ScoredPassage]],
                   answers: Sequence[str]) -> dict[str, list[str]]:
    """What mere copying would answer: the best passage's first sentences (as many as the answers have), the most
    similar sentence.
    """
    examples = [QuestionWithPassages(row, question, passages=tuple(ContextPassage(hit.passage.text, hit.passage.title)
                                                                   for hit in hits))
                for row, (question, hits) in enumerate(zip(questions, rankings, strict=True))]
    training_examples = [QuestionWithPassages(row, "", answers=(answer,)) for row, answer in enumerate(answers)]
    rules: dict[str, Callable[[QuestionWithPassages], str]] = {
        "best passage's first sentences": first_sentences(training_examples, None, 0).generate,
        "sentence like the question": best_sentence(training_examples, None, 0).generate}
    return {name: [generate(example) for example in examples] for name, generate in rules.items()}
