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
from headstart.text.masking import mask_tokens, word_groups


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load(str(tiny.model_folder("bert", tmp_path_factory.mktemp("mlm") / "m", "masked-language-model")), None,
                seed=0)


def test_words_are_parted_by_space():
    text = "My sister-in-law  can't"
    offsets = [(0, 2), (3, 6), (6, 9), (9, 10), (10, 12), (12, 13), (13, 16), (18, 21), (21, 22), (22, 23)]
    assert word_groups(offsets, text) == [[0], [1, 2, 3, 4, 5, 6], [7, 8, 9]]


def test_fifteen_percent_are_hidden_eighty_ten_ten():
    rng, counts, hidden = Random(0), Counter(), 0
    for _ in range(200):
        ids = list(range(1000, 1100))
        masked_ids, positions = mask_tokens(ids, [[position] for position in range(100)], rng, share=0.15, mask_id=4,
                                            random_token_id=lambda token_id: 7)
        hidden += len(positions)
        counts.update("mask" if masked_ids[position] == 4 else "any" if masked_ids[position] == 7 else "same"
                      for position in positions)
        assert all(masked_ids[position] == ids[position] for position in range(100) if position not in positions)
    assert hidden == 3000 and abs(counts["mask"] / hidden - 0.8) < 0.03 and abs(counts["any"] / hidden - 0.1) < 0.03


def test_whole_words_go_together_and_at_least_one_token_is_hidden():
    groups = [[0, 1, 2], [3], [4, 5]]
    for seed in range(50):
        _, positions = mask_tokens([9] * 6, groups, Random(seed), share=0.5, mask_id=4,
                                   random_token_id=lambda token_id: 7)
        assert positions and all(set(group) <= set(positions) or not set(group) & set(positions) for group in groups)


def test_masks_follow_from_seed_epoch_and_row(model):
    task = MaskedLanguageModel()
    examples = [task.read(Row(index, {"text": text})) for index, text in enumerate(tiny.texts(12))]
    def masked_ids(seed, epoch):
        return [list(feature.ids) for feature in Features.encode(task, examples, model.tokenizer, seed=seed,
                                                                 epoch=epoch)]
    assert masked_ids(0, 0) == masked_ids(0, 0) and masked_ids(0, 0) != masked_ids(0, 1) and masked_ids(
        0, 0) != masked_ids(1, 0)


def test_hidden_tokens_are_what_stood_there(model):
    task = MaskedLanguageModel()
    for index, text in enumerate(tiny.texts(8)):
        plain = model.tokenizer.with_special_tokens(model.tokenizer.tokenize(text).ids)[0]
        (feature,) = task.encode(task.read(Row(index, {"text": text})), model.tokenizer, Random(index))
        assert [plain[position] for position in feature.label_positions] == feature.targets["label"].value
        assert all(feature.ids[position] == plain[position] for position in range(len(plain))
                   if position not in feature.label_positions)


def test_blocks_are_full_and_lose_nothing(model):
    task = MaskedLanguageModel(MaskedLanguageModel.Settings(group_texts=True))
    examples = [task.read(Row(index, {"text": text})) for index, text in enumerate(tiny.texts(40))]
    blocks = task.compose(examples, model.tokenizer, Random(0))
    assert "\n".join(block.text for block in blocks) == "\n".join(example.text for example in examples) and len(
        blocks) < len(examples)


def test_half_of_the_next_sentences_are_random_and_as_many_each_epoch(model):
    task = NextSentence()
    texts = [" ".join(tiny.sentences()[12 * index:12 * index + 12]) for index in range(20)]
    examples = [task.read(Row(row, {"text": text})) for row, text in enumerate(texts)]
    first_epoch, second_epoch = (task.compose(examples, model.tokenizer, Random(seed)) for seed in (1, 2))
    assert len(first_epoch) == len(second_epoch) and [pair.follows for pair in first_epoch] != [
        pair.follows for pair in second_epoch]
    assert abs(sum(pair.follows for pair in first_epoch) / len(first_epoch) - 0.5) < 0.15
    for pair in first_epoch:
        document = sentence_pairs.sentences(texts[pair.row])
        assert pair.text in document
        assert (pair.pair == document[document.index(
            pair.text) + 1]) if pair.follows == 0 else pair.pair not in document or texts.count(pair.pair) == 0


def test_documents_of_several_rows_stay_together():
    rows = [("One.", "a"), ("Two.", "a"), ("Three.", "b"), ("Four.", "b")]
    examples = [NextSentence().read(Row(index, {"text": text, "document": name}))
                for index, (text, name) in enumerate(rows)]
    assert [sentences for _, sentences in sentence_pairs.documents(examples)] == [["One.", "Two."], ["Three.", "Four."]]


@pytest.mark.parametrize(("task", "head"), [("masked-language-model", "masked-language-model"),
                                            ("bert-pretraining", "pre-training"), ("next-sentence", "next-sentence")])
def test_runs_resume_to_the_same_weights_and_fill_masks(task, head, tmp_path, headstart):
    import hashlib

    model = tiny.model_folder("bert", tmp_path / "m", head)
    data = tmp_path / "notes.jsonl"
    data.write_text("".join(json.dumps({"text": " ".join(tiny.sentences()[9 * index:9 * index + 9])}) + "\n"
                            for index in range(50)), encoding="utf-8")
    flags = ["--task", task, "--model", model, "--epochs", 3, "--batch-size", 16, "--set", "evaluation.resamples=5",
             "--quiet"]
    assert headstart("finetune", data, *flags, "--to", tmp_path / "one")[0] == 0
    assert headstart("finetune", data, *flags, "--to", tmp_path / "two")[0] == 0
    def weights_hash(run):
        return hashlib.sha256((tmp_path / run / "model" / "model.safetensors").read_bytes()).hexdigest()
    assert weights_hash("one") == weights_hash("two")
    _, stdout, _ = headstart("predict", tmp_path / "one", "--value", "text=The gardener [MASK] the roses.", *(
        ["--value", "pair=Nobody here forgets."] if task != "masked-language-model" else []))
    answer = json.loads(stdout)
    if task != "next-sentence":
        assert len(answer["fills"]) == 1 and len(answer["fills"][0]) == 5 and set(answer["fills"][0][0]) == {
            "token", "probability"}
    if task != "masked-language-model":
        assert answer["prediction"] in ("is_next",
                                        "random") and sum(answer["probabilities"].values()) == pytest.approx(1)


def test_the_neighbours_baseline_is_a_distribution_that_equals_one_by_hand():
    from headstart.baselines.bigram import BIGRAM_WEIGHT, BidirectionalBigram

    texts = [[0, 1, 2, 3], [0, 4, 2, 1], [0, 1, 2, 4]]
    model = BidirectionalBigram(texts, 6)
    (rows,) = model.probabilities([0, 2, 5], [2, 4, 5])
    assert rows.shape == (3, 6) and abs(rows.sum(axis=1) - 1).max() < 1e-12 and (rows > 0).all()
    unigram = [(1 + sum(text.count(token) for text in texts)) / 18 for token in range(6)]
    # between 0 and 2: 1 came twice after 0 of three times, and was followed by 2 both times of two
    forward, backward = {1: 2 / 3, 4: 1 / 3}, {1: 1.0, 4: 1.0}
    products = [(BIGRAM_WEIGHT * forward.get(token, 0) + (1 - BIGRAM_WEIGHT) * unigram[token])
                * (BIGRAM_WEIGHT * backward.get(token, 0) + (1 - BIGRAM_WEIGHT) * unigram[2])
                for token in range(6)]
    assert all(abs(product / sum(products) - probability) < 1e-12
               for product, probability in zip(products, rows[0].tolist(), strict=True))


@pytest.mark.parametrize(("task", "head", "least_length"),
                         [("next-sentence", "next-sentence", 24), ("bert-pretraining", "pre-training", 104),
                          ("masked-language-model", "masked-language-model", 104)])
def test_the_longest_input_holds_the_pairs_and_blocks_that_are_made_from_sentences(task, head, least_length, tmp_path,
                                                                                   headstart):
    lines = [line for index in range(12) for line in [*tiny.sentences()[9 * index:9 * index + 9], ""]]
    (tmp_path / "notes.txt").write_text("\n".join(lines), encoding="utf-8")
    model = tiny.model_folder("bert", tmp_path / "m", head)
    flags = ["--set", "task.group_texts=true"] if task == "masked-language-model" else []
    code, _, stderr = headstart("finetune", tmp_path / "notes.txt", "--task", task, "--model", model, "--to",
                                tmp_path / "run", "--epochs", 1, "--set", "evaluation.resamples=5", *flags)
    assert code == 0, stderr
    lengths = json.loads((tmp_path / "run" / "data.json").read_text())["lengths"]
    tokenizer = load(str(model), None, seed=0).tokenizer
    sizes = [len(tokenizer.tokenize(line).ids) for line in lines]
    assert max(sizes) + 2 < least_length <= lengths["max_length"] <= tiny.POSITIONS and lengths["cut_tokens"] < 0.1
