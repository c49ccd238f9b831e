"""Checkpoints that are whole or not there: staged, flushed, listed with hashes, renamed.

    checkpoints/update-000400/   model.safetensors  optimizer.safetensors  state.json  manifest.json
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from headstart.errors import Exit, UserError

MANIFEST = "manifest.json"


def name_of(update: int) -> str:
    """The folder of an update's checkpoint."""
    return f"update-{update:06d}"


def save(folder: Path, update: int, write: Callable[[Path], None]) -> Path:
    """Let `write` fill a staging folder, then put it in its place; the last good checkpoint is never touched.

    Raises UserError (74) when the disk is full or cannot be written; nothing is left behind then.
    """
    final = folder / name_of(update)
    staging = folder / f".{final.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        write(staging)
        files = {file.name: {"size": file.stat().st_size, "sha256": sha256(file)} for file in sorted(staging.iterdir())}
        (staging / MANIFEST).write_text(json.dumps({"update": update, "files": files}, indent=2) + "\n", encoding="utf-8")
        for file in staging.iterdir():
            flush(file)
        flush(staging)
        shutil.rmtree(final, ignore_errors=True)
        os.rename(staging, final)
        flush(folder)
    except Exception as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise disk_error(folder, error) from error
    return final


def disk_error(folder: Path, error: Exception) -> Exception:
    """The disk's errors in the user's words; others as they are (safetensors wraps the disk's)."""
    full = (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)) or "No space left" in str(error)
    if full:
        return UserError(f"The disk of {folder} is full; the last good checkpoint is whole.",
                         fix="Free some space, then go on with headstart resume.", exit=Exit.DISK)
    if isinstance(error, OSError):
        return UserError(f"A checkpoint cannot be written to {folder}: {error.strerror or error}.",
                         fix="See that the place can be written, then go on with headstart resume.", exit=Exit.DISK)
    return error


def flush(path: Path) -> None:
    """Make sure that a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """The hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(path: Path) -> str | None:
    """Why a checkpoint cannot be trusted; None when every file is as its manifest says."""
    try:
        files = json.loads((path / MANIFEST).read_text(encoding="utf-8"))["files"]
        for name, held in files.items():
            file = path / name
            if not file.is_file():
                return f"{name} is missing"
            if file.stat().st_size != held["size"] or sha256(file) != held["sha256"]:
                return f"{name} is not what was written"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"its manifest cannot be read ({type(error).__name__})"
    return None


def all_of(folder: Path) -> list[Path]:
    """Every checkpoint, oldest first."""
    return sorted(folder.glob("update-*")) if folder.is_dir() else []


def progress_of(path: Path) -> dict[str, Any]:
    """What the run kept beside the weights."""
    held: dict[str, Any] = json.loads((path / "state.json").read_text(encoding="utf-8"))["progress"]
    return held


def newest_valid(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest checkpoint whose manifest verifies, and a word about each newer one that does not."""
    words: list[str] = []
    for path in reversed(all_of(folder)):
        reason = verify(path)
        if reason is None:
            return path, words
        words.append(f"{path.name} is passed over: {reason}")
    return None, words


def prune(folder: Path, *, keep: int, protect: Iterable[str]) -> None:
    """Remove all but the newest `keep` checkpoints and the protected ones (the best)."""
    held = all_of(folder)
    for path in held[:-keep]:
        if path.name not in set(protect):
            shutil.rmtree(path, ignore_errors=True)
