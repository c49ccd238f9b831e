"""Diverse beams and contrastive search give the texts of slow ways that read everything anew at every step."""

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
from headstart.generation.decoding_strategies import KEEPS

GOING_ON = ("gpt2", "llama", "openai-gpt", "ctrl")
FOR_A_TEXT = ("t5", "bart", "pegasus", "marian")
EVERY = pytest.mark.parametrize("family", [*GOING_ON, *FOR_A_TEXT])
PROMPTS = ["The gardener waters", "Nobody", "My sister can't find seven green apples before", "A young doctor is"]
NEW = 9


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("unlike")
    made = {family: tiny.model_folder(family, place / family, "causal-language-model", seed=4) for family in GOING_ON}
    return made | {family: tiny_writers.folder(family, place / family, seed=2) for family in FOR_A_TEXT}


@pytest.fixture(scope="module")
def models(folders):
    return {family: headstart.load(place, *(["text-to-text"] if family in FOR_A_TEXT else [])) for family, place in folders.items()}


class Slow:
    """A model that reads everything anew at every step: log p of the next token, and the last layer's states."""

    def __init__(self, model, folder, prompt):
        held = model.loaded
        kind = transformers.AutoModelForSeq2SeqLM if held.facts.row.rewrite else transformers.AutoModelForCausalLM
        self.module = kind.from_pretrained(folder, attn_implementation="eager").eval()
        ids = list(held.tokenizer.tokenize(prompt).ids)
        self.source = held.tokenizer.lay_out(ids)[0] if held.facts.row.rewrite else None
        self.begin = [self.module.config.decoder_start_token_id] if self.source else [*(one for one, _ in held.tokenizer.single[0]), *ids]
        own = self.module.generation_config.eos_token_id
        self.ends = {one for one in (own if isinstance(own, list) else [own]) if one is not None}
        self.ends |= {held.tokenizer.end_id} - {None}
        self.banned = [one[0] for one in getattr(self.module.generation_config, "bad_words_ids", None) or []]
        self.forced = getattr(self.module.generation_config, "forced_eos_token_id", None)

    def read(self, new):
        ids = torch.tensor([[*self.begin, *new]])
        given = {"input_ids": ids} if self.source is None else {"input_ids": torch.tensor([self.source]), "decoder_input_ids": ids}
        with torch.no_grad():
            made = self.module(**given, output_hidden_states=True, use_cache=False)
        return made.logits[0, -1].clone(), (made.hidden_states if self.source is None else made.decoder_hidden_states)[-1][0]


def text_ids(model, row):
    return model.loaded.tokenizer.held.convert_tokens_to_ids([one["token"] for one in row["tokens"]])


def diverse(slow, groups, beams, diversity):
    """Texts of NEW tokens that do not end: group after group at each step, each with what the earlier ones just took."""
    held = [[(0.0, [])] for _ in range(groups)]
    for step in range(NEW):
        taken = Counter()
        for group in range(groups):
            found = []
            for score, ids in held[group]:
                logs = slow.read(ids)[0].log_softmax(-1)
                logs[list(slow.ends)] = float("-inf")
                logs[slow.banned] = float("-inf")
                if step == NEW - 1 and slow.forced is not None:
                    return [[ids for _, ids in one] for one in held]  # BART must end now
                for token, count in taken.items():
                    logs[token] -= diversity * count
                values, places = logs.topk(beams)
                found += [(score + float(value), [*ids, int(place)]) for value, place in zip(values, places, strict=True)]
            held[group] = sorted(found, key=lambda one: -one[0])[:beams]
            taken.update(ids[-1] for _, ids in held[group])
    return [[ids for _, ids in one] for one in held]


@EVERY
@pytest.mark.parametrize("diversity", [0.7, 3.0])
def test_groups_of_beams_are_those_of_a_slow_way(family, diversity, folders, models):
    model = models[family]
    asked = {"new_tokens": NEW, "least_tokens": NEW, "beams": 6, "beam_groups": 3, "diversity": diversity, "answers": 6, "passage": "none"}
    if family in FOR_A_TEXT:
        del asked["passage"]
    rows = model.generate(PROMPTS[:2], **asked)
    for place, prompt in enumerate(PROMPTS[:2]):
        slow = Slow(model, folders[family], prompt)
        groups = diverse(slow, 3, 2, diversity)
        wanted = [groups[group][number] for number in (0, 1) for group in range(3)]  # the best of each in turn
        made = [[token for token in text_ids(model, row) if token not in slow.ends] for row in rows[6 * place:6 * place + 6]]
        assert made == [ids[:len(one)] for ids, one in zip(wanted, made, strict=True)] and min(map(len, made)) >= NEW - 1


@EVERY
def test_without_diversity_every_group_is_plain_beams_and_with_it_texts_differ(family, models):
    model = models[family]
    beams = [row["prediction"] for row in model.generate(PROMPTS, new_tokens=NEW, beams=2)]
    same = model.generate(PROMPTS, new_tokens=NEW, beams=6, beam_groups=3, diversity=0.0, answers=3)
    assert [row["prediction"] for row in same] == [text for text in beams for _ in range(3)]
    unlike = model.generate(PROMPTS, new_tokens=NEW, beams=6, beam_groups=3, diversity=100.0, answers=3)
    for place, text in enumerate(beams):
        own = [tuple(text_ids(model, row)) for row in unlike[3 * place:3 * place + 3]]
        assert unlike[3 * place]["prediction"] == text and len(set(own)) == 3
        assert len({ids[0] for ids in own}) == 3, "no two groups begin alike"


def contrastive(slow, weight, count):
    """Su et al. 2022, eq. 5, by the letter."""
    new, found = [], []
    while len(new) < NEW:
        logits, states = slow.read(new)
        logits[slow.banned] = float("-inf")
        if slow.forced is not None and len(new) == NEW - 1:  # BART must end now
            new.append(slow.forced)
            found.append(1.0)
            break
        values, places = logits.softmax(-1).topk(count)
        scores = []
        for value, token in zip(values.tolist(), places.tolist(), strict=True):
            own = slow.read([*new, token])[1][-1]
            scores.append((1 - weight) * value - weight * float(torch.cosine_similarity(states, own[None], dim=-1).max()))
        new.append(places.tolist()[max(range(count), key=lambda place: scores[place])])
        found.append(sorted(scores)[-1] - sorted(scores)[-2])
        if new[-1] in slow.ends:
            break
    return new, found


@EVERY
@pytest.mark.parametrize(("weight", "count"), [(0.6, 0), (0.3, 7), (1.0, 3)])
def test_contrastive_search_is_that_of_a_slow_way_alone_and_in_a_batch(family, weight, count, folders, models):
    model = models[family]
    asked = {"new_tokens": NEW, "contrast": weight, "top_k": count}
    together = model.generate(PROMPTS, **asked)
    for prompt, row in zip(PROMPTS, together, strict=True):
        slow = Slow(model, folders[family], prompt)
        wanted, gaps = contrastive(slow, weight, count or 4)
        sure = next((place for place, gap in enumerate(gaps) if gap < 1e-5), len(wanted))  # from there on a hair decides
        (alone,) = model.generate([prompt], **asked)
        for one in (row, alone):
            made = text_ids(model, one) + ([] if family in FOR_A_TEXT or one["ended"] != "end" else wanted[-1:])  # there it is left out
            assert made[:sure] == wanted[:sure]
        assert row["log_probability"] == pytest.approx(alone["log_probability"], abs=1e-3) or sure < len(wanted)


def test_with_no_weight_it_is_the_likeliest_text_and_with_some_it_repeats_less(models):
    model = models["gpt2"]
    (plain,) = model.generate(["The gardener"], new_tokens=40)
    (almost,) = model.generate(["The gardener"], new_tokens=40, contrast=1e-9)
    assert plain["prediction"] == almost["prediction"]
    (unlike,) = model.generate(["The gardener"], new_tokens=40, contrast=0.9, top_k=8)
    assert len(set(text_ids(model, unlike))) > len(set(text_ids(model, plain)))


def test_what_a_rule_forbids_is_never_taken_however_unlike(models):
    (row,) = models["gpt2"].generate(["The gardener"], new_tokens=25, contrast=1.0, top_k=10**6, no_repeat_ngram=1)
    ids = text_ids(models["gpt2"], row)
    assert len(ids) > 5 and len(set(ids)) == len(ids)


def test_beams_of_groups_may_be_one_and_texts_may_end(folders, tmp_path):
    """Each group by the library's own beams with the same penalty, written out; ends of id 0, as Marian has them, count for none."""
    for family in ("t5", "marian"):
        place = shutil.copytree(folders[family], tmp_path / family)
        for name in ("config.json", "generation_config.json"):
            held = json.loads((place / name).read_text())
            (place / name).write_text(json.dumps(held | {"eos_token_id": [1, 7, 9]} if name.startswith("gen") else held))
        model = headstart.load(place, "text-to-text")
        for beams, groups in ((3, 3), (4, 2)):
            rows = model.generate(PROMPTS, new_tokens=12, beams=beams, beam_groups=groups, diversity=1.0, answers=groups)
            first = model.generate(PROMPTS, new_tokens=12, beams=beams // groups)
            assert [row["prediction"] for row in rows[::groups]] == [row["prediction"] for row in first]
            for place_, prompt in enumerate(PROMPTS):
                alone = model.generate([prompt], new_tokens=12, beams=beams, beam_groups=groups, diversity=1.0, answers=groups)
                assert [row["prediction"] for row in alone] == [row["prediction"] for row in rows[groups * place_:groups * (place_ + 1)]]


def test_settings_that_do_not_go_together_are_refused_before_training(folders, tmp_path, headstart):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"source": text, "target": text[:9]}) + "\n" for text in tiny.texts(30, seed=1)))
    for values in ({"generation.beam_groups": 2}, {"generation.contrast": 0.6, "generation.beams": 4}, {"generation.answers": 3}):
        told = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
        code, _, words = headstart("finetune", file, "--task", "text-to-text", "--model", folders["t5"], "--to", tmp_path / "run", *told)
        assert code == 78 and "update" not in words and not (tmp_path / "run" / "checkpoints").exists(), values


def test_a_models_own_beams_do_not_stand_in_the_way_of_contrast(folders, tmp_path, headstart):
    place = shutil.copytree(folders["bart"], tmp_path / "bart")
    held = json.loads((place / "generation_config.json").read_text())
    (place / "generation_config.json").write_text(json.dumps(held | {"num_beams": 4}))
    code, out, _ = headstart("generate", place, "The roses", "--new-tokens", 8, "--set", "generation.contrast=0.6")
    (row,) = headstart_package.load(folders["bart"], "text-to-text").generate(["The roses"], new_tokens=8, contrast=0.6)
    assert code == 0 and out == row["prediction"] + "\n"
    code, _, words = headstart("generate", folders["t5"], "The roses", "--answers", 3, "--beams", 2)
    assert code == 78 and "of 2 beams" in words


def test_contrastive_text_streams_and_stops(folders, models, headstart):
    code, out, words = headstart("generate", folders["gpt2"], "The gardener", "--new-tokens", 12, "--set", "generation.contrast=0.6")
    (row,) = models["gpt2"].generate(["The gardener"], new_tokens=12, contrast=0.6)
    assert code == 0 and out == "The gardener" + row["prediction"] + "\n" and "contrastive" in words
    stop = row["prediction"][5:7]
    (cut,) = models["gpt2"].generate(["The gardener"], new_tokens=12, contrast=0.6, stop=[stop])
    assert cut["prediction"] == row["prediction"][:row["prediction"].index(stop)] and cut["ended"] == "stop"


@pytest.mark.parametrize(("values", "words"), [
    (["generation.beam_groups=3", "generation.beams=4"], "cannot be parted"),
    (["generation.beam_groups=2", "generation.beams=4", "generation.sample=true"], "--sample"),
    (["generation.contrast=0.6", "generation.beams=4"], "one way"),
    (["generation.contrast=1.6"], "contrast")])
def test_what_does_not_go_together_is_refused(values, words, folders, headstart):
    for family in ("gpt2", "t5"):
        code, _, told = headstart("generate", folders[family], "The roses", *(part for value in values for part in ("--set", value)))
        assert code == 78 and words in told


def test_a_family_whose_states_change_is_refused(tmp_path, headstart):
    place = tiny.model_folder("xlnet", tmp_path / "xlnet", "causal-language-model", seed=1)
    code, _, told = headstart("generate", place, "The roses", "--set", "generation.contrast=0.6")
    assert code == 78 and "xlnet" in told and all(family in told for family in KEEPS)
