"""An index of passages: searched by words, by meaning, or by both.

Q questions, W width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args, overload

import numpy as np
from numpy.typing import NDArray

from headstart.errors import Exit, UserError
from headstart.prediction.embed import embed
from headstart.prediction.embed_file import bare
from headstart.retrieval.documents.chunking import subject
from headstart.retrieval.documents.passage import Found, Passage
from headstart.retrieval.index import folder, storage, thresholds, vectors
from headstart.retrieval.index.jsonl_store import Lines
from headstart.runs.prepare import choose_device
from headstart.search.dense import Dense
from headstart.search.fusion import reciprocal_rank_fusion
from headstart.search.hits import Hits
from headstart.search.sparse import Sparse
from headstart.text.normalise import hash_text

if TYPE_CHECKING:
    from headstart.models.model import Model

Source = Literal["mixed", "sparse", "dense"]
FUSED = 100  # found by words and by meaning that are fused
TRIES = 5  # while another process puts a new version in place of the one that is being opened


class Passages(Sequence[Passage]):
    """The passages of an index by row, read from the disk when they are asked for."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines

    def __len__(self) -> int:
        return len(self.lines)

    @overload
    def __getitem__(self, index: int) -> Passage: ...
    @overload
    def __getitem__(self, index: slice) -> list[Passage]: ...
    def __getitem__(self, index: int | slice) -> Passage | list[Passage]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        return Passage(**self.lines[index + len(self) if index < 0 else index])


class Index:
    """An index as it stood when it was opened; a new version that is built later does not disturb it.

    Its files stay open as long as it lives.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any], *, model: str | None, device: str) -> None:
        place = path / facts["version"]
        self.path, self.facts, self.device = path, facts, device
        self.lines = Lines(place / storage.PASSAGES)
        self.passages: Sequence[Passage] = Passages(self.lines)
        self.documents, self.folded = Lines(place / storage.DOCUMENTS), Lines(place / storage.FOLDED)
        self.places = np.load(place / storage.PLACES, allow_pickle=False)
        self.sparse = Sparse.load(place / storage.WORDS, on_disk=(place / storage.TOKENS).stat().st_size > 0)
        int8 = facts["settings"]["vectors"] == "int8"
        self.dense = Dense.open(place / vectors.VECTORS, place / vectors.SCALES if int8 else None) if facts["model"] is not None else None
        self.named = model
        self.loaded: Model | None = None
        self.asked: tuple[tuple[str, ...], NDArray[Any]] | None = None  # the last questions, with their vectors
        self.share: float | None = None  # of meaning in a mixed search; the calibrated one until it is set

    @classmethod
    def open(cls, path: Path, *, model: str | None = None, device: str = "auto", check: bool = True) -> Self:
        """An index, whole and as it was written; `model` says where its model lies now, `check` reads all of it once.

        Raises UserError: 66 where there is none, 65 for one that is half written, damaged, or made with another model.
        """
        path = Path(path)
        for number in range(TRIES):
            facts = folder.read(path)
            try:
                folder.check(path, facts, whole=check)
                made = cls(path, facts, model=model, device=device)
            except (UserError, OSError, ValueError, EOFError) as error:
                if number < TRIES - 1 and folder.read(path)["version"] != facts["version"]:
                    continue  # it was replaced in this moment
                if isinstance(error, UserError):
                    raise
                raise folder.damaged(path, str(error)) from None
            if model is not None:
                made.check_model(model)
            return made
        raise folder.damaged(path, "it is replaced all the time")

    def __len__(self) -> int:
        return len(self.passages)

    @property
    def model_reference(self) -> str | None:
        """The model that its vectors are made with; None for an index of words alone."""
        return self.named or (self.facts["model"] or {}).get("reference")

    def about(self) -> dict[str, Any]:
        """What it is: name, documents, passages, model, width, settings …"""
        model = self.facts["model"] or {}
        return {"name": self.path.resolve().name, "source": self.facts["source"], "documents": self.facts["documents"],
                "passages": len(self.passages), "folded": len(self.folded), "left_out": self.facts["left_out"],
                "model": model.get("reference"), "width": model.get("width"), "settings": dict(self.facts["settings"]),
                "version": self.facts["version"], "bytes": sum(part["bytes"] for part in self.facts["parts"].values())}

    def rows_of(self, document_id: str) -> list[int]:
        """The rows of a document's passages, those that stand for folded ones too; none for a document that is not there."""
        named = hash_text(document_id)
        first, last = np.searchsorted(self.places[0], named, side="left"), np.searchsorted(self.places[0], named, side="right")
        for place in self.places[1, first:last].tolist():
            held = self.documents[place]
            if held["id"] == document_id:
                return [row for begin, end in held["rows"] for row in range(begin, end)]
        return []

    def stands_for(self, row: int) -> list[str]:
        """The documents that a passage stands for: its own, and those whose near-duplicates were folded into it."""
        if not hasattr(self, "others"):
            self.others: dict[int, list[str]] = {}
            for held in self.folded:
                self.others.setdefault(held["row"], []).append(held["document"])
        return list(dict.fromkeys([self.passages[row].document, *self.others.get(row, ())]))

    def search(self, questions: Sequence[str], *, source: Source = "mixed", k: int = 10) -> list[list[Found]]:
        """The k best passages for each question, best first.

        sparse: by words (BM25); dense: by meaning (cosine); mixed: the best 100 of both by the sum of their reciprocal ranks,
        weighed by the share of meaning that was calibrated, else alike (words alone where the index has no vectors).
        Raises UserError: 2, and 65 for a question without a word.
        """
        if source not in get_args(Source):
            raise UserError(f"An index is searched by {', '.join(get_args(Source))}, not by {source!r}.", fix="Choose one of them.")
        if k < 1:
            raise UserError(f"At least one passage must be asked for, but k is {k}.", fix="Give a k of 1 or more.")
        for number, question in enumerate(questions):
            if not any(mark.isalnum() for mark in question):
                which = f"Question {number + 1}" if len(questions) > 1 else "The question"
                raise UserError(f"{which} has no words: {question[:40]!r}.", fix="Ask something.", exit=Exit.DATA)
        if source == "dense" and self.dense is None:
            raise UserError(f"{self.path} has no vectors: it was built with --model none.",
                            fix=f"Search by words, or add vectors: headstart index {self.path} --model MODEL")
        if not questions:
            return []
        if source == "mixed":
            return self.mixed(questions, k)
        hits = self.sparse.search(questions, k=k) if source == "sparse" else self.by_meaning(questions, k)
        return [[self.found(row, score) for row, score in pairs] for pairs in listed(hits)]

    def mixed(self, questions: Sequence[str], k: int) -> list[list[Found]]:
        """Reciprocal rank fusion of the best of both."""
        if self.has_vectors and self.share is None:
            self.share = thresholds.share_of(self)
        return [[self.found(row, score) for row, score in fused(rankings, self.share)[:k]]
                for rankings in self.rankings(questions, max(FUSED, k))]

    def rankings(self, questions: Sequence[str], k: int) -> list[tuple[list[int], ...]]:
        """For each question the best rows by words and, where there are vectors, by meaning."""
        both = [self.sparse.search(questions, k=k).listed()]
        if self.dense is not None:
            both.append(self.by_meaning(questions, k).listed())
        return list(zip(*both, strict=True))

    def found(self, row: int, score: float) -> Found:
        """A passage as it was found."""
        return Found(self.passages[row], row, score)

    def by_meaning(self, questions: Sequence[str], k: int) -> Hits:
        """The rows whose vectors are most like the questions'."""
        assert self.dense is not None
        return self.dense.search(self.vectors(questions), k=k)

    @property
    def has_vectors(self) -> bool:
        """Whether it can be searched by meaning."""
        return self.dense is not None

    @property
    def identity(self) -> str:
        """What made its vectors: the hash of a model's weights, or "words"."""
        return str((self.facts["model"] or {}).get("sha256", "words"))

    def subject(self, row: int) -> str:
        """What is searched of a passage: its text, after title and section where the index was built so."""
        return subject(self.passages[row], titles=bool(self.facts["settings"]["titles"]))

    def vectors(self, questions: Sequence[str]) -> NDArray[Any]:
        """Questions as the index's own model has them, 1 long: (Q, W); the last ones asked are not worked out twice."""
        held = self.asked
        if held is None or held[0] != tuple(questions):
            held = self.asked = (tuple(questions), np.concatenate(list(embed(self.model(), questions, pool="mean", normalise=True))))
        return held[1]

    def model(self) -> Model:
        """The model of its vectors, loaded once; raises UserError (65) when it is not the one that made them."""
        if self.loaded is None:
            reference = self.model_reference
            assert reference is not None
            self.check_model(reference)
            self.loaded = bare(reference, device=choose_device(self.device), allow_pickle=True)
        return self.loaded

    def check_model(self, reference: str) -> None:
        """Refuse a model that did not make the vectors."""
        wanted = self.facts["model"]
        if wanted is None:
            raise UserError(f"{self.path} was built without a model, but {reference} is given.", fix="Leave the model out.", exit=Exit.DATA)
        if vectors.fingerprint(reference, allow_pickle=True)["sha256"] != wanted["sha256"]:
            raise UserError(f"The vectors of {self.path} were made with {wanted['reference']}, whose weights are not those of {reference}.",
                            fix="Search with the model that made it, or make the vectors anew: "
                                f"headstart index {self.path} --model {reference}",
                            exit=Exit.DATA)


def listed(hits: Hits) -> list[list[tuple[int, float]]]:
    """Rows with their scores, best first, for each question."""
    return [[(row, score) for row, score in zip(rows, scores, strict=True) if row >= 0]
            for rows, scores in zip(hits.rows.tolist(), hits.scores.tolist(), strict=True)]


def standing(source: Path, to: Path) -> tuple[dict[str, Any], str | None]:
    """The settings and the model ("none" for words alone) of the index that is built again; nothing of a damaged one or where none is."""
    place = to if folder.is_index(to) else source if folder.is_index(source) else None
    if place is None:
        return {}, None
    try:
        before, reference = kept(place)
    except UserError:  # damaged: the build says so
        return {}, None
    return before, reference or "none"


def kept(path: Path) -> tuple[dict[str, Any], str | None]:
    """The settings ("index.words" …) and the model of an index, for one that is built again."""
    facts = folder.read(path)
    return {f"index.{name}": value for name, value in facts["settings"].items()}, (facts["model"] or {}).get("reference")


def fused(rankings: Sequence[Sequence[int]], share: float | None) -> list[tuple[int, float]]:
    """Rows by words and, where there are two rankings, by meaning, of which this share is the latter's; equal shares weigh 1 each."""
    weights = None if len(rankings) == 1 or share is None else [2 * (1 - share), 2 * share]
    return reciprocal_rank_fusion(rankings, weights=weights)
