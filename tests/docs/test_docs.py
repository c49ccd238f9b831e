"""The documentation is run: what it tells a reader to write, works."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_reference_is_current_and_holds_every_setting_and_code():
    from headstart.cli._flags import all_settings
    from headstart.data.checks.codes import CODES

    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert text == runpy.run_path(str(ROOT / "docs" / "make_reference.py"))["reference"](), \
        "run python docs/make_reference.py"
    for setting in all_settings():
        assert f"`{setting.key}`" in text, setting.key
    for code, meaning in CODES.items():
        assert code in text and meaning in text


def test_the_reference_gives_each_task_its_own_columns_and_settings():
    from headstart import tasks
    from headstart.settings import list_settings

    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8").split("\n## Tasks\n")[1]
    sections = {part.split("\n")[0]: part for part in text.split("\n## ")[0].split("\n### ")[1:]}
    assert list(sections) == tasks.builtin_names()
    for name, section in sections.items():
        task = tasks.find(name)
        assert re.findall(r"^\| `(\w+)` \|", section, re.M) == [field.name for field in task.fields]
        assert re.findall(r"^\| `(task\.\w+)` \|", section, re.M) == [
            setting.key for setting in list_settings("task", task.Settings)]


def test_every_dependency_has_a_reason():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    for line in [*project["dependencies"], *(name for extra in project["optional-dependencies"].values()
                                             for name in extra)]:
        if line.startswith("headstart["):
            continue  # an extra that is made of others
        assert f"| {re.split('[<>=~]', line)[0].strip()} |" in text, line


def test_the_multiclass_example_runs(tiny_bert, tmp_path):
    from conftest import review_rows, write_csv

    rows = [(text, label, "x") for text, label in review_rows(90)]
    data = write_csv(tmp_path / "tweets.csv", rows, ("tweet", "class", "other"))
    process = subprocess.run([sys.executable, str(ROOT / "examples" / "multiclass.py"), str(data), "--text", "tweet",
                              "--label", "class", "--model",
                              str(tiny_bert), "--to", str(tmp_path / "run"), "--epochs", "1"], capture_output=True,
                             text=True)
    assert process.returncode == 0, process.stderr
    assert "roc_auc" in process.stdout and "confusion" in process.stdout and "softmax" in process.stdout
