"""Steering: nothing moves at step 0, a bag's words become likelier, heads learn and are bound to their model, seeds repeat."""

import json
import sys

import pytest
import tiny
import torch
from conftest import made_rows, write_csv

import headstart
from headstart.errors import UserError
from headstart.generation.steering import attributes, comparison, pplm
from headstart.models.loading.weights import checksum
from headstart.settings import Generation, Steering

FAMILIES = pytest.mark.parametrize("family", pplm.FAMILIES)
PROMPTS = ["The gardener waters", "Nobody here"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {family: tiny.model_folder(family, tmp_path_factory.mktemp("lm") / family, "causal-language-model", seed=4)
            for family in (*pplm.FAMILIES, "openai-gpt")}


@pytest.fixture(scope="module")
def models(folders):
    return {family: headstart.load(place) for family, place in folders.items()}


@pytest.fixture
def words(tmp_path):
    (tmp_path / "garden.txt").write_text("roses\napples\nriver\ntables\n\nroses\n", encoding="utf-8")
    return str(tmp_path / "garden.txt")


@FAMILIES
@pytest.mark.parametrize("sample", [False, True])
def test_with_stepsize_0_the_steered_text_is_the_unsteered_one(family, sample, models, words):
    rows = models[family].generate(PROMPTS, new_tokens=12, steer=[words], steering={"stepsize": 0, "sample": sample}, seed=3)
    for row in rows:
        assert row["tokens"] and [one["token"] for one in row["tokens"]] == [one["token"] for one in row["unsteered"]["tokens"]]


@FAMILIES
def test_the_unsteered_text_is_that_of_generate(family, models, words):
    plain = models[family].generate(PROMPTS, new_tokens=12, repetition_penalty=1.3)
    beside = models[family].generate(PROMPTS, new_tokens=12, repetition_penalty=1.3, steer=[words])
    assert [row["unsteered"]["prediction"] for row in beside] == [row["prediction"] for row in plain]


@FAMILIES
@pytest.mark.parametrize("more", [{}, {"window_length": 2, "decay": True}, {"gamma": 1.0, "kl_scale": 0.1}])
def test_a_bags_words_become_likelier(family, more, models, words):
    model = models[family].loaded
    (bag,) = attributes.read(model, [words])
    asked = Steering(stepsize=0.3, gm_scale=1.0, num_iterations=4, **more)
    for prompt in PROMPTS:
        ids, _ = pplm.lay_out(model, prompt, Generation())
        plain, moved = (pplm.distribution(pplm.Writer(model, asked, held, list(ids)), Generation()).detach() for held in ((), (bag,)))
        assert float(moved[list(bag.ids)].sum()) > 1.1 * float(plain[list(bag.ids)].sum()) and abs(float(moved.sum()) - 1) < 1e-5


def test_weights_stay_and_grad_length_ends_the_steering(models, words):
    model = models["gpt2"]
    before = checksum(model.loaded.module.parameters())
    free, short = (model.generate(PROMPTS, new_tokens=10, steer=[words], steering={"stepsize": 1.0, "grad_length": length}) for length in (99, 0))
    assert checksum(model.loaded.module.parameters()) == before and all(weight.requires_grad for weight in model.loaded.module.parameters())
    assert [row["prediction"] for row in short] == [row["unsteered"]["prediction"] for row in short]
    assert [row["prediction"] for row in free] != [row["prediction"] for row in short]


def test_a_seed_draws_the_same_steered_text_and_leaves_the_global_generator_alone(models, words):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (models["llama"].generate(PROMPTS, new_tokens=10, sample=True, answers=2, steer=[words], seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state()) and first == again != other and len(first) == 4


def rows_file(path):
    return write_csv(path, [row for row in made_rows(120) if row[1] != "mixed"])


@FAMILIES
def test_an_attribute_head_learns_steers_and_is_bound_to_its_model(family, models, tmp_path):
    model = models[family]
    facts = model.learn_attribute(rows_file(tmp_path / "rows.csv"), tmp_path / "mood")
    assert facts["labels"] == ["bad", "good"] and facts["accuracy"] > 0.75 > facts["majority"]
    held = attributes.read(model.loaded, [f"{tmp_path / 'mood'}=good"])
    for prompt in PROMPTS:  # a small step lowers the attribute's loss
        ids, _ = pplm.lay_out(model.loaded, prompt, Generation())
        writer = pplm.Writer(model.loaded, Steering(stepsize=0.02, gamma=1.0, horizon_length=2, kl_scale=0.0), held, list(ids))
        pplm.distribution(writer, Generation())
        writer.cache = [(keys[:, :, :len(ids) - 1], values[:, :, :len(ids) - 1]) for keys, values in writer.plain]
        none = torch.empty(0)
        moved = pplm.steered(writer, none)
        with torch.no_grad():
            assert float(pplm.loss(writer, moved, none)) < float(pplm.loss(writer, writer.cache, none))
    rows = model.generate(PROMPTS, new_tokens=4, steer=[f"{tmp_path / 'mood'}=good"])
    assert all(0 <= held["attributes"]["mood=good"] <= 1 for row in rows for held in (row, row["unsteered"]))
    other = headstart.load(tiny.model_folder(family, tmp_path / "other", "causal-language-model", seed=9))
    with pytest.raises(UserError, match="trained on another model"):
        other.generate(PROMPTS, steer=[f"{tmp_path / 'mood'}=good"])
    with pytest.raises(UserError, match="has no label 'angry'"):
        model.generate(PROMPTS, steer=[f"{tmp_path / 'mood'}=angry"])


def test_a_head_parts_what_can_be_parted():
    states = torch.randn(60, 8, generator=torch.Generator().manual_seed(1)) * 5 + 3
    gold = (states[:, 2] > 3).long() + 2 * (states[:, 5] > 3).long()
    weight, bias = attributes.fit(states, gold, 4)
    assert float(((states @ weight.T + bias).argmax(1) == gold).float().mean()) > 0.95


def test_mean_states_are_those_of_one_text_alone(models):
    model = models["llama"].loaded
    ids = [list(model.tokenizer.tokenize(text).ids) for text in tiny.texts(5, seed=2)]
    together = attributes.mean_states(model, ids)
    for one, mean in zip(ids, together, strict=True):
        with torch.no_grad():
            assert torch.allclose(model.module.base_model(torch.tensor([one]))[0][0].mean(0), mean, atol=1e-4)


def test_marks_and_colours_stand_where_the_words_stand():
    bag = attributes.Bag("sea", ("ship", "ships"), (1,))
    text = "Ships! A ship of shipping."
    marks = bag.marks(text)
    assert [text[one["start"]:one["end"]] for one in marks] == ["Ships", "ship"]
    assert comparison.coloured(text, marks) == "\x1b[31mShips\x1b[0m! A \x1b[31mship\x1b[0m of shipping."


def test_the_commands_train_a_head_and_show_both_texts(folders, words, tmp_path, headstart, monkeypatch):
    code, out, _ = headstart("steering", folders["gpt2"], rows_file(tmp_path / "rows.csv"), "--to", tmp_path / "mood")
    assert code == 0 and "held-out texts" in out
    steer = ["generate", folders["gpt2"], "The gardener", "--new-tokens", 5, "--steer", words, "--steer", f"{tmp_path / 'mood'}=good"]
    code, out, _ = headstart(*steer)
    assert code == 0 and out.startswith("unsteered (perplexity ") and "\nsteered (perplexity " in out and "mood=good" in out and "\x1b" not in out
    code, out, _ = headstart(*steer, "--json", "--set", "steering.uncond=true")
    assert code == 0 and json.loads(out)["prompt"] == "" and {"marks", "perplexity", "attributes", "unsteered"} <= set(json.loads(out))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert headstart(*steer, "--set", "steering.stepsize=1", "--new-tokens", 12)[0] == 0


def test_what_cannot_be_is_refused(folders, words, tmp_path, headstart):
    def refused(family, *more):
        code, _, said = headstart("generate", folders[family], "The", "--new-tokens", 3, *more)
        assert code
        return code, said

    assert refused("openai-gpt", "--steer", words)[0] == 2
    assert refused("gpt2", "--steer", words, "--beams", 2)[0] == 78 and "steering.top_k" in refused("gpt2", "--steer", words, "--top-k", 5)[1]
    code, said = refused("gpt2", "--steer", "kitchne")
    assert code == 66 and "Did you mean kitchen?" in said
    assert refused("gpt2", "--steer", f"{tmp_path}=good")[0] == 66
    (tmp_path / "odd.txt").write_text("hippopotamus\nincomprehensible\n", encoding="utf-8")
    assert refused("gpt2", "--steer", tmp_path / "odd.txt")[0] == 65
    assert headstart("steering", folders["gpt2"], rows_file(tmp_path / "r.csv"), "--to", tmp_path / "h", "--label", "mood")[0] == 65


def test_the_bags_of_headstart_are_lists_of_plain_words():
    assert attributes.bag_names() == ["kitchen", "science", "sea"]
    for name in attributes.bag_names():
        held = (attributes.BAGS / f"{name}.txt").read_text(encoding="utf-8").split()
        assert held == sorted(set(held)) and len(held) > 30
