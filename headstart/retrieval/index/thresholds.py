"""What was calibrated on questions with known answers: the nearness below which an index says that it does not know, and how much
meaning weighs in a mixed search. It belongs to the passages and vectors that it was measured with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from headstart.contract import Json
from headstart.errors import Exit, UserError
from headstart.retrieval.index.folder import THRESHOLD
from headstart.runs.folder import write_whole

if TYPE_CHECKING:
    from headstart.retrieval.index.index import Index

ALIKE = 0.5  # words and meaning weigh the same


def threshold_of(index: Index) -> float | None:
    """The kept threshold; None where none was calibrated, or on another version of the index. Raises UserError (65): damaged."""
    return kept(index, "threshold")


def share_of(index: Index) -> float:
    """The kept share of meaning in a mixed search, 0 to 1; a half where none was calibrated. Raises UserError (65): damaged."""
    found = kept(index, "share")
    return ALIKE if found is None else min(1.0, max(0.0, found))


def kept(index: Index, name: str) -> float | None:
    """A calibrated number of this version of the index."""
    place = index.path / THRESHOLD
    if not place.is_file():
        return None
    try:
        held = json.loads(place.read_text(encoding="utf-8"))
        return float(held[name]) if held["version"] == index.facts["version"] and held.get(name) is not None else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{place} is damaged ({error}).", exit=Exit.DATA,
                        fix="Remove it, or calibrate again: headstart evaluate INDEX questions.jsonl --calibrate") from None


def keep(index: Index, found: Mapping[str, Json]) -> None:
    """Keep what was calibrated beside the index."""
    write_whole(index.path / THRESHOLD, json.dumps({"version": index.facts["version"], **found}, indent=2, allow_nan=False) + "\n")
