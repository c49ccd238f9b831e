"""Attribution of every head of every family adds up, and starts from what the model says without it."""

import numpy as np
import pytest
import tiny

import headstart
from headstart.contract import ErrorToExplain
from headstart.errors import Exit, UserError
from headstart.inspection.attribution import METHODS, attribute
from headstart.inspection.encode import encode
from headstart.inspection.error_attribution import explain_error
from headstart.inspection.subjects import continuation_ids
from headstart.models.loading.catalogue import CATALOGUE
from headstart.models.loading.load import load
from headstart.prediction.probe_file import load_for_inspection

TEXT, PASSAGE = "The gardener can't find seven green apples.", "A young doctor forgets the tables!"
HEADS = {family.name: family.heads for family in CATALOGUE}
LABELS = ["bad", "good", "mixed"]


def families(head):
    return [family for family in tiny.FAMILIES if head in HEADS[family]]


def model_of(family, head, folder, labels=None):
    model_folder = tiny.model_folder(family, folder / f"{family}-{head}", head, labels)
    return load_for_inspection(str(model_folder), device="cpu")[0]


def assert_adds_up(attribution):
    difference = attribution.value - attribution.baseline_value
    assert abs(attribution.error) <= max(0.02 * abs(difference), 0.005), (attribution.error, difference)


@pytest.mark.parametrize("family", families("sequence-classification"))
def test_a_label_of_every_family(family, tmp_path):
    model = model_of(family, "sequence-classification", tmp_path, LABELS)
    attribution = attribute(model, TEXT, target="good")
    assert_adds_up(attribution)
    (row,) = headstart.load(tmp_path / f"{family}-sequence-classification").predict([TEXT])
    assert attribution.predicted == row["prediction"]
    assert attribution.probability == pytest.approx(row["probability"], abs=1e-5)


@pytest.mark.parametrize("family", families("question-answering"))
def test_an_answer_of_every_family(family, tmp_path):
    model = model_of(family, "question-answering", tmp_path)
    attribution = attribute(model, TEXT, PASSAGE)
    assert_adds_up(attribution)
    (row,) = headstart.load(tmp_path / f"{family}-question-answering").predict([{"question": TEXT, "passage": PASSAGE}])
    assert attribution.kind == "answer" and attribution.label == attribution.predicted == row["prediction"]
    attribution = attribute(model, TEXT, PASSAGE, target="young doctor", method="occlusion")
    assert attribution.label == "young doctor" and attribution.predicted == row["prediction"]


@pytest.mark.parametrize("family", families("question-answering-beams"))
def test_an_answer_of_a_head_that_searches_with_beams(family, tmp_path):
    import torch

    model = model_of(family, "question-answering-beams", tmp_path)
    attribution = attribute(model, TEXT, PASSAGE)
    assert_adds_up(attribution)
    (row,) = headstart.load(tmp_path / f"{family}-question-answering-beams").predict(
        [{"question": TEXT, "passage": PASSAGE}])
    assert attribution.label == attribution.predicted == row["prediction"]
    tokens = [index for index, token in enumerate(attribution.encoded.tokens) if token.part == "pair"
              and token.begin < row["end"] and token.end > row["start"]]
    backbone = model.module.base_model
    ids = torch.tensor([list(attribution.encoded.feature.ids)])
    types = {"token_type_ids": torch.tensor([list(attribution.encoded.feature.types)])} if family == "xlnet" else {}
    with torch.no_grad():
        states = backbone(ids, **types)[0]
        head = model.module if family == "xlnet" else model.module.qa_outputs
        expected = head.start_logits(states)[0, tokens[0]] + head.end_logits(
            states, start_positions=torch.tensor([tokens[0]]))[0, tokens[-1]]
    assert attribution.value == pytest.approx(float(expected), abs=1e-4)


@pytest.mark.parametrize("family", families("causal-language-model"))
def test_what_comes_next_of_every_family(family, tmp_path):
    import torch

    model = model_of(family, "causal-language-model", tmp_path)
    attribution = attribute(model, TEXT)
    assert_adds_up(attribution)
    assert attribution.kind == "continuation" and attribution.label == attribution.predicted
    assert np.exp(attribution.value) == pytest.approx(attribution.probability, abs=1e-5)
    continued = attribute(model, TEXT, target="The roses")
    assert_adds_up(continued)
    assert len(continued.token_scores) == len(continued.encoded.tokens) == len(attribution.encoded.tokens)
    if family in ("gpt2", "llama", "openai-gpt", "ctrl"):  # plain transformers, the whole text at once
        ids = [token.id for token in continued.encoded.tokens]
        next_ids = model.tokenizer.tokenize(f"{TEXT} The roses").ids[len(model.tokenizer.tokenize(TEXT).ids):]
        with torch.no_grad():
            logits = model.module(torch.tensor([[*ids, *next_ids]])).logits[0, len(ids) - 1:-1]
        expected = torch.log_softmax(logits, -1).gather(1, torch.tensor(next_ids)[:, None]).sum()
        assert continued.value == pytest.approx(float(expected), abs=1e-3)


def test_the_words_of_a_prompt_are_scored_as_captum_scores_them(tmp_path, captum):
    import torch

    folder = tiny.model_folder("gpt2", tmp_path / "gpt2", "causal-language-model")
    model = load_for_inspection(str(folder), device="cpu")[0]
    attribution = attribute(model, TEXT, steps=64)
    ids = torch.tensor([[token.id for token in attribution.encoded.tokens]])
    table, module = model.module.get_input_embeddings(), model.module
    likeliest = int(module(ids).logits[0, -1].argmax())

    def output(points):
        return torch.log_softmax(module(inputs_embeds=points).logits[:, -1], -1)[:, likeliest]

    expected = captum.IntegratedGradients(output).attribute(
        table(ids).detach(), table(torch.full_like(ids, model.tokenizer.pad_id)).detach(), n_steps=64,
        method="gausslegendre")
    assert np.allclose(attribution.token_scores, expected.sum(-1)[0].detach().numpy(), atol=1e-3)


@pytest.mark.parametrize("count", [15, 16, 17])
def test_an_xlnet_is_read_along_its_words_however_many_points_there_are(count, tmp_path):
    """Its embeddings are words by rows: with as many points as words nothing tells them apart but the family."""
    model = model_of("xlnet", "sequence-classification", tmp_path, LABELS)
    attribution = attribute(model, " ".join(["roses"] * 3), target="bad", steps=count)
    exact = attribute(model, " ".join(["roses"] * 3), target="bad", steps=128)
    assert np.allclose(attribution.token_scores, exact.token_scores, atol=1e-3)


@pytest.mark.parametrize("head, error", [
    ("sequence-classification", ErrorToExplain(0, TEXT, None, "", "", column=1)),
    ("token-classification", ErrorToExplain(0, TEXT, None, "", "", position_columns=((4, 2),))),
    ("question-answering", ErrorToExplain(0, TEXT, PASSAGE, "", "", position_columns=((2, 0), (6, 1)))),
    ("question-answering-beams", ErrorToExplain(0, TEXT, PASSAGE, "", "", position_columns=((2, 0), (6, 1))))])
@pytest.mark.parametrize("family", ["xlnet", "xlm", "gpt2"])
def test_wrong_answers_are_explained_at_every_head(family, head, error, tmp_path):
    if head not in HEADS[family]:
        pytest.skip(f"{family} has no such head")
    folder = tiny.model_folder(family, tmp_path / "m", head, None if head.startswith("question") else LABELS)
    attribution = explain_error(load(str(folder), None, seed=0), error)
    assert abs(attribution.error) <= max(0.05 * abs(attribution.difference), 0.01) and attribution.words


@pytest.mark.parametrize("method", METHODS)
def test_a_baseline_without_a_padding_token_is_told(method, tmp_path):
    model = model_of("llama", "causal-language-model", tmp_path)
    attribution = attribute(model, TEXT, method=method)
    assert model.tokenizer.hf_tokenizer.pad_token is None or not attribution.baseline_piece
    assert ("there is no padding token" in attribution.method_sentence()) == bool(attribution.baseline_piece)


@pytest.mark.parametrize("text, target, joined", [
    ("The roses", "bloom", "The roses bloom"), ("The roses.", "They", "The roses. They"),
    ("He said \"", "no", 'He said "no'), ("The roses ", "bloom", "The roses bloom"),
    ("The roses", " bloom", "The roses bloom"), ("The roses", ".", "The roses."), ("茶", "と", "茶と")])
def test_a_continuation_is_read_with_the_text_before_it(text, target, joined, tmp_path):
    model = model_of("gpt2", "causal-language-model", tmp_path)
    ids = continuation_ids(model, encode(model, text), target)
    text_ids = list(model.tokenizer.tokenize(text).ids)
    assert model.tokenizer.hf_tokenizer.decode([*text_ids, *ids]) == joined
    if not text.endswith(" "):  # whose blank would belong to the next word
        assert [*text_ids, *ids] == list(model.tokenizer.tokenize(joined).ids)


def test_what_cannot_be_explained_is_told(tmp_path):
    reader = model_of("bert", "question-answering", tmp_path)
    with pytest.raises(UserError, match="there is no passage"):
        attribute(reader, TEXT)
    with pytest.raises(UserError, match="does not contain the answer 'roses'") as error:
        attribute(reader, TEXT, PASSAGE, target="roses")
    assert error.value.exit == Exit.DATA
    writer = model_of("gpt2", "causal-language-model", tmp_path)
    with pytest.raises(UserError, match="reads at most 128 tokens"):
        attribute(writer, TEXT, target="roses " * 200)
    with pytest.raises(UserError, match="no such trained head"):
        attribute(model_of("gpt2", "multiple-choice", tmp_path), TEXT)
    with pytest.raises(UserError, match="no such trained head"):
        attribute(model_of("bert", "masked-language-model", tmp_path), TEXT)
