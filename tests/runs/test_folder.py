"""The run folder: what a killed run left half written is no obstacle, what is not a run's is never touched."""

from pathlib import Path

import pytest
from conftest import QUICK_FLAGS, review_rows, write_csv

from headstart.errors import Exit, UserError
from headstart.runs.folder import RunFolder, default_folder


def test_half_written_files_of_a_killed_run_go(tmp_path):
    run = tmp_path / "run"
    (run / ".model.part").mkdir(parents=True)
    (run / ".scores.json.4711.part").write_text("{", encoding="utf-8")
    (run / ".model.part" / "config.json").write_text("{", encoding="utf-8")
    with RunFolder(run) as folder:
        folder.claim(overwrite=False)
        assert [path.name for path in run.iterdir()] == [".lock"]


def test_files_of_others_stay_and_are_refused(tmp_path):
    (tmp_path / "notes.part.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match=r"notes\.part\.txt") as refusal, RunFolder(tmp_path) as folder:
        folder.claim(overwrite=True)
    assert refusal.value.exit == Exit.EXISTS and (tmp_path / "notes.part.txt").read_text(encoding="utf-8") == "mine"


def test_overwrite_without_a_folder_means_the_run_that_is_named_after_the_file(headstart, tiny_bert, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, run = write_csv(tmp_path / "few.csv", review_rows(60)), tmp_path / "few-run"
    run.mkdir()
    (run / "mine.txt").write_text("mine", encoding="utf-8")
    command = ("finetune", path, "--model", tiny_bert, *QUICK_FLAGS, "--overwrite")
    code, _, stderr = headstart(*command)
    assert code == 73 and "mine.txt" in stderr and [file.name for file in tmp_path.glob("few-run*")] == ["few-run"]
    (run / "mine.txt").rename(run / "settings.toml")  # now it is a run
    assert headstart(*command)[0] == 0
    assert (run / "report.html").exists() and [file.name for file in tmp_path.glob("few-run*")] == ["few-run"]
    assert default_folder("few.csv") == Path("few-run-2") and default_folder("few.csv", overwrite=True) == Path("few-run")
