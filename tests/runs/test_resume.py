"""An interrupted run goes on with the settings and the data that it began with, or says what differs."""

import json
import os
import shutil
import tomllib

import pytest
from conftest import review_rows, write_csv

from headstart.errors import Exit, UserError
from headstart.runs.folder import RunFolder
from headstart.runs.record import changed_settings

FLAGS = ["--epochs", 3, "--batch-size", 8, "--set", "evaluation.resamples=5", "--set", "evaluation.baselines=false",
         "--quiet"]


@pytest.fixture(scope="module")
def interrupted(tiny_bert, tmp_path_factory):
    """A run that stopped after its second checkpoint (of 3 epochs), and its training file."""
    from headstart.cli.main import run_guarded
    from headstart.training import loop

    folder = tmp_path_factory.mktemp("interrupted")
    path = write_csv(folder / "reviews.csv", review_rows(40))
    original = loop.train_step

    def failing_step(state, *arguments, **options):
        if state.step == 9:
            raise ValueError("power cut")
        return original(state, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "train_step", failing_step)
        command = ["finetune", path, "--model", tiny_bert, "--to", folder / "run", *FLAGS]
        assert run_guarded([str(part) for part in command]) == 70
    return folder / "run", path


@pytest.fixture
def run(interrupted, tmp_path):
    """A copy of it, to be changed and resumed."""
    return shutil.copytree(interrupted[0], tmp_path / "run")


def change(run, before, after):
    text = (run / "settings.toml").read_text(encoding="utf-8")
    assert before in text
    (run / "settings.toml").write_text(text.replace(before, after), encoding="utf-8")


def test_changed_settings_are_refused_with_what_differs(run, headstart):
    change(run, "epochs = 3.0", "epochs = 4.0")
    change(run, "weight_decay = 0.01", "weight_decay = 0.5")
    code, _, stderr = headstart("resume", run)
    assert code == 78 and "training.epochs was 3.0 and is 4.0; training.weight_decay was 0.01 and is 0.5" in stderr
    assert "--accept-changes" in stderr and not (run / "report.html").exists()


def test_accepted_changes_are_used_and_recorded(run, headstart):
    change(run, "epochs = 3.0", "epochs = 4.0")
    code, _, stderr = headstart("resume", run, "--accept-changes")
    assert code == 0 and "continuing with changed settings" in stderr, stderr
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    changes = [event for event in events if event["event"] == "changed_settings"]
    assert changes == [{"event": "changed_settings", "step": 8, "changes": {"training.epochs": [3.0, 4.0]}}]
    data = json.loads((run / "data.json").read_text())
    assert data["changed_settings"] == [{"step": 8, "changes": {"training.epochs": [3.0, 4.0]}}]
    assert data["settings"]["training.epochs"] == 4.0
    assert max(event.get("step", 0) for event in events) == 16


@pytest.mark.parametrize("before,after", [('task = "text-classification"', 'task = "regression"'),
                                          ('optimizer = "adamw"', 'optimizer = "adafactor"'), ("seed = 0", "seed = 1")])
def test_what_a_run_began_with_cannot_be_changed_even_when_asked(before, after, run, headstart):
    change(run, before, after)
    code, _, stderr = headstart("resume", run, "--accept-changes")
    assert code == 78 and "cannot continue with other values" in stderr


def test_fewer_steps_than_were_made_are_refused(run, headstart):
    change(run, "epochs = 3.0", "epochs = 1.0")
    code, _, stderr = headstart("resume", run, "--accept-changes")
    assert code == 78 and "has made 8 steps" in stderr


def test_a_comment_and_another_order_are_no_change(run, headstart):
    path = run / "settings.toml"
    path.write_text(f"# mine\n{path.read_text(encoding='utf-8')}", encoding="utf-8")
    assert headstart("resume", run, "--quiet")[0] == 0


def test_settings_that_are_gone_or_damaged_are_written_again(run, headstart, interrupted):
    expected = tomllib.loads((interrupted[0] / "settings.toml").read_text(encoding="utf-8"))
    for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(b"[run\xff")):
        damage(run / "settings.toml")
        (run / "report.html").unlink(missing_ok=True)
        code, _, stderr = headstart("resume", run)
        assert code == 0 and "written again as the run recorded it" in stderr, stderr
        assert tomllib.loads((run / "settings.toml").read_text(encoding="utf-8")) == expected


def test_data_that_changed_is_refused_also_where_data_json_is_damaged(run, headstart, interrupted, tmp_path):
    (run / "data.json").write_text("{", encoding="utf-8")
    other = write_csv(tmp_path / "other.csv", review_rows(41))
    settings = (run / "settings.toml").read_text(encoding="utf-8")
    (run / "settings.toml").write_text(settings.replace(str(interrupted[1]), str(other)), encoding="utf-8")
    assert headstart("resume", run)[0] == 78
    code, _, stderr = headstart("resume", run, "--accept-changes")
    assert code == 65 and "has changed since the run began" in stderr


def test_a_moved_data_file_is_taken_where_its_content_is_the_same(run, headstart, interrupted, tmp_path):
    moved = shutil.copy(interrupted[1], tmp_path / "moved.csv")
    change(run, str(interrupted[1]), str(moved))
    assert headstart("resume", run, "--accept-changes")[0] == 0


def test_damaged_lines_of_the_log_are_set_aside_and_told(run, headstart):
    lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    damaged = [lines[0], '{"event": "step", "step": "no number"}', '{"event": {}}', "\x00\x01", *lines[1:], '{"event"']
    (run / "log.jsonl").write_text("\n".join(damaged), encoding="utf-8")
    code, _, stderr = headstart("resume", run)
    assert code == 0 and "3 lines of log.jsonl are damaged" in stderr
    assert len((run / "log_damaged.txt").read_text(encoding="utf-8").splitlines()) == 3


def test_a_damaged_best_checkpoint_is_never_used(run, headstart, tmp_path, interrupted):
    checkpoints = sorted((run / "checkpoints").iterdir())
    best = json.loads((checkpoints[-1] / "state.json").read_text())["progress"]["best"]["step"]
    path = run / "checkpoints" / f"step-{best:06d}" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)
    code, _, stderr = headstart("resume", run)
    assert code == 0 and "is skipped" in stderr
    whole = shutil.copytree(interrupted[0], tmp_path / "whole")
    assert headstart("resume", whole, "--quiet")[0] == 0
    assert (run / "model" / "model.safetensors").read_bytes() == (whole / "model" / "model.safetensors").read_bytes()


def test_changes_are_told_from_both_sides():
    assert changed_settings({"a.b": 1, "a.c": 2}, {"a.b": 1.0, "a.d": True}) == {"a.c": (2, None), "a.d": (None, True)}
    assert changed_settings({}, {"a.b": 1}) == {}  # a run of an older headstart recorded none


@pytest.mark.parametrize("name", [".lock", "log.jsonl", "settings.toml", "data.json", "checkpoints", "official", "model",
                                  ".replaced", "checkpoints/*/model.safetensors"])
def test_a_link_in_a_foreign_run_is_refused_and_nothing_behind_it_is_touched(name, run, headstart, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "step-000001").mkdir()
    (outside / "thesis.txt").write_text("all my work", encoding="utf-8")
    link = next(run.glob(name), run / name)
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.symlink_to(outside if "." not in name.lstrip(".") and name != ".lock" else outside / "thesis.txt")
    for command in (["resume", run], ["finetune", tmp_path / "none.csv", "--to", run, "--overwrite"]):
        code, _, stderr = headstart(*command)
        assert code == 77 and "is a link" in stderr, stderr
    assert (outside / "thesis.txt").read_text(encoding="utf-8") == "all my work"
    assert (outside / "step-000001").is_dir() and sorted(os.listdir(outside)) == ["step-000001", "thesis.txt"]


def test_a_lock_with_another_name_elsewhere_or_a_pipe_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("all my work", encoding="utf-8")
    (tmp_path / "run").mkdir()
    os.link(tmp_path / "thesis.txt", tmp_path / "run" / ".lock")
    for _ in range(2):
        with pytest.raises(UserError) as refusal, RunFolder(tmp_path / "run"):
            pass
        assert refusal.value.exit == Exit.REFUSED
        (tmp_path / "run" / ".lock").unlink()
        os.mkfifo(tmp_path / "run" / ".lock")
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "all my work"


def test_half_written_files_of_others_are_never_removed(tmp_path):
    (tmp_path / ".film.mkv.part").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="not a run's"), RunFolder(tmp_path) as folder:
        folder.claim(overwrite=True)
    assert (tmp_path / ".film.mkv.part").read_text(encoding="utf-8") == "mine"
