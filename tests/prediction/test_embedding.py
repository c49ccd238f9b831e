"""Texts as vectors, trained tokenizers, models from scratch, plain text files."""

import json

import numpy as np
import pytest
import tiny
from conftest import write_csv


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_mean_vectors_are_those_of_plain_transformers(family, tmp_path, headstart):
    import torch
    import transformers

    model, texts = tiny.model_folder(family, tmp_path / "m"), tiny.texts(12)
    data = write_csv(tmp_path / "texts.csv", [(text,) for text in texts], ("text",))
    code, _, stderr = headstart("embed", model, data, "--to", tmp_path / "v.npy")
    assert code == 0, stderr
    vectors = np.load(tmp_path / "v.npy")
    tokenizer, reference = transformers.AutoTokenizer.from_pretrained(model), transformers.AutoModel.from_pretrained(
        model).eval()
    if family == "xlnet":  # its classification token has a segment id of its own, which the library's tokenizer keeps
        tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    for text, vector in zip(texts, vectors, strict=True):
        with torch.no_grad():
            states = reference(**tokenizer(text, return_tensors="pt"))[0][0].numpy()
        assert np.allclose(states.mean(axis=0), vector, atol=1e-5)


def test_pools_norms_formats_and_long_texts(tmp_path, headstart):
    model = tiny.model_folder("bert", tmp_path / "m")
    data = write_csv(tmp_path / "texts.csv", [("The roses.", "a"), (" ".join(tiny.texts(40)), "b")], ("text", "name"))
    for pool in ("mean", "first", "max"):
        assert headstart("embed", model, data, "--to", tmp_path / f"{pool}.jsonl", "--pool", pool, "--normalise",
                         "--quiet")[0] == 0
        rows = [json.loads(line) for line in (tmp_path / f"{pool}.jsonl").read_text().splitlines()]
        assert [row["name"] for row in rows] == ["a", "b"] and all(abs(np.linalg.norm(row["vector"]) - 1) < 1e-5
                                                                   for row in rows)
    assert headstart("embed", model, data, "--to", tmp_path / "no" / "v.npy", "--quiet")[0] == 74
    assert headstart("embed", model, tmp_path / "none.csv", "--quiet")[0] == 66


@pytest.mark.parametrize("kind", ["wordpiece", "byte-bpe"])
def test_a_model_is_trained_from_texts_alone(kind, tmp_path, headstart):
    import transformers

    notes = tmp_path / "notes.txt"
    notes.write_text("\n".join(line for n in range(30) for line in [*tiny.sentences()[6 * n:6 * n + 6], ""]),
                     encoding="utf-8")
    code, stdout, stderr = headstart("tokenizer", notes, "--to", tmp_path / "tok", "--kind", kind, "--size", 400,
                                     "--lowercase", "--json")
    assert code == 0 and "text, one row per line" in stderr and 100 < json.loads(stdout)["pieces"] <= 400
    assert headstart("tokenizer", notes, "--to", tmp_path / "tok")[0] == 73
    tiny.config("bert", tiny.tokenizer("bert")).save_pretrained(tmp_path / "tok")
    flags = ["--from-scratch", tmp_path / "tok", "--epochs", 1, "--set", "evaluation.resamples=5"]
    code, _, stderr = headstart("finetune", notes, "--task", "bert-pretraining", *flags, "--to", tmp_path / "run")
    assert code == 0 and "weights initialised from the seed" in stderr, stderr
    model = transformers.AutoModelForPreTraining.from_pretrained(tmp_path / "run" / "model")
    assert model.config.vocab_size == json.loads(stdout)["pieces"]
    code, _, stderr = headstart("finetune", notes, "--task", "masked-language-model", "--model",
                                tmp_path / "run" / "model", "--epochs", 1, "--to",
                               tmp_path / "second", "--set", "evaluation.resamples=5")
    assert code == 0, stderr


def test_a_classifier_can_be_trained_from_scratch(tmp_path, headstart, reviews):
    folder = tiny.model_folder("roberta", tmp_path / "m")
    (folder / "model.safetensors").unlink()
    code, _, stderr = headstart("finetune", reviews, "--from-scratch", folder / "config.json", "--to", tmp_path / "run",
                                "--epochs", 1, "--set",
                               "evaluation.resamples=5")
    assert code == 0, stderr
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert set(scores["baselines"]) == {"majority", "tf-idf + logistic regression"}
    assert headstart("predict", tmp_path / "run", "--value", "text=roses", "--quiet")[0] == 0
    code, _, stderr = headstart("finetune", reviews, "--from-scratch", tmp_path / "nothing", "--to", tmp_path / "other")
    assert code == 66 and "config.json" in stderr


def test_a_txt_table_stays_a_table(tmp_path, headstart):
    (tmp_path / "rows.txt").write_text("text\tlabel\n" + "".join(f"the roses {n}\t{'ab'[n % 2]}\n" for n in range(20)),
                                       encoding="utf-8")
    code, stdout, stderr = headstart("check", tmp_path / "rows.txt")
    assert code == 0 and "text-classification" in stdout + stderr
