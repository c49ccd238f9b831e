"""Checkpoints that are whole or not there: staged, flushed, listed with hashes, renamed.

    checkpoints/step-000400/   model.safetensors  optimizer.safetensors  state.json  manifest.json
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from headstart.files import disk_errors, sha256, staged_folder

MANIFEST = "manifest.json"


def checkpoint_name(step: int) -> str:
    """The folder of a step's checkpoint."""
    return f"step-{step:06d}"


def save(folder: Path, step: int, write: Callable[[Path], None]) -> Path:
    """Let `write` fill a staging folder, then put it in its place; the last good checkpoint is never touched.

    Raises UserError (74) when the disk is full or cannot be written; nothing is left behind then.
    """
    path = folder / checkpoint_name(step)
    advice = "Free some space, then run headstart resume: the last good checkpoint is whole."
    with disk_errors(folder, advice), staged_folder(path) as staging:
        write(staging)
        files = {file.name: {"size": file.stat().st_size, "sha256": sha256(file)} for file in sorted(staging.iterdir())}
        (staging / MANIFEST).write_text(json.dumps({"step": step, "files": files}, indent=2) + "\n", encoding="utf-8")
    return path


def verify(path: Path) -> str | None:
    """Why a checkpoint cannot be trusted; None when every file is as its manifest says."""
    try:
        files = json.loads((path / MANIFEST).read_text(encoding="utf-8"))["files"]
        for file_name, expected in files.items():
            file = path / file_name
            if not file.is_file():
                return f"{file_name} is missing"
            if file.stat().st_size != expected["size"] or sha256(file) != expected["sha256"]:
                return f"{file_name} is not what was written"
    except (OSError, ValueError, KeyError, TypeError) as error:
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
    """The newest checkpoint whose manifest verifies, and a warning about each newer one that does not."""
    warnings: list[str] = []
    for path in reversed(list_checkpoints(folder)):
        reason = verify(path)
        if reason is None:
            return path, warnings
        warnings.append(f"{path.name} is skipped: {reason}")
    return None, warnings


def prune(folder: Path, *, keep_last: int, protect: Iterable[str]) -> None:
    """Remove all but the newest `keep` checkpoints and the protected ones (the best)."""
    checkpoints = list_checkpoints(folder)
    for path in checkpoints[:-keep_last]:
        if path.name not in set(protect):
            shutil.rmtree(path, ignore_errors=True)
