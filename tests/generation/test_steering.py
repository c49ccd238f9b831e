"""Steering: nothing moves at step 0, a bag's words become likelier, heads learn and are bound to their model, seeds
repeat.
"""

import json
import sys

import pytest
import tiny
import torch
from conftest import review_rows, write_csv

import headstart
from headstart.errors import UserError
from headstart.generation.steering import attributes, comparison, pplm
from headstart.models.loading.catalogue import CATALOGUE
from headstart.models.loading.weights import checksum
from headstart.settings import Generation, Steering

STEERED = [family.model_type for family in CATALOGUE if family.steering]
FAMILIES = pytest.mark.parametrize("family", STEERED)
PROMPTS = ["The gardener waters", "Nobody here"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {family: tiny.model_folder(family, tmp_path_factory.mktemp("lm") / family, "causal-language-model", seed=4)
            for family in (*STEERED, "openai-gpt")}


@pytest.fixture(scope="module")
def models(folders):
    return {family: headstart.load(folder) for family, folder in folders.items()}


@pytest.fixture
def words(tmp_path):
    (tmp_path / "garden.txt").write_text("roses\napples\nriver\ntables\n\nroses\n", encoding="utf-8")
    return str(tmp_path / "garden.txt")


@FAMILIES
@pytest.mark.parametrize("sample", [False, True])
def test_with_stepsize_0_the_steered_text_is_the_unsteered_one(family, sample, models, words):
    rows = models[family].generate(PROMPTS, max_new_tokens=12, steer=[words],
                                   steering={"stepsize": 0, "do_sample": sample}, seed=3)
    for row in rows:
        assert row["tokens"] and [token["token"] for token in row["tokens"]] == [
            token["token"] for token in row["unsteered"]["tokens"]]


@FAMILIES
def test_the_unsteered_text_is_that_of_generate(family, models, words):
    rows = models[family].generate(PROMPTS, max_new_tokens=12, repetition_penalty=1.3)
    steered_rows = models[family].generate(PROMPTS, max_new_tokens=12, repetition_penalty=1.3, steer=[words])
    assert [row["unsteered"]["prediction"] for row in steered_rows] == [row["prediction"] for row in rows]


@FAMILIES
@pytest.mark.parametrize("options", [{}, {"window_length": 2, "decay": True}, {"gamma": 1.0, "kl_scale": 0.1}])
def test_a_bags_words_become_likelier(family, options, models, words):
    model = models[family].transformer
    (bag,) = attributes.load_attributes(model, [words])
    steering = Steering(stepsize=0.3, gm_scale=1.0, num_iterations=4, **options)
    for prompt in PROMPTS:
        ids, _ = pplm.encode_prompt(model, prompt, Generation())
        unsteered, steered = (pplm.distribution(pplm.SteeredGeneration(model, steering, targets, list(ids)),
                                                Generation()).detach() for targets in ((), (bag,)))
        assert float(steered[list(bag.ids)].sum()) > 1.1 * float(unsteered[list(bag.ids)].sum()) and abs(
            float(steered.sum()) - 1) < 1e-5


def test_weights_stay_and_grad_length_ends_the_steering(models, words):
    model = models["gpt2"]
    before = checksum(model.transformer.module.parameters())
    free, short = (model.generate(PROMPTS, max_new_tokens=10, steer=[words],
                                  steering={"stepsize": 1.0, "grad_length": length}) for length in (99, 0))
    assert checksum(model.transformer.module.parameters()) == before and all(
        weight.requires_grad for weight in model.transformer.module.parameters())
    assert [row["prediction"] for row in short] == [row["unsteered"]["prediction"] for row in short]
    assert [row["prediction"] for row in free] != [row["prediction"] for row in short]


def test_a_seed_draws_the_same_steered_text_and_leaves_the_global_generator_alone(models, words):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, repeated, reseeded = (models["llama"].generate(PROMPTS, max_new_tokens=10, do_sample=True,
                                                          num_return_sequences=2, steer=[words], seed=seed)
                                 for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state()) and first == repeated != reseeded and len(first) == 4


def rows_file(path):
    return write_csv(path, [row for row in review_rows(120) if row[1] != "mixed"])


@FAMILIES
def test_an_attribute_head_learns_steers_and_is_bound_to_its_model(family, models, tmp_path):
    model = models[family]
    description = model.train_steering_head(rows_file(tmp_path / "rows.csv"), tmp_path / "mood")
    assert description["labels"] == ["bad", "good"] and description["accuracy"] > 0.75 > description["majority"]
    targets = attributes.load_attributes(model.transformer, [f"{tmp_path / 'mood'}=good"])
    for prompt in PROMPTS:  # a small step lowers the attribute's loss
        ids, _ = pplm.encode_prompt(model.transformer, prompt, Generation())
        generation = pplm.SteeredGeneration(model.transformer, Steering(stepsize=0.02, gamma=1.0, horizon_length=2,
                                                                        kl_scale=0.0), targets, list(ids))
        pplm.distribution(generation, Generation())
        generation.steered_cache = [(keys[:, :, :len(ids) - 1], values[:, :, :len(ids) - 1])
                                    for keys, values in generation.unsteered_cache]
        no_distribution = torch.empty(0)
        steered = pplm.steered_cache(generation, no_distribution)
        with torch.no_grad():
            assert float(pplm.loss(generation, steered, no_distribution)) < float(
                pplm.loss(generation, generation.steered_cache, no_distribution))
    rows = model.generate(PROMPTS, max_new_tokens=4, steer=[f"{tmp_path / 'mood'}=good"])
    assert all(0 <= text_row["attributes"]["mood=good"] <= 1 for row in rows for text_row in (row, row["unsteered"]))
    other_model = headstart.load(tiny.model_folder(family, tmp_path / "other", "causal-language-model", seed=9))
    with pytest.raises(UserError, match="trained on another model"):
        other_model.generate(PROMPTS, steer=[f"{tmp_path / 'mood'}=good"])
    with pytest.raises(UserError, match="has no label 'angry'"):
        model.generate(PROMPTS, steer=[f"{tmp_path / 'mood'}=angry"])


def test_a_head_separates_separable_classes():
    states = torch.randn(60, 8, generator=torch.Generator().manual_seed(1)) * 5 + 3
    gold = (states[:, 2] > 3).long() + 2 * (states[:, 5] > 3).long()
    weight, bias = attributes.fit(states, gold, 4)
    assert float(((states @ weight.T + bias).argmax(1) == gold).float().mean()) > 0.95


def test_mean_states_are_those_of_one_text_alone(models):
    model = models["llama"].transformer
    ids = [list(model.tokenizer.tokenize(text).ids) for text in tiny.texts(5, seed=2)]
    means = attributes.mean_states(model, ids)
    for text_ids, mean in zip(ids, means, strict=True):
        with torch.no_grad():
            assert torch.allclose(model.module.base_model(torch.tensor([text_ids]))[0][0].mean(0), mean, atol=1e-4)


def test_marks_and_colours_stand_where_the_words_stand():
    bag = attributes.BagOfWords("sea", ("ship", "ships"), (1,))
    text = "Ships! A ship of shipping."
    marks = bag.matches(text)
    assert [text[mark["start"]:mark["end"]] for mark in marks] == ["Ships", "ship"]
    assert comparison.coloured(text, marks) == "\x1b[31mShips\x1b[0m! A \x1b[31mship\x1b[0m of shipping."


def test_the_commands_train_a_head_and_show_both_texts(folders, words, tmp_path, headstart, monkeypatch):
    code, stdout, _ = headstart("steering-head", folders["gpt2"], rows_file(tmp_path / "rows.csv"), "--to",
                                tmp_path / "mood")
    assert code == 0 and "held-out texts" in stdout
    command = ["generate", folders["gpt2"], "The gardener", "--max-new-tokens", 5, "--steer", words, "--steer",
               f"{tmp_path / 'mood'}=good"]
    code, stdout, _ = headstart(*command)
    assert (code == 0 and stdout.startswith(
        "unsteered (perplexity ") and "\nsteered (perplexity " in stdout and "mood=good" in stdout
            and "\x1b" not in stdout)
    code, stdout, _ = headstart(*command, "--json", "--set", "steering.uncond=true")
    assert code == 0 and json.loads(stdout)["prompt"] == "" and {"marks", "perplexity", "attributes",
                                                                 "unsteered"} <= set(json.loads(stdout))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert headstart(*command, "--set", "steering.stepsize=1", "--max-new-tokens", 12)[0] == 0


def test_impossible_requests_are_refused(folders, words, tmp_path, headstart):
    def refusal(family, *options):
        code, _, message = headstart("generate", folders[family], "The", "--max-new-tokens", 3, *options)
        assert code
        return code, message

    assert refusal("openai-gpt", "--steer", words)[0] == 2
    assert refusal("gpt2", "--steer", words, "--num-beams",
                   2)[0] == 78 and "steering.top_k" in refusal("gpt2", "--steer", words, "--top-k", 5)[1]
    code, message = refusal("gpt2", "--steer", "kitchne")
    assert code == 66 and "Did you mean kitchen?" in message
    assert refusal("gpt2", "--steer", f"{tmp_path}=good")[0] == 66
    (tmp_path / "odd.txt").write_text("hippopotamus\nincomprehensible\n", encoding="utf-8")
    assert refusal("gpt2", "--steer", tmp_path / "odd.txt")[0] == 65
    assert headstart("steering-head", folders["gpt2"], rows_file(tmp_path / "r.csv"), "--to", tmp_path / "h", "--label",
                     "mood")[0] == 65


def test_the_bags_of_headstart_are_lists_of_plain_words():
    assert attributes.bag_names() == ["kitchen", "science", "sea"]
    for name in attributes.bag_names():
        words = (attributes.BAGS / f"{name}.txt").read_text(encoding="utf-8").split()
        assert words == sorted(set(words)) and len(words) > 30
