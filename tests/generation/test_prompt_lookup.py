"""Prompt lookup writes the text of greedy decoding, in fewer passes, or says why it cannot."""

import pytest
import tiny

import headstart

PROMPTS = ["The gardener waters the roses and the gardener waters the", "Nobody knows", "one two three one two three one"]


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lookup")
    return headstart.load(tiny.model_folder(request.param, folder, "causal-language-model", seed=4))


@pytest.mark.parametrize("settings", [{}, {"repetition_penalty": 1.3}, {"no_repeat_ngram_size": 2},
                                      {"min_new_tokens": 5}])
def test_the_text_and_its_log_probabilities_are_those_of_greedy_decoding(model, settings):
    expected = model.generate(PROMPTS, max_new_tokens=24, **settings)
    rows = model.generate(PROMPTS, max_new_tokens=24, prompt_lookup_num_tokens=6, **settings)
    for row, greedy in zip(rows, expected, strict=True):
        assert row["prediction"] == greedy["prediction"] and row["ended"] == greedy["ended"]
        assert row["log_probability"] == pytest.approx(greedy["log_probability"], abs=1e-3)
        assert [token["token"] for token in row["tokens"]] == [token["token"] for token in greedy["tokens"]]


def test_repeated_words_take_fewer_passes(model):
    passes = []
    handle = model.transformer.module.register_forward_pre_hook(lambda *_: passes.append(1))
    try:
        greedy = model.generate(["go on and on and on and on"], max_new_tokens=40)
        one_by_one = len(passes)
        passes.clear()
        row = model.generate(["go on and on and on and on"], max_new_tokens=40, prompt_lookup_num_tokens=8)
    finally:
        handle.remove()
    assert row[0]["prediction"] == greedy[0]["prediction"]
    assert len(passes) < one_by_one  # these models of random weights soon repeat themselves


def test_stop_strings_and_streams_work_as_without(model):
    text = model.generate(PROMPTS[:1], max_new_tokens=24)[0]["prediction"]
    stop = [text[len(text) // 2:len(text) // 2 + 3]]
    expected = model.generate(PROMPTS[:1], max_new_tokens=24, stop=stop)[0]
    assert model.generate(PROMPTS[:1], max_new_tokens=24, stop=stop, prompt_lookup_num_tokens=6)[0]["prediction"] == (
        expected["prediction"])
    pieces = []
    model.generate(PROMPTS[:1], max_new_tokens=24, prompt_lookup_num_tokens=6, stream=pieces.append)
    assert "".join(pieces) == text


@pytest.mark.parametrize("settings", [{"do_sample": True}, {"num_beams": 2}, {"penalty_alpha": 0.6}])
def test_what_is_not_greedy_is_refused(model, settings):
    with pytest.raises(headstart.UserError, match="one text of greedy decoding"):
        model.generate(PROMPTS, prompt_lookup_num_tokens=6, **settings)


def test_families_that_cannot_take_back_what_they_read_say_so(tmp_path):
    model = headstart.load(tiny.model_folder("ctrl", tmp_path, "causal-language-model"))
    with pytest.raises(headstart.UserError, match=r"no prompt lookup for .*There is for gpt2, llama"):
        model.generate(["Links one"], prompt_lookup_num_tokens=6)
