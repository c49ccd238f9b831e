"""Language models: every token is asked once, losses are plain transformers' own, prompts are not learned."""

import json
from random import Random

import numpy as np
import pytest
import tiny
import torch
import transformers
from hypothesis import given, settings, strategies

from headstart.contract import HeadSpec, Layout, Row
from headstart.data.features.batches import collate
from headstart.models.loading.load import load
from headstart.prediction.predict import predict
from headstart.settings import Training
from headstart.tasks.language_model import LanguageModel
from headstart.training.losses.losses import cross_entropy, objective, total_weight

DECODERS = pytest.mark.parametrize("family", tiny.DECODERS)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {family: tiny.model_folder(family, tmp_path_factory.mktemp("lm") / family, "causal-language-model", seed=2) for family in tiny.DECODERS}


@pytest.fixture(scope="module")
def models(folders):
    return {family: load(str(place), None, seed=0) for family, place in folders.items()}


def whole(tokenizer, text):
    """Start, text and end, where the family has them."""
    return [token for token in (tokenizer.start_id, *tokenizer.tokenize(text).ids, tokenizer.end_id) if token is not None]


def examples(rows):
    return [LanguageModel().read(Row(number, row)) for number, row in enumerate(rows)]


@settings(max_examples=200, derandomize=True, deadline=None)
@given(length=strategies.integers(2, 60), longest=strategies.integers(2, 20), overlap=strategies.floats(0, 0.95), first=strategies.integers(1, 30),
       train=strategies.booleans())
def test_every_token_is_asked_once_in_windows_that_fit(length, longest, overlap, first, train):
    task = LanguageModel(LanguageModel.Settings(overlap=overlap))
    first = min(first, length)
    features = task.windows(list(range(length)), first, longest, Random(0) if train else None, 0)
    asked = [token for one in features for token in one.targets["label"].value]
    assert (asked == list(range(first, length)) and all(len(one) <= longest for one in features)) or (first >= length and not asked)
    assert all(one.ids[place + 1] == token for one in features for place, token in zip(one.asks, one.targets["label"].value, strict=True))


@DECODERS
def test_the_loss_is_that_of_plain_transformers(family, folders, models):
    model, plain = models[family], transformers.AutoModelForCausalLM.from_pretrained(folders[family]).eval()
    rows = examples([{"text": text} for text in tiny.texts(6, seed=3)])
    for example, one in zip(rows, predict(LanguageModel(), model, rows, batch_tokens=512), strict=True):
        ids = torch.tensor([whole(model.tokenizer, example.text)])
        with torch.inference_mode():
            mean = float(plain(ids, labels=ids).loss)
        assert abs(mean - np.log(one.values["perplexity"])) < 1e-5 * max(1, mean) and one.detail["count"] == ids.shape[1] - 1


@DECODERS
def test_a_long_text_in_overlapping_windows_is_scored_with_context(family, models):
    model, text = models[family], " ".join(tiny.texts(40, seed=5))
    (example,) = examples([{"text": text}])
    (one,) = predict(LanguageModel(), model, [example], batch_tokens=4096)
    ids = whole(model.tokenizer, text)
    assert len(ids) > 2 * tiny.POSITIONS and one.detail["count"] == len(ids) - 1
    loss, asked, begin = 0.0, 1, 0
    while asked < len(ids):
        part = torch.tensor([ids[begin:begin + tiny.POSITIONS]])
        with torch.inference_mode():
            logs = model.module(part).logits.log_softmax(-1)[0]
        loss -= sum(float(logs[place - begin - 1, ids[place]]) for place in range(asked, begin + part.shape[1]))
        asked, begin = begin + part.shape[1], begin + part.shape[1] - tiny.POSITIONS // 2
    assert abs(loss - one.detail["loss"]) < 1e-4 * loss


@DECODERS
def test_the_loss_in_parts_has_the_same_value_and_gradient(family, models, monkeypatch):
    from headstart.training.losses import chunked_cross_entropy

    model = models[family]
    features = [feature for one in examples([{"text": text} for text in tiny.texts(5)]) for feature in LanguageModel().encode(one, model.tokenizer)]
    batch = collate(features, Layout(model.can_pack))
    model.module.eval()
    found = []
    for cells in (1, 2**25):
        monkeypatch.setattr(chunked_cross_entropy, "CELLS", cells)
        model.module.zero_grad()
        loss = objective(HeadSpec("causal-language-model", 0, loss="vocabulary"), Training(label_smoothing=0.1), ())(model, batch)
        (loss / total_weight([batch])).backward()
        found.append((loss.item(), {name: held.grad.clone() for name, held in model.module.named_parameters()}))
    model.module.zero_grad()
    whole = cross_entropy(model.forward(batch)["logits"], torch.from_numpy(batch.targets["label"]), smoothing=0.1).sum()
    (whole / total_weight([batch])).backward()
    for value, grads in found:
        assert abs(value - whole.item()) < 1e-4 * abs(value)
        for name, held in model.module.named_parameters():
            assert torch.allclose(held.grad, grads[name], atol=1e-5, rtol=1e-4), name
    model.module.zero_grad()


def test_the_response_alone_is_learned_and_a_long_prompt_loses_its_beginning(models):
    task, tokenizer = LanguageModel(), models["gpt2"].tokenizer
    (example,) = examples([{"prompt": "The gardener waters", "response": "the roses."}])
    (feature,) = task.encode(example, tokenizer, Random(0))
    assert list(feature.targets["label"].value) == [*tokenizer.tokenize("the roses.").ids, tokenizer.end_id]
    (long,) = examples([{"prompt": " ".join(["roses"] * 300), "response": "the river bank."}])
    (feature,) = task.encode(long, tokenizer, Random(0))
    assert len(feature) == tiny.POSITIONS and feature.cut > 0
    assert list(feature.targets["label"].value) == [*tokenizer.tokenize("the river bank.").ids, tokenizer.end_id]


def test_a_chat_template_is_used_where_the_tokenizer_has_one(folders, tmp_path):
    import shutil

    place = shutil.copytree(folders["llama"], tmp_path / "chat")
    held = transformers.AutoTokenizer.from_pretrained(place)
    held.chat_template = "{% for m in messages %}[{{ m.role }}] {{ m.content }} {% endfor %}{% if add_generation_prompt %}[answer] {% endif %}"
    held.save_pretrained(place)
    tokenizer = load(str(place), None, seed=0).tokenizer
    assert tokenizer.as_prompt("Why?", chat=True) == "[user] Why? [answer] " and tokenizer.as_prompt("Why?", chat=False) == "Why?\n"


@DECODERS
def test_a_file_of_texts_trains_a_model_that_beats_its_start(family, folders, tmp_path, headstart):
    (tmp_path / "texts.txt").write_text("\n".join(tiny.texts(150, seed=7)))
    code, _, words = headstart("finetune", tmp_path / "texts.txt", "--task", "language-model", "--model", folders[family], "--to", tmp_path / "run",
                               "--epochs", 2, "--learning-rate", "3e-3", "--set", "evaluation.resamples=20")
    assert code == 0, words
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert list(scores["test"]) == ["perplexity", "word_perplexity", "bits_per_byte"] and "3-gram with back-off" in scores["baselines"]
    ours, data = scores["tables"]["test"]["writing"]
    assert 0 <= ours["ended"] <= 1 and 0 <= (ours["repetition"] or 0) <= 1 and data["repetition"] == 0 and data["training_overlap"] is not None
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "What it writes" in page and page.count(" ▸ ") >= 12 and "sample 12" in page
    code, out, _ = headstart("evaluate", folders[family], tmp_path / "texts.txt", "--json", "--set", "evaluation.resamples=0")
    assert code == 0 and json.loads(out)["scores"]["test"]["perplexity"]["value"] > 1.5 * scores["test"]["perplexity"]["value"]
    plain = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model")
    assert plain.config.architectures == [type(plain).__name__]


def test_texts_alone_are_a_tie_that_lists_the_commands(tmp_path, headstart):
    (tmp_path / "t.txt").write_text("\n".join(tiny.texts(30)))
    code, _, words = headstart("finetune", tmp_path / "t.txt")
    assert code == 2 and "--task language-model" in words and "--task masked-language-model" in words


def test_a_sample_takes_a_text_up_at_a_third_or_at_the_response(models):
    tokenizer = models["gpt2"].tokenizer
    (text,) = examples([{"text": "One two three  four five six."}])
    assert LanguageModel().opening(text, tokenizer) == ("One two", "three  four five six.")
    (word,) = examples([{"text": "One"}])
    assert LanguageModel().opening(word, tokenizer) == ("One", "")
    (prompt,) = examples([{"prompt": "Why?", "response": "Because."}])
    assert LanguageModel().opening(prompt, tokenizer) == ("Why?\n", "Because.")


def test_many_unknown_words_are_told(tmp_path, headstart, folders):
    (tmp_path / "t.txt").write_text("\n".join(f"Zyx {text} qwertz vwxyz" for text in tiny.texts(30)))
    code, _, words = headstart("finetune", tmp_path / "t.txt", "--task", "language-model", "--model", folders["transfo-xl"], "--to", tmp_path / "run",
                               "--epochs", 1, "--set", "evaluation.resamples=0", "--set", "evaluation.samples=0")
    assert code == 0 and "of the tokens are unknown to the tokenizer" in words
    rows, model = examples([{"text": "Zyx the roses zyx."}]), load(str(folders["transfo-xl"]), None, seed=0)
    (one,) = predict(LanguageModel(), model, rows, batch_tokens=99)
    assert one.detail["unknown"] == 2
