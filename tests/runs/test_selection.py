"""evaluation.metric: which score chooses the checkpoint and stops early."""

import json

import pytest

FLAGS = ["--epochs", "4", "--batch-size", "16", "--learning-rate", "2e-3", "--quiet", "--set", "evaluation.resamples=0",
         "--set", "evaluation.baselines=false", "--set", "training.evaluate_every=4", "--set",
         "training.precision=fp32"]


def run_with(headstart, tiny_bert, reviews, run, *flags):
    code, _, stderr = headstart("finetune", reviews, "--model", tiny_bert, "--to", run, *FLAGS, *flags)
    assert code == 0, stderr
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return json.loads((run / "scores.json").read_text()), [event for event in events if event["event"] == "evaluation"]


@pytest.mark.parametrize(("metric", "best_of"), [("accuracy", max), ("log_loss", min), ("loss", min)])
def test_the_named_score_chooses_the_checkpoint(metric, best_of, headstart, tiny_bert, reviews, tmp_path):
    scores, evaluations = run_with(headstart, tiny_bert, reviews, tmp_path / "run", "--set",
                                   f"evaluation.metric={metric}")
    values = {event["step"]: event["scores"][metric] for event in evaluations}
    best = best_of(values.values())
    assert scores["best"] == {"split": "dev", "score": metric,
                              "step": next(step for step, value in values.items() if value == best),
                              "candidates": len(evaluations)}
    if metric == "loss":  # cross-entropy without smoothing is the mean of -log p, which dev's log_loss is
        assert scores["dev"]["log_loss"]["value"] == pytest.approx(best, abs=1e-5)
    else:
        assert scores["dev"][metric]["value"] == pytest.approx(best, abs=1e-6)


def test_patience_waits_for_the_named_score(headstart, tiny_bert, reviews, tmp_path):
    _, evaluations = run_with(headstart, tiny_bert, reviews, tmp_path / "run", "--set", "evaluation.metric=loss",
                              "--set",
                              "training.patience=1", "--learning-rate", "0.3")  # diverges at once
    losses = [event["scores"]["loss"] for event in evaluations]
    worse = next((index for index in range(1, len(losses)) if losses[index] >= min(losses[:index])), None)
    assert worse == len(losses) - 1 or len(losses) * 4 >= 18


def test_a_score_that_the_task_does_not_have_is_refused_before_training(headstart, tiny_bert, reviews, tmp_path):
    code, _, stderr = headstart("finetune", reviews, "--model", tiny_bert, "--to", tmp_path / "run", *FLAGS, "--set",
                                "evaluation.metric=acuracy")
    assert code == 78 and "accuracy" in stderr and "loss" in stderr
    assert not (tmp_path / "run" / "checkpoints").exists()
