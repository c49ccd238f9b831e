"""Transformer-XL among the families: trained, saved, loaded in plain transformers, inspected, its words scored in
clusters.
"""

import json
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import tiny
import torch
import transformers
from conftest import QUICK_FLAGS, write_csv

import headstart
from headstart.contract import Feature, HeadSpec, Layout, Target
from headstart.data.features.batches import collate
from headstart.errors import UserError
from headstart.models.loading.load import load
from headstart.models.loading.sources import resolve

CAUSAL = "causal-language-model"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.model_folder("transfo-xl", tmp_path_factory.mktemp("xl") / "lm", CAUSAL, seed=4)


def test_plain_transformers_reads_the_folder_of_a_run_once_the_classes_are_registered(folder, tmp_path, headstart):
    rows = [(text, ("good", "bad")[index % 2]) for index, text in enumerate(tiny.texts(90))]
    file, run = write_csv(tmp_path / "reviews.csv", rows), tmp_path / "run"
    code, _, stderr = headstart("finetune", file, "--model", folder, "--to", run, *QUICK_FLAGS)
    assert code == 0, stderr
    tokenizer = transformers.AutoTokenizer.from_pretrained(run / "model")
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(run / "model").eval()
    text = "the roses were broken and the river"
    ids = tokenizer(text, return_tensors="pt")
    assert ids["input_ids"][0, -1] == tokenizer.eos_token_id, "its own tokenizer closes texts as headstart does"
    with torch.inference_mode():
        label = plain.config.id2label[int(plain(**ids).logits.argmax())]
    code, stdout, _ = headstart("predict", run, "--value", f"text={text}", "--json")
    assert code == 0 and json.loads(stdout)["prediction"] == label
    assert "headstart.models.register" in (run / "model" / "README.md").read_text()


def test_each_word_is_scored_without_the_whole_vocabulary_and_says_the_same(folder):
    model = load(str(folder), None, seed=0)
    model.module.eval()
    torch.nn.init.constant_(model.module.crit.cluster_bias, 4.0)
    ids = list(range(3, 140))
    batch = collate([Feature(ids[:-1], [0] * 136, {"label": Target(ids[1:], "position")}, label_positions=range(136))],
                    Layout(False))
    with torch.inference_mode():
        logits, surprises = model.forward(batch)["logits"], model.surprisals(batch)
    gold = torch.tensor(ids[1:])
    assert torch.allclose(surprises["surprise"], -logits.gather(1, gold[:, None])[:, 0], atol=1e-5)
    assert torch.equal(surprises["hit"], logits.argmax(1) == gold)
    assert torch.equal(model.scorer.likeliest(model.read_states(batch)["logits"]), logits.argmax(1))
    assert len(set(np.searchsorted(model.module.config.cutoffs, logits.argmax(1).numpy(),
                                   side="right"))) == 3, "words of every cluster"


def test_inspecting_gives_the_states_and_attentions_of_the_model(folder):
    inspection = headstart.inspect(folder, "The old captain counts the roses.")
    model = transformers.AutoModel.from_pretrained(folder).eval()
    ids = transformers.AutoTokenizer.from_pretrained(folder)("The old captain counts the roses.", return_tensors="pt")
    with torch.inference_mode():
        plain = model(**ids, output_hidden_states=True, output_attentions=True)
    count = ids["input_ids"].shape[1]
    assert np.allclose(inspection.hidden_states, torch.cat(plain.hidden_states).numpy(), atol=1e-5)
    assert np.allclose(inspection.attentions, torch.cat(plain.attentions)[..., -count:].numpy(), atol=1e-5)
    assert [token.piece for token in inspection.tokens][:3] == ["The", "old", "captain"]


def test_the_published_vocabulary_and_pickled_weights_are_read_when_allowed(folder, tmp_path):
    """As transfo-xl-wt103 is published: pytorch_model.bin with every tied copy, and a pickled vocab.bin."""
    module = transformers.AutoModelForCausalLM.from_pretrained(folder)
    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    torch.save(dict(module.state_dict()), tmp_path / "pytorch_model.bin")
    content = {"idx2sym": vocabulary, "sym2idx": OrderedDict((word, index) for index, word in enumerate(vocabulary))}
    (tmp_path / "vocab.bin").write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match="pickled weights"):
        load(str(tmp_path), None, seed=0)
    pickled, expected = load(str(tmp_path), None, seed=0, allow_pickle=True), load(str(folder), None, seed=0)
    assert pickled.tokenizer.tokenize("The roses.") == expected.tokenizer.tokenize("The roses.")
    for (name, weight), expected_weight in zip(pickled.module.named_parameters(), expected.module.parameters(),
                                               strict=True):
        assert torch.equal(weight, expected_weight), name


def test_the_short_name_of_2020_is_found_in_the_offline_cache(folder, tmp_path, monkeypatch):
    import huggingface_hub

    requests = []

    def snapshot_download(name, **options):
        requests.append(name)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert resolve("transfo-xl-wt103").folder == folder and requests == ["transfo-xl/transfo-xl-wt103"]


def test_multiple_choice_gives_the_logits_of_the_plain_class(tmp_path):
    model = load(str(tiny.model_folder("transfo-xl", tmp_path / "bare")), HeadSpec("multiple-choice", 1), seed=1)
    model.module.eval()
    model.save(tmp_path / "saved")
    plain = transformers.AutoModelForMultipleChoice.from_pretrained(tmp_path / "saved").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved", padding_side="left")
    texts = tiny.texts(4, seed=2)
    inputs = {name: values[None] for name, values in tokenizer(texts, return_tensors="pt", padding=True).items()}
    features = [Feature(*model.tokenizer.with_special_tokens(model.tokenizer.tokenize(text).ids)) for text in texts]
    with torch.inference_mode():
        logits = model.forward(collate(features, model.layout(packed=False)))["logits"][:, 0]
        output = plain(**inputs, labels=torch.tensor([1]))
    assert torch.allclose(output.logits[0], logits, atol=1e-5) and output.loss > 0


def test_a_long_text_is_scored_piece_by_piece_with_what_was_read_before_in_memory(folder):
    from headstart.contract import Row
    from headstart.prediction.torch_runtime import torch_predictor
    from headstart.tasks.language_model import LanguageModel

    model, task = load(str(folder), None, seed=0, max_length=16), LanguageModel()
    model.module.eval()
    rows = [task.read(Row(index, {"text": " ".join(tiny.texts(count, seed=index))}))
            for index, count in enumerate((9, 1, 4, 20))]
    for batch_tokens in (200, 16):
        for example, prediction in zip(rows, torch_predictor(task, model, batch_tokens=batch_tokens).predict(rows), strict=True):
            ids = torch.tensor([[0, *model.tokenizer.tokenize(example.text).ids, 0]])
            with torch.inference_mode():  # with same_length, memory is as good as reading all at once
                expected = model.module(ids, labels=ids).losses.sum()
            assert prediction.detail["count"] == ids.shape[1] - 1
            assert abs(prediction.detail["loss"] - float(expected)) < 1e-4 * float(expected)
    assert model.memory is None and not model.carries_memory


def test_blocks_of_one_long_text_are_read_in_their_order_with_memory(folder):
    from random import Random

    from headstart.contract import Row
    from headstart.prediction.torch_runtime import torch_predictor
    from headstart.tasks.language_model import LanguageModel

    model, task = load(str(folder), None, seed=0,
                       max_length=24), LanguageModel(LanguageModel.Settings(group_texts=True))
    model.module.eval()
    rows = task.compose([task.read(Row(index, {"text": text})) for index, text in enumerate(tiny.texts(12, seed=2))],
                        model.tokenizer, Random(0))
    assert len(rows) > 3
    ids_of_blocks = [[0, *model.tokenizer.tokenize(example.text).ids, 0] for example in rows]
    memory, predictions = None, list(torch_predictor(task, model, batch_tokens=4096).predict(rows))
    for ids, prediction in zip(ids_of_blocks, predictions, strict=True):
        loss = 0.0
        for start in range(0, len(ids) - 1, 24):
            segment = torch.tensor([ids[start:min(start + 24, len(ids) - 1)]])
            with torch.inference_mode():
                output = model.module(segment, mems=memory)
            memory = output.mems
            loss -= float(output.logits[0].gather(1, torch.tensor(ids[start + 1:start + 1
                                                                      + segment.shape[1]])[:, None]).sum())
        assert abs(loss - prediction.detail["loss"]) < 1e-4 * loss
