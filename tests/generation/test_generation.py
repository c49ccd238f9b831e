"""Writing: the same tokens as plain transformers, alone and in batches; seeds, stop strings, what does not fit."""

import json

import pytest
import tiny
import torch
import transformers

import headstart

DECODERS = pytest.mark.parametrize("family", tiny.DECODERS)
PROMPTS = ["The gardener waters", "Nobody", "My sister can't find seven green apples before", "A young doctor is", "river bank"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {family: tiny.model_folder(family, tmp_path_factory.mktemp("lm") / family, "causal-language-model", seed=4) for family in tiny.DECODERS}


@pytest.fixture(scope="module")
def models(folders):
    return {family: headstart.load(place) for family, place in folders.items()}


def plain(folder, prompt, **more):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = transformers.AutoTokenizer.from_pretrained(folder)(prompt, return_tensors="pt")
    made = model.generate(**ids, max_new_tokens=12, do_sample=False, pad_token_id=0, **more)[0, ids["input_ids"].shape[1]:]
    held, end = made.tolist(), model.config.eos_token_id
    return held[:held.index(end)] if end in held else held


@DECODERS
@pytest.mark.parametrize("beams", [1, 3])
def test_the_likeliest_text_is_plain_transformers_own_alone_and_in_a_batch(family, beams, folders, models):
    model = models[family]
    together = model.generate(PROMPTS, new_tokens=12, beams=beams, passage="none")
    for prompt, row in zip(PROMPTS, together, strict=True):
        theirs = plain(folders[family], prompt, num_beams=beams)
        (alone,) = model.generate([prompt], new_tokens=12, beams=beams, passage="none")
        pieces = [one["token"] for one in row["tokens"]]
        assert pieces == model.loaded.tokenizer.pieces(theirs) == [one["token"] for one in alone["tokens"]]
        assert abs(row["log_probability"] - alone["log_probability"]) < 1e-4


@DECODERS
def test_log_probabilities_are_the_models_own(family, models):
    model = models[family]
    (row,) = model.generate(["The old captain"], new_tokens=8, sample=True, temperature=0.7, seed=3, passage="none")
    tokenizer = model.loaded.tokenizer
    ids = [*(token for token, _ in tokenizer.single[0]), *tokenizer.tokenize("The old captain").ids]
    new = tokenizer.held.convert_tokens_to_ids([one["token"] for one in row["tokens"]])
    with torch.inference_mode():
        logs = model.loaded.module(torch.tensor([ids + new])).logits.log_softmax(-1)[0]
    for place, (token, one) in enumerate(zip(new, row["tokens"], strict=True)):
        assert abs(float(logs[len(ids) + place - 1, token]) - one["log_probability"]) < 1e-4


def test_a_seed_draws_the_same_text_and_leaves_the_global_generator_alone(models):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (models["gpt2"].generate(PROMPTS[:2], new_tokens=15, sample=True, answers=2, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert [row["prediction"] for row in first] == [row["prediction"] for row in again] != [row["prediction"] for row in other]
    assert [row["prompt"] for row in first] == [PROMPTS[0]] * 2 + [PROMPTS[1]] * 2 and first[0]["prediction"] != first[1]["prediction"]


def test_a_stop_string_cuts_exactly_and_one_that_never_comes_cuts_nothing(models):
    (whole,) = models["gpt2"].generate(["The"], new_tokens=20, repetition_penalty=2.0)
    text = whole["prediction"]
    stop = text[len(text) // 2:len(text) // 2 + 2]
    (cut,) = models["gpt2"].generate(["The"], new_tokens=20, repetition_penalty=2.0, stop=[stop])
    assert cut["prediction"] == text[:text.index(stop)] and cut["ended"] == "stop"
    (same,) = models["gpt2"].generate(["The"], new_tokens=20, repetition_penalty=2.0, stop=["never such a thing"])
    assert same["prediction"] == text and same["ended"] == whole["ended"]


def test_minus_one_fills_the_model_and_a_long_prompt_loses_its_beginning(models):
    model = models["gpt2"]
    (row,) = model.generate(["roses"], new_tokens=-1, least_tokens=tiny.POSITIONS)
    assert len(row["tokens"]) + len(model.loaded.tokenizer.tokenize("roses").ids) == tiny.POSITIONS
    (row,) = model.generate([" ".join(["roses"] * 300)], new_tokens=10)
    assert row["cut_tokens"] > 0 and len(row["tokens"]) <= 10


def test_the_command_streams_prints_json_and_reads_files(folders, tmp_path, headstart):
    code, out, words = headstart("generate", folders["gpt2"], "The gardener", "--new-tokens", 6)
    assert code == 0 and out.startswith("The gardener") and "likeliest" in words
    code, listed, _ = headstart("generate", folders["gpt2"], "The gardener", "--new-tokens", 6, "--json")
    assert out == "The gardener" + json.loads(listed)["prediction"] + "\n"
    (tmp_path / "p.txt").write_text("My sister\nNobody here\n")
    code, out, _ = headstart("generate", folders["llama"], "--file", tmp_path / "p.txt", "--new-tokens", 4, "--json", "--sample", "--answers", 2)
    assert code == 0 and [json.loads(line)["prompt"] for line in out.splitlines()] == ["My sister"] * 2 + ["Nobody here"] * 2


def test_what_cannot_be_is_refused(folders, tiny_bert, headstart):
    code, _, words = headstart("generate", tiny_bert, "Hello")
    assert code == 2 and "cannot write" in words and "gpt2" in words
    code, _, words = headstart("generate", folders["gpt2"], "Hello", "--answers", 3)
    assert code == 78 and "--sample" in words
    code, _, words = headstart("generate", folders["gpt2"], "Hello", "--chat")
    assert code == 78 and "no chat template" in words
    code, _, words = headstart("generate", folders["gpt2"], "Hello", "--set", "generation.temperature=0")
    assert code == 78 and "temperature" in words
