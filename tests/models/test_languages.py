"""An XLM of several languages: the language is set by name, reaches the model, and is saved with it."""

import json

import numpy as np
import pytest
import tiny
import torch
import transformers
from conftest import QUICK_FLAGS, review_rows, write_csv

import headstart
from headstart.contract import Feature, HeadSpec
from headstart.data.features.batches import collate
from headstart.errors import Exit, UserError
from headstart.models.loading.load import load

LANGUAGES = {"n_langs": 3, "lang2id": {"en": 0, "fr": 1, "de": 2}, "id2lang": {"0": "en", "1": "fr", "2": "de"},
             "use_lang_emb": True}
SPEC = HeadSpec("sequence-classification", 3, ("bad", "good", "mixed"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.model_folder("xlm", tmp_path_factory.mktemp("xlm") / "m", SPEC.kind, SPEC.labels, seed=3, **LANGUAGES)


def test_the_language_reaches_the_model_as_in_plain_transformers(folder):
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    logits = {}
    for name, index in ((None, None), ("en", 0), ("de", 2)):
        model = load(str(folder), None, seed=0, language=name)
        model.module.eval()
        features = [Feature(*model.tokenizer.with_special_tokens(model.tokenizer.tokenize(text).ids))
                    for text in tiny.texts(5, seed=1)]
        with torch.inference_mode():
            logits[name] = model.forward(collate(features, model.layout(packed=False)))["logits"].numpy()
            for row, feature in zip(logits[name], features, strict=True):
                ids = torch.tensor([feature.ids])
                expected = plain(ids, langs=None if index is None else torch.full_like(ids, index)).logits[0].numpy()
                assert np.allclose(row, expected, atol=1e-5)
    assert not np.allclose(logits["en"], logits["de"], atol=1e-3) and not np.allclose(logits["en"], logits[None],
                                                                                      atol=1e-3)


def test_an_unknown_language_is_refused_before_weights_are_read(folder, tmp_path):
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-400] + b"\xff" * 400)
    with pytest.raises(UserError, match="did you mean fr") as caught:
        load(str(tmp_path), SPEC, seed=0, language="frr")
    assert caught.value.exit is Exit.SETTINGS and "en, fr, de" in caught.value.fix
    with pytest.raises(UserError, match="has no language 'en'") as caught:
        load(str(tiny.model_folder("bert", tmp_path / "bert")), SPEC, seed=0, language="en")
    assert caught.value.fix == "Leave the language out."


def test_the_language_of_training_is_saved_with_the_model(folder, tmp_path, headstart):
    file, run = write_csv(tmp_path / "reviews.csv", review_rows()), tmp_path / "run"
    code, _, stderr = headstart("finetune", file, "--model", folder, "--to", run, "--set", "data.language=fr",
                                *QUICK_FLAGS)
    assert code == 0 and "no language chosen" not in stderr
    config = json.loads((run / "model" / "config.json").read_text())
    assert config["language"] == "fr" and config["lang_id"] == 1
    row = ["--value", "text=the roses were broken"]
    trained, french, english = (json.loads(headstart("predict", run, *row, *flags)[1]) for flags in
                          ([], ["--set", "data.language=fr"], ["--set", "data.language=en"]))
    assert trained == french != english
    code, _, stderr = headstart("finetune", file, "--model", folder, "--to", tmp_path / "none", *QUICK_FLAGS)
    assert "no language chosen of en, fr, de" in stderr


def test_a_model_in_python_takes_the_language_too(folder):
    rows = [{"text": "the roses were broken"}]
    french, english = (headstart.load(folder, "text-classification", language=name).predict(rows)
                       for name in ("fr", "en"))
    assert french != english
