"""What is peculiar to decoders: an end token after texts, padding by name, heads that read the last token."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import tiny
import torch
import transformers
from conftest import QUICK_FLAGS

from headstart.contract import Feature, HeadSpec, Layout
from headstart.data.features.batches import collate
from headstart.models.loading.load import load

SPEC = HeadSpec("sequence-classification", 3, ("no", "maybe", "yes"))


def logits(model, texts: list[tuple[str, ...]], packed: bool = True) -> np.ndarray:
    features = [Feature(*model.tokenizer.with_special_tokens(*(model.tokenizer.tokenize(text).ids
                                                               for text in segments))) for segments in texts]
    model.module.eval()
    with torch.inference_mode():
        values: np.ndarray = model.forward(collate(features, Layout(packed, model.tokenizer.pad_id)))["logits"].numpy()
    return values


def test_gpt2_ends_and_separates_texts_with_its_end_token_and_the_saved_folder_does_too(tmp_path):
    model = load(str(tiny.model_folder("gpt2", tmp_path / "bare")), SPEC, seed=1)
    end = model.tokenizer.hf_tokenizer.eos_token_id
    assert model.tokenizer.with_special_tokens([5, 6]) == ([5, 6, end], [0, 0, 0])
    assert model.tokenizer.with_special_tokens([5], [6, 7])[0] == [5, end, 6, 7, end]
    model.save(tmp_path / "saved")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").eval()
    assert plain.config.pad_token_id == tokenizer.pad_token_id == end
    texts = [*tiny.texts(7, seed=3), ""]
    with torch.inference_mode():
        batch = plain(**tokenizer(texts, return_tensors="pt", padding=True)).logits.numpy()
    for packed in (True, False):
        assert np.allclose(batch, logits(model, [(text,) for text in texts], packed), atol=1e-5)


def test_a_published_classifier_predicts_as_in_plain_transformers(tmp_path):
    """Whether its config names padding or not, and although its tokenizer adds no end token."""
    text = tiny.texts(1, seed=5)[0]
    for index, pad in enumerate((None, 7)):
        folder = tiny.model_folder("gpt2", tmp_path / str(index), SPEC.kind, SPEC.labels, pad_token_id=pad)
        plain = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
        ids = transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt").input_ids
        model = load(str(folder), None, seed=0)
        with torch.inference_mode():
            assert np.allclose(plain(ids).logits.numpy(), logits(model, [(text,)]), atol=1e-5)
        assert model.tokenizer.with_special_tokens([])[0] == [model.tokenizer.hf_tokenizer.eos_token_id]


def test_a_language_model_leaves_texts_open(tmp_path):
    model = load(str(tiny.model_folder("gpt2", tmp_path)), HeadSpec("causal-language-model", 0), seed=1)
    assert model.tokenizer.with_special_tokens([5, 6])[0] == [5, 6]
    assert not model.fresh_weights and model.kind == "decoder" and model.can_pack


def test_llama_begins_every_text_as_it_was_published(tmp_path):
    model = load(str(tiny.model_folder("llama", tmp_path)), SPEC, seed=1)
    start_id = model.tokenizer.hf_tokenizer.bos_token_id
    assert model.tokenizer.with_special_tokens([5], [6]) == ([start_id, 5, start_id, 6], [0, 0, 0, 0])
    assert (model.tokenizer.hf_tokenizer.pad_token == "</s>"
            and model.module.config.pad_token_id == model.tokenizer.hf_tokenizer.eos_token_id)


def test_llama_keeps_rotary_settings_of_old_configs(tmp_path):
    folder = tiny.model_folder("llama", tmp_path, "sequence-classification", SPEC.labels, rope_theta=100.0)
    config = json.loads((folder / "config.json").read_text())
    config.pop("rope_parameters", None)
    (folder / "config.json").write_text(json.dumps(config | {"rope_theta": 100.0}))
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    text = tiny.texts(1, seed=5)[0]
    model = load(str(folder), None, seed=0)
    with torch.inference_mode():
        expected = plain(**transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")).logits.numpy()
    assert plain.config.rope_parameters["rope_theta"] == 100.0 and np.allclose(expected, logits(model, [(text,)]),
                                                                               atol=1e-5)


@pytest.mark.parametrize(("family", "label"), [("gpt2", "label"), ("gpt2", "target"), ("llama", "label")])
def test_a_run_trains_predicts_and_ships_a_plain_model(family, label, tmp_path, headstart):
    """Regression too, although the head has no bias that could take the shift."""
    file = tmp_path / "rows.jsonl"
    rows = [{"text": text, label: (["no", "yes"][index % 2] if label == "label" else 40.5 + index % 7)}
            for index, text in enumerate(tiny.texts(60, seed=9))]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    base, run, predictions_file = tiny.model_folder(family, tmp_path / "base"), tmp_path / "run", tmp_path / "out.jsonl"
    code, _, stderr = headstart("finetune", file, "--model", base, "--to", run, *QUICK_FLAGS)
    assert code == 0, stderr
    assert "batches: packed" in stderr
    assert headstart("predict", run, file, "--to", predictions_file)[0] == 0
    predictions = [json.loads(line)["prediction"] for line in predictions_file.read_text().splitlines()]
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(run / "model").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(run / "model")
    with torch.inference_mode():
        outputs = plain(**tokenizer([row["text"] for row in rows], return_tensors="pt", padding=True)).logits
    if label == "label":
        assert predictions == [plain.config.id2label[index] for index in outputs.argmax(1).tolist()]
    else:
        assert all(30 < value < 60 for value in predictions), "predictions are in the user's numbers"
        model_card = (run / "model" / "README.md").read_text()
        scale, shift = map(float, re.search(r"([\d.]+) · x \+ ([\d.]+\d)", model_card).groups())
        assert np.allclose(outputs[:, 0].numpy() * scale + shift, predictions,
                           atol=1e-3), "the card says how to scale plain outputs"
