"""Training that goes wrong begins again at a third of the rate: told, recorded, and the same after any kill."""

import json
import shutil

import pytest
from conftest import review_rows, write_csv

from headstart.files import sha256
from headstart.runs import attempts
from headstart.tasks.text_classification import TextClassification
from headstart.training import loop
from headstart.training.divergence import LossWatch, prior_loss

HIGH = ["--learning-rate", "0.4", "--set", "training.back_off=on"]
FLAGS = ["--epochs", 12, "--batch-size", 8, "--set", "evaluation.resamples=0", "--set", "evaluation.baselines=false",
         "--set", "evaluation.explained_errors=0", "--folds", 0]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_csv(tmp_path_factory.mktemp("rows") / "reviews.csv", review_rows(90))


def finetune(headstart, rows, model, to, *flags):
    return headstart("finetune", rows, "--model", model, "--to", to, *FLAGS, *flags)


def events(run, kind):
    return [event for event in map(json.loads, (run / "log.jsonl").read_text().splitlines())
            if event["event"] == kind]


def weights(run):
    return sha256(run / "model" / "model.safetensors")


def killed_at(monkeypatch, attempt, step):
    """Let the given attempt die at its step, once, as a power cut would."""
    original, before = loop.train_step, {"step": 0, "attempt": 1}

    def failing_step(state, *arguments, **options):
        before["attempt"] += state.step < before["step"]
        before["step"] = state.step
        if (before["attempt"], state.step) == (attempt, step):
            raise ValueError("power cut")
        return original(state, *arguments, **options)

    monkeypatch.setattr(loop, "train_step", failing_step)


@pytest.fixture(scope="module")
def backed_off(rows, tiny_bert, tmp_path_factory):
    """A whole run that began again, and what it told."""
    import contextlib
    import io

    from headstart.cli.main import run_guarded

    folder, stderr = tmp_path_factory.mktemp("whole") / "run", io.StringIO()
    with contextlib.redirect_stderr(stderr):
        code = run_guarded([str(part) for part in ("finetune", rows, "--model", tiny_bert, "--to", folder, *FLAGS,
                                                   *HIGH)])
    assert code == 0, stderr.getvalue()
    return folder, stderr.getvalue()


def test_it_is_told_with_both_rates_and_recorded(backed_off):
    run, stderr = backed_off
    first = events(run, "back_off")[0]
    assert (first["learning_rate"], first["next_learning_rate"]) == (0.4, 0.13)
    assert "begins again from the seed at a learning rate of 0.13, a third of 0.4" in stderr
    recorded = json.loads((run / "data.json").read_text())
    assert recorded["attempts"][0]["learning_rate"] == 0.4 and recorded["attempts"][0]["reason"] in stderr
    assert recorded["settings"]["training.learning_rate"] == 0.4  # with back_off=on it repeats the run
    assert len(recorded["attempts"]) == len(events(run, "back_off")) < attempts.MOST_ATTEMPTS
    assert max(event["learning_rate"] for event in events(run, "step")[-3:]) < 0.4


@pytest.mark.parametrize("attempt,step", [(1, 7), (2, 0), (2, 11)])
def test_killed_in_any_attempt_and_resumed_it_ends_with_the_same_weights(attempt, step, backed_off, rows, tiny_bert,
                                                                         headstart, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        killed_at(patch, attempt, step)
        code, _, _ = finetune(headstart, rows, tiny_bert, tmp_path / "run", *HIGH)
        assert code == 70 and len(events(tmp_path / "run", "back_off")) == attempt - 1
    code, _, stderr = headstart("resume", tmp_path / "run")
    assert code == 0, stderr
    whole, _ = backed_off
    assert weights(tmp_path / "run") == weights(whole)
    told = [[{name: value for name, value in event.items() if name != "seconds"} for event in events(run, "back_off")]
            for run in (whole, tmp_path / "run")]
    assert told[0] == told[1]


def test_checkpoints_of_an_attempt_that_was_given_up_are_not_resumed_from(backed_off, rows, tiny_bert, headstart,
                                                                         tmp_path, monkeypatch):
    from headstart.runs import back_off

    with monkeypatch.context() as patch:
        patch.setattr(back_off, "discard", lambda folder: (_ for _ in ()).throw(ValueError("power cut")))
        code, _, _ = finetune(headstart, rows, tiny_bert, tmp_path / "run", *HIGH)
        assert code == 70 and list((tmp_path / "run" / "checkpoints").glob("step-*"))
    code, _, stderr = headstart("resume", tmp_path / "run")
    assert code == 0 and weights(tmp_path / "run") == weights(backed_off[0]), stderr


def test_settings_alone_repeat_the_run(backed_off, headstart, tmp_path):
    run, _ = backed_off
    shutil.copy(run / "settings.toml", tmp_path / "settings.toml")
    code, _, stderr = headstart("finetune", "--settings", tmp_path / "settings.toml", "--to", tmp_path / "run")
    assert code == 0 and weights(tmp_path / "run") == weights(run), stderr


def test_a_rate_that_the_user_set_is_never_replaced(rows, tiny_bert, headstart, tmp_path):
    code, _, stderr = finetune(headstart, rows, tiny_bert, tmp_path / "run", "--learning-rate", "0.4")
    assert code in (0, 65) and not events(tmp_path / "run", "back_off") and "begins again" not in stderr


def test_a_rate_by_rule_that_gives_no_number_is_lowered(rows, tiny_bert, headstart, tmp_path, monkeypatch):
    from headstart.runs import defaults

    original = loop.train_step

    def overflowing_step(state, batches, objective, total_weight, settings, **options):
        if settings.learning_rate > 1e-3 and state.step == 5:
            raise loop.not_finite("loss", float("nan"), state, settings)
        return original(state, batches, objective, total_weight, settings, **options)

    monkeypatch.setattr(loop, "train_step", overflowing_step)
    monkeypatch.setattr(defaults, "learning_rate", lambda subject: defaults.Choice(2e-3, "a test wants it"))
    code, _, stderr = finetune(headstart, rows, tiny_bert, tmp_path / "run")
    assert code == 0 and "The loss of step 6 is nan" in stderr and "6.7e-04" not in stderr, stderr
    assert [event["next_learning_rate"] for event in events(tmp_path / "run", "back_off")] == [6.7e-4]


def test_it_begins_again_twice_at_most(rows, tiny_bert, headstart, tmp_path, monkeypatch):
    def overflowing_step(state, batches, objective, total_weight, settings, **options):
        raise loop.not_finite("loss", float("nan"), state, settings)

    monkeypatch.setattr(loop, "train_step", overflowing_step)
    code, _, stderr = finetune(headstart, rows, tiny_bert, tmp_path / "run", *HIGH)
    assert code == 65 and len(events(tmp_path / "run", "back_off")) == attempts.MOST_ATTEMPTS - 1
    assert "Lower the learning rate" in stderr


def stuck(losses, evaluate_every, *, told_apart=True, prior=0.0):
    """The steps at which a watch finds that a model with one answer is past learning."""
    watch, steps = LossWatch(has_told_apart=told_apart), []
    for number, loss in enumerate(losses, start=1):
        watch = watch.after_step(loss)
        if number % evaluate_every == 0:
            steps += [number] if watch.is_stuck(len(losses), prior_loss=prior) else []
            watch = watch.after_evaluation(len(losses), collapsed=True)
    return steps


def test_one_answer_is_too_high_a_rate_only_where_the_loss_stands_still_in_the_second_half():
    flat, falling = [0.7] * 200, [0.7 * 0.998**step for step in range(200)]
    assert stuck(flat, 10) == [120, 160, 200] and not stuck(falling, 10)
    assert stuck(flat, 1)[0] >= 100 and stuck(flat, 67) == [134]  # whatever the evaluations
    assert not stuck(flat[:40], 10)  # a short trial


def test_a_model_that_never_told_two_labels_apart_was_trained_too_fast():
    falling = [0.7 * 0.998**step for step in range(200)]
    assert stuck(falling, 50, told_apart=False) == [200] and not stuck(falling[:80], 20, told_apart=False)


def test_a_model_that_has_learned_more_than_the_shares_of_the_labels_is_slow_and_not_collapsed():
    balanced, nine_to_one = prior_loss([60, 60]), prior_loss([90, 10, 0])
    assert balanced == pytest.approx(0.6931, abs=1e-4) and nine_to_one == pytest.approx(0.3251, abs=1e-4)
    assert prior_loss([]) == 0
    at_shares, below = [0.69] * 20 + [0.325] * 180, [0.69] * 20 + [0.15] * 180
    for told_apart in (False, True):
        assert stuck(at_shares, 50, told_apart=told_apart, prior=nine_to_one)
        assert not stuck(below, 50, told_apart=told_apart, prior=nine_to_one)
        assert not stuck([0.69] * 20 + [0.45] * 180, 50, told_apart=told_apart, prior=nine_to_one)  # has yet to learn
        assert stuck([0.69] * 20 + [0.8] * 180, 50, told_apart=told_apart, prior=nine_to_one)  # no way down


def test_one_answer_of_a_model_made_from_scratch_lowers_no_rate(rows, tiny_bert, headstart, tmp_path, monkeypatch):
    monkeypatch.setattr(LossWatch, "is_stuck", lambda *arguments, **options: True)
    monkeypatch.setattr(TextClassification, "collapse_warning", lambda task, measures: "collapsed: one label. If")
    flags = ("finetune", rows, "--epochs", 1, *FLAGS[2:], "--set", "training.back_off=on", "--learning-rate", "1e-3")
    code, _, stderr = headstart(*flags, "--model", tiny_bert, "--to", tmp_path / "pretrained")
    assert code == 0 and "begins again" in stderr, stderr
    code, _, stderr = headstart(*flags, "--model", tiny_bert, "--from-scratch", tiny_bert, "--to", tmp_path / "scratch")
    assert code == 0 and "begins again" not in stderr, stderr


def test_a_loss_has_risen_only_well_above_its_start():
    def has_risen(losses):
        watch = LossWatch()
        for loss in losses:
            watch = watch.after_step(loss)
        return watch.has_risen

    assert has_risen([1.0] * 10 + [5.0] * 30) and not has_risen([1.0] * 10 + [5.0] * 5)
    assert not has_risen([1.0] * 40) and not has_risen([0.05] * 10 + [0.4] * 30)
