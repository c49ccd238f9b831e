"""The name that a model is served under."""

from __future__ import annotations

from pathlib import Path


def model_name(reference: str) -> str:
    """The last part of a path or hub name; of the model folder within a run, the run's."""
    path = Path(reference)
    if path.exists():
        path = path.resolve()
        if path.name == "model" and (path.parent / "settings.toml").exists():
            path = path.parent
    return path.name.removeprefix("pip:") or reference
