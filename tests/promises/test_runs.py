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
from conftest import QUICK, made_rows, write_csv

from headstart.runs.folder import RunFolder

FILES = ("settings.toml", "scores.json", "report.html", "report.md", "log.jsonl", "data.json", "predictions.jsonl",
         "checkpoints", "first_batch.json", "environment.json", "model")


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def weights(run):
    return sha256(run / "model" / "model.safetensors")


def test_a_run_leaves_every_file_it_promises(trained):
    run, _ = trained
    for name in FILES:
        assert (run / name).exists(), name
    assert not [path for path in run.rglob("*") if ".part" in path.name]
    for name in ("config.json", "model.safetensors", "tokenizer.json", "headstart.json", "README.md"):
        assert (run / "model" / name).exists(), name


def test_scores_have_value_interval_and_signature(trained):
    scores = json.loads((trained[0] / "scores.json").read_text())
    for split in ("dev", "test"):
        assert next(iter(scores[split])) == "macro_f1"
        for score in scores[split].values():
            assert set(score) >= {"value", "low", "high", "n", "signature", "higher_is_better"}
            if score["value"] is not None and score["low"] is not None:
                assert score["low"] <= score["high"]
    assert set(scores["baselines"]) == {"majority", "tf-idf + logistic regression", "frozen encoder + logistic regression"}
    assert scores["best"]["score"] == "macro_f1"
    assert scores["test"]["accuracy"]["value"] > 0.8  # the label follows from one word


def test_scores_equal_scikit_learn_on_the_written_predictions(trained):
    from sklearn import metrics

    rows = [json.loads(line) for line in (trained[0] / "predictions.jsonl").read_text().splitlines()]
    scores = json.loads((trained[0] / "scores.json").read_text())
    for split in ("dev", "test"):
        mine = [row for row in rows if row["split"] == split]
        gold, answers = [row["gold"] for row in mine], [row["prediction"] for row in mine]
        assert scores[split]["accuracy"]["value"] == pytest.approx(metrics.accuracy_score(gold, answers), abs=1e-12)
        macro = metrics.f1_score(gold, answers, average="macro")
        assert scores[split]["macro_f1"]["value"] == pytest.approx(macro, abs=1e-12)
        table = np.array([list(row["probabilities"].values()) for row in mine])
        loss = metrics.log_loss(gold, table, labels=list(mine[0]["probabilities"]))
        assert scores[split]["log_loss"]["value"] == pytest.approx(loss, abs=1e-9)


def test_settings_alone_repeat_the_run_bit_for_bit(trained, headstart, tmp_path):
    run, _ = trained
    code, _, _ = headstart("finetune", "--settings", run / "settings.toml", "--to", tmp_path / "again", "--quiet")
    assert code == 0
    assert weights(tmp_path / "again") == weights(run)
    assert (tmp_path / "again" / "settings.toml").read_text() == (run / "settings.toml").read_text()


def test_the_report_is_one_file_without_network_or_stray_markup(trained, headstart, tiny_bert, tmp_path):
    evil = '<script>alert("1")</script> "quoted" & \'more\' --> ]]> {}'
    rows = [(f"{evil} {text}", f"<b>{label}</b>") for text, label in made_rows(40)]
    path = write_csv(tmp_path / "evil.csv", rows)
    run = tmp_path / "evil"
    assert headstart("finetune", path, "--model", tiny_bert, "--to", run, "--quiet", *QUICK)[0] == 0
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
    path = write_csv(tmp_path / "reviews.csv", made_rows())
    flags = ["--model", str(tiny_bert), "--epochs", "8", "--batch-size", "8", "--set", "training.save_every=3", "--set",
             "evaluation.resamples=0", "--set", "evaluation.baselines=false", "--quiet"]
    assert headstart("finetune", path, "--to", tmp_path / "whole", *flags)[0] == 0
    cut = tmp_path / "cut"
    command = [sys.executable, "-m", "headstart", "finetune", str(path), "--to", str(cut), *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: list((cut / "checkpoints").glob("update-*")), process)
    process.kill()
    process.wait()
    assert not (cut / "report.html").exists()
    assert headstart("resume", cut, "--quiet")[0] == 0
    assert weights(cut) == weights(tmp_path / "whole")
    assert json.loads((cut / "scores.json").read_text())["dev"] == json.loads((tmp_path / "whole" / "scores.json").read_text())["dev"]


def wait_for(there, process, seconds=60):
    end = time.monotonic() + seconds
    while not there():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.005)


def test_a_polite_signal_saves_and_exits_75(tiny_bert, headstart, tmp_path):
    path = write_csv(tmp_path / "reviews.csv", made_rows())
    flags = ["--model", str(tiny_bert), "--epochs", "40", "--batch-size", "8", "--set", "evaluation.resamples=0", "--set",
             "evaluation.baselines=false"]
    command = [sys.executable, "-m", "headstart", "finetune", str(path), "--to", str(tmp_path / "cut"), *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: (tmp_path / "cut" / "log.jsonl").exists() and '"update"' in (tmp_path / "cut" / "log.jsonl").read_text(), process)
    process.send_signal(signal.SIGTERM)
    _, words = process.communicate(timeout=60)
    assert process.returncode == 75, words
    assert "headstart resume" in words
    assert list((tmp_path / "cut" / "checkpoints").glob("update-*"))
    assert headstart("finetune", path, "--to", tmp_path / "whole", "--quiet", *flags)[0] == 0
    assert headstart("resume", tmp_path / "cut", "--quiet")[0] == 0
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_resume_passes_over_a_damaged_checkpoint(tiny_bert, headstart, tmp_path, reviews, monkeypatch):
    from headstart.training import loop

    flags = ["--model", tiny_bert, "--epochs", "4", "--batch-size", "16", "--quiet", "--set", "training.save_every=2", "--set",
             "training.keep=3", "--set", "evaluation.resamples=0", "--set", "evaluation.baselines=false"]
    assert headstart("finetune", reviews, "--to", tmp_path / "whole", *flags)[0] == 0
    plain = loop.one_update

    def breaks(state, *rest, **more):
        if state.update == 13:
            raise ValueError("power cut")
        return plain(state, *rest, **more)

    monkeypatch.setattr(loop, "one_update", breaks)
    assert headstart("finetune", reviews, "--to", tmp_path / "cut", *flags)[0] == 70
    monkeypatch.undo()
    newest = sorted((tmp_path / "cut" / "checkpoints").glob("update-*"))[-1]
    (newest / "model.safetensors").write_bytes(b"\0" * 10)
    code, _, words = headstart("resume", tmp_path / "cut")
    assert code == 0 and "is passed over" in words
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_a_second_run_in_the_folder_is_refused_and_a_dead_ones_lock_taken_over(tmp_path, tiny_bert, reviews, headstart):
    place = tmp_path / "run"
    with RunFolder(place):
        (place / "settings.toml").write_text("")
        code, _, words = headstart("resume", place)
        assert code == 73 and f"process {os.getpid()}" in words
    (place / "settings.toml").unlink()
    (place / ".lock").write_text("process 1, started long ago\n")
    assert headstart("finetune", reviews, "--model", tiny_bert, "--to", place, "--quiet", *QUICK)[0] == 0


def test_a_finished_run_is_never_overwritten_unasked(trained, tiny_bert, headstart, tmp_path, reviews):
    run, path = trained
    before = weights(run)
    code, _, words = headstart("finetune", path, "--model", tiny_bert, "--to", run, *QUICK)
    assert code == 73 and "--overwrite" in words and weights(run) == before
    place = tmp_path / "mine"
    place.mkdir()
    (place / "thesis.txt").write_text("all my work")
    code, _, _ = headstart("finetune", reviews, "--model", tiny_bert, "--to", place, "--overwrite", *QUICK)
    assert code == 73 and (place / "thesis.txt").read_text() == "all my work"


def test_overwrite_replaces_a_run(tiny_bert, headstart, tmp_path, reviews):
    place = tmp_path / "run"
    assert headstart("finetune", reviews, "--model", tiny_bert, "--to", place, "--quiet", *QUICK)[0] == 0
    before = weights(place)
    assert headstart("finetune", reviews, "--model", tiny_bert, "--to", place, "--quiet", "--overwrite", "--seed", "3", *QUICK)[0] == 0
    assert weights(place) != before


def test_resume_of_a_finished_run_does_nothing(trained, headstart):
    run, _ = trained
    before = (run / "report.html").stat().st_mtime_ns
    assert headstart("resume", run)[0] == 0
    assert (run / "report.html").stat().st_mtime_ns == before


def test_changed_data_is_not_resumed(tiny_bert, headstart, tmp_path, reviews, monkeypatch):
    from headstart.training import loop

    plain = loop.one_update
    monkeypatch.setattr(loop, "one_update", lambda state, *rest, **more: plain(state, *rest, **more) if state.update < 3 else 1 / 0)
    assert headstart("finetune", reviews, "--model", tiny_bert, "--to", tmp_path / "run", *QUICK)[0] == 70
    monkeypatch.undo()
    with reviews.open("a") as file:
        file.write("one more row,good\n")
    code, _, words = headstart("resume", tmp_path / "run")
    assert code == 65 and "not what it was" in words


def test_a_nan_loss_ends_with_65_and_is_never_best(tiny_bert, headstart, tmp_path, reviews, monkeypatch):
    from headstart.training.losses import losses

    plain = losses.cross_entropy
    calls = []

    def breaks(*rest, **more):
        calls.append(1)
        return plain(*rest, **more) * (float("nan") if len(calls) > 8 else 1)

    monkeypatch.setattr(losses, "cross_entropy", breaks)
    code, _, words = headstart("finetune", reviews, "--model", tiny_bert, "--to", tmp_path / "run", *QUICK)
    assert code == 65 and "loss" in words and "nan" in words
    assert not (tmp_path / "run" / "model").exists()


def test_a_full_disk_ends_with_74_and_keeps_the_last_checkpoint(tiny_bert, headstart, tmp_path, reviews, monkeypatch):
    import errno

    from headstart.training import checkpoint

    plain = checkpoint.sha256
    calls = []

    def full(path):
        calls.append(path)
        if len(calls) > 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain(path)

    monkeypatch.setattr(checkpoint, "sha256", full)
    flags = [*QUICK, "--set", "training.save_every=2"]
    code, _, words = headstart("finetune", reviews, "--model", tiny_bert, "--to", tmp_path / "run", *flags)
    assert code == 74 and "full" in words
    monkeypatch.undo()
    held = list((tmp_path / "run" / "checkpoints").iterdir())
    assert [checkpoint.verify(path) for path in held] == [None]
    assert headstart("resume", tmp_path / "run", "--quiet")[0] == 0


def test_faulty_data_leaves_a_folder_that_can_be_used_again(tiny_bert, headstart, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("text,label\na fine day,good\nno label here\n" + "".join(f"{text},{label}\n" for text, label in made_rows(30)))
    code, _, words = headstart("finetune", path, "--model", tiny_bert, "--to", tmp_path / "run", *QUICK)
    assert code == 65 and "bad.csv:3:14 [E104]" in words
    assert (tmp_path / "run" / "data_errors.jsonl").exists()
    code, _, words = headstart("finetune", path, "--model", tiny_bert, "--to", tmp_path / "run", "--bad-rows", "skip", *QUICK)
    assert code == 0 and "left out 1 row" in words


def test_the_best_checkpoints_are_kept_and_scored_as_a_table(reviews, tiny_bert, tmp_path, headstart):
    code, _, words = headstart("finetune", reviews, "--model", tiny_bert, "--to", tmp_path / "run", *QUICK[2:], "--epochs", 6, "--learning-rate", "2e-3",
                               "--set", "training.keep_best=3")
    assert code == 0, words
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    values = {one["update"]: one["scores"]["macro_f1"] for one in log if one["event"] == "evaluation"}
    best = sorted(values, key=lambda update: (-values[update], update))[:3]
    held = {int(path.name.split("-")[1]) for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert set(best) <= held and held <= {*best, max(values)}
    code, out, words = headstart("evaluate", tmp_path / "run", reviews, "--all-checkpoints", "--json", "--set", "evaluation.resamples=0")
    rows = json.loads(out)["checkpoints"]
    assert code == 0 and [row["update"] for row in rows] == sorted(held), words
    code, whole, _ = headstart("evaluate", tmp_path / "run", reviews, "--json", "--set", "evaluation.resamples=0")
    top = next(row for row in rows if row["update"] == best[0])
    assert top["scores"] == json.loads(whole)["scores"]["test"]
    code, out, _ = headstart("evaluate", tmp_path / "run", reviews, "--all-checkpoints", "--set", "evaluation.resamples=0")
    assert out.splitlines()[0].split()[:2] == ["update", "macro_f1"] and len(out.splitlines()) == 1 + len(rows)
    code, _, words = headstart("evaluate", tmp_path / "run" / "model", reviews, "--all-checkpoints")
    assert code == 66 and "has no checkpoints" in words


def test_bars_of_negative_numbers_go_left_of_zero():
    import re

    from headstart.reports.figures import bars

    drawn = bars({"labels": ["a", "b", "c"], "series": {"start": [-3.0, 1.0, None]}, "unit": "score"}, "scores")
    assert re.findall(r"--m:([\d.]+);--w:([\d.]+)", drawn) == [("0.0000", "0.7500"), ("0.7500", "0.2500"), ("0.7500", "0.0000")]
    plain = bars({"labels": ["a", "b"], "series": {"share": [2.0, 1.0]}, "unit": "share"}, "shares")
    assert re.findall(r"--m:([\d.]+);--w:([\d.]+)", plain) == [("0.0000", "1.0000"), ("0.0000", "0.5000")]
