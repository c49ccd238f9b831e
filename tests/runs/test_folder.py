"""The run folder: what a killed run left half written is no obstacle, what is not a run's is never touched."""

import pytest

from headstart.errors import Exit, UserError
from headstart.runs.folder import RunFolder


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
