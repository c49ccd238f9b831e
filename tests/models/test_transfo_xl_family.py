"""Transformer-XL among the families: trained, saved, loaded in plain transformers, looked into, its words scored in clusters."""

import json
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import tiny
import torch
import transformers
from conftest import QUICK, made_rows, write_csv

import headstart
from headstart.contract import Feature, HeadSpec, Layout, Target
from headstart.data.features.batches import collate
from headstart.errors import UserError
from headstart.models.loading.load import load
from headstart.models.loading.sources import resolve

WRITER = "causal-language-model"


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    return tiny.model_folder("transfo-xl", tmp_path_factory.mktemp("xl") / "lm", WRITER, seed=4)


def test_a_run_ships_a_folder_that_plain_transformers_reads_once_told(writer, tmp_path, headstart):
    file, run = write_csv(tmp_path / "reviews.csv", made_rows()), tmp_path / "run"
    code, _, words = headstart("finetune", file, "--model", writer, "--to", run, *QUICK)
    assert code == 0, words
    tokenizer = transformers.AutoTokenizer.from_pretrained(run / "model")
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(run / "model").eval()
    text = "the roses were broken and the river"
    ids = tokenizer(text, return_tensors="pt")
    assert ids["input_ids"][0, -1] == tokenizer.eos_token_id, "its own tokenizer closes texts as headstart does"
    with torch.inference_mode():
        label = plain.config.id2label[int(plain(**ids).logits.argmax())]
    code, out, _ = headstart("predict", run, "--value", f"text={text}", "--json")
    assert code == 0 and json.loads(out)["prediction"] == label
    assert "headstart.models.register" in (run / "model" / "README.md").read_text()


def test_each_word_is_scored_without_the_whole_vocabulary_and_says_the_same(writer):
    model = load(str(writer), None, seed=0)
    model.module.eval()
    torch.nn.init.constant_(model.module.crit.cluster_bias, 4.0)
    ids = list(range(3, 140))
    batch = collate([Feature(ids[:-1], [0] * 136, {"label": Target(ids[1:], "asked")}, asks=range(136))], Layout(False))
    with torch.inference_mode():
        logs, found = model.forward(batch)["logits"], model.surprises(batch)
    gold = torch.tensor(ids[1:])
    assert torch.allclose(found["surprise"], -logs.gather(1, gold[:, None])[:, 0], atol=1e-5)
    assert torch.equal(found["hit"], logs.argmax(1) == gold)
    assert torch.equal(model.scorer.likeliest(model.read_states(batch)["logits"]), logs.argmax(1))
    assert len(set(np.searchsorted(model.module.config.cutoffs, logs.argmax(1).numpy(), side="right"))) == 3, "words of every cluster"


def test_inspecting_gives_the_states_and_attentions_of_the_model(writer):
    found = headstart.inspect(writer, "The old captain counts the roses.")
    model = transformers.AutoModel.from_pretrained(writer).eval()
    ids = transformers.AutoTokenizer.from_pretrained(writer)("The old captain counts the roses.", return_tensors="pt")
    with torch.inference_mode():
        plain = model(**ids, output_hidden_states=True, output_attentions=True)
    count = ids["input_ids"].shape[1]
    assert np.allclose(found.hidden_states, torch.cat(plain.hidden_states).numpy(), atol=1e-5)
    assert np.allclose(found.attentions, torch.cat(plain.attentions)[..., -count:].numpy(), atol=1e-5)
    assert [token.piece for token in found.tokens][:3] == ["The", "old", "captain"]


def test_the_published_vocabulary_and_pickled_weights_are_read_when_allowed(writer, tmp_path):
    """As transfo-xl-wt103 is published: pytorch_model.bin with every tied copy, and a pickled vocab.bin."""
    module = transformers.AutoModelForCausalLM.from_pretrained(writer)
    words = (writer / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
    (tmp_path / "config.json").write_bytes((writer / "config.json").read_bytes())
    torch.save(dict(module.state_dict()), tmp_path / "pytorch_model.bin")
    held = {"idx2sym": words, "sym2idx": OrderedDict((word, number) for number, word in enumerate(words))}
    (tmp_path / "vocab.bin").write_bytes(pickle.dumps(held))
    with pytest.raises(UserError, match="pickled weights"):
        load(str(tmp_path), None, seed=0)
    found, ours = load(str(tmp_path), None, seed=0, allow_pickle=True), load(str(writer), None, seed=0)
    assert found.tokenizer.tokenize("The roses.") == ours.tokenizer.tokenize("The roses.")
    for (name, weight), other in zip(found.module.named_parameters(), ours.module.parameters(), strict=True):
        assert torch.equal(weight, other), name


def test_the_short_name_of_2020_is_found_in_the_offline_cache(writer, tmp_path, monkeypatch):
    import huggingface_hub

    asked = []

    def found(name, **more):
        asked.append(name)
        return str(writer)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", found)
    assert resolve("transfo-xl-wt103").folder == writer and asked == ["transfo-xl/transfo-xl-wt103"]


def test_a_question_with_choices_is_answered_as_the_plain_class_does(tmp_path):
    held = load(str(tiny.model_folder("transfo-xl", tmp_path / "bare")), HeadSpec("multiple-choice", 1), seed=1)
    held.module.eval()
    held.save(tmp_path / "saved")
    plain = transformers.AutoModelForMultipleChoice.from_pretrained(tmp_path / "saved").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved", padding_side="left")
    texts = tiny.texts(4, seed=2)
    inputs = {name: values[None] for name, values in tokenizer(texts, return_tensors="pt", padding=True).items()}
    features = [Feature(*held.tokenizer.lay_out(held.tokenizer.tokenize(text).ids)) for text in texts]
    with torch.inference_mode():
        ours = held.forward(collate(features, held.layout(packed=False)))["logits"][:, 0]
        found = plain(**inputs, labels=torch.tensor([1]))
    assert torch.allclose(found.logits[0], ours, atol=1e-5) and found.loss > 0


def test_a_long_text_is_scored_piece_by_piece_with_what_was_read_before_in_memory(writer):
    from headstart.contract import Row
    from headstart.prediction.predict import predict
    from headstart.tasks.language_model import LanguageModel

    model, task = load(str(writer), None, seed=0, longest=16), LanguageModel()
    model.module.eval()
    rows = [task.read(Row(number, {"text": " ".join(tiny.texts(count, seed=number))})) for number, count in enumerate((9, 1, 4, 20))]
    for together in (200, 16):
        for example, found in zip(rows, predict(task, model, rows, batch_tokens=together), strict=True):
            ids = torch.tensor([[0, *model.tokenizer.tokenize(example.text).ids, 0]])
            with torch.inference_mode():  # with same_length, memory is as good as reading all at once
                whole = model.module(ids, labels=ids).losses.sum()
            assert found.detail["count"] == ids.shape[1] - 1
            assert abs(found.detail["loss"] - float(whole)) < 1e-4 * float(whole)
    assert model.memory is None and not model.carries


def test_blocks_of_one_long_text_are_read_in_their_order_with_memory(writer):
    from random import Random

    from headstart.contract import Row
    from headstart.prediction.predict import predict
    from headstart.tasks.language_model import LanguageModel

    model, task = load(str(writer), None, seed=0, longest=24), LanguageModel(LanguageModel.Settings(blocks=True))
    model.module.eval()
    rows = task.compose([task.read(Row(number, {"text": text})) for number, text in enumerate(tiny.texts(12, seed=2))], model.tokenizer, Random(0))
    assert len(rows) > 3
    parts = [[0, *model.tokenizer.tokenize(one.text).ids, 0] for one in rows]
    memory, found = None, list(predict(task, model, rows, batch_tokens=4096))
    for ids, one in zip(parts, found, strict=True):
        loss = 0.0
        for begin in range(0, len(ids) - 1, 24):
            part = torch.tensor([ids[begin:min(begin + 24, len(ids) - 1)]])
            with torch.inference_mode():
                output = model.module(part, mems=memory)
            memory = output.mems
            loss -= float(output.logits[0].gather(1, torch.tensor(ids[begin + 1:begin + 1 + part.shape[1]])[:, None]).sum())
        assert abs(loss - one.detail["loss"]) < 1e-4 * loss
