"""Writing: the same tokens as plain transformers, alone and in batches; seeds, stop strings, what does not fit."""

import json

import pytest
import tiny
import torch
import transformers

import headstart

DECODERS = pytest.mark.parametrize("family", tiny.DECODERS)
PROMPTS = ["The gardener waters", "Nobody", "My sister can't find seven green apples before", "A young doctor is",
           "river bank"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {family: tiny.model_folder(family, tmp_path_factory.mktemp("lm") / family, "causal-language-model", seed=4)
            for family in tiny.DECODERS}


@pytest.fixture(scope="module")
def models(folders):
    return {family: headstart.load(folder) for family, folder in folders.items()}


def reference_ids_of(folder, prompt, **options):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = transformers.AutoTokenizer.from_pretrained(folder)(prompt, return_tensors="pt")
    output_ids = model.generate(**ids, max_new_tokens=12, do_sample=False, pad_token_id=0,
                                **options)[0, ids["input_ids"].shape[1]:]
    new_ids, end = output_ids.tolist(), model.config.eos_token_id
    return new_ids[:new_ids.index(end)] if end in new_ids else new_ids


@DECODERS
@pytest.mark.parametrize("beams", [1, 3])
def test_the_likeliest_text_is_plain_transformers_own_alone_and_in_a_batch(family, beams, folders, models):
    model = models[family]
    rows = model.generate(PROMPTS, max_new_tokens=12, num_beams=beams, prefix="none")
    for prompt, row in zip(PROMPTS, rows, strict=True):
        reference_ids = reference_ids_of(folders[family], prompt, num_beams=beams)
        (alone,) = model.generate([prompt], max_new_tokens=12, num_beams=beams, prefix="none")
        pieces = [token["token"] for token in row["tokens"]]
        assert pieces == model.transformer.tokenizer.pieces(reference_ids) == [token["token"]
                                                                               for token in alone["tokens"]]
        assert abs(row["log_probability"] - alone["log_probability"]) < 1e-4


@DECODERS
def test_log_probabilities_are_the_models_own(family, models):
    model = models[family]
    (row,) = model.generate(["The old captain"], max_new_tokens=8, do_sample=True, temperature=0.7, seed=3,
                            prefix="none")
    tokenizer = model.transformer.tokenizer
    ids = [*(token for token, _ in tokenizer.single_template[0]), *tokenizer.tokenize("The old captain").ids]
    new_ids = tokenizer.hf_tokenizer.convert_tokens_to_ids([generated["token"] for generated in row["tokens"]])
    with torch.inference_mode():
        logs = model.transformer.module(torch.tensor([ids + new_ids])).logits.log_softmax(-1)[0]
    for position, (token, generated) in enumerate(zip(new_ids, row["tokens"], strict=True)):
        assert abs(float(logs[len(ids) + position - 1, token]) - generated["log_probability"]) < 1e-4


def test_a_seed_draws_the_same_text_and_leaves_the_global_generator_alone(models):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, repeated, reseeded = (models["gpt2"].generate(PROMPTS[:2], max_new_tokens=15, do_sample=True,
                                                         num_return_sequences=2, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert [row["prediction"] for row in first] == [row["prediction"]
                                                    for row in repeated] != [row["prediction"] for row in reseeded]
    assert [row["prompt"] for row in first] == [PROMPTS[0]] * 2 + [PROMPTS[1]] * 2 and first[0]["prediction"] != first[
        1]["prediction"]


def test_a_stop_string_cuts_exactly_and_one_that_never_comes_cuts_nothing(models):
    (unstopped,) = models["gpt2"].generate(["The"], max_new_tokens=20, repetition_penalty=2.0)
    text = unstopped["prediction"]
    stop = text[len(text) // 2:len(text) // 2 + 2]
    (cut,) = models["gpt2"].generate(["The"], max_new_tokens=20, repetition_penalty=2.0, stop=[stop])
    assert cut["prediction"] == text[:text.index(stop)] and cut["ended"] == "stop"
    (unmatched,) = models["gpt2"].generate(["The"], max_new_tokens=20, repetition_penalty=2.0,
                                           stop=["never such a thing"])
    assert unmatched["prediction"] == text and unmatched["ended"] == unstopped["ended"]


def test_minus_one_fills_the_model_and_a_long_prompt_loses_its_beginning(models):
    model = models["gpt2"]
    (row,) = model.generate(["roses"], max_new_tokens=-1, min_new_tokens=tiny.POSITIONS)
    assert len(row["tokens"]) + len(model.transformer.tokenizer.tokenize("roses").ids) == tiny.POSITIONS
    (row,) = model.generate([" ".join(["roses"] * 300)], max_new_tokens=10)
    assert row["cut_tokens"] > 0 and len(row["tokens"]) <= 10


def test_the_command_streams_prints_json_and_reads_files(folders, tmp_path, headstart):
    code, stdout, stderr = headstart("generate", folders["gpt2"], "The gardener", "--max-new-tokens", 6)
    assert code == 0 and stdout.startswith("The gardener") and "greedy decoding" in stderr
    code, json_line, _ = headstart("generate", folders["gpt2"], "The gardener", "--max-new-tokens", 6, "--json")
    assert stdout == "The gardener" + json.loads(json_line)["prediction"] + "\n"
    (tmp_path / "p.txt").write_text("My sister\nNobody here\n")
    code, stdout, _ = headstart("generate", folders["llama"], "--file", tmp_path / "p.txt", "--max-new-tokens", 4,
                                "--json", "--sample", "--num-return-sequences", 2)
    assert code == 0 and [json.loads(line)["prompt"]
                          for line in stdout.splitlines()] == ["My sister"] * 2 + ["Nobody here"] * 2


def test_impossible_requests_are_refused(folders, tiny_bert, headstart):
    code, _, stderr = headstart("generate", tiny_bert, "Hello")
    assert code == 2 and "cannot generate text" in stderr and "gpt2" in stderr
    code, _, stderr = headstart("generate", folders["gpt2"], "Hello", "--num-return-sequences", 3)
    assert code == 78 and "--sample" in stderr
    code, _, stderr = headstart("generate", folders["gpt2"], "Hello", "--chat")
    assert code == 78 and "no chat template" in stderr
    code, _, stderr = headstart("generate", folders["gpt2"], "Hello", "--set", "generation.temperature=0")
    assert code == 78 and "temperature" in stderr
