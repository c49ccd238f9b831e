"""Language models: every token is a label once, losses are plain transformers' own, prompts are not learned."""

import json
from random import Random

import numpy as np
import pytest
import tiny
import torch
import transformers
from hypothesis import given, settings, strategies

from headstart.contract import Layout, Row, SamplePrompt
from headstart.contract.losses import VocabularyCrossEntropy
from headstart.data.features.batches import collate
from headstart.models.loading.load import load
from headstart.prediction.torch_runtime import torch_predictor
from headstart.settings import Training
from headstart.tasks.language_model import LanguageModel
from headstart.training.losses import build_loss
from headstart.training.losses.cross_entropy import cross_entropy
from headstart.training.objectives.objective import total_weight

DECODERS = pytest.mark.parametrize("family", tiny.DECODERS)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {family: tiny.model_folder(family, tmp_path_factory.mktemp("lm") / family, "causal-language-model", seed=2)
            for family in tiny.DECODERS}


@pytest.fixture(scope="module")
def models(folders):
    return {family: load(str(folder), None, seed=0) for family, folder in folders.items()}


def with_special_tokens(tokenizer, text):
    """Start, text and end, where the family has them."""
    return [token for token in (tokenizer.start_id, *tokenizer.tokenize(text).ids, tokenizer.end_id)
            if token is not None]


def examples(rows):
    return [LanguageModel().read(Row(index, row)) for index, row in enumerate(rows)]


@settings(max_examples=200, derandomize=True, deadline=None)
@given(length=strategies.integers(2, 60), max_length=strategies.integers(2, 20), overlap=strategies.floats(0, 0.95),
       start=strategies.integers(1, 30), train=strategies.booleans())
def test_every_token_is_a_label_once_in_windows_that_fit(length, max_length, overlap, start, train):
    task = LanguageModel(LanguageModel.Settings(overlap=overlap))
    start = min(start, length)
    features = task.windows(list(range(length)), start, max_length, Random(0) if train else None, 0)
    label_tokens = [token for feature in features for token in feature.targets["label"].value]
    assert (label_tokens == list(range(start, length))
            and all(len(feature) <= max_length for feature in features)) or (start >= length and not label_tokens)
    assert all(feature.ids[position + 1] == token for feature in features
               for position, token in zip(feature.label_positions, feature.targets["label"].value, strict=True))


@DECODERS
def test_the_loss_is_that_of_plain_transformers(family, folders, models):
    model, plain = models[family], transformers.AutoModelForCausalLM.from_pretrained(folders[family]).eval()
    rows = examples([{"text": text} for text in tiny.texts(6, seed=3)])
    for example, prediction in zip(rows, torch_predictor(LanguageModel(), model, batch_tokens=512).predict(rows), strict=True):
        ids = torch.tensor([with_special_tokens(model.tokenizer, example.text)])
        with torch.inference_mode():
            mean_loss = float(plain(ids, labels=ids).loss)
        assert abs(mean_loss - np.log(prediction.values["perplexity"])) < 1e-5 * max(
            1, mean_loss) and prediction.detail["count"] == ids.shape[1] - 1


@DECODERS
def test_a_long_text_in_overlapping_windows_is_scored_with_context(family, models):
    model, text = models[family], " ".join(tiny.texts(40, seed=5))
    (example,) = examples([{"text": text}])
    (prediction,) = torch_predictor(LanguageModel(), model, batch_tokens=4096).predict([example])
    ids = with_special_tokens(model.tokenizer, text)
    assert len(ids) > 2 * tiny.POSITIONS and prediction.detail["count"] == len(ids) - 1
    loss, scored_count, start = 0.0, 1, 0
    while scored_count < len(ids):
        window = torch.tensor([ids[start:start + tiny.POSITIONS]])
        with torch.inference_mode():
            log_probabilities = model.module(window).logits.log_softmax(-1)[0]
        loss -= sum(float(log_probabilities[position - start - 1, ids[position]])
                    for position in range(scored_count, start + window.shape[1]))
        scored_count, start = start + window.shape[1], start + window.shape[1] - tiny.POSITIONS // 2
    assert abs(loss - prediction.detail["loss"]) < 1e-4 * loss


@DECODERS
def test_the_loss_in_parts_has_the_same_value_and_gradient(family, models, monkeypatch):
    from headstart.training.objectives import chunked_cross_entropy

    model = models[family]
    features = [feature for example in examples([{"text": text} for text in tiny.texts(5)])
                for feature in LanguageModel().encode(example, model.tokenizer)]
    batch = collate(features, Layout(model.can_pack))
    model.module.eval()
    losses = []
    for cells in (1, 2**25):
        monkeypatch.setattr(chunked_cross_entropy, "MAX_LOGITS", cells)
        model.module.zero_grad()
        loss = build_loss(VocabularyCrossEntropy(), Training(label_smoothing=0.1), ())(model, batch)
        (loss / total_weight([batch])).backward()
        losses.append((loss.item(), {name: weight.grad.clone() for name, weight in model.module.named_parameters()}))
    model.module.zero_grad()
    expected_loss = cross_entropy(model.forward(batch)["logits"], torch.from_numpy(batch.targets["label"]),
                                  smoothing=0.1).sum()
    (expected_loss / total_weight([batch])).backward()
    for value, gradients in losses:
        assert abs(value - expected_loss.item()) < 1e-4 * abs(value)
        for name, weight in model.module.named_parameters():
            assert torch.allclose(weight.grad, gradients[name], atol=1e-5, rtol=1e-4), name
    model.module.zero_grad()


def test_the_response_alone_is_learned_and_a_long_prompt_loses_its_beginning(models):
    task, tokenizer = LanguageModel(), models["gpt2"].tokenizer
    (example,) = examples([{"prompt": "The gardener waters", "response": "the roses."}])
    (feature,) = task.encode(example, tokenizer, Random(0))
    assert list(feature.targets["label"].value) == [*tokenizer.tokenize("the roses.").ids, tokenizer.end_id]
    (long_example,) = examples([{"prompt": " ".join(["roses"] * 300), "response": "the river bank."}])
    (feature,) = task.encode(long_example, tokenizer, Random(0))
    assert len(feature) == tiny.POSITIONS and feature.truncated_tokens > 0
    assert list(feature.targets["label"].value) == [*tokenizer.tokenize("the river bank.").ids, tokenizer.end_id]


def test_a_chat_template_is_used_where_the_tokenizer_has_one(folders, tmp_path):
    import shutil

    folder = shutil.copytree(folders["llama"], tmp_path / "chat")
    plain_tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    plain_tokenizer.chat_template = ("{% for m in messages %}[{{ m.role }}] {{ m.content }} {% endfor %}{% if "
                                     "add_generation_prompt %}[answer] {% endif %}")
    plain_tokenizer.save_pretrained(folder)
    tokenizer = load(str(folder), None, seed=0).tokenizer
    (example,) = examples([{"prompt": "Why?"}])
    for chat, text in ((True, "[user] Why? [answer] "), (False, "Why?\n")):
        (feature,) = LanguageModel(LanguageModel.Settings(chat=chat)).encode(example, tokenizer)
        start_ids = [] if chat else [tokenizer.start_id]
        assert list(feature.ids) == [*start_ids, *tokenizer.tokenize(text).ids]


@DECODERS
def test_a_file_of_texts_trains_a_model_that_beats_its_start(family, folders, tmp_path, headstart):
    (tmp_path / "texts.txt").write_text("\n".join(tiny.texts(150, seed=7)))
    code, _, stderr = headstart("finetune", tmp_path / "texts.txt", "--task", "language-model", "--model",
                                folders[family], "--to", tmp_path / "run",
                                "--epochs", 2, "--learning-rate", "3e-3", "--set", "evaluation.resamples=20")
    assert code == 0, stderr
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert list(scores["test"]) == ["perplexity", "word_perplexity",
                                    "bits_per_byte"] and "3-gram with back-off" in scores["baselines"]
    written_texts, data_texts = scores["tables"]["test"]["writing"]
    assert 0 <= written_texts["ended"] <= 1 and 0 <= (written_texts["repetition"] or 0) <= 1 and data_texts[
        "repetition"] == 0 and data_texts["training_overlap"] is not None
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Generated texts" in page and page.count(" ▸ ") >= 12 and "sample 12" in page
    code, stdout, _ = headstart("evaluate", folders[family], tmp_path / "texts.txt", "--json", "--set",
                                "evaluation.resamples=0")
    assert code == 0 and json.loads(stdout)["scores"]["test"]["perplexity"]["value"] > 1.5 * scores["test"][
        "perplexity"]["value"]
    plain = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model")
    assert plain.config.architectures == [type(plain).__name__]


def test_texts_alone_are_a_tie_that_lists_the_commands(tmp_path, headstart):
    (tmp_path / "t.txt").write_text("\n".join(tiny.texts(30)))
    code, _, stderr = headstart("finetune", tmp_path / "t.txt")
    assert code == 2 and "--task language-model" in stderr and "--task masked-language-model" in stderr


def test_a_sample_takes_a_text_up_at_a_third_or_at_the_response(models):
    tokenizer = models["gpt2"].tokenizer
    (text,) = examples([{"text": "One two three  four five six."}])
    assert LanguageModel().sample_prompt(text, tokenizer) == SamplePrompt("One two", "three  four five six.")
    (word,) = examples([{"text": "One"}])
    assert LanguageModel().sample_prompt(word, tokenizer) == SamplePrompt("One", "")
    (prompt,) = examples([{"prompt": "Why?", "response": "Because."}])
    assert LanguageModel().sample_prompt(prompt, tokenizer) == SamplePrompt(
        "Why?", "Because.", [tokenizer.start_id, *tokenizer.tokenize("Why?\n").ids])


def test_many_unknown_words_are_reported(tmp_path, headstart, folders):
    (tmp_path / "t.txt").write_text("\n".join(f"Zyx {text} qwertz vwxyz" for text in tiny.texts(30)))
    code, _, stderr = headstart("finetune", tmp_path / "t.txt", "--task", "language-model", "--model",
                                folders["transfo-xl"], "--to", tmp_path / "run",
                                "--epochs", 1, "--set", "evaluation.resamples=0", "--set",
                                "evaluation.generated_samples=0")
    assert code == 0 and "of the tokens are unknown to the tokenizer" in stderr
    rows, model = examples([{"text": "Zyx the roses zyx."}]), load(str(folders["transfo-xl"]), None, seed=0)
    (prediction,) = torch_predictor(LanguageModel(), model, batch_tokens=99).predict(rows)
    assert prediction.detail["unknown"] == 2
