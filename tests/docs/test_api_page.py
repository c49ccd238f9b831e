"""The Python interface: its names are complete and sorted, each has an example that runs, and the page is current."""

import contextlib
import inspect
import io
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from conftest import review_rows, write_csv

import headstart

ROOT = Path(__file__).parents[2]
MAKE_API = runpy.run_path(str(ROOT / "docs" / "make_api.py"))
RESULTS = ("Attribution", "Backbone", "Check", "Finding", "Index", "Model", "PredictedRow", "Predictions", "Run",
           "SavableInspection", "Scores")  # of other names' calls
NAMES = [name for name in headstart.__all__ if name != "__version__"]


def test_every_public_name_is_sorted_importable_and_all_that_dir_shows():
    assert headstart.__all__ == sorted(set(headstart.__all__)) == dir(headstart)
    assert all(getattr(headstart, name) is not None for name in headstart.__all__)
    assert sorted(name for names in headstart.MODULES.values() for name in names) == NAMES


def test_dir_shows_the_same_before_and_after_everything_is_imported():
    code = ("import headstart\nbefore = dir(headstart)\nimport headstart.cli.main, headstart.tasks\n"
            "assert before == dir(headstart) == headstart.__all__\n"
            "from headstart import *\nassert all(name in globals() for name in headstart.__all__)")
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'fine_tune'"):
        headstart.fine_tune  # noqa: B018 - reading it is what is tested


def test_the_types_that_the_interface_gives_are_public():
    """What a function of the interface returns can be named without another import."""
    for name in NAMES:
        member = getattr(headstart, name)
        if not isinstance(member, type):
            words = str(inspect.signature(member).return_annotation).replace("[", " ").replace("]", " ").split()
            classes = [word for word in words if word[:1].isupper() and word not in ("Any", "Json", "Path")]
            assert set(classes) <= set(headstart.__all__), (name, classes)


def test_the_page_is_current():
    page = MAKE_API["PAGE"].read_text(encoding="utf-8")
    assert page == MAKE_API["page"](), "docs/api.md is not what the docstrings say: python docs/make_api.py"
    assert all(f"\n## `headstart.{name}`\n" in page for name in headstart.__all__)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, trained_run):
    """What the examples name: files, a run, models, an index."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(trained_run[0], folder / "reviews-run")
    write_csv(folder / "reviews.csv", review_rows(60))
    (folder / "faulty.csv").write_text("text,label\na fine day,good,too much\nrain,bad\n", encoding="utf-8")
    tiny.model_folder("bert", folder / "bert-base-uncased")
    tiny.model_folder("gpt2", folder / "distilgpt2", head="causal-language-model")
    (folder / "documents").mkdir()
    (folder / "documents" / "leaves.txt").write_text("Leaves turn red in autumn. The days are short.\n",
                                                     encoding="utf-8")
    with contextlib.chdir(folder):
        headstart.index("documents", to="my-index", model="none")
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_every_public_name_runs(folder, name):
    code = MAKE_API["example"](inspect.getdoc(getattr(headstart, name)) or "")
    assert f"headstart.{name}" in code or (name in RESULTS and "headstart." in code), code
    code = code.replace("headstart.finetune(", 'headstart.finetune(model="bert-base-uncased", **QUICK, train=')
    code = code.replace("headstart.distil(", "headstart.distil(**QUICK, teacher=").replace(
        'teacher="reviews-run", "reviews.csv"', 'teacher="reviews-run", train="reviews.csv"')
    quick = {"evaluation": {"resamples": 0, "explained_errors": 0, "baselines": False}}
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as stdout:
        exec(compile(code, name, "exec"), {"headstart": headstart, "QUICK": quick})
    assert "Traceback" not in stdout.getvalue()
