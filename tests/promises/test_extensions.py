"""Doors for others: an installed package adds tasks, readers, metrics and families; a bad one breaks nothing else."""

import os
import re
import subprocess
import sys

import pytest
from outside import ROOT, Package

from headstart import extensions
from headstart.errors import UserError

TASK = """
from headstart.tasks.regression import Regression
from dataclasses import dataclass
from typing import ClassVar

@dataclass(frozen=True)
class Stars(Regression):
    name: ClassVar[str] = "stars"
    summary: ClassVar[str] = "how many stars"

    @classmethod
    def detect(cls, columns):
        return None

NUMBER = 7
"""
METRICS = """
from headstart import Metric

def same(gold, predicted):
    return float(gold == predicted)

SAME = Metric("same", same, "share of equal answers", answers=("label",))
"""


def site(tmp_path, group, entries, modules=None, name="outside-tools"):
    return Package(tmp_path / "site", name, modules or {"outside_tools.py": TASK},
                   {f"headstart.{group}": entries})


def python(package, tmp_path, code):
    process = package.run(["python", "-c", code], tmp_path)
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_a_task_of_another_package_is_a_task_like_any_other(tmp_path):
    package = site(tmp_path, "tasks", {"stars": "outside_tools:Stars"})
    process = package.run(["headstart", "tasks"], tmp_path)
    assert "stars: how many stars\n  columns text, [pair], target; chosen by spearman" in process.stdout
    assert process.returncode == 0 and not process.stderr
    assert package.run(["headstart", "finetune", "--task", "stars", "--help"], tmp_path).returncode == 0


@pytest.mark.parametrize("value", ["absent_module:Stars", "outside_tools:Absent", "outside_tools:NUMBER", "broken:Stars",
                                   "leaving:Stars", "os.path:join", "outside_tools:Stars.read"])
def test_a_task_that_cannot_be_used_is_named_with_its_package_and_breaks_nothing_else(tmp_path, value):
    modules = {"outside_tools.py": TASK, "broken.py": "def (", "leaving.py": "import sys; sys.exit(3)"}
    package = site(tmp_path, "tasks", {"stars": value}, modules)
    (tmp_path / "rows.csv").write_text("text,label\n" + "a fine day,good\na bad day,bad\n" * 20, encoding="utf-8")
    process = package.run(["headstart", "check", "rows.csv", "--task", "stars"], tmp_path)
    assert process.returncode == 69 and "Traceback" not in process.stderr
    assert f"The task 'stars' ({value} of the package outside-tools 1.0)" in process.stderr
    process = package.run(["headstart", "check", "rows.csv"], tmp_path)
    assert process.returncode == 0 and "text-classification" in process.stdout + process.stderr
    assert "not considered: The task 'stars'" in process.stdout + process.stderr
    process = package.run(["headstart", "tasks"], tmp_path)
    assert process.returncode == 0 and "regression: " in process.stdout and "outside-tools" in process.stderr


def test_a_task_with_a_name_of_ours_is_refused_with_both_origins(tmp_path):
    package = site(tmp_path, "tasks", {"regression": "outside_tools:Stars"})
    (tmp_path / "rows.csv").write_text("text,target\n" + "".join(f"text {number},{number / 7}\n" for number in range(40)),
                                       encoding="utf-8")
    for flags in ([], ["--task", "regression"]):
        process = package.run(["headstart", "check", "rows.csv", *flags], tmp_path)
        assert process.returncode == 69, process.stdout + process.stderr
        assert "headstart.tasks.regression of headstart" in process.stderr
        assert "outside_tools:Stars of the package outside-tools 1.0" in process.stderr
    assert package.run(["headstart", "check", "rows.csv", "--task", "text-classification"], tmp_path).returncode in (0, 65)


def test_two_packages_with_the_same_name_are_refused_with_both_origins(tmp_path):
    package = site(tmp_path, "tasks", {"stars": "outside_tools:Stars"})
    Package(tmp_path / "site", "second-tools", {}, {"headstart.tasks": {"stars": "outside_tools:Stars"}}, "2.1")
    code = "from headstart import tasks\nfrom headstart.errors import UserError\n" \
           "try: tasks.find('stars')\nexcept UserError as error: print(error)"
    printed = python(package, tmp_path, code)
    assert "outside-tools 1.0" in printed and "second-tools 2.1" in printed


def test_a_name_that_two_things_have_is_refused_whatever_the_group(tmp_path):
    entries = {"readers": "csv", "families": "bert", "tasks": "translation"}
    package = Package(tmp_path / "site", "outside-tools", {"outside_tools.py": TASK},
                      {f"headstart.{group}": {name: "outside_tools:NUMBER"} for group, name in entries.items()})
    (tmp_path / "rows.csv").write_text("text,label\na,b\n", encoding="utf-8")
    code = ("from headstart.errors import UserError\nfrom headstart import tasks\n"
            "from headstart.models.loading.catalogue import find as family\n"
            "from headstart.data.table import open_table\nfrom headstart.settings import Data\n"
            "assert family('gpt2', 'folder').model_type == 'gpt2'\n"
            "for find in (lambda: tasks.find('translation'), lambda: family('bert', 'folder'), "
            "lambda: open_table('rows.csv', Data())):\n"
            "    try: find()\n    except UserError as error: print(error.message)")
    printed = python(package, tmp_path, code).splitlines()
    assert len(printed) == 3
    assert all("outside_tools:NUMBER of the package outside-tools 1.0" in line and "of headstart" in line
               for line in printed)


def test_a_family_that_cannot_be_imported_breaks_no_other(tmp_path):
    package = site(tmp_path, "families", {"ernie": "absent_module:FAMILY"})
    process = package.run(["headstart", "models"], tmp_path)
    assert process.returncode == 0 and "\nbert: " in process.stdout and "The family 'ernie'" in process.stderr
    code = "from headstart.errors import UserError\nfrom headstart.models.loading.catalogue import find\n" \
           "try: find('ernie', 'folder')\nexcept UserError as error: print(error)"
    assert "outside-tools 1.0" in python(package, tmp_path, code)


READER = """
def read(path):
    for line in path.read_text(encoding="utf-8").splitlines():
        label, text = line.split("|")
        yield {"label": label, "text": text}

def texts(path):
    yield "a text"

def nothing(path):
    return []
"""


@pytest.mark.parametrize("ending", ["rows", "ROWS"])
def test_a_reader_of_another_package_reads_its_ending(tmp_path, ending):
    package = site(tmp_path, "readers", {"rows": "outside_tools:read"}, {"outside_tools.py": READER})
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / f"train.{ending}").write_text("good|a fine day, and a long one\nbad|rain\n", encoding="utf-8")
    code = ("from headstart.data.table import find_splits, open_table\nfrom headstart.settings import Data\n"
            f"table = open_table('data/train.{ending}', Data())\n"
            "print(table.columns, [record.values for record in table], table.format, len(table.sha256))\n"
            + ("print(find_splits('data', Data()))" if ending == "rows" else ""))
    printed = python(package, tmp_path, code)
    assert "('label', 'text') [('good', 'a fine day, and a long one'), ('bad', 'rain')] rows, read by outside-tools 1.0 " \
           "64" in printed
    assert ending == "ROWS" or "{'train': 'data/train.rows'}" in printed


@pytest.mark.parametrize(("function", "text", "exit_code"), [("read", "no bar", 65), ("texts", "a|b", 65),
                                                             ("nothing", "a|b", 65), ("absent", "a|b", 69)])
def test_a_reader_that_fails_says_so_with_its_package(tmp_path, function, text, exit_code):
    package = site(tmp_path, "readers", {"rows": f"outside_tools:{function}"}, {"outside_tools.py": READER})
    (tmp_path / "train.rows").write_text(text, encoding="utf-8")
    process = package.run(["headstart", "check", "train.rows"], tmp_path)
    assert process.returncode == exit_code, process.stderr
    assert "outside-tools" in process.stderr or "E101" in process.stderr


def test_a_metric_is_found_by_name_and_refused_for_answers_that_it_does_not_take(tmp_path):
    package = site(tmp_path, "metrics", {"same": "outside_tools:SAME", "other": "outside_tools:SAME",
                                         "absent": "outside_tools:ABSENT"}, {"outside_tools.py": METRICS})
    code = """
from headstart import tasks
from headstart.errors import UserError
from headstart.metrics.installed import with_extra_metrics
for task, names in (("text-classification", " same, same"), ("text-classification", ""), ("regression", "same"),
                    ("token-tagging", "same"), ("text-classification", "sam"), ("text-classification", "other"),
                    ("text-classification", "absent")):
    try:
        print(with_extra_metrics(tasks.find(task)(), names).extra_metrics)
    except UserError as error:
        print(int(error.exit), error.message, error.fix)
"""
    lines = python(package, tmp_path, code).splitlines()
    assert lines[:2] == ["('same',)", "()"]
    assert lines[2].startswith("78 The metric 'same' compares a label; an answer of regression is a number.")
    assert "neither a label, a number nor a text" in lines[3]
    assert "Did you mean same?" in lines[4]
    assert lines[5].startswith("69 ") and "calls itself 'same'" in lines[5]
    assert lines[6].startswith("69 ") and "outside-tools 1.0" in lines[6]


def test_nothing_is_looked_up_before_it_is_asked_for():
    code = "import sys, headstart, headstart.cli.main\nheadstart.cli.main.overview()\n" \
           "print('importlib.metadata' in sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert process.stdout == "False\n"


def test_packages_are_listed_once_a_process(monkeypatch, tmp_path):
    import importlib.metadata

    calls = []
    package = Package(tmp_path / "site", "my-tasks", {}, {"headstart.tasks": {"echo": "echo:Echo"}})
    monkeypatch.syspath_prepend(str(package.site))
    real = importlib.metadata.entry_points
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **options: calls.append(options) or real(**options))
    extensions.extensions.cache_clear(), extensions.installed_entry_points.cache_clear()
    for group in ("tasks", "readers", "tasks"):
        assert extensions.find(group, "no-such-thing") is None
    assert calls == [{}]
    assert extensions.names("tasks") == ["echo"]
    extensions.extensions.cache_clear(), extensions.installed_entry_points.cache_clear()


def test_packages_that_add_nothing_are_passed_over_and_no_other(tmp_path):
    Package(tmp_path / "plain", "plain", {}, {"console_scripts": {"headstart": "headstart.cli.main:entry"}})
    Package(tmp_path / "adds", "adds", {}, {"other": {"a": "b"}, "headstart.metrics": {"cost": "cost:COST"}})
    (tmp_path / "archive.zip").write_bytes(b"PK")
    (tmp_path / "old.egg").mkdir()
    (tmp_path / "empty").mkdir()
    places = ("plain", "adds", "archive.zip", "old.egg", "empty", "nothing")
    assert [name for name in places if extensions.may_extend(str(tmp_path / name))] == ["adds", "archive.zip", "old.egg"]


def test_an_unknown_task_is_still_refused_with_the_nearest_name():
    from headstart import tasks

    with pytest.raises(UserError, match=re.escape("There is no task 'regresion'.")):
        tasks.find("regresion")
    assert os.environ["HF_HUB_OFFLINE"] == "1"
