"""BERT's seven heads: each is trained, saved, read by plain transformers, asked, and looked into."""

import json

import numpy as np
import pytest
import tiny
from conftest import QUICK_FLAGS

import headstart as product

NOUNS = ["roses", "apples", "tables", "card"]
TEXTS = tiny.texts(60, seed=4)
DOCUMENTS = "\n\n".join("\n".join(TEXTS[start:start + 4]) for start in range(0, 60, 4))


def json_line(**values):
    return json.dumps(values) + "\n"


HEADS = {  # task, its class in transformers, a file of rows, what a prediction has
    "pre-training": ("bert-pretraining", "BertForPreTraining", "txt", DOCUMENTS, "prediction"),
    "masked-language-model": ("masked-language-model", "BertForMaskedLM", "txt", "\n".join(TEXTS), "fills"),
    "next-sentence": ("next-sentence", "BertForNextSentencePrediction", "txt", DOCUMENTS, "prediction"),
    "sequence-classification": ("text-classification", "BertForSequenceClassification", "jsonl",
                                "".join(json_line(text=text, label="ab"[index % 2])
                                        for index, text in enumerate(TEXTS)), "probabilities"),
    "token-classification": ("token-tagging", "BertForTokenClassification", "jsonl", "".join(
        json_line(tokens=["the", noun, "grows"], tags=["O", "B-X", "O"]) for noun in NOUNS * 10), "prediction"),
    "question-answering": ("question-answering", "BertForQuestionAnswering", "jsonl", "".join(
        json_line(question="what?", passage=f"He counts the {noun} in 1984. {TEXTS[index]}", answer=[noun])
        for index, noun in enumerate(NOUNS * 10)), "start"),
}


@pytest.mark.parametrize("head", HEADS)
def test_a_head_is_trained_saved_asked_and_looked_into(head, tiny_bert, tmp_path, headstart):
    import transformers

    task, class_name, suffix, text, expected_key = HEADS[head]
    file, run = tmp_path / f"rows.{suffix}", tmp_path / "run"
    file.write_text(text + "\n", encoding="utf-8")
    code, _, stderr = headstart("finetune", file, "--task", task, "--model", tiny_bert, "--to", run, *QUICK_FLAGS)
    assert code == 0, stderr
    assert json.loads((run / "model" / "config.json").read_text())["architectures"] == [class_name]
    getattr(transformers, class_name).from_pretrained(run / "model")  # a warning of missing weights would be an error
    new_rows = tmp_path / "new_rows.jsonl"
    new_rows.write_text(json_line(text="The [MASK] waters the roses.", pair="She counts them.") if suffix == "txt"
                        else text.splitlines()[0] + "\n")
    code, stdout, stderr = headstart("predict", run, new_rows, "--to", "-")
    assert code == 0, stderr
    assert expected_key in json.loads(stdout)
    inspection = product.inspect(run, "The gardener waters the roses.")
    assert inspection.hidden_states.shape[0] == 3 and np.allclose(inspection.attentions.sum(axis=-1), 1, atol=1e-5)


def test_the_bare_model_embeds_and_is_looked_into(tiny_bert, tmp_path, headstart):
    file = tmp_path / "rows.txt"
    file.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    assert headstart("embed", tiny_bert, file, "--to", tmp_path / "vectors.npy")[0] == 0
    assert np.load(tmp_path / "vectors.npy").shape == (60, 32)
    assert np.allclose(product.load_backbone(tiny_bert).embed(TEXTS), np.load(tmp_path / "vectors.npy"), atol=1e-5)
    assert product.load_backbone(tiny_bert).inspect(TEXTS[0]).hidden_states.shape[2] == 32
