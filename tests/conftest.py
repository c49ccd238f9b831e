import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"  # no test may ask the network

import csv
import random

import hypothesis
import pytest
import tiny

from headstart.cli.main import run_guarded
from headstart.models.register import register

hypothesis.settings.register_profile("same", derandomize=True)  # a run of the tests says the same twice
hypothesis.settings.load_profile("same")
register()  # plain transformers knows Transformer-XL

@pytest.fixture(autouse=True)
def no_part_of_a_run_fails(request, monkeypatch):
    """A run whose report lacks a part ends well for its user, but no test that ran it may pass."""
    from headstart.runs.parts import Parts

    note_failure, failed_parts = Parts.note_failure, {}

    def note(parts, name, error):
        failed_parts[name] = error
        note_failure(parts, name, error)

    monkeypatch.setattr(Parts, "note_failure", note)
    yield
    if request.node.get_closest_marker("parts_may_fail") is None:
        assert not failed_parts


@pytest.fixture(autouse=True, scope="session")
def predictions_in_fp32():
    """Tests compare digits, so predictions are as on a processor without bf16; those of precision ask for it."""
    from headstart.models import precision_choice

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precision_choice, "multiplies_bf16", lambda device: (False, "the processor has no fast bf16"))
        yield


@pytest.fixture(autouse=True, scope="session")
def few_rows_are_split():
    """Most tests train on some 90 rows, which would be trained on six times; tests of folds ask for them, or for the
    rule."""
    from headstart.preparation import folding

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folding, "FEW_ROWS", 0)
        yield


@pytest.fixture(autouse=True, scope="session")
def few_steps_are_enough():
    """Most tests train on some 90 rows, which would be passed over twenty times; tests of the recipe ask for its rule.
    """
    from headstart.runs import defaults

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(defaults, "FEWEST_STEPS", 20)
        patch.setattr(defaults, "FEWEST_STEPS_OF_NEW_HEADS", 20)
        yield


WORDS = {"good": ["roses"], "bad": ["broken"], "mixed": ["apples"]}  # the tiny tokenizers know these


def review_rows(count: int = 90, seed: int = 0, labels=("good", "bad", "mixed")) -> list[tuple[str, str]]:
    """Texts whose label follows from one of their words."""
    rng = random.Random(seed)
    filler = "the tea was and then we sat near an old river while music played softly over many small houses".split()
    rows = []
    for index in range(count):
        label = labels[index % len(labels)]
        words = [*rng.choices(filler, k=rng.randint(1, 8)), *2 * rng.choices(WORDS[label])]
        rng.shuffle(words)
        rows.append((f"{' '.join(words)} {index}", label))
    return rows


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
    return write_csv(tmp_path / "reviews.csv", review_rows())


QUICK_FLAGS = ["--epochs", "2", "--batch-size", "16", "--set", "evaluation.resamples=20", "--set",
               "evaluation.baselines=false"]


@pytest.fixture
def headstart(capsys):
    """Runs a command: exit code, standard output, standard error."""
    def run(*arguments):
        code = run_guarded([str(argument) for argument in arguments])
        stdout, stderr = capsys.readouterr()
        assert "Traceback" not in stderr
        return code, stdout, stderr

    return run


@pytest.fixture(scope="session")
def trained_run(tiny_bert, tmp_path_factory):
    """A finished run on 90 rows, and its training file."""
    folder = tmp_path_factory.mktemp("trained")
    path = write_csv(folder / "reviews.csv", review_rows(240))
    code = run_guarded(["finetune", str(path), "--model", str(tiny_bert), "--to", str(folder / "run"), "--quiet",
                        "--epochs", "8",
                        "--batch-size", "16", "--learning-rate", "2e-3", "--set", "evaluation.resamples=50"])
    assert code == 0
    return folder / "run", path


@pytest.fixture(scope="session")
def exported_run(trained_run, tmp_path_factory):
    """An ONNX export of the trained run in fp32, and what its gate found."""
    import headstart as product

    to = tmp_path_factory.mktemp("exported") / "onnx"
    found = product.Run(trained_run[0]).export(to, evaluation=product.Evaluation(resamples=20))
    return to, found


@pytest.fixture(scope="session")
def captum():
    """captum; matplotlib, which it imports for pictures that are not drawn here, may be missing."""
    import importlib.util
    import sys
    from unittest import mock

    submodules = ("", ".colors", ".pyplot", ".figure", ".axes", ".image", ".collections")
    plotting_modules = [] if importlib.util.find_spec("matplotlib") else [
        *(f"matplotlib{submodule}" for submodule in submodules), "mpl_toolkits", "mpl_toolkits.axes_grid1"]
    if importlib.util.find_spec("captum") is None:
        pytest.skip("needs captum")
    with mock.patch.dict(sys.modules, {name: mock.MagicMock() for name in plotting_modules}):
        yield importlib.import_module("captum.attr")
