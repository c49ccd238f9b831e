"""docs/early-exit.md is run: its commands work, and its settings and families are those that there are."""

import re
import shlex
from pathlib import Path

from headstart import settings
from headstart.models.loading.catalogue import CATALOGUE
from headstart.settings import list_settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "early-exit.md").read_text(encoding="utf-8")
QUICK_FLAGS = {"finetune": ["--epochs", "1", "--set", "evaluation.resamples=5", "--set", "evaluation.baselines=false",
                            "--set", "evaluation.explained_errors=0"],
               "evaluate": ["--set", "evaluation.resamples=5"], "predict": []}


def test_the_commands_of_the_page_work(tiny_bert, headstart, monkeypatch, tmp_path):
    rows = (ROOT / "examples" / "data" / "requests.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    data = tmp_path / "examples" / "data"
    data.mkdir(parents=True)
    (data / "requests.csv").write_text("".join(rows[:121]), encoding="utf-8")  # a part of it, with every label
    monkeypatch.chdir(tmp_path)
    commands = re.search(r"^```sh\n(.*?)^```", PAGE, re.S | re.M).group(1).splitlines()
    for command in commands:
        name, *arguments = [str(tiny_bert) if word.startswith("pip:") else word for word in shlex.split(command)[1:]]
        code, stdout, stderr = headstart(name, *arguments, *QUICK_FLAGS[name])
        assert code == 0, stderr
        if name == "evaluate":
            assert "early exit (patience 1) minus full depth" in stdout
    assert "layers_used" in (tmp_path / "answers.csv").read_text(encoding="utf-8").splitlines()[0]


def test_the_page_names_every_setting_and_family():
    for setting in list_settings("early_exit", settings.EarlyExit):
        assert f"| `{setting.key}` |" in PAGE
    families = re.search(r"Families: (.*?)\.", PAGE, re.S).group(1).replace("\n", " ").split(", ")
    assert [family.strip() for family in families] == sorted(family.name for family in CATALOGUE if family.layer_rows)
