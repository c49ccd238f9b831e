"""stub"""
from __future__ import annotations
from pathlib import Path
from typing import Any
def write(inspection: Any, path: Path, attribution: Any = None) -> Path:
    """Stub."""
    return path
