"""What the passages of an index are, part by part: passages, documents, words; nothing is made twice.

N passages. Texts are known by 64-bit hashes.
"""

from __future__ import annotations

import array
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.retrieval.documents.chunking import cut, subject
from headstart.retrieval.documents.document import Document
from headstart.retrieval.documents.near_duplicates import BANDS, ROWS, folds, signature
from headstart.retrieval.documents.passage import Passage
from headstart.retrieval.index.jsonl_store import Lines, Written
from headstart.search.postings import write_postings
from headstart.search.sparse import tokenize
from headstart.settings import Index as Settings
from headstart.text.normalise import hash_text

PASSAGES, DOCUMENTS, FOLDED, HASHES, PLACES = "passages.jsonl", "documents.jsonl", "folded.jsonl", "texts.npy", "places.npy"
WORDS, TOKENS, TOKEN_BORDERS = "words", "tokens.bin", "tokens.npy"
RAW = ("raw.jsonl", "raw.npy", "raw_documents.jsonl", "raw_documents.npy", "signatures.bin")


def read_in(folder: Path, documents: Iterable[Document], settings: Settings, told: Callable[[int, int], None]) -> None:
    """Cut documents into passages, all of them, with what near-duplicates are known by."""
    with Written(folder / RAW[0]) as raw, Written(folder / RAW[2]) as held, (folder / RAW[4]).open("wb") as signatures:
        for document in documents:
            begin = len(raw)
            for passage in cut(document, words=settings.words, overlap=settings.overlap):
                raw.write(asdict(passage))
                if settings.near_duplicates is not None:
                    signatures.write(signature(subject(passage, titles=settings.titles)).tobytes())
            held.write({"id": document.id, "title": document.title, "hash": content(document), "begin": begin, "end": len(raw),
                        "metadata": document.metadata})
            told(len(held), len(raw))


def content(document: Document) -> str:
    """The hash of all that a document says."""
    said = json.dumps([document.title, document.text, document.sections], ensure_ascii=False)
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()


def fold(folder: Path, settings: Settings) -> NDArray[np.int64]:
    """For each passage that was cut, the one it is folded into (itself where it is kept)."""
    raw = Lines(folder / RAW[0])
    if settings.near_duplicates is None:
        return np.arange(len(raw), dtype=np.int64)
    signatures = np.fromfile(folder / RAW[4], dtype=np.uint32).reshape(-1, BANDS * ROWS)
    return folds(signatures, lambda row: subject(Passage(**raw[row]), titles=settings.titles), settings.near_duplicates)


def keep(folder: Path, into: NDArray[np.int64]) -> None:
    """Write the passages that are kept, what the others were folded into, and the rows of each document."""
    raw, kept = Lines(folder / RAW[0]), into == np.arange(len(into))
    rows = (np.cumsum(kept) - 1)[into]  # the row in the index of each passage that was cut
    with Written(folder / PASSAGES) as passages, Written(folder / FOLDED) as folded:
        for number, line in enumerate(raw.stream()):
            if kept[number]:
                passages.raw(line)
            else:
                held = json.loads(line)
                folded.write({"row": int(rows[number])} | {name: held[name] for name in ("document", "title", "section", "begin", "end")})
    names = array.array("q")
    with Written(folder / DOCUMENTS) as documents:
        for one in Lines(folder / RAW[2]):
            begin, end = one.pop("begin"), one.pop("end")
            documents.write(one | {"rows": as_ranges(np.unique(rows[begin:end]))})
            names.append(hash_text(one["id"]))
    held = np.frombuffer(names, dtype=np.int64)
    order = np.argsort(held, kind="stable")
    np.save(folder / PLACES, np.stack([held[order], order]))  # hashes of ids, ascending, and each document's place
    raw.close()
    for name in RAW:
        (folder / name).unlink()


def as_ranges(rows: NDArray[np.int64]) -> list[list[int]]:
    """Ascending rows as [begin, end) ranges: 3 4 5 9 -> [[3, 6], [9, 10]]."""
    if not len(rows):
        return []
    gaps = np.flatnonzero(np.diff(rows) > 1)
    found: list[list[int]] = np.stack([rows[np.concatenate([[0], gaps + 1])], rows[np.append(gaps, len(rows) - 1)] + 1], axis=1).tolist()
    return found


class Earlier:
    """Where the texts of an index that was built before lie in it."""

    def __init__(self, hashes: NDArray[np.int64]) -> None:
        self.order = np.argsort(hashes, kind="stable")
        self.hashes = hashes[self.order]

    def rows(self, hashes: NDArray[np.int64]) -> NDArray[np.int64]:
        """The row of each text, -1 where it was not there."""
        if not len(self.hashes):
            return np.full(len(hashes), -1, dtype=np.int64)
        places = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        found: NDArray[np.int64] = np.where(self.hashes[places] == hashes, self.order[places], -1)
        return found


def count_words(folder: Path, settings: Settings, before: Path | None) -> None:
    """Write the words of every passage and the table that searches by them; those of a text that `before` holds come from there."""
    old = Tokens(before) if before is not None else None
    known = Earlier(np.load(before / HASHES)) if before is not None else Earlier(np.zeros(0, dtype=np.int64))
    translated = np.full(len(old.vocabulary) if old is not None else 0, -1, dtype=np.int32)
    vocabulary = {"": 0}  # the library wants a word of no text
    hashes, borders = array.array("q"), array.array("q", [0])
    with (folder / TOKENS).open("wb", buffering=2**20) as out:
        for held in Lines(folder / PASSAGES):
            text = subject(Passage(**held), titles=settings.titles)
            hashes.append(hash_text(text))
            row = int(known.rows(np.asarray(hashes[-1:], dtype=np.int64))[0]) if old is not None else -1
            if old is not None and row >= 0:
                ids = old.of(row)
                for number in ids[translated[ids] < 0].tolist():
                    translated[number] = vocabulary.setdefault(old.vocabulary[number], len(vocabulary))
                made = translated[ids]
            else:
                made = np.asarray([vocabulary.setdefault(word, len(vocabulary)) for word in tokenize(text)], dtype=np.int32)
            out.write(made.tobytes())
            borders.append(borders[-1] + len(made))
    np.save(folder / HASHES, np.frombuffer(hashes, dtype=np.int64))
    np.save(folder / TOKEN_BORDERS, np.frombuffer(borders, dtype=np.int64))
    write_postings(folder / WORDS, mapped(folder / TOKENS), np.frombuffer(borders, dtype=np.int64), vocabulary)


def mapped(path: Path) -> NDArray[np.int32]:
    """Numbers of words on the disk."""
    return np.memmap(path, dtype=np.int32, mode="r") if path.stat().st_size else np.zeros(0, dtype=np.int32)


class Tokens:
    """The words of an index's passages, by number."""

    def __init__(self, folder: Path) -> None:
        self.words = mapped(folder / TOKENS)
        self.borders = np.load(folder / TOKEN_BORDERS)
        held: Mapping[str, int] = json.loads((folder / WORDS / "vocab.index.json").read_text(encoding="utf-8"))
        self.vocabulary: Sequence[str] = list(held)

    def of(self, row: int) -> NDArray[Any]:
        """Those of one passage, in order."""
        return np.asarray(self.words[self.borders[row]:self.borders[row + 1]])
