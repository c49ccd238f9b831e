import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"  # no test may ask the network

import csv
import random

import hypothesis
import pytest
import tiny

from headstart.cli.main import guarded
from headstart.models.register import register

hypothesis.settings.register_profile("same", derandomize=True)  # a run of the tests says the same twice
hypothesis.settings.load_profile("same")
register()  # plain transformers knows Transformer-XL

WORDS = {"good": ["roses"], "bad": ["broken"], "mixed": ["apples"]}  # the tiny tokenizers know these


def made_rows(count: int = 90, seed: int = 0, labels=("good", "bad", "mixed")) -> list[tuple[str, str]]:
    """Texts whose label follows from one of their words."""
    draw = random.Random(seed)
    filler = "the tea was and then we sat near an old river while music played softly over many small houses".split()
    found = []
    for number in range(count):
        label = labels[number % len(labels)]
        words = [*draw.choices(filler, k=draw.randint(1, 8)), *2 * draw.choices(WORDS[label])]
        draw.shuffle(words)
        found.append((f"{' '.join(words)} {number}", label))
    return found


def write_csv(path, rows, header=("text", "label")):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return path


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    """A bare tiny BERT."""
    return tiny.model_folder("bert", tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture
def reviews(tmp_path):
    return write_csv(tmp_path / "reviews.csv", made_rows())


QUICK = ["--epochs", "2", "--batch-size", "16", "--set", "evaluation.resamples=20", "--set", "evaluation.baselines=false"]


@pytest.fixture
def headstart(capsys):
    """Runs a command: exit code, standard output, standard error."""
    def run(*words):
        code = guarded([str(word) for word in words])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


@pytest.fixture(scope="session")
def trained(tiny_bert, tmp_path_factory):
    """A finished run on 90 rows, and its training file."""
    place = tmp_path_factory.mktemp("trained")
    path = write_csv(place / "reviews.csv", made_rows(240))
    code = guarded(["finetune", str(path), "--model", str(tiny_bert), "--to", str(place / "run"), "--quiet", "--epochs", "8",
                    "--batch-size", "16", "--learning-rate", "2e-3", "--set", "evaluation.resamples=50"])
    assert code == 0
    return place / "run", path


@pytest.fixture(scope="session")
def captum():
    """captum; matplotlib, which it imports for pictures that are not drawn here, may be missing."""
    import importlib.util
    import sys
    from unittest import mock

    parts = ("", ".colors", ".pyplot", ".figure", ".axes", ".image", ".collections")
    pictures = [] if importlib.util.find_spec("matplotlib") else [*(f"matplotlib{part}" for part in parts), "mpl_toolkits", "mpl_toolkits.axes_grid1"]
    if importlib.util.find_spec("captum") is None:
        pytest.skip("needs captum")
    with mock.patch.dict(sys.modules, {name: mock.MagicMock() for name in pictures}):
        yield importlib.import_module("captum.attr")
