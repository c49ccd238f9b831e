"""Masked words and next sentences: masks that follow from seed, epoch and row; BERT's shares; fills."""

import json
from collections import Counter
from random import Random

import pytest
import tiny

from headstart.contract import Row
from headstart.data.features.features import Features
from headstart.models.loading.load import load
from headstart.tasks.masked_language_model import MaskedLanguageModel
from headstart.tasks.next_sentence import NextSentence
from headstart.tasks.shared import sentence_pairs
from headstart.text.masking import masked, words


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load(str(tiny.model_folder("bert", tmp_path_factory.mktemp("mlm") / "m", "masked-language-model")), None, seed=0)


def test_words_are_parted_by_space():
    text = "My sister-in-law  can't"
    offsets = [(0, 2), (3, 6), (6, 9), (9, 10), (10, 12), (12, 13), (13, 16), (18, 21), (21, 22), (22, 23)]
    assert words(offsets, text) == [[0], [1, 2, 3, 4, 5, 6], [7, 8, 9]]


def test_fifteen_percent_are_hidden_eighty_ten_ten():
    draw, fates, hidden = Random(0), Counter(), 0
    for _ in range(200):
        ids = list(range(1000, 1100))
        made, places = masked(ids, [[place] for place in range(100)], draw, share=0.15, mask_id=4, any_piece=lambda one: 7)
        hidden += len(places)
        fates.update("mask" if made[place] == 4 else "any" if made[place] == 7 else "same" for place in places)
        assert all(made[place] == ids[place] for place in range(100) if place not in places)
    assert hidden == 3000 and abs(fates["mask"] / hidden - 0.8) < 0.03 and abs(fates["any"] / hidden - 0.1) < 0.03


def test_whole_words_go_together_and_at_least_one_token_is_hidden():
    groups = [[0, 1, 2], [3], [4, 5]]
    for seed in range(50):
        _, places = masked([9] * 6, groups, Random(seed), share=0.5, mask_id=4, any_piece=lambda one: 7)
        assert places and all(set(group) <= set(places) or not set(group) & set(places) for group in groups)


def test_masks_follow_from_seed_epoch_and_row(model):
    task = MaskedLanguageModel()
    held = [task.read(Row(number, {"text": text})) for number, text in enumerate(tiny.texts(12))]
    def made(seed, epoch):
        return [list(one.ids) for one in Features.encode(task, held, model.tokenizer, seed=seed, epoch=epoch)]
    assert made(0, 0) == made(0, 0) and made(0, 0) != made(0, 1) and made(0, 0) != made(1, 0)


def test_hidden_tokens_are_what_stood_there(model):
    task = MaskedLanguageModel()
    for number, text in enumerate(tiny.texts(8)):
        plain = model.tokenizer.lay_out(model.tokenizer.tokenize(text).ids)[0]
        (feature,) = task.encode(task.read(Row(number, {"text": text})), model.tokenizer, Random(number))
        assert [plain[place] for place in feature.asks] == feature.targets["label"].value
        assert all(feature.ids[place] == plain[place] for place in range(len(plain)) if place not in feature.asks)


def test_blocks_are_full_and_lose_nothing(model):
    task = MaskedLanguageModel(MaskedLanguageModel.Settings(blocks=True))
    held = [task.read(Row(number, {"text": text})) for number, text in enumerate(tiny.texts(40))]
    blocks = task.compose(held, model.tokenizer, Random(0))
    assert "\n".join(block.text for block in blocks) == "\n".join(one.text for one in held) and len(blocks) < len(held)


def test_half_of_the_next_sentences_are_random_and_as_many_each_epoch(model):
    task = NextSentence()
    texts = [" ".join(tiny.sentences()[12 * n:12 * n + 12]) for n in range(20)]
    held = [task.read(Row(number, {"text": text})) for number, text in enumerate(texts)]
    first, second = (task.compose(held, model.tokenizer, Random(seed)) for seed in (1, 2))
    assert len(first) == len(second) and [one.follows for one in first] != [one.follows for one in second]
    assert abs(sum(one.follows for one in first) / len(first) - 0.5) < 0.15
    for one in first:
        here = sentence_pairs.sentences(texts[one.row])
        assert one.text in here
        assert (one.pair == here[here.index(one.text) + 1]) if one.follows == 0 else one.pair not in here or texts.count(one.pair) == 0


def test_documents_of_several_rows_stay_together():
    rows = [("One.", "a"), ("Two.", "a"), ("Three.", "b"), ("Four.", "b")]
    held = [NextSentence().read(Row(n, {"text": text, "document": name})) for n, (text, name) in enumerate(rows)]
    assert [parts for _, parts in sentence_pairs.documents(held)] == [["One.", "Two."], ["Three.", "Four."]]


@pytest.mark.parametrize(("task", "head"), [("masked-language-model", "masked-language-model"), ("bert-pretraining", "pre-training"),
                                            ("next-sentence", "next-sentence")])
def test_runs_resume_to_the_same_weights_and_fill_masks(task, head, tmp_path, headstart):
    import hashlib

    model = tiny.model_folder("bert", tmp_path / "m", head)
    data = tmp_path / "notes.jsonl"
    data.write_text("".join(json.dumps({"text": " ".join(tiny.sentences()[9 * n:9 * n + 9])}) + "\n" for n in range(50)), encoding="utf-8")
    flags = ["--task", task, "--model", model, "--epochs", 3, "--batch-size", 16, "--set", "evaluation.resamples=5", "--quiet"]
    assert headstart("finetune", data, *flags, "--to", tmp_path / "one")[0] == 0
    assert headstart("finetune", data, *flags, "--to", tmp_path / "two")[0] == 0
    def weights(run):
        return hashlib.sha256((tmp_path / run / "model" / "model.safetensors").read_bytes()).hexdigest()
    assert weights("one") == weights("two")
    _, out, _ = headstart("predict", tmp_path / "one", "--value", "text=The gardener [MASK] the roses.", *(
        ["--value", "pair=Nobody here forgets."] if task != "masked-language-model" else []))
    answer = json.loads(out)
    if task != "next-sentence":
        assert len(answer["fills"]) == 1 and len(answer["fills"][0]) == 5 and set(answer["fills"][0][0]) == {"token", "probability"}
    if task != "masked-language-model":
        assert answer["prediction"] in ("is_next", "random") and sum(answer["probabilities"].values()) == pytest.approx(1)


def test_the_neighbours_rival_is_a_distribution_and_counts_by_hand():
    from headstart.baselines.neighbours import WEIGHT, Neighbours

    texts = [[0, 1, 2, 3], [0, 4, 2, 1], [0, 1, 2, 4]]
    held = Neighbours(texts, 6)
    (rows,) = held.probabilities([0, 2, 5], [2, 4, 5])
    assert rows.shape == (3, 6) and abs(rows.sum(axis=1) - 1).max() < 1e-12 and (rows > 0).all()
    alone = [(1 + sum(text.count(token) for text in texts)) / 18 for token in range(6)]
    # between 0 and 2: 1 came twice after 0 of three times, and was followed by 2 both times of two
    after, before = {1: 2 / 3, 4: 1 / 3}, {1: 1.0, 4: 1.0}
    mine = [(WEIGHT * after.get(token, 0) + (1 - WEIGHT) * alone[token]) * (WEIGHT * before.get(token, 0) + (1 - WEIGHT) * alone[2])
            for token in range(6)]
    assert all(abs(one / sum(mine) - other) < 1e-12 for one, other in zip(mine, rows[0].tolist(), strict=True))


@pytest.mark.parametrize(("task", "head", "least"), [("next-sentence", "next-sentence", 24), ("bert-pretraining", "pre-training", 104),
                                                     ("masked-language-model", "masked-language-model", 104)])
def test_the_longest_input_holds_the_pairs_and_blocks_that_are_made_from_sentences(task, head, least, tmp_path, headstart):
    lines = [line for n in range(12) for line in [*tiny.sentences()[9 * n:9 * n + 9], ""]]
    (tmp_path / "notes.txt").write_text("\n".join(lines), encoding="utf-8")
    model = tiny.model_folder("bert", tmp_path / "m", head)
    flags = ["--set", "task.blocks=true"] if task == "masked-language-model" else []
    code, _, words = headstart("finetune", tmp_path / "notes.txt", "--task", task, "--model", model, "--to", tmp_path / "run", "--epochs", 1,
                               "--set", "evaluation.resamples=5", *flags)
    assert code == 0, words
    held = json.loads((tmp_path / "run" / "data.json").read_text())["lengths"]
    tokenizer = load(str(model), None, seed=0).tokenizer
    sizes = [len(tokenizer.tokenize(line).ids) for line in lines]
    assert max(sizes) + 2 < least <= held["longest"] <= tiny.POSITIONS and held["cut_tokens"] < 0.1
