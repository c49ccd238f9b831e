"""An XLM of several languages: the language is asked for by name, reaches the model, and travels with what was trained."""

import json

import numpy as np
import pytest
import tiny
import torch
import transformers
from conftest import QUICK, made_rows, write_csv

import headstart
from headstart.contract import Feature, HeadSpec
from headstart.data.features.batches import collate
from headstart.errors import Exit, UserError
from headstart.models.loading.load import load

LANGUAGES = {"n_langs": 3, "lang2id": {"en": 0, "fr": 1, "de": 2}, "id2lang": {"0": "en", "1": "fr", "2": "de"}, "use_lang_emb": True}
SPEC = HeadSpec("sequence-classification", 3, ("bad", "good", "mixed"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.model_folder("xlm", tmp_path_factory.mktemp("xlm") / "m", SPEC.kind, SPEC.labels, seed=3, **LANGUAGES)


def test_the_language_is_what_plain_transformers_is_given(folder):
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    found = {}
    for name, number in ((None, None), ("en", 0), ("de", 2)):
        held = load(str(folder), None, seed=0, language=name)
        held.module.eval()
        features = [Feature(*held.tokenizer.lay_out(held.tokenizer.tokenize(text).ids)) for text in tiny.texts(5, seed=1)]
        with torch.inference_mode():
            found[name] = held.forward(collate(features, held.layout(packed=False)))["logits"].numpy()
            for row, feature in zip(found[name], features, strict=True):
                ids = torch.tensor([feature.ids])
                theirs = plain(ids, langs=None if number is None else torch.full_like(ids, number)).logits[0].numpy()
                assert np.allclose(row, theirs, atol=1e-5)
    assert not np.allclose(found["en"], found["de"], atol=1e-3) and not np.allclose(found["en"], found[None], atol=1e-3)


def test_an_unknown_language_is_refused_before_weights_are_read(folder, tmp_path):
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-400] + b"\xff" * 400)
    with pytest.raises(UserError, match="did you mean fr") as caught:
        load(str(tmp_path), SPEC, seed=0, language="frr")
    assert caught.value.exit is Exit.SETTINGS and "en, fr, de" in caught.value.fix
    with pytest.raises(UserError, match="tells no language 'en' apart") as caught:
        load(str(tiny.model_folder("bert", tmp_path / "bert")), SPEC, seed=0, language="en")
    assert caught.value.fix == "Leave the language out."


def test_the_language_of_training_travels_with_the_model(folder, tmp_path, headstart):
    file, run = write_csv(tmp_path / "reviews.csv", made_rows()), tmp_path / "run"
    code, _, words = headstart("finetune", file, "--model", folder, "--to", run, "--set", "data.language=fr", *QUICK)
    assert code == 0 and "no language chosen" not in words
    config = json.loads((run / "model" / "config.json").read_text())
    assert config["language"] == "fr" and config["lang_id"] == 1
    row = ["--value", "text=the roses were broken"]
    same, again, other = (json.loads(headstart("predict", run, *row, *more)[1]) for more in
                          ([], ["--set", "data.language=fr"], ["--set", "data.language=en"]))
    assert same == again != other
    code, _, words = headstart("finetune", file, "--model", folder, "--to", tmp_path / "none", *QUICK)
    assert "no language chosen of en, fr, de" in words


def test_a_model_in_python_takes_the_language_too(folder):
    rows = [{"text": "the roses were broken"}]
    french, english = (headstart.load(folder, "text-classification", language=name).predict(rows) for name in ("fr", "en"))
    assert french != english
