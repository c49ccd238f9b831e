"""What is peculiar to decoders: a token that closes texts, padding by name, heads that read the last token."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import tiny
import torch
import transformers
from conftest import QUICK

from headstart.contract import Feature, HeadSpec, Layout
from headstart.data.features.batches import collate
from headstart.models.loading.load import load

SPEC = HeadSpec("sequence-classification", 3, ("no", "maybe", "yes"))


def logits(held, texts: list[tuple[str, ...]], packed: bool = True) -> np.ndarray:
    made = [Feature(*held.tokenizer.lay_out(*(held.tokenizer.tokenize(text).ids for text in parts))) for parts in texts]
    held.module.eval()
    with torch.inference_mode():
        found: np.ndarray = held.forward(collate(made, Layout(packed, held.tokenizer.pad_id)))["logits"].numpy()
    return found


def test_gpt2_closes_and_parts_texts_with_its_end_token_and_the_saved_folder_does_too(tmp_path):
    held = load(str(tiny.model_folder("gpt2", tmp_path / "bare")), SPEC, seed=1)
    end = held.tokenizer.held.eos_token_id
    assert held.tokenizer.lay_out([5, 6]) == ([5, 6, end], [0, 0, 0])
    assert held.tokenizer.lay_out([5], [6, 7])[0] == [5, end, 6, 7, end]
    held.save(tmp_path / "saved")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").eval()
    assert plain.config.pad_token_id == theirs.pad_token_id == end
    texts = [*tiny.texts(7, seed=3), "", "roses<|endoftext|>"]
    with torch.inference_mode():
        batch = plain(**theirs(texts, return_tensors="pt", padding=True)).logits.numpy()
    for packed in (True, False):
        assert np.allclose(batch, logits(held, [(text,) for text in texts], packed), atol=1e-5)


def test_a_published_classifier_answers_as_in_plain_transformers(tmp_path):
    """Whether its config names padding or not, and although its tokenizer closes nothing."""
    text = tiny.texts(1, seed=5)[0]
    for number, pad in enumerate((None, 7)):
        folder = tiny.model_folder("gpt2", tmp_path / str(number), SPEC.kind, SPEC.labels, pad_token_id=pad)
        plain = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
        ids = transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt").input_ids
        held = load(str(folder), None, seed=0)
        with torch.inference_mode():
            assert np.allclose(plain(ids).logits.numpy(), logits(held, [(text,)]), atol=1e-5)
        assert held.tokenizer.lay_out([])[0] == [held.tokenizer.held.eos_token_id]


def test_a_language_model_leaves_texts_open(tmp_path):
    held = load(str(tiny.model_folder("gpt2", tmp_path)), HeadSpec("causal-language-model", 0), seed=1)
    assert held.tokenizer.lay_out([5, 6])[0] == [5, 6]
    assert not held.drawn and held.kind == "decoder" and held.can_pack


def test_llama_begins_every_text_as_it_was_published(tmp_path):
    held = load(str(tiny.model_folder("llama", tmp_path)), SPEC, seed=1)
    begin = held.tokenizer.held.bos_token_id
    assert held.tokenizer.lay_out([5], [6]) == ([begin, 5, begin, 6], [0, 0, 0, 0])
    assert held.tokenizer.held.pad_token == "</s>" and held.module.config.pad_token_id == held.tokenizer.held.eos_token_id


def test_llama_keeps_rotary_settings_of_old_configs(tmp_path):
    folder = tiny.model_folder("llama", tmp_path, "sequence-classification", SPEC.labels, rope_theta=100.0)
    config = json.loads((folder / "config.json").read_text())
    config.pop("rope_parameters", None)
    (folder / "config.json").write_text(json.dumps(config | {"rope_theta": 100.0}))
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    text = tiny.texts(1, seed=5)[0]
    held = load(str(folder), None, seed=0)
    with torch.inference_mode():
        theirs = plain(**transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")).logits.numpy()
    assert plain.config.rope_parameters["rope_theta"] == 100.0 and np.allclose(theirs, logits(held, [(text,)]), atol=1e-5)


@pytest.mark.parametrize(("family", "label"), [("gpt2", "label"), ("gpt2", "target"), ("llama", "label")])
def test_a_run_trains_predicts_and_ships_a_plain_model(family, label, tmp_path, headstart):
    """Targets as numbers too, although the head has no bias that a shift could go into."""
    file = tmp_path / "rows.jsonl"
    rows = [{"text": text, label: (["no", "yes"][number % 2] if label == "label" else 40.5 + number % 7)}
            for number, text in enumerate(tiny.texts(60, seed=9))]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    base, run, out = tiny.model_folder(family, tmp_path / "base"), tmp_path / "run", tmp_path / "out.jsonl"
    code, _, err = headstart("finetune", file, "--model", base, "--to", run, *QUICK)
    assert code == 0, err
    assert "batches: packed" in err
    assert headstart("predict", run, file, "--to", out)[0] == 0
    found = [json.loads(line)["prediction"] for line in out.read_text().splitlines()]
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(run / "model").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(run / "model")
    with torch.inference_mode():
        theirs = plain(**tokenizer([row["text"] for row in rows], return_tensors="pt", padding=True)).logits
    if label == "label":
        assert found == [plain.config.id2label[place] for place in theirs.argmax(1).tolist()]
    else:
        assert all(30 < number < 60 for number in found), "predictions are in the user's numbers"
        scale, shift = (float(word) for word in re.search(r"([\d.]+) · x \+ ([\d.]+\d)", (run / "model" / "README.md").read_text()).groups())
        assert np.allclose(theirs[:, 0].numpy() * scale + shift, found, atol=1e-3), "the card says what plain answers mean"
