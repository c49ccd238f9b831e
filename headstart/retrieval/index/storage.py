"""The parts of an index but its vectors: passages, documents, token ids, postings; what a previous version has is
reused.

N passages. Texts are identified by 64-bit hashes.
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

from headstart.retrieval.documents.chunking import chunk_document, searchable_text
from headstart.retrieval.documents.document import Document
from headstart.retrieval.documents.near_duplicates import BANDS, ROWS, representatives, signature
from headstart.retrieval.documents.passage import Passage
from headstart.retrieval.index.jsonl_store import JsonlReader, JsonlWriter
from headstart.search.postings import write_postings
from headstart.search.sparse import tokenize
from headstart.settings import Index as Settings
from headstart.text.normalise import hash_text

PASSAGES, DOCUMENTS, FOLDED, TEXT_HASHES, ID_TABLE = ("passages.jsonl", "documents.jsonl", "folded.jsonl", "texts.npy",
                                                      "places.npy")
POSTINGS, TOKENS, TOKEN_OFFSETS = "words", "tokens.bin", "tokens.npy"
# While it is built: all passages, before near duplicates are folded, and their signatures.
RAW_PASSAGES, RAW_DOCUMENTS, SIGNATURES = "raw.jsonl", "raw_documents.jsonl", "signatures.bin"
TEMPORARY = (RAW_PASSAGES, "raw.npy", RAW_DOCUMENTS, "raw_documents.npy", SIGNATURES)


def chunk_documents(folder: Path, documents: Iterable[Document], settings: Settings,
                    on_progress: Callable[[int, int], None]) -> None:
    """Cut documents into passages, and write them all with the signatures by which near duplicates are found."""
    with JsonlWriter(folder / RAW_PASSAGES) as passages, JsonlWriter(folder / RAW_DOCUMENTS) as entries, \
            (folder / SIGNATURES).open("wb") as signatures:
        for document in documents:
            begin = len(passages)
            for passage in chunk_document(document, words=settings.passage_words, overlap=settings.overlap):
                passages.write(asdict(passage))
                if settings.near_duplicates is not None:
                    signatures.write(signature(searchable_text(passage, titles=settings.titles)).tobytes())
            entries.write({"id": document.id, "title": document.title, "hash": content_hash(document), "begin": begin,
                           "end": len(passages), "metadata": document.metadata})
            on_progress(len(entries), len(passages))


def content_hash(document: Document) -> str:
    """The hash of a document's title, text and sections."""
    content = json.dumps([document.title, document.text, document.sections], ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def find_representatives(folder: Path, settings: Settings) -> NDArray[np.int64]:
    """For each raw passage, the row of the one that it is folded into (its own where it is kept)."""
    passages = JsonlReader(folder / RAW_PASSAGES)
    if settings.near_duplicates is None:
        return np.arange(len(passages), dtype=np.int64)
    signatures = np.fromfile(folder / SIGNATURES, dtype=np.uint32).reshape(-1, BANDS * ROWS)

    def text(row: int) -> str:
        return searchable_text(Passage(**passages[row]), titles=settings.titles)

    return representatives(signatures, text, settings.near_duplicates)


def write_passages(folder: Path, representative: NDArray[np.int64]) -> None:
    """Write the passages that are kept, what the others are folded into, and the rows of each document."""
    raw, is_kept = JsonlReader(folder / RAW_PASSAGES), representative == np.arange(len(representative))
    rows = (np.cumsum(is_kept) - 1)[representative]  # the row in the index of each raw passage
    with JsonlWriter(folder / PASSAGES) as passages, JsonlWriter(folder / FOLDED) as folded:
        for raw_row, line in enumerate(raw.lines()):
            if is_kept[raw_row]:
                passages.write_line(line)
            else:
                passage = json.loads(line)
                fields = {name: passage[name] for name in ("document", "title", "section", "begin", "end")}
                folded.write({"row": int(rows[raw_row])} | fields)
    id_hashes = array.array("q")
    with JsonlWriter(folder / DOCUMENTS) as documents:
        for document in JsonlReader(folder / RAW_DOCUMENTS):
            begin, end = document.pop("begin"), document.pop("end")
            documents.write(document | {"rows": to_ranges(np.unique(rows[begin:end]))})
            id_hashes.append(hash_text(document["id"]))
    hashes = np.frombuffer(id_hashes, dtype=np.int64)
    order = np.argsort(hashes, kind="stable")
    # hashes of ids, ascending, and the position of each document
    np.save(folder / ID_TABLE, np.stack([hashes[order], order]))
    raw.close()
    for name in TEMPORARY:
        (folder / name).unlink()


def to_ranges(rows: NDArray[np.int64]) -> list[list[int]]:
    """Ascending rows as [begin, end) ranges: 3 4 5 9 -> [[3, 6], [9, 10]]."""
    if not len(rows):
        return []
    gaps = np.flatnonzero(np.diff(rows) > 1)
    ranges: list[list[int]] = np.stack([rows[np.concatenate([[0], gaps + 1])],
                                        rows[np.append(gaps, len(rows) - 1)] + 1], axis=1).tolist()
    return ranges


class HashLookup:
    """Finds the rows of texts by their hashes."""

    def __init__(self, hashes: NDArray[np.int64]) -> None:
        self.order = np.argsort(hashes, kind="stable")
        self.hashes = hashes[self.order]

    def rows(self, hashes: NDArray[np.int64]) -> NDArray[np.int64]:
        """The row of each text, -1 where there is none."""
        if not len(self.hashes):
            return np.full(len(hashes), -1, dtype=np.int64)
        positions = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        rows: NDArray[np.int64] = np.where(self.hashes[positions] == hashes, self.order[positions], -1)
        return rows


def write_tokens(folder: Path, settings: Settings, previous: Path | None) -> None:
    """Write the token ids of every passage and their postings; those of a text that `previous` has are taken from
    there.
    """
    previous_tokens = StoredTokens(previous) if previous is not None else None
    previous_rows = HashLookup(np.load(previous / TEXT_HASHES)) if previous is not None else HashLookup(
        np.zeros(0, dtype=np.int64))
    new_ids = np.full(len(previous_tokens.vocabulary) if previous_tokens is not None else 0, -1, dtype=np.int32)
    vocabulary = {"": 0}  # the library wants a word of no text
    hashes, offsets = array.array("q"), array.array("q", [0])
    with (folder / TOKENS).open("wb", buffering=2**20) as file:
        for passage in JsonlReader(folder / PASSAGES):
            text = searchable_text(Passage(**passage), titles=settings.titles)
            hashes.append(hash_text(text))
            row = int(previous_rows.rows(np.asarray(hashes[-1:],
                                                    dtype=np.int64))[0]) if previous_tokens is not None else -1
            if previous_tokens is not None and row >= 0:
                previous_ids = previous_tokens.row_ids(row)
                for token_id in previous_ids[new_ids[previous_ids] < 0].tolist():
                    new_ids[token_id] = vocabulary.setdefault(previous_tokens.vocabulary[token_id], len(vocabulary))
                token_ids = new_ids[previous_ids]
            else:
                token_ids = np.asarray([vocabulary.setdefault(word, len(vocabulary)) for word in tokenize(text)],
                                       dtype=np.int32)
            file.write(token_ids.tobytes())
            offsets.append(offsets[-1] + len(token_ids))
    np.save(folder / TEXT_HASHES, np.frombuffer(hashes, dtype=np.int64))
    np.save(folder / TOKEN_OFFSETS, np.frombuffer(offsets, dtype=np.int64))
    write_postings(folder / POSTINGS, map_token_ids(folder / TOKENS), np.frombuffer(offsets, dtype=np.int64),
                   vocabulary)


def map_token_ids(path: Path) -> NDArray[np.int32]:
    """Token ids on the disk."""
    return np.memmap(path, dtype=np.int32, mode="r") if path.stat().st_size else np.zeros(0, dtype=np.int32)


class StoredTokens:
    """The token ids of an index's passages, and its vocabulary."""

    def __init__(self, folder: Path) -> None:
        self.ids = map_token_ids(folder / TOKENS)
        self.offsets = np.load(folder / TOKEN_OFFSETS)
        vocabulary: Mapping[str, int] = json.loads((folder / POSTINGS / "vocab.index.json").read_text(encoding="utf-8"))
        self.vocabulary: Sequence[str] = list(vocabulary)

    def row_ids(self, row: int) -> NDArray[Any]:
        """The token ids of one passage, in order."""
        return np.asarray(self.ids[self.offsets[row]:self.offsets[row + 1]])
