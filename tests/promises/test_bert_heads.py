"""BERT's seven heads: each is trained, saved, read by plain transformers, asked, and looked into."""

import json

import numpy as np
import pytest
import tiny
from conftest import QUICK

import headstart as product

NOUNS = ["roses", "apples", "tables", "card"]
TEXTS = tiny.texts(60, seed=4)


def line(**values):
    return json.dumps(values) + "\n"


HEADS = {  # task, its class in transformers, a file of rows, what a prediction has
    "pre-training": ("bert-pretraining", "BertForPreTraining", "txt", "\n\n".join("\n".join(TEXTS[at:at + 4]) for at in range(0, 60, 4)), "prediction"),
    "masked-language-model": ("masked-language-model", "BertForMaskedLM", "txt", "\n".join(TEXTS), "fills"),
    "next-sentence": ("next-sentence", "BertForNextSentencePrediction", "txt",
                      "\n\n".join("\n".join(TEXTS[at:at + 4]) for at in range(0, 60, 4)), "prediction"),
    "sequence-classification": ("text-classification", "BertForSequenceClassification", "jsonl",
                                "".join(line(text=text, label="ab"[number % 2]) for number, text in enumerate(TEXTS)), "probabilities"),
    "token-classification": ("token-tagging", "BertForTokenClassification", "jsonl", "".join(
        line(tokens=["the", noun, "grows"], tags=["O", "B-X", "O"]) for noun in NOUNS * 10), "prediction"),
    "question-answering": ("question-answering", "BertForQuestionAnswering", "jsonl", "".join(
        line(question="what?", passage=f"He counts the {noun} in 1984. {TEXTS[number]}", answer=[noun])
        for number, noun in enumerate(NOUNS * 10)), "start"),
}


@pytest.mark.parametrize("head", HEADS)
def test_a_head_is_trained_saved_asked_and_looked_into(head, tiny_bert, tmp_path, headstart):
    import transformers

    task, cls, suffix, text, wanted = HEADS[head]
    file, run = tmp_path / f"rows.{suffix}", tmp_path / "run"
    file.write_text(text + "\n", encoding="utf-8")
    code, _, err = headstart("finetune", file, "--task", task, "--model", tiny_bert, "--to", run, *QUICK)
    assert code == 0, err
    assert json.loads((run / "model" / "config.json").read_text())["architectures"] == [cls]
    getattr(transformers, cls).from_pretrained(run / "model")  # a warning of missing weights would be an error
    asked = tmp_path / "asked.jsonl"
    asked.write_text(line(text="The [MASK] waters the roses.", pair="She counts them.") if suffix == "txt" else text.splitlines()[0] + "\n")
    code, out, err = headstart("predict", run, asked, "--to", "-")
    assert code == 0, err
    assert wanted in json.loads(out)
    found = product.inspect(run, "The gardener waters the roses.")
    assert found.hidden_states.shape[0] == 3 and np.allclose(found.attentions.sum(axis=-1), 1, atol=1e-5)


def test_the_bare_model_embeds_and_is_looked_into(tiny_bert, tmp_path, headstart):
    file = tmp_path / "rows.txt"
    file.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    assert headstart("embed", tiny_bert, file, "--to", tmp_path / "vectors.npy")[0] == 0
    assert np.load(tmp_path / "vectors.npy").shape == (60, 32)
    assert np.allclose(product.load_bare(tiny_bert).embed(TEXTS), np.load(tmp_path / "vectors.npy"), atol=1e-5)
    assert product.load_bare(tiny_bert).inspect(TEXTS[0]).hidden_states.shape[2] == 32
