"""What a prediction rests on: scores are those of captum and of plain formulas, for every family."""

import json

import numpy as np
import pytest
import tiny

from headstart.errors import UserError
from headstart.inspection.attribution import METHODS, attribute
from headstart.prediction.probe_file import load_for_inspection

TEXT, PAIR = "The gardener can't find seven green apples.", "A young doctor forgets the café tables!"
LABELS = ["bad", "good", "mixed"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attribution")
    return {family: tiny.model_folder(family, folder / family, "sequence-classification", LABELS)
            for family in tiny.FAMILIES}


@pytest.fixture(scope="module")
def bert(folders):
    return load_for_inspection(str(folders["bert"]), device="cpu")[0]


# Those whose tokenizer in plain transformers lays texts out as ours does, and says which tokens are special.
ENCODERS = [*tiny.FAMILIES[:6], "mpnet", "deberta-v2"]


class ReferenceModel:
    """The same model in plain transformers, fed with embeddings."""

    def __init__(self, folder, text, pair, baseline):
        import torch
        import transformers

        self.model = transformers.AutoModelForSequenceClassification.from_pretrained(folder,
                                                                                     attn_implementation="eager").eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.encoding = tokenizer(*[text, *([pair] if pair else [])], return_tensors="pt")
        self.special = torch.tensor([owner is None for owner in self.encoding.sequence_ids()])
        ids = self.encoding.pop("input_ids")
        filler = tokenizer.pad_token_id if baseline == "pad" else tokenizer.mask_token_id
        embeddings = self.model.get_input_embeddings()
        self.inputs, self.base = embeddings(ids).detach(), embeddings(torch.where(self.special, ids, filler)).detach()

    def __call__(self, embeddings):
        inputs = {name: value.expand(len(embeddings), -1) for name, value in self.encoding.items()}
        return self.model(inputs_embeds=embeddings, **inputs).logits


@pytest.mark.parametrize("pair", [None, PAIR])
@pytest.mark.parametrize("family", ENCODERS)
def test_scores_are_those_of_captum(family, pair, folders, captum):
    model, trained = load_for_inspection(str(folders[family]), device="cpu")
    assert trained
    reference = ReferenceModel(folders[family], TEXT, pair, "pad")
    expected, error = captum.IntegratedGradients(reference).attribute(reference.inputs, reference.base, target=1,
                                                                      n_steps=20, return_convergence_delta=True)
    attribution = attribute(model, TEXT, pair, target="good", steps=20)
    assert np.allclose(attribution.token_scores, expected.sum(-1)[0].detach().numpy(),
                       atol=1e-4) and attribution.error == pytest.approx(float(error), abs=1e-4)
    expected = captum.InputXGradient(reference).attribute(reference.inputs.clone().requires_grad_(), target=1)
    assert np.allclose(attribute(model, TEXT, pair, target="good", method="gradient-x-input").token_scores,
                       expected.sum(-1)[0].detach().numpy(), atol=1e-4)


@pytest.mark.parametrize("family", ENCODERS)
def test_scores_are_those_of_plain_formulas(family, folders):
    import torch

    model, _ = load_for_inspection(str(folders[family]), device="cpu")
    reference = ReferenceModel(folders[family], TEXT, PAIR, "pad")
    shares = (torch.arange(800) + 0.5) / 800  # the middles of 800 equal parts
    total = torch.zeros_like(reference.inputs)
    for part in shares.split(100):
        points = (reference.base + part[:, None, None] * (reference.inputs - reference.base)).requires_grad_()
        reference(points)[:, 2].sum().backward()
        total += points.grad.sum(0) / len(shares)
    scores = (total * (reference.inputs - reference.base)).sum(-1)[0].numpy()
    attribution = attribute(model, TEXT, PAIR, target="mixed", steps=128)
    assert np.allclose(attribution.token_scores, scores,
                       atol=1e-3) and not attribution.token_scores[reference.special.numpy()].any()
    with torch.no_grad():
        assert (attribution.value, attribution.baseline_value) == pytest.approx(
            (float(reference(reference.inputs)[0, 2]), float(reference(reference.base)[0, 2])), abs=1e-4)
    assert attribution.error == pytest.approx(attribution.token_scores.sum() - attribution.value
                                              + attribution.baseline_value, abs=1e-6)


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_occlusion_hides_one_word_after_the_other(family, folders):
    import torch

    model, _ = load_for_inspection(str(folders[family]), device="cpu")
    attribution = attribute(model, TEXT, method="occlusion", target="good")
    reference = ReferenceModel(folders[family], TEXT, None, "mask")
    assert attribution.baseline == "mask" and len(attribution.words) > 5
    for word, score in attribution.words:
        hidden = reference.inputs.clone()
        for index in word.token_indices:
            hidden[0, index] = reference.base[0, index]
        with torch.no_grad():
            fall = float(reference(reference.inputs)[0, 1] - reference(hidden)[0, 1])
        assert score == pytest.approx(fall, abs=1e-4)


def test_the_path_is_refined_until_it_adds_up(bert):
    attribution = attribute(bert, TEXT)
    assert attribution.steps >= 32 and (abs(attribution.error) <= 0.01 * abs(
        attribution.value - attribution.baseline_value) or attribution.steps == 512)
    assert attribution.label == attribution.predicted and sum(score for _, score in attribution.words) == pytest.approx(
        float(attribution.token_scores.sum()))
    assert (f"{attribution.steps} steps" in attribution.method_sentence()
            and attribution.predicted in attribution.sentence())


def test_the_model_answers_as_before(bert, folders):
    import headstart

    model = headstart.load(folders["bert"])
    first = model.predict([TEXT])
    attribution = model.attribute(TEXT, method="gradient-x-input")
    assert model.predict([TEXT]) == first and first[0]["prediction"] == attribution.predicted
    assert first[0]["probability"] == pytest.approx(attribution.probability, abs=1e-6)
    assert all(weight.grad is None for weight in model.transformer.module.parameters())


def test_a_word_that_decides_is_found(trained_run):
    import headstart

    model = headstart.load(trained_run[0])
    for method in METHODS:
        attribution = model.attribute("we sat near an old river while broken music played softly", method=method,
                                      target="bad")
        if method != "gradient-x-input":
            assert max(attribution.words, key=lambda word_score: word_score[1])[0].text == "broken", method


def test_what_cannot_be_explained_is_refused(bert, folders, tmp_path):
    bare = load_for_inspection(str(tiny.model_folder("bert", tmp_path / "bare")), device="cpu")[0]
    tagger = load_for_inspection(str(tiny.model_folder("bert", tmp_path / "tagger", "token-classification")),
                                 device="cpu")[0]
    for model in (bare, tagger):
        with pytest.raises(UserError, match="no such trained head"):
            attribute(model, TEXT)
    for options, message in (({"method": "occlusio"}, "Did you mean occlusion"),
                             ({"target": "goood"}, "Did you mean good"), ({"baseline": "zero"}, "pad or mask")):
        with pytest.raises(UserError) as error:
            attribute(bert, TEXT, **options)
        assert message in str(error.value)


def test_a_number_is_explained_too(tmp_path):
    folder = tiny.model_folder("distilbert", tmp_path / "m", "sequence-classification", ["score"],
                               problem_type="regression")
    attribution = attribute(load_for_inspection(str(folder), device="cpu")[0], TEXT)
    assert attribution.probability is None and float(attribution.predicted) == pytest.approx(
        attribution.value, abs=1e-3)


def test_the_command_scores_words(folders, headstart, tmp_path):
    code, stdout, stderr = headstart("inspect", folders["bert"], TEXT, "--attribute", "integrated-gradients",
                                     "--attribute-label", "good", "--page", tmp_path / "a.html")
    assert (code == 0 and "for good" in stdout and "gardener" in stdout and "miss the difference by" in stderr
            and "The model predicts" in stderr)
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "Attribution of the prediction" in page and page.count("<span data-word>") == 10
    code, stdout, _ = headstart("inspect", folders["bert"], TEXT, "--attribute", "occlusion", "--json")
    attribution = json.loads(stdout)["attribution"]
    assert code == 0 and attribution["method"] == "occlusion" and len(attribution["token_scores"]) == len(
        json.loads(stdout)["tokens"])
    for options in (["--attribute-label", "good"], ["--attribute", "gradients"], ["--attribute", "occlusion", "--attribute-label", "x"],
                    ["--attribute", "occlusion", "--attribute-baseline", "x"]):
        assert headstart("inspect", folders["bert"], TEXT, *options)[0] == 2
