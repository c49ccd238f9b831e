"""What a prediction rests on: scores are those of captum and of plain formulas, for every family."""

import json

import numpy as np
import pytest
import tiny

from headstart.errors import UserError
from headstart.inspection.attribution import METHODS, attribute
from headstart.prediction.probe_file import opened

TEXT, PAIR = "The gardener can't find seven green apples.", "A young doctor forgets the café tables!"
LABELS = ["bad", "good", "mixed"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("attributed")
    return {family: tiny.model_folder(family, place / family, "sequence-classification", LABELS) for family in tiny.FAMILIES}


@pytest.fixture(scope="module")
def bert(folders):
    return opened(str(folders["bert"]), device="cpu")[0]


# Those whose tokenizer in plain transformers lays texts out as ours does, and says which tokens are special.
ENCODERS = [*tiny.FAMILIES[:6], "mpnet", "deberta-v2"]


class Plain:
    """The same model in plain transformers, fed with embeddings."""

    def __init__(self, folder, text, pair, baseline):
        import torch
        import transformers

        self.model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager").eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.held = tokenizer(*[text, *([pair] if pair else [])], return_tensors="pt")
        self.special = torch.tensor([owner is None for owner in self.held.sequence_ids()])
        ids = self.held.pop("input_ids")
        filler = tokenizer.pad_token_id if baseline == "pad" else tokenizer.mask_token_id
        table = self.model.get_input_embeddings()
        self.inputs, self.base = table(ids).detach(), table(torch.where(self.special, ids, filler)).detach()

    def __call__(self, embeddings):
        held = {name: value.expand(len(embeddings), -1) for name, value in self.held.items()}
        return self.model(inputs_embeds=embeddings, **held).logits


@pytest.mark.parametrize("pair", [None, PAIR])
@pytest.mark.parametrize("family", ENCODERS)
def test_scores_are_those_of_captum(family, pair, folders, captum):
    model, trained = opened(str(folders[family]), device="cpu")
    assert trained
    plain = Plain(folders[family], TEXT, pair, "pad")
    theirs, error = captum.IntegratedGradients(plain).attribute(plain.inputs, plain.base, target=1, n_steps=20, return_convergence_delta=True)
    ours = attribute(model, TEXT, pair, target="good", steps=20)
    assert np.allclose(ours.token_scores, theirs.sum(-1)[0].detach().numpy(), atol=1e-4) and ours.error == pytest.approx(float(error), abs=1e-4)
    theirs = captum.InputXGradient(plain).attribute(plain.inputs.clone().requires_grad_(), target=1)
    assert np.allclose(attribute(model, TEXT, pair, target="good", method="gradient-x-input").token_scores, theirs.sum(-1)[0].detach().numpy(), atol=1e-4)


@pytest.mark.parametrize("family", ENCODERS)
def test_scores_are_those_of_plain_formulas(family, folders):
    import torch

    model, _ = opened(str(folders[family]), device="cpu")
    plain = Plain(folders[family], TEXT, PAIR, "pad")
    shares = (torch.arange(800) + 0.5) / 800  # the middles of 800 equal parts
    total = torch.zeros_like(plain.inputs)
    for part in shares.split(100):
        points = (plain.base + part[:, None, None] * (plain.inputs - plain.base)).requires_grad_()
        plain(points)[:, 2].sum().backward()
        total += points.grad.sum(0) / len(shares)
    scores = (total * (plain.inputs - plain.base)).sum(-1)[0].numpy()
    ours = attribute(model, TEXT, PAIR, target="mixed", steps=128)
    assert np.allclose(ours.token_scores, scores, atol=1e-3) and not ours.token_scores[plain.special.numpy()].any()
    with torch.no_grad():
        assert (ours.value, ours.base) == pytest.approx((float(plain(plain.inputs)[0, 2]), float(plain(plain.base)[0, 2])), abs=1e-4)
    assert ours.error == pytest.approx(ours.token_scores.sum() - ours.value + ours.base, abs=1e-6)


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_occlusion_hides_one_word_after_the_other(family, folders):
    import torch

    model, _ = opened(str(folders[family]), device="cpu")
    ours = attribute(model, TEXT, method="occlusion", target="good")
    plain = Plain(folders[family], TEXT, None, "mask")
    assert ours.baseline == "mask" and len(ours.words) > 5
    for word, score in ours.words:
        hidden = plain.inputs.clone()
        for place in word.places:
            hidden[0, place] = plain.base[0, place]
        with torch.no_grad():
            fall = float(plain(plain.inputs)[0, 1] - plain(hidden)[0, 1])
        assert score == pytest.approx(fall, abs=1e-4)


def test_the_path_is_refined_until_it_adds_up(bert):
    made = attribute(bert, TEXT)
    assert made.steps >= 32 and (abs(made.error) <= 0.01 * abs(made.value - made.base) or made.steps == 512)
    assert made.label == made.predicted and sum(score for _, score in made.words) == pytest.approx(float(made.token_scores.sum()))
    assert f"{made.steps} steps" in made.accuracy() and made.predicted in made.sentence()


def test_the_model_answers_as_before(bert, folders):
    import headstart

    model = headstart.load(folders["bert"])
    first = model.predict([TEXT])
    made = model.attribute(TEXT, method="gradient-x-input")
    assert model.predict([TEXT]) == first and first[0]["prediction"] == made.predicted
    assert first[0]["probability"] == pytest.approx(made.probability, abs=1e-6)
    assert all(weight.grad is None for weight in model.loaded.module.parameters())


def test_a_word_that_decides_is_found(trained):
    import headstart

    model = headstart.load(trained[0])
    for method in METHODS:
        made = model.attribute("we sat near an old river while broken music played softly", method=method, target="bad")
        if method != "gradient-x-input":
            assert max(made.words, key=lambda one: one[1])[0].text == "broken", method


def test_what_cannot_be_explained_is_told(bert, folders, tmp_path):
    bare = opened(str(tiny.model_folder("bert", tmp_path / "bare")), device="cpu")[0]
    tagger = opened(str(tiny.model_folder("bert", tmp_path / "tagger", "token-classification")), device="cpu")[0]
    for model in (bare, tagger):
        with pytest.raises(UserError, match="no such trained head"):
            attribute(model, TEXT)
    for asked, told in (({"method": "occlusio"}, "Did you mean occlusion"), ({"target": "goood"}, "Did you mean good"), ({"baseline": "zero"}, "pad or mask")):
        with pytest.raises(UserError) as error:
            attribute(bert, TEXT, **asked)
        assert told in str(error.value)


def test_a_number_is_explained_too(tmp_path):
    place = tiny.model_folder("distilbert", tmp_path / "m", "sequence-classification", ["score"], problem_type="regression")
    made = attribute(opened(str(place), device="cpu")[0], TEXT)
    assert made.probability is None and float(made.predicted) == pytest.approx(made.value, abs=1e-3)


def test_the_command_scores_words(folders, headstart, tmp_path):
    code, out, err = headstart("inspect", folders["bert"], TEXT, "--attribute", "integrated-gradients", "--target", "good", "--page", tmp_path / "a.html")
    assert code == 0 and "for good" in out and "gardener" in out and "miss the difference by" in err and "The model says" in err
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "What the prediction rests on" in page and page.count("<span data-word>") == 10
    code, out, _ = headstart("inspect", folders["bert"], TEXT, "--attribute", "occlusion", "--json")
    held = json.loads(out)["attribution"]
    assert code == 0 and held["method"] == "occlusion" and len(held["token_scores"]) == len(json.loads(out)["tokens"])
    for words in (["--target", "good"], ["--attribute", "gradients"], ["--attribute", "occlusion", "--target", "x"], ["--attribute", "occlusion", "--baseline", "x"]):
        assert headstart("inspect", folders["bert"], TEXT, *words)[0] == 2
