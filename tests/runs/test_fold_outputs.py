"""Outputs of folds come back from the disk as they were; what would have to be run to come back is refused."""

import json
import math

import numpy as np
import pytest

from headstart.errors import UserError
from headstart.runs.fold_outputs import FoldOutputs, decoded, encoded
from headstart.runs.folder import RunFolder

OUTPUTS = [
    [np.asarray([0.1, -math.inf, math.nan]), np.float32(0.3), 7, "half a pair \ud800", None, True],
    [(range(1, 9, 2), np.zeros((0, 3), dtype="float32"), {3: 4, "a": (1, [2.5])}), b"\x00\xff", math.inf],
]


def same(first, second):
    assert type(first) is type(second)
    if isinstance(first, np.ndarray):
        assert first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()
    elif isinstance(first, list | tuple):
        assert len(first) == len(second)
        for parts in zip(first, second, strict=True):
            same(*parts)
    elif isinstance(first, dict):
        same([*first], [*second])
        same([*first.values()], [*second.values()])
    else:
        assert first == second or first != first


def test_outputs_come_back_from_json_as_they_were():
    same(decoded(json.loads(json.dumps(encoded(OUTPUTS)))), OUTPUTS)


def test_a_file_that_was_changed_or_cut_off_is_no_fold(tmp_path):
    folder = RunFolder(tmp_path)
    part = FoldOutputs([3, 5], OUTPUTS, [[], [2]], 12, 0.5)
    part.save(folder)
    loaded = FoldOutputs.load(folder)
    assert loaded is not None and (loaded.places, loaded.layers, loaded.steps) == ([3, 5], [[], [2]], 12)
    same(loaded.outputs, OUTPUTS)
    text = (tmp_path / "outputs.json").read_text()
    for damaged in (text[:-9], text.replace('"steps": 12', '"steps": 13'), "[]", ""):
        (tmp_path / "outputs.json").write_text(damaged)
        assert FoldOutputs.load(folder) is None


@pytest.mark.parametrize("value", [{1, 2}, object(), np.asarray([object()]), len])
def test_what_cannot_be_kept_is_refused_in_words(value):
    with pytest.raises(UserError, match="keeps the outputs of each fold"):
        encoded([value])
