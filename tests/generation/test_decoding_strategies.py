"""Diverse beams and contrastive search give the texts of reference implementations without a cache."""

import json
import shutil
from collections import Counter

import pytest
import tiny
import tiny_writers
import torch
import transformers

import headstart
import headstart as headstart_package
from headstart.models.loading.catalogue import CATALOGUE

DECODERS = ("gpt2", "llama", "openai-gpt", "ctrl")
ENCODER_DECODERS = ("t5", "bart", "pegasus", "marian")
EACH_FAMILY = pytest.mark.parametrize("family", [*DECODERS, *ENCODER_DECODERS])
PROMPTS = ["The gardener waters", "Nobody", "My sister can't find seven green apples before", "A young doctor is"]
NEW_TOKENS = 8


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("decoding")
    decoders = {family: tiny.model_folder(family, folder / family, "causal-language-model", seed=4)
                for family in DECODERS}
    return decoders | {family: tiny_writers.model_folder(family, folder / family, seed=2)
                       for family in ENCODER_DECODERS}


@pytest.fixture(scope="module")
def models(folders):
    return {family: headstart.load(folder, *(["text-to-text"] if family in ENCODER_DECODERS else []))
            for family, folder in folders.items()}


class UncachedModel:
    """A model without a cache: log p of the next token, and the last layer's states."""

    def __init__(self, model, folder, prompt):
        loaded = model.transformer
        model_class = (transformers.AutoModelForSeq2SeqLM if loaded.generates_from_source
                       else transformers.AutoModelForCausalLM)
        self.module = model_class.from_pretrained(folder, attn_implementation="eager").eval()
        ids = list(loaded.tokenizer.tokenize(prompt).ids)
        self.source = loaded.tokenizer.with_special_tokens(ids)[0] if loaded.generates_from_source else None
        self.begin = [self.module.config.decoder_start_token_id] if self.source else [
            *(token for token, _ in loaded.tokenizer.single_template[0]), *ids]
        end_ids = self.module.generation_config.eos_token_id
        self.ends = {token for token in (end_ids if isinstance(end_ids, list) else [end_ids]) if token is not None}
        self.ends |= {loaded.tokenizer.end_id} - {None}
        self.banned = [token[0] for token in getattr(self.module.generation_config, "bad_words_ids", None) or []]
        self.forced = getattr(self.module.generation_config, "forced_eos_token_id", None)

    def read(self, new_ids):
        ids = torch.tensor([[*self.begin, *new_ids]])
        inputs = {"input_ids": ids} if self.source is None else {"input_ids": torch.tensor([self.source]),
                                                                 "decoder_input_ids": ids}
        with torch.no_grad():
            output = self.module(**inputs, output_hidden_states=True, use_cache=False)
        return output.logits[0, -1].clone(), (output.hidden_states if self.source is None
                                              else output.decoder_hidden_states)[-1][0]


def text_ids(model, row):
    return model.transformer.tokenizer.hf_tokenizer.convert_tokens_to_ids([token["token"] for token in row["tokens"]])


def diverse(uncached, groups, beams, diversity):
    """Texts of NEW_TOKENS tokens that do not end: group after group at each step, each with the tokens of earlier ones.
    """
    group_beams = [[(0.0, [])] for _ in range(groups)]
    for step in range(NEW_TOKENS):
        token_counts = Counter()
        for group in range(groups):
            continuations = []
            for score, ids in group_beams[group]:
                log_probabilities = uncached.read(ids)[0].log_softmax(-1)
                log_probabilities[list(uncached.ends)] = float("-inf")
                log_probabilities[uncached.banned] = float("-inf")
                if step == NEW_TOKENS - 1 and uncached.forced is not None:
                    return [[ids for _, ids in hypotheses] for hypotheses in group_beams]  # BART must end now
                for token, count in token_counts.items():
                    log_probabilities[token] -= diversity * count
                values, token_ids = log_probabilities.topk(beams)
                continuations += [(score + float(value), [*ids, int(token_id)])
                                  for value, token_id in zip(values, token_ids, strict=True)]
            group_beams[group] = sorted(continuations, key=lambda hypothesis: -hypothesis[0])[:beams]
            token_counts.update(ids[-1] for _, ids in group_beams[group])
    return [[ids for _, ids in hypotheses] for hypotheses in group_beams]


@EACH_FAMILY
@pytest.mark.parametrize("diversity", [0.7, 3.0])
def test_diverse_beams_are_those_of_a_reference_without_cache(family, diversity, folders, models):
    model = models[family]
    settings = {"max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS, "num_beams": 6, "num_beam_groups": 3,
                "diversity_penalty": diversity, "num_return_sequences": 6, "prefix": "none"}
    if family in ENCODER_DECODERS:
        del settings["prefix"]
    rows = model.generate(PROMPTS[:2], **settings)
    for prompt_index, prompt in enumerate(PROMPTS[:2]):
        uncached = UncachedModel(model, folders[family], prompt)
        groups = diverse(uncached, 3, 2, diversity)
        expected_ids = [groups[group][rank] for rank in (0, 1) for group in range(3)]  # the best of each in turn
        generated_ids = [[token for token in text_ids(model, row) if token not in uncached.ends]
                         for row in rows[6 * prompt_index:6 * prompt_index + 6]]
        assert generated_ids == [ids[:len(generated)] for ids, generated in zip(
            expected_ids, generated_ids, strict=True)] and min(map(len, generated_ids)) >= NEW_TOKENS - 1


@EACH_FAMILY
def test_without_diversity_every_group_is_plain_beams_and_with_it_texts_differ(family, models):
    model = models[family]
    beams = [row["prediction"] for row in model.generate(PROMPTS, max_new_tokens=NEW_TOKENS, num_beams=2)]
    undiverse_rows = model.generate(PROMPTS, max_new_tokens=NEW_TOKENS, num_beams=6, num_beam_groups=3,
                                    diversity_penalty=0.0, num_return_sequences=3)
    assert [row["prediction"] for row in undiverse_rows] == [text for text in beams for _ in range(3)]
    diverse_rows = model.generate(PROMPTS, max_new_tokens=NEW_TOKENS, num_beams=6, num_beam_groups=3,
                                  diversity_penalty=100.0, num_return_sequences=3)
    for prompt_index, text in enumerate(beams):
        token_ids = [tuple(text_ids(model, row)) for row in diverse_rows[3 * prompt_index:3 * prompt_index + 3]]
        assert diverse_rows[3 * prompt_index]["prediction"] == text and len(set(token_ids)) == 3
        assert len({ids[0] for ids in token_ids}) == 3, "no two groups begin alike"


def contrastive(uncached, penalty_alpha, top_k):
    """Su et al. 2022, eq. 5, by the letter."""
    new_ids, gaps = [], []
    while len(new_ids) < NEW_TOKENS:
        logits, states = uncached.read(new_ids)
        logits[uncached.banned] = float("-inf")
        if uncached.forced is not None and len(new_ids) == NEW_TOKENS - 1:  # BART must end now
            new_ids.append(uncached.forced)
            gaps.append(1.0)
            break
        values, tokens = logits.softmax(-1).topk(top_k)
        scores = []
        for value, token in zip(values.tolist(), tokens.tolist(), strict=True):
            new_state = uncached.read([*new_ids, token])[1][-1]
            scores.append((1 - penalty_alpha) * value - penalty_alpha
                          * float(torch.cosine_similarity(states, new_state[None], dim=-1).max()))
        new_ids.append(tokens.tolist()[max(range(top_k), key=lambda rank: scores[rank])])
        gaps.append(sorted(scores)[-1] - sorted(scores)[-2])
        if new_ids[-1] in uncached.ends:
            break
    return new_ids, gaps


@EACH_FAMILY
@pytest.mark.parametrize(("penalty_alpha", "top_k"), [(0.6, 0), (0.3, 7), (1.0, 3)])
def test_contrastive_search_is_that_of_a_reference_without_cache_alone_and_in_a_batch(family, penalty_alpha, top_k,
                                                                                      folders, models):
    model = models[family]
    settings = {"max_new_tokens": NEW_TOKENS, "penalty_alpha": penalty_alpha, "top_k": top_k}
    rows = model.generate(PROMPTS, **settings)
    for prompt, row in zip(PROMPTS, rows, strict=True):
        uncached = UncachedModel(model, folders[family], prompt)
        expected_ids, gaps = contrastive(uncached, penalty_alpha, top_k or 4)
        # from there on a hair decides
        compared = next((step for step, gap in enumerate(gaps) if gap < 1e-5), len(expected_ids))
        (alone,) = model.generate([prompt], **settings)
        for generated_row in (row, alone):
            # there it is left out
            generated_ids = text_ids(model, generated_row) + ([] if family in ENCODER_DECODERS
                                                              or generated_row["ended"] != "end" else expected_ids[-1:])
            assert generated_ids[:compared] == expected_ids[:compared]
        assert row["log_probability"] == pytest.approx(alone["log_probability"],
                                                       abs=1e-3) or compared < len(expected_ids)


def test_without_penalty_contrastive_search_is_greedy_and_with_it_repeats_less(models):
    model = models["gpt2"]
    (greedy,) = model.generate(["The gardener"], max_new_tokens=40)
    (almost_greedy,) = model.generate(["The gardener"], max_new_tokens=40, penalty_alpha=1e-9)
    assert greedy["prediction"] == almost_greedy["prediction"]
    (contrastive_row,) = model.generate(["The gardener"], max_new_tokens=40, penalty_alpha=0.9, top_k=8)
    assert len(set(text_ids(model, contrastive_row))) > len(set(text_ids(model, greedy)))


def test_a_forbidden_token_is_never_chosen_however_dissimilar(models):
    (row,) = models["gpt2"].generate(["The gardener"], max_new_tokens=25, penalty_alpha=1.0, top_k=10**6,
                                     no_repeat_ngram_size=1)
    ids = text_ids(models["gpt2"], row)
    assert len(ids) > 5 and len(set(ids)) == len(ids)


def test_a_group_may_have_one_beam_and_texts_may_end(folders, tmp_path):
    """Each group by the library's own beams with the same penalty, written out; ends of id 0, as Marian has them, count
    for none.
    """
    for family in ("t5", "marian"):
        folder = shutil.copytree(folders[family], tmp_path / family)
        for name in ("config.json", "generation_config.json"):
            config = json.loads((folder / name).read_text())
            (folder / name).write_text(json.dumps(config | {"eos_token_id": [1, 7, 9]} if name.startswith("gen")
                                                  else config))
        model = headstart.load(folder, "text-to-text")
        for beams, groups in ((3, 3), (4, 2)):
            rows = model.generate(PROMPTS, max_new_tokens=12, num_beams=beams, num_beam_groups=groups,
                                  diversity_penalty=1.0, num_return_sequences=groups)
            beam_rows = model.generate(PROMPTS, max_new_tokens=12, num_beams=beams // groups)
            assert [row["prediction"] for row in rows[::groups]] == [row["prediction"] for row in beam_rows]
            for prompt_index, prompt in enumerate(PROMPTS):
                alone = model.generate([prompt], max_new_tokens=12, num_beams=beams, num_beam_groups=groups,
                                       diversity_penalty=1.0, num_return_sequences=groups)
                assert [row["prediction"] for row in alone] == [
                    row["prediction"] for row in rows[groups * prompt_index:groups * (prompt_index + 1)]]


def test_settings_that_do_not_go_together_are_refused_before_training(folders, tmp_path, headstart):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"source": text, "target": text[:9]}) + "\n" for text in tiny.texts(30, seed=1)))
    for values in ({"generation.num_beam_groups": 2}, {"generation.penalty_alpha": 0.6, "generation.num_beams": 4},
                   {"generation.num_return_sequences": 3}):
        options = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
        code, _, stderr = headstart("finetune", file, "--task", "text-to-text", "--model", folders["t5"], "--to",
                                    tmp_path / "run", *options)
        assert code == 78 and "step" not in stderr and not (tmp_path / "run" / "checkpoints").exists(), values


def test_contrastive_search_replaces_a_models_own_beams(folders, tmp_path, headstart):
    folder = shutil.copytree(folders["bart"], tmp_path / "bart")
    config = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(config | {"num_beams": 4}))
    code, stdout, _ = headstart("generate", folder, "The roses", "--max-new-tokens", 8, "--set",
                                "generation.penalty_alpha=0.6")
    (row,) = headstart_package.load(folders["bart"], "text-to-text").generate(["The roses"], max_new_tokens=8,
                                                                              penalty_alpha=0.6)
    assert code == 0 and stdout == row["prediction"] + "\n"
    code, _, stderr = headstart("generate", folders["t5"], "The roses", "--num-return-sequences", 3, "--num-beams", 2)
    assert code == 78 and "of 2 beams" in stderr


def test_contrastive_text_streams_and_stops(folders, models, headstart):
    code, stdout, stderr = headstart("generate", folders["gpt2"], "The gardener", "--max-new-tokens", 12, "--set",
                                     "generation.penalty_alpha=0.6")
    (row,) = models["gpt2"].generate(["The gardener"], max_new_tokens=12, penalty_alpha=0.6)
    assert code == 0 and stdout == "The gardener" + row["prediction"] + "\n" and "contrastive" in stderr
    stop = row["prediction"][5:7]
    (cut,) = models["gpt2"].generate(["The gardener"], max_new_tokens=12, penalty_alpha=0.6, stop=[stop])
    assert cut["prediction"] == row["prediction"][:row["prediction"].index(stop)] and cut["ended"] == "stop"


@pytest.mark.parametrize(("values", "message"), [
    (["generation.num_beam_groups=3", "generation.num_beams=4"], "cannot be divided"),
    (["generation.num_beam_groups=2", "generation.num_beams=4", "generation.do_sample=true"], "--sample"),
    (["generation.penalty_alpha=0.6", "generation.num_beams=4"], "one text"),
    (["generation.penalty_alpha=1.6"], "contrast")])
def test_settings_that_do_not_go_together_are_refused(values, message, folders, headstart):
    for family in ("gpt2", "t5"):
        code, _, stderr = headstart("generate", folders[family], "The roses",
                                    *(option for value in values for option in ("--set", value)))
        assert code == 78 and message in stderr


def test_a_family_whose_states_change_is_refused(tmp_path, headstart):
    folder = tiny.model_folder("xlnet", tmp_path / "xlnet", "causal-language-model", seed=1)
    code, _, stderr = headstart("generate", folder, "The roses", "--set", "generation.penalty_alpha=0.6")
    assert code == 78 and "xlnet" in stderr and all(
        family.name in stderr for family in CATALOGUE if family.contrastive_search)
