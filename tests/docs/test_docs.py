"""The documentation is run: what it tells a reader to write, works."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def blocks(name: str, language: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def test_the_add_a_task_page_adds_a_task(tmp_path):
    import shutil

    import tiny
    from conftest import write_csv

    shutil.copytree(ROOT / "headstart", tmp_path / "headstart", ignore=shutil.ignore_patterns("__pycache__"))
    (source, sample, *_) = blocks("docs/add-a-task.md", "python")
    (tmp_path / "headstart" / "tasks" / "length_guess.py").write_text(source, encoding="utf-8")
    contract = (ROOT / "tests" / "promises" / "test_task_contract.py").read_text(encoding="utf-8")
    (tmp_path / "test_task_contract.py").write_text(contract.replace("\n}\nEVERY", f"\n{sample}}}\nEVERY"),
                                                    encoding="utf-8")
    for name in ("tiny.py", "tiny_writers.py"):
        shutil.copy(ROOT / "tests" / name, tmp_path)
    process = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_task_contract.py",
                              "-k", "length-guess"],
                             cwd=tmp_path, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr
    texts = [(text, "long" if len(text) > 60 else "short") for text in tiny.texts(60, seed=3)]
    data = write_csv(tmp_path / "texts.csv", texts, ("text", "size"))
    model = tiny.model_folder("bert", tmp_path / "bert")
    process = subprocess.run([sys.executable, "-m", "headstart", "finetune", str(data), "--task", "length-guess",
                              "--model", str(model), "--to",
                              "run", "--epochs", "1", "--set", "evaluation.resamples=10"], cwd=tmp_path,
                             capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


def test_every_setting_and_code_stands_in_the_reference():
    from headstart.cli._flags import all_settings
    from headstart.data.checks.codes import CODES

    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    for line in all_settings():
        assert f"`{line.key}`" in text, line.key
    for code, meaning in CODES.items():
        assert code in text and meaning in text


def test_every_dependency_has_a_reason():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    for line in [*project["dependencies"], *(name for extra in project["optional-dependencies"].values()
                                             for name in extra)]:
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
