"""What was calibrated on questions with known answers: the similarity below which an index abstains, and the weight of
dense search
in a mixed one. It belongs to the version of the index, its passages and vectors, that it was measured with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from headstart.contract import Json
from headstart.errors import Exit, UserError
from headstart.files import write_text
from headstart.retrieval.index.folder import CALIBRATION

EQUAL_WEIGHT = 0.5  # dense and sparse search weigh the same


def read_threshold(path: Path, version: str) -> float | None:
    """The calibrated threshold; None where there is none, or it is of another version of the index. Raises UserError
    (65): damaged.
    """
    return read_calibrated(path, version, "threshold")


def read_dense_weight(path: Path, version: str) -> float:
    """The calibrated weight of dense search in a mixed one, 0 to 1; a half where there is none. Raises UserError (65):
    damaged.
    """
    weight = read_calibrated(path, version, "share")
    return EQUAL_WEIGHT if weight is None else min(1.0, max(0.0, weight))


def read_calibrated(path: Path, version: str, name: str) -> float | None:
    """A calibrated number of this version of the index in the folder `path`."""
    file = path / CALIBRATION
    if not file.is_file():
        return None
    try:
        calibration = json.loads(file.read_text(encoding="utf-8"))
        return float(calibration[name]) if calibration["version"] == version and calibration.get(
            name) is not None else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file} is damaged ({error}).", exit=Exit.DATA,
                        fix="Remove it, or calibrate again: headstart evaluate INDEX "
                            "questions.jsonl --calibrate") from None


def write_calibration(path: Path, version: str, values: Mapping[str, Json]) -> None:
    """Write what was calibrated on a version of the index into its folder."""
    write_text(path / CALIBRATION, json.dumps({"version": version, **values}, indent=2, allow_nan=False) + "\n")
