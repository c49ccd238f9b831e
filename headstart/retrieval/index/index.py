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
from headstart.models.loading.device import choose_device
from headstart.prediction.embed import embed
from headstart.prediction.embed_file import load_headless
from headstart.retrieval.documents.chunking import searchable_text
from headstart.retrieval.documents.passage import Passage, ScoredPassage
from headstart.retrieval.index import folder, storage, thresholds, vectors
from headstart.retrieval.index.jsonl_store import JsonlReader
from headstart.search.dense import DenseIndex
from headstart.search.fusion import reciprocal_rank_fusion
from headstart.search.hits import Hits
from headstart.search.sparse import SparseIndex
from headstart.text.normalise import hash_text

if TYPE_CHECKING:
    from headstart.models.model import Model

Source = Literal["mixed", "sparse", "dense"]
FUSION_DEPTH = 100  # rows of each ranking that are fused
OPEN_ATTEMPTS = 5  # while another process puts a new version in place of the one that is being opened


class StoredPassages(Sequence[Passage]):
    """The passages of an index by row, read from the disk as they are needed."""

    def __init__(self, reader: JsonlReader) -> None:
        self.reader = reader

    def __len__(self) -> int:
        return len(self.reader)

    @overload
    def __getitem__(self, index: int) -> Passage: ...
    @overload
    def __getitem__(self, index: slice) -> list[Passage]: ...
    def __getitem__(self, index: int | slice) -> Passage | list[Passage]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        return Passage(**self.reader[index + len(self) if index < 0 else index])


class Index:
    """An index as it stood when it was opened; a new version that is built later does not disturb it.

    Its files stay open as long as it lives.

    >>> documents = headstart.index("documents", to="my-index")
    >>> (hits,) = documents.search(["why do leaves turn red?"], source="sparse", k=3)
    >>> texts = [hit.passage.text for hit in hits]
    """

    def __init__(self, path: Path, manifest: Mapping[str, Any], *, model: str | None, device: str,
                 precision: str = "fp32") -> None:
        version_folder = path / manifest["version"]
        self.path, self.manifest, self.device, self.precision = path, manifest, device, precision
        self.passages: Sequence[Passage] = StoredPassages(JsonlReader(version_folder / storage.PASSAGES))
        self.documents, self.folded = JsonlReader(version_folder
                                                  / storage.DOCUMENTS), JsonlReader(version_folder / storage.FOLDED)
        self.id_table = np.load(version_folder / storage.ID_TABLE, allow_pickle=False)
        self.sparse = SparseIndex.load(version_folder / storage.POSTINGS,
                                       on_disk=(version_folder / storage.TOKENS).stat().st_size > 0)
        scales = version_folder / vectors.SCALES if manifest["settings"]["vector_dtype"] == "int8" else None
        self.dense = None if manifest["model"] is None else DenseIndex.open(version_folder / vectors.VECTORS, scales)
        self.model_override = model
        self.loaded_model: Model | None = None
        # the last questions, with their vectors
        self.cached_vectors: tuple[tuple[str, ...], NDArray[Any]] | None = None
        self.dense_weight: float | None = None  # of dense search in a mixed one; the calibrated weight until it is set

    @classmethod
    def open(cls, path: Path, *, model: str | None = None, device: str = "auto", check: bool = True,
             precision: str = "fp32") -> Self:
        """An index, whole and as it was written; `model` says where its model lies now, `check` reads all of it once.
        Vectors of questions are computed in `precision`.

        Raises UserError: 66 where there is none, 65 for one that is half written, damaged, or made with another model.
        """
        path = Path(path)
        for attempt in range(OPEN_ATTEMPTS):
            manifest = folder.read_manifest(path)
            try:
                folder.check_parts(path, manifest, hashes=check)
                index = cls(path, manifest, model=model, device=device, precision=precision)
            except (UserError, OSError, ValueError, EOFError) as error:
                if attempt < OPEN_ATTEMPTS - 1 and folder.read_manifest(path)["version"] != manifest["version"]:
                    continue  # it was replaced in this moment
                if isinstance(error, UserError):
                    raise
                raise folder.damaged_index(path, str(error)) from None
            if model is not None:
                index.check_model(model)
            return index
        raise folder.damaged_index(path, "it is replaced all the time")

    def __len__(self) -> int:
        return len(self.passages)

    @property
    def model_reference(self) -> str | None:
        """The model that its vectors are made with; None for an index of words alone."""
        return self.model_override or (self.manifest["model"] or {}).get("reference")

    def summary(self) -> dict[str, Any]:
        """What it is: name, documents, passages, model, width, settings …"""
        model = self.manifest["model"] or {}
        return {"name": self.path.resolve().name, "source": self.manifest["source"],
                "documents": self.manifest["documents"],
                "passages": len(self.passages), "folded": len(self.folded), "left_out": self.manifest["left_out"],
                "model": model.get("reference"), "width": model.get("width"),
                "settings": dict(self.manifest["settings"]),
                "version": self.manifest["version"],
                "bytes": sum(part["bytes"] for part in self.manifest["parts"].values())}

    def document_rows(self, document_id: str) -> list[int]:
        """The rows of a document's passages, and of those that its near duplicates were folded into; none for an
        unknown document.
        """
        id_hash = hash_text(document_id)
        first, last = np.searchsorted(self.id_table[0], id_hash,
                                      side="left"), np.searchsorted(self.id_table[0], id_hash, side="right")
        for position in self.id_table[1, first:last].tolist():
            document = self.documents[position]
            if document["id"] == document_id:
                return [row for begin, end in document["rows"] for row in range(begin, end)]
        return []

    def documents_of(self, row: int) -> list[str]:
        """The documents that hold a passage: its own, and those whose near duplicates were folded into it."""
        if not hasattr(self, "folded_documents"):
            self.folded_documents: dict[int, list[str]] = {}
            for passage in self.folded:
                self.folded_documents.setdefault(passage["row"], []).append(passage["document"])
        return list(dict.fromkeys([self.passages[row].document, *self.folded_documents.get(row, ())]))

    def search(self, questions: Sequence[str], *, source: Source = "mixed", k: int = 10) -> list[list[ScoredPassage]]:
        """The k best passages for each question, best first.

        sparse: by words (BM25); dense: by meaning (cosine); mixed: the best 100 of both by the sum of their reciprocal
        ranks, weighed by the share of meaning that was calibrated, else alike (words alone where the index has no
        vectors).
        Raises UserError: 2, and 65 for a question without a word.
        """
        if source not in get_args(Source):
            raise UserError(f"An index is searched by {', '.join(get_args(Source))}, not by {source!r}.",
                            fix="Choose one of them.")
        if k < 1:
            raise UserError(f"At least one passage must be asked for, but k is {k}.", fix="Give a k of 1 or more.")
        for position, question in enumerate(questions):
            if not any(character.isalnum() for character in question):
                name = f"Question {position + 1}" if len(questions) > 1 else "The question"
                raise UserError(f"{name} has no words: {question[:40]!r}.", fix="Ask something.", exit=Exit.DATA)
        if source == "dense" and self.dense is None:
            raise UserError(f"{self.path} has no vectors: it was built with --model none.",
                            fix=f"Search by words, or add vectors: headstart index {self.path} --model MODEL")
        if not questions:
            return []
        if source == "mixed":
            return self.search_mixed(questions, k)
        hits = self.sparse.search(questions, k=k) if source == "sparse" else self.search_dense(questions, k)
        return [[self.scored_passage(row, score) for row, score in pairs] for pairs in scored_rows(hits)]

    def search_mixed(self, questions: Sequence[str], k: int) -> list[list[ScoredPassage]]:
        """The k best passages by reciprocal rank fusion of both searches."""
        if self.has_vectors and self.dense_weight is None:
            self.dense_weight = thresholds.read_dense_weight(self.path, self.version)
        return [[self.scored_passage(row, score) for row, score in fuse_rankings(rankings, self.dense_weight)[:k]]
                for rankings in self.rankings(questions, max(FUSION_DEPTH, k))]

    def rankings(self, questions: Sequence[str], k: int) -> list[tuple[list[int], ...]]:
        """For each question the best rows by sparse and, where there are vectors, by dense search."""
        rankings = [self.sparse.search(questions, k=k).rankings()]
        if self.dense is not None:
            rankings.append(self.search_dense(questions, k).rankings())
        return list(zip(*rankings, strict=True))

    def scored_passage(self, row: int, score: float) -> ScoredPassage:
        """The passage of a row with the score of a search."""
        return ScoredPassage(self.passages[row], row, score)

    def search_dense(self, questions: Sequence[str], k: int) -> Hits:
        """The rows whose vectors are nearest to the questions'."""
        assert self.dense is not None
        return self.dense.search(self.vectors(questions), k=k)

    @property
    def version(self) -> str:
        """The hash that names this version of the index."""
        return str(self.manifest["version"])

    @property
    def has_vectors(self) -> bool:
        """Whether it can be searched by meaning."""
        return self.dense is not None

    @property
    def identity(self) -> str:
        """What made its vectors: the hash of a model's weights, or "words"."""
        return str((self.manifest["model"] or {}).get("sha256", "words"))

    def searchable_text(self, row: int) -> str:
        """What is searched of a passage: its text, under its title and section where the index was built so."""
        return searchable_text(self.passages[row], titles=bool(self.manifest["settings"]["titles"]))

    def vectors(self, questions: Sequence[str]) -> NDArray[Any]:
        """The questions' vectors by the index's own model, 1 long: (Q, W); those of the last questions are cached."""
        cached = self.cached_vectors
        if cached is None or cached[0] != tuple(questions):
            vectors_of_questions = np.concatenate(list(embed(self.model(), questions, pool="mean", normalise=True)))
            cached = self.cached_vectors = (tuple(questions), vectors_of_questions)
        return cached[1]

    def model(self) -> Model:
        """The model of its vectors, loaded once; raises UserError (65) when it is not the one that made them."""
        if self.loaded_model is None:
            reference = self.model_reference
            assert reference is not None
            self.check_model(reference)
            self.loaded_model = load_headless(reference, device=choose_device(self.device), allow_pickle=True,
                                              precision=self.precision)
        return self.loaded_model

    def check_model(self, reference: str) -> None:
        """Refuse a model that did not make the vectors."""
        recorded = self.manifest["model"]
        if recorded is None:
            raise UserError(f"{self.path} was built without a model, but {reference} is given.",
                            fix="Leave the model out.", exit=Exit.DATA)
        if vectors.fingerprint(reference, allow_pickle=True)["sha256"] != recorded["sha256"]:
            raise UserError(f"The vectors of {self.path} were made with {recorded['reference']}, "
                            f"whose weights are not those of {reference}.",
                            fix="Search with the model that made it, or compute the vectors again: "
                                f"headstart index {self.path} --model {reference}",
                            exit=Exit.DATA)


def scored_rows(hits: Hits) -> list[list[tuple[int, float]]]:
    """Rows with their scores, best first, for each question."""
    return [[(row, score) for row, score in zip(rows, scores, strict=True) if row >= 0]
            for rows, scores in zip(hits.rows.tolist(), hits.scores.tolist(), strict=True)]


def previous_settings(source: Path, to: Path) -> tuple[dict[str, Any], str | None]:
    """The settings and the model ("none" for words alone) of the index that is built again; nothing of a damaged one or
    where none is.
    """
    path = to if folder.is_index(to) else source if folder.is_index(source) else None
    if path is None:
        return {}, None
    try:
        settings, reference = read_settings(path)
    except UserError:  # damaged: the build says so
        return {}, None
    return settings, reference or "none"


def read_settings(path: Path) -> tuple[dict[str, Any], str | None]:
    """The settings ("index.words" …) and the model of an index, for one that is built again."""
    manifest = folder.read_manifest(path)
    return {f"index.{name}": value for name, value in manifest["settings"].items()}, (manifest["model"]
                                                                                      or {}).get("reference")


def fuse_rankings(rankings: Sequence[Sequence[int]], dense_weight: float | None) -> list[tuple[int, float]]:
    """One ranking from the sparse and, where there is one, the dense; the latter's weight is a share, and equal shares
    weigh 1 each.
    """
    weights = None if len(rankings) == 1 or dense_weight is None else [2 * (1 - dense_weight), 2 * dense_weight]
    return reciprocal_rank_fusion(rankings, weights=weights)
