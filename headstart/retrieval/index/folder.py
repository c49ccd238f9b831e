"""An index's folder: one process builds at a time, readers see the old or the new index whole.

    INDEX/
      index.json          names the version, its settings, its model, size and SHA-256 of every part: renamed into place last
      0f3a…/              the version: passages, documents, words, vectors
      building/ journal/  the next version while it is made, and vectors that are ready for it
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headstart.errors import Exit, UserError
from headstart.runs.folder import disk_words, started, write_whole

FILE, FORMAT = "index.json", 1
VERSION = re.compile(r"[0-9a-f]{16}")
BUILDING, JOURNAL, LOCK = "building", "journal", ".lock"
THRESHOLD = "abstention.json"  # what was calibrated on it


def is_index(path: Path) -> bool:
    """Whether a folder is an index, whole or not."""
    return (path / FILE).is_file()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an index's folder while it is built; raises UserError (73) when another process does or when it is something else."""
    if path.is_dir() and (foreign := sorted(one.name for one in path.iterdir() if not ours(one.name))):
        raise UserError(f"{path} holds files that are not an index's ({foreign[0]}).",
                        fix="Choose another folder with --to.", exit=Exit.EXISTS)
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file; an index is a folder.", fix="Choose another place with --to.", exit=Exit.EXISTS)
    with disk_words(path):
        path.mkdir(parents=True, exist_ok=True)
        handle = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held = os.read(handle, 200).decode(errors="replace").strip()
        os.close(handle)
        raise UserError(f"{path} is being built already ({held or 'just begun'}).", fix="Wait for it, or choose another folder with --to.",
                        exit=Exit.EXISTS) from None
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()}, started {started()}\n".encode())
        yield
    finally:
        # The lock file stays: removing it while another process waits on it would let two in.
        if sorted(one.name for one in path.iterdir()) == [LOCK]:
            (path / LOCK).unlink()
            path.rmdir()
        os.close(handle)


def ours(name: str) -> bool:
    """Whether a name in an index's folder is the index's own."""
    named = name in (FILE, BUILDING, JOURNAL, LOCK, THRESHOLD) or name.startswith((f".{FILE}", f".{THRESHOLD}"))
    return named or VERSION.fullmatch(name) is not None


def read(path: Path) -> dict[str, Any]:
    """index.json; raises UserError: 66 where there is none, 65 for one that is damaged or of another format."""
    held: Any = None
    try:
        held = json.loads((path / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise missing(path) from None
    except NotADirectoryError:
        raise UserError(f"{path} is a file; an index is a folder.", fix="Name its folder.", exit=Exit.NO_INPUT) from None
    except (OSError, ValueError):
        pass
    if isinstance(held, dict) and held.get("format", FORMAT) != FORMAT:
        raise UserError(f"{path} is an index of format {held['format']}; this headstart reads format {FORMAT}.",
                        fix="Build it again with this headstart.", exit=Exit.DATA)
    whole = isinstance(held, dict) and held.get("sha256") == seal(held)
    if not whole or not VERSION.fullmatch(str(held.get("version"))):
        raise damaged(path, "index.json is not what was written")
    return dict(held)


def missing(path: Path) -> UserError:
    """The error for a folder without an index."""
    if not path.exists():
        return UserError(f"There is no index {path}.",
                         fix="Check the path, or build one: headstart index SOURCE --to INDEX", exit=Exit.NO_INPUT)
    if (path / BUILDING).exists() or (path / JOURNAL).exists():
        return UserError(f"The index {path} is half made.", fix="Give the command that builds it again: it goes on where it stopped.",
                         exit=Exit.NO_INPUT)
    return UserError(f"{path} holds no index.", fix="Build one: headstart index SOURCE --to INDEX", exit=Exit.NO_INPUT)


def damaged(path: Path, reason: str) -> UserError:
    """The error for an index that cannot be trusted (65)."""
    return UserError(f"The index {path} is damaged: {reason}.", fix="Build it again: headstart index SOURCE --to INDEX", exit=Exit.DATA)


def seal(held: Mapping[str, Any]) -> str:
    """The hash of everything that index.json says."""
    rest = {name: value for name, value in held.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


def sums(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file of a version."""
    found = {}
    for file in sorted(one for one in folder.rglob("*") if one.is_file()):
        with file.open("rb") as opened:
            found[file.relative_to(folder).as_posix()] = {"bytes": file.stat().st_size,
                                                          "sha256": hashlib.file_digest(opened, "sha256").hexdigest()}
    return found


def check(path: Path, held: Mapping[str, Any], *, whole: bool) -> None:
    """Refuse an index with a part that is missing or has another size, with `whole` another hash (65)."""
    for name, wanted in held["parts"].items():
        file = path / held["version"] / name
        if not file.is_file():
            raise damaged(path, f"{name} is missing")
        if file.stat().st_size != wanted["bytes"]:
            raise damaged(path, f"{name} has {file.stat().st_size:,} bytes, {wanted['bytes']:,} were written")
        if whole:
            with file.open("rb") as opened:
                if hashlib.file_digest(opened, "sha256").hexdigest() != wanted["sha256"]:
                    raise damaged(path, f"{name} is not what was written (its SHA-256 differs)")


def switch(path: Path, facts: Mapping[str, Any]) -> bool:
    """Make what was built the index that readers see; whether anything changed. The old version is removed after that."""
    held = {"format": FORMAT, **facts, "parts": sums(path / BUILDING)}
    version = seal(held)[:16]
    before = json.loads((path / FILE).read_text(encoding="utf-8")).get("version") if valid(path) else None
    if before == version:
        shutil.rmtree(path / BUILDING)
    else:
        shutil.rmtree(path / version, ignore_errors=True)
        os.rename(path / BUILDING, path / version)
        held["version"] = version
        write_whole(path / FILE, json.dumps(held | {"sha256": seal(held)}, ensure_ascii=False, indent=2) + "\n")
    shutil.rmtree(path / JOURNAL, ignore_errors=True)
    for one in path.iterdir():
        if VERSION.fullmatch(one.name) and one.name != version:
            shutil.rmtree(one, ignore_errors=True)
    return before != version


def valid(path: Path) -> bool:
    """Whether a whole index lies there."""
    try:
        check(path, read(path), whole=True)
    except UserError:
        return False
    return True
