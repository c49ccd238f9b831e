"""A run: every file it promises, the same bits again, and nothing lost when it is cut short."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser

import numpy as np
import pytest
from conftest import QUICK_FLAGS, review_rows, write_csv

from headstart.runs.folder import RunFolder

FILES = ("settings.toml", "scores.json", "report.html", "report.md", "log.jsonl", "data.json", "predictions.jsonl",
         "checkpoints", "first_batch.json", "environment.json", "model")


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def weights_hash(run):
    return sha256(run / "model" / "model.safetensors")


def test_a_run_leaves_every_file_it_promises(trained_run):
    run, _ = trained_run
    for name in FILES:
        assert (run / name).exists(), name
    assert not [path for path in run.rglob("*") if ".part" in path.name]
    for name in ("config.json", "model.safetensors", "tokenizer.json", "headstart.json", "README.md"):
        assert (run / "model" / name).exists(), name


def test_scores_have_value_interval_and_signature(trained_run):
    scores = json.loads((trained_run[0] / "scores.json").read_text())
    for split in ("dev", "test"):
        assert next(iter(scores[split])) == "macro_f1"
        for score in scores[split].values():
            assert set(score) >= {"value", "low", "high", "n", "signature", "higher_is_better"}
            if score["value"] is not None and score["low"] is not None:
                assert score["low"] <= score["high"]
    assert set(scores["baselines"]) == {"majority", "tf-idf + logistic regression",
                                        "frozen encoder + logistic regression"}
    assert scores["best"]["score"] == "macro_f1"
    assert scores["test"]["accuracy"]["value"] > 0.8  # the label follows from one word


def test_scores_equal_scikit_learn_on_the_written_predictions(trained_run):
    from sklearn import metrics

    rows = [json.loads(line) for line in (trained_run[0] / "predictions.jsonl").read_text().splitlines()]
    scores = json.loads((trained_run[0] / "scores.json").read_text())
    for split in ("dev", "test"):
        split_rows = [row for row in rows if row["split"] == split]
        gold, answers = [row["gold"] for row in split_rows], [row["prediction"] for row in split_rows]
        assert scores[split]["accuracy"]["value"] == pytest.approx(metrics.accuracy_score(gold, answers), abs=1e-12)
        macro = metrics.f1_score(gold, answers, average="macro")
        assert scores[split]["macro_f1"]["value"] == pytest.approx(macro, abs=1e-12)
        table = np.array([list(row["probabilities"].values()) for row in split_rows])
        loss = metrics.log_loss(gold, table, labels=list(split_rows[0]["probabilities"]))
        assert scores[split]["log_loss"]["value"] == pytest.approx(loss, abs=1e-9)


def test_settings_alone_repeat_the_run_bit_for_bit(trained_run, headstart, tmp_path):
    run, _ = trained_run
    code, _, _ = headstart("finetune", "--settings", run / "settings.toml", "--to", tmp_path / "again", "--quiet")
    assert code == 0
    assert weights_hash(tmp_path / "again") == weights_hash(run)
    assert (tmp_path / "again" / "settings.toml").read_text() == (run / "settings.toml").read_text()


def test_the_report_is_one_file_without_network_or_stray_markup(trained_run, headstart, tiny_bert, tmp_path):
    markup = '<script>alert("1")</script> "quoted" & \'more\' --> ]]> {}'
    rows = [(f"{markup} {text}", f"<b>{label}</b>") for text, label in review_rows(40)]
    path = write_csv(tmp_path / "evil.csv", rows)
    run = tmp_path / "evil"
    assert headstart("finetune", path, "--model", tiny_bert, "--to", run, "--quiet", *QUICK_FLAGS)[0] == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    assert len(page) < 2_000_000

    class Reader(HTMLParser):
        tags = []

        def handle_starttag(self, tag, attributes):
            self.tags.append(tag)
            for name, value in attributes:
                assert name not in ("src", "onload", "onerror") and not (name == "href" and not value.startswith("#"))

    reader = Reader()
    reader.feed(page)
    assert reader.tags.count("script") == 1 and "b" in reader.tags
    assert "<b>good</b>" not in page and "alert(&quot;1&quot;)" in page
    assert not re.search(r"https?://", page)
    assert "<script>" not in (run / "report.md").read_text(encoding="utf-8")


def test_a_killed_run_resumes_to_the_same_weights(tiny_bert, headstart, tmp_path):
    path = write_csv(tmp_path / "reviews.csv", review_rows())
    flags = ["--model", str(tiny_bert), "--epochs", "8", "--batch-size", "8", "--set", "training.save_every=3", "--set",
             "evaluation.resamples=0", "--set", "evaluation.baselines=false", "--quiet", "--folds", "0"]
    assert headstart("finetune", path, "--to", tmp_path / "whole", *flags)[0] == 0
    cut_run = tmp_path / "cut"
    command = [sys.executable, "-m", "headstart", "finetune", str(path), "--to", str(cut_run), *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: list((cut_run / "checkpoints").glob("step-*")), process)
    process.kill()
    process.wait()
    assert not (cut_run / "report.html").exists()
    assert headstart("resume", cut_run, "--quiet")[0] == 0
    assert weights_hash(cut_run) == weights_hash(tmp_path / "whole")
    assert json.loads((cut_run / "scores.json").read_text())["dev"] == json.loads((tmp_path / "whole"
                                                                                   / "scores.json").read_text())["dev"]


def wait_for(is_ready, process, seconds=60):
    deadline = time.monotonic() + seconds
    while not is_ready():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)


def test_a_polite_signal_saves_and_exits_75(tiny_bert, headstart, tmp_path):
    path = write_csv(tmp_path / "reviews.csv", review_rows())
    flags = ["--model", str(tiny_bert), "--epochs", "15", "--batch-size", "8", "--set", "evaluation.resamples=0",
             "--set", "evaluation.baselines=false", "--folds", "0"]
    command = [sys.executable, "-m", "headstart", "finetune", str(path), "--to", str(tmp_path / "cut"), *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: (tmp_path / "cut" / "log.jsonl").exists()
             and '"event": "step"' in (tmp_path / "cut" / "log.jsonl").read_text(), process)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 75, stderr
    assert "headstart resume" in stderr
    assert list((tmp_path / "cut" / "checkpoints").glob("step-*"))
    assert headstart("finetune", path, "--to", tmp_path / "whole", "--quiet", *flags)[0] == 0
    assert headstart("resume", tmp_path / "cut", "--quiet")[0] == 0
    assert weights_hash(tmp_path / "cut") == weights_hash(tmp_path / "whole")


def test_resume_passes_over_a_damaged_checkpoint(tiny_bert, headstart, tmp_path, reviews, monkeypatch):
    from headstart.training import loop

    flags = ["--model", tiny_bert, "--epochs", "4", "--batch-size", "16", "--quiet", "--set", "training.save_every=2",
             "--set", "training.keep_last=3", "--set", "evaluation.resamples=0", "--set", "evaluation.baselines=false"]
    assert headstart("finetune", reviews, "--to", tmp_path / "whole", *flags)[0] == 0
    original = loop.train_step

    def failing_step(state, *arguments, **options):
        if state.step == 13:
            raise ValueError("power cut")
        return original(state, *arguments, **options)

    monkeypatch.setattr(loop, "train_step", failing_step)
    assert headstart("finetune", reviews, "--to", tmp_path / "cut", *flags)[0] == 70
    monkeypatch.undo()
    newest = sorted((tmp_path / "cut" / "checkpoints").glob("step-*"))[-1]
    (newest / "model.safetensors").write_bytes(b"\0" * 10)
    code, _, stderr = headstart("resume", tmp_path / "cut")
    assert code == 0 and "is skipped" in stderr
    assert weights_hash(tmp_path / "cut") == weights_hash(tmp_path / "whole")


def test_a_second_run_in_the_folder_is_refused_and_a_dead_ones_lock_taken_over(tmp_path, tiny_bert, reviews, headstart):
    folder = tmp_path / "run"
    with RunFolder(folder):
        (folder / "settings.toml").write_text("")
        code, _, stderr = headstart("resume", folder)
        assert code == 73 and f"process {os.getpid()}" in stderr
    (folder / "settings.toml").unlink()
    (folder / ".lock").write_text("process 1, started long ago\n")
    assert headstart("finetune", reviews, "--model", tiny_bert, "--to", folder, "--quiet", *QUICK_FLAGS)[0] == 0


def test_a_finished_run_is_never_overwritten_unasked(trained_run, tiny_bert, headstart, tmp_path, reviews):
    run, path = trained_run
    weights_before = weights_hash(run)
    code, _, stderr = headstart("finetune", path, "--model", tiny_bert, "--to", run, *QUICK_FLAGS)
    assert code == 73 and "--overwrite" in stderr and weights_hash(run) == weights_before
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("all my work")
    code, _, _ = headstart("finetune", reviews, "--model", tiny_bert, "--to", folder, "--overwrite", *QUICK_FLAGS)
    assert code == 73 and (folder / "thesis.txt").read_text() == "all my work"


def test_overwrite_replaces_a_run(tiny_bert, headstart, tmp_path, reviews):
    folder = tmp_path / "run"
    assert headstart("finetune", reviews, "--model", tiny_bert, "--to", folder, "--quiet", *QUICK_FLAGS)[0] == 0
    weights_before = weights_hash(folder)
    assert headstart("finetune", reviews, "--model", tiny_bert, "--to", folder, "--quiet", "--overwrite", "--seed", "3",
                     *QUICK_FLAGS)[0] == 0
    assert weights_hash(folder) != weights_before


def test_resume_of_a_finished_run_does_nothing(trained_run, headstart):
    run, _ = trained_run
    modified_before = (run / "report.html").stat().st_mtime_ns
    assert headstart("resume", run)[0] == 0
    assert (run / "report.html").stat().st_mtime_ns == modified_before


def test_changed_data_is_not_resumed(tiny_bert, headstart, tmp_path, reviews, monkeypatch):
    from headstart.training import loop

    original = loop.train_step
    monkeypatch.setattr(loop, "train_step", lambda state, *arguments,
                        **options: original(state, *arguments, **options) if state.step < 3 else 1 / 0)
    assert headstart("finetune", reviews, "--model", tiny_bert, "--to", tmp_path / "run", *QUICK_FLAGS)[0] == 70
    monkeypatch.undo()
    with reviews.open("a") as file:
        file.write("one more row,good\n")
    code, _, stderr = headstart("resume", tmp_path / "run")
    assert code == 65 and "has changed since the run began" in stderr


def test_a_nan_loss_ends_with_65_and_is_never_best(tiny_bert, headstart, tmp_path, reviews, monkeypatch):
    from headstart.training.losses import cross_entropy

    original = cross_entropy.cross_entropy
    calls = []

    def breaks(*arguments, **options):
        calls.append(1)
        return original(*arguments, **options) * (float("nan") if len(calls) > 8 else 1)

    monkeypatch.setattr(cross_entropy, "cross_entropy", breaks)
    code, _, stderr = headstart("finetune", reviews, "--model", tiny_bert, "--to", tmp_path / "run", *QUICK_FLAGS)
    assert code == 65 and "loss" in stderr and "nan" in stderr
    assert not (tmp_path / "run" / "model").exists()


def test_a_full_disk_ends_with_74_and_keeps_the_last_checkpoint(tiny_bert, headstart, tmp_path, reviews, monkeypatch):
    import errno

    from headstart.training import checkpoint

    original = checkpoint.sha256
    calls = []

    def full(path):
        calls.append(path)
        if len(calls) > 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(path)

    monkeypatch.setattr(checkpoint, "sha256", full)
    flags = [*QUICK_FLAGS, "--set", "training.save_every=2"]
    code, _, stderr = headstart("finetune", reviews, "--model", tiny_bert, "--to", tmp_path / "run", *flags)
    assert code == 74 and "full" in stderr
    monkeypatch.undo()
    checkpoint_folders = list((tmp_path / "run" / "checkpoints").iterdir())
    assert [checkpoint.verify(path) for path in checkpoint_folders] == [None]
    assert headstart("resume", tmp_path / "run", "--quiet")[0] == 0


def test_faulty_data_leaves_a_folder_that_can_be_used_again(tiny_bert, headstart, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("text,label\na fine day,good\nno label here\n"
                    + "".join(f"{text},{label}\n" for text, label in review_rows(30)))
    code, _, stderr = headstart("finetune", path, "--model", tiny_bert, "--to", tmp_path / "run", *QUICK_FLAGS)
    assert code == 65 and "bad.csv:3:14 [E104]" in stderr
    assert (tmp_path / "run" / "data_errors.jsonl").exists()
    code, _, stderr = headstart("finetune", path, "--model", tiny_bert, "--to", tmp_path / "run", "--bad-rows", "skip",
                                *QUICK_FLAGS)
    assert code == 0 and "skipped 1 row" in stderr


def test_the_best_checkpoints_are_kept_and_scored_as_a_table(reviews, tiny_bert, tmp_path, headstart):
    code, _, stderr = headstart("finetune", reviews, "--model", tiny_bert, "--to", tmp_path / "run", *QUICK_FLAGS[2:],
                                "--epochs", 6, "--learning-rate", "2e-3", "--set", "training.keep_best=3")
    assert code == 0, stderr
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    score_by_step = {event["step"]: event["scores"]["macro_f1"] for event in log if event["event"] == "evaluation"}
    best_steps = sorted(score_by_step, key=lambda step: (-score_by_step[step], step))[:3]
    saved_steps = {int(path.name.split("-")[1]) for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert set(best_steps) <= saved_steps and saved_steps <= {*best_steps, max(score_by_step)}
    code, stdout, stderr = headstart("evaluate", tmp_path / "run", reviews, "--all-checkpoints", "--json", "--set",
                                     "evaluation.resamples=0")
    rows = json.loads(stdout)["checkpoints"]
    assert code == 0 and [row["step"] for row in rows] == sorted(saved_steps), stderr
    code, stdout_of_best, _ = headstart("evaluate", tmp_path / "run", reviews, "--json", "--set",
                                        "evaluation.resamples=0")
    best_row = next(row for row in rows if row["step"] == best_steps[0])
    assert best_row["scores"] == json.loads(stdout_of_best)["scores"]["test"]
    code, stdout, _ = headstart("evaluate", tmp_path / "run", reviews, "--all-checkpoints", "--set",
                                "evaluation.resamples=0")
    assert stdout.splitlines()[0].split()[:2] == ["step", "macro_f1"] and len(stdout.splitlines()) == 1 + len(rows)
    code, _, stderr = headstart("evaluate", tmp_path / "run" / "model", reviews, "--all-checkpoints")
    assert code == 66 and "has no checkpoints" in stderr


def test_bars_of_negative_numbers_go_left_of_zero():
    import re

    from headstart.reports.plots import bars

    markup = bars({"labels": ["a", "b", "c"], "series": {"start": [-3.0, 1.0, None]}, "unit": "score"}, "scores")
    assert re.findall(r'x="([\d.]+)%" width="([\d.]+)%"', markup) == [("0.00", "75.00"), ("75.00", "25.00"),
                                                                       ("75.00", "0.20")]
    plain = bars({"labels": ["a", "b"], "series": {"share": [2.0, 1.0]}, "unit": "share"}, "shares")
    assert re.findall(r'x="([\d.]+)%" width="([\d.]+)%"', plain) == [("0.00", "100.00"), ("0.00", "50.00")]
