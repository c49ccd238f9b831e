"""How many steps a run has: of epochs and training.max_steps the smaller number, and with one of them that one."""

import json

import pytest

ROWS, BATCH = 90, 8  # conftest's reviews; 80 % of them are trained on, so that an epoch has 9 steps


@pytest.mark.parametrize(("flags", "steps"), [
    (["--epochs", "1"], 9), (["--set", "training.max_steps=3"], 3), (["--set", "training.max_steps=12"], 12),
    (["--epochs", "1", "--set", "training.max_steps=3"], 3), (["--epochs", "1", "--set", "training.max_steps=40"], 9)])
def test_steps_are_bounded_by_both(flags, steps, tiny_bert, reviews, tmp_path, headstart):
    code, _, stderr = headstart("finetune", reviews, "--model", tiny_bert, "--to", tmp_path / "run", "--batch-size",
                                BATCH, "--set", "evaluation.resamples=0", "--set", "evaluation.baselines=false", *flags)
    assert code == 0, stderr
    assert json.loads((tmp_path / "run" / "scores.json").read_text())["training"]["steps"] == steps
