"""Checkpoints that are whole or not there: staged, flushed, listed with hashes, renamed.

    checkpoints/step-000400/   model.safetensors  optimizer.safetensors  state.json  manifest.json
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from headstart.files import announce, discard, disk_errors, sha256, staged_folder

MANIFEST = "manifest.json"


def checkpoint_name(step: int) -> str:
    """The folder of a step's checkpoint."""
    return f"step-{step:06d}"


def save(folder: Path, step: int, write: Callable[[Path], None]) -> Path:
    """Let `write` fill a staging folder, then put it in its place; the last good checkpoint is never touched.

    Raises UserError (74) when the disk is full or cannot be written, or `folder` is gone; nothing is left behind then.
    """
    path = folder / checkpoint_name(step)
    advice = "Free some space, then run headstart resume: the last good checkpoint is whole."
    with disk_errors(folder, advice):
        if not folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
        fill(path, step, write)
    return path


def fill(path: Path, step: int, write: Callable[[Path], None]) -> None:
    """The checkpoint's files and its manifest."""
    with staged_folder(path) as staging:
        write(staging)
        files = {file.name: {"size": file.stat().st_size, "sha256": sha256(file)} for file in sorted(staging.iterdir())}
        announce("write", staging / MANIFEST)
        (staging / MANIFEST).write_text(json.dumps({"step": step, "files": files}, indent=2) + "\n", encoding="utf-8")


def verify(path: Path) -> str | None:
    """Why a checkpoint cannot be trusted; None when every file is as its manifest says."""
    try:
        files = json.loads((path / MANIFEST).read_text(encoding="utf-8"))["files"]
        if "state.json" not in files:
            return "its manifest does not name state.json"
        for file_name, expected in files.items():
            file = path / file_name
            if not file.is_file():
                return f"{file_name} is missing"
            if file.stat().st_size != expected["size"] or sha256(file) != expected["sha256"]:
                return f"{file_name} is not what was written"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return f"its manifest cannot be read ({type(error).__name__})"
    return None


def list_checkpoints(folder: Path) -> list[Path]:
    """Every checkpoint, oldest first."""
    return sorted(folder.glob("step-*")) if folder.is_dir() else []


def read_progress(path: Path) -> dict[str, Any]:
    """The run's own progress, saved beside the weights."""
    progress: dict[str, Any] = json.loads((path / "state.json").read_text(encoding="utf-8"))["progress"]
    return progress


def newest_valid(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest checkpoint whose manifest verifies, and that of the best one that it names; a warning about each newer
    one for which they do not.
    """
    warnings: list[str] = []
    for path in reversed(list_checkpoints(folder)):
        reason = verify(path)
        if reason is None:
            best_step = read_progress(path).get("best", {}).get("step")
            best = path if best_step is None else folder / checkpoint_name(best_step)
            if best != path and (best_reason := verify(best)) is not None:
                reason = f"the best one so far, {best.name}, is damaged: {best_reason}"
        if reason is None:
            return path, warnings
        warnings.append(f"{path.name} is skipped: {reason}")
    return None, warnings


def prune(folder: Path, *, keep_last: int, protect: Iterable[str]) -> None:
    """Remove all but the newest `keep` checkpoints and the protected ones (the best); one that cannot be removed stays.
    """
    checkpoints = list_checkpoints(folder)
    for path in checkpoints[:-keep_last]:
        if path.name not in set(protect):
            with contextlib.suppress(OSError):
                discard(path)
