"""Names in texts: schemes, alignment, windows, decoding, scores, CoNLL files, and a whole run."""

import itertools
import json
import random
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tiny

from headstart.contract import Row, RowFault, Tokens
from headstart.data.readers.conll_format import looks_like
from headstart.data.table import open_table
from headstart.errors import DataError, UserError
from headstart.metrics import spans
from headstart.models.loading import catalogue
from headstart.models.tokenizers.tokenizer import FamilyTokenizer
from headstart.settings import Data
from headstart.tasks import detect, find
from headstart.tasks.token_tagging import decoding
from headstart.tasks.token_tagging import windows as tag_windows
from headstart.text.alignment import align, join_words, word_spans, words_in_span
from headstart.text.tags import (
    Entity,
    ambiguous_word,
    bio_tags,
    count_repairs,
    detect_scheme,
    entities,
    scheme_evidence,
    split_tag,
)
from headstart.text.windows import windows

ROOT = Path(__file__).parents[2]
TokenTagging = find("token-tagging")


# --- schemes ---


@pytest.mark.parametrize("tags", ["B-P I-P O B-L B-L", "I-P I-P O I-L B-L", "B-P E-P O S-L S-L", "B-P L-P O U-L U-L",
                                  "B-P I-P O S-L B-L"])
def test_every_scheme_spells_the_same_entities(tags):
    parsed = entities(tags.split())
    assert parsed == [Entity(0, 2, "P"), Entity(3, 4, "L"), Entity(4, 5, "L")]
    assert bio_tags(parsed, 5) == ["B-P", "I-P", "O", "B-L", "B-L"]


@pytest.mark.parametrize(("tags", "expected"), [
    ("O I-P I-P", [(1, 3, "P")]),  # no beginning
    ("B-P I-L I-L", [(0, 1, "P"), (1, 3, "L")]),  # the type changes
    ("B-P I-L I-P", [(0, 1, "P"), (1, 2, "L"), (2, 3, "P")]),
    ("O E-P O", [(1, 2, "P")]),
    ("B-P I-P O E-P", [(0, 2, "P"), (3, 4, "P")]),
    ("S-P I-P E-P", [(0, 1, "P"), (1, 3, "P")]),
    ("B-P M-P M-P E-P", [(0, 4, "P")]),
    ("B-creative-work I-creative-work", [(0, 2, "creative-work")]),
    ("NOUN NOUN O VERB", [(0, 1, "NOUN"), (1, 2, "NOUN"), (3, 4, "VERB")]),
    ("", []),
])
def test_faulty_tags_are_read_as_conlleval_reads_them(tags, expected):
    assert [(entity.begin, entity.end, entity.type) for entity in entities(tags.split())] == expected


def test_bio_tags_and_entities_turn_into_each_other():
    rng = random.Random(0)
    for _ in range(200):
        expected, start, count = [], 0, rng.randint(0, 20)
        while start < count:
            size = min(rng.randint(1, 4), count - start)
            if rng.random() < 0.5:
                expected.append(Entity(start, start + size, rng.choice("PLX")))
            start += size
        assert entities(bio_tags(expected, count)) == expected and count_repairs(bio_tags(expected, count), "bio") == 0


@pytest.mark.parametrize(("sentences", "form"), [
    (["B-P I-P O", "O B-L"], "bio"), (["I-P I-P O", "I-L B-L"], "iob1"), (["B-P E-P", "O"], "bioes"),
    (["U-P O"], "bioes"), (["NOUN VERB", "O"], "plain"), (["O O"], "bio"), ([], "bio"),
    (["B-P I-P", "B-L O", "O I-L"], "bio"),  # one fault does not make it IOB1
    (["I-P I-P", "I-L O", "O B-L"], "iob1"),
])
def test_a_datasets_scheme_is_found_from_its_tags(sentences, form):
    assert detect_scheme(sum((scheme_evidence(sentence.split()) for sentence in sentences), Counter())) == form


@pytest.mark.parametrize(("tags", "form", "count"), [
    ("B-P I-P O B-P B-P", "bio", 0), ("O I-P I-P O I-L", "bio", 2), ("B-P I-L", "bio", 1),
    ("I-P I-P B-P O I-L", "iob1", 0),
    ("O B-P I-P", "iob1", 1), ("B-P E-P S-L", "bioes", 0), ("O E-P", "bioes", 1), ("B-P O", "bioes", 1),
    ("B-P I-P S-L", "bioes", 1), ("I-P O", "bioes", 1), ("NOUN VERB", "plain", 0),
])
def test_every_repair_is_counted(tags, form, count):
    assert count_repairs(tags.split(), form) == count


def test_what_can_be_mended_in_two_ways_is_not_mended():
    assert ambiguous_word("O B-P E-L".split()) == 2
    assert ambiguous_word("B-P I-P I-L E-L".split()) == 2
    assert ambiguous_word("B-P I-L".split()) is None  # in BIO only a beginning is missing
    assert ambiguous_word("B-P E-P I-L E-L".split()) is None
    with pytest.raises(RowFault) as error:
        TokenTagging().read(Row(0, {"tokens": ["at", "Ann", "Hall"], "tags": ["O", "B-P", "E-L"]}))
    assert error.value.code == "E307" and "token 2" in error.value.message


@pytest.mark.parametrize("tag", ["X-P", "b-P", "B", "I", "B-", "", "-P", "B P"])
def test_what_is_no_tag(tag):
    assert split_tag(tag) is None


# --- words, characters, tokens ---


@pytest.mark.parametrize(("text", "words"), [
    ("Ann's 5kg!", "Ann ' s 5kg !"), ("e-mail a_b", "e - mail a_b"), ("cafe\u0301s ok", "cafe\u0301s ok"),
    ("हिन्दी में", "हिन्दी में"),
    ("我在London。", "我 在 London 。"), ("ไทย", "ไ ท ย"), ("I \u2764\ufe0f it", "I \u2764\ufe0f it"),
    ("  two\t\nlines ", "two lines"), ("", ""), ("김치 3개", "김 치 3 개"),
])
def test_a_text_falls_into_words(text, words):
    assert [text[start:end] for start, end in word_spans(text)] == words.split()


def test_given_words_keep_their_places():
    text, offsets = join_words(["New York", "is", "big"])
    assert text == "New York is big" and [text[start:end] for start, end in offsets] == ["New York", "is", "big"]


def test_characters_become_the_words_they_touch():
    offsets = word_spans("In New York.")
    assert words_in_span(offsets, 3, 11) == (1, 3)
    assert words_in_span(offsets, 4, 8) == (1, 3)  # inside of both words
    assert words_in_span(offsets, 2, 3) is None  # the space between
    assert words_in_span(offsets, 11, 12) == (3, 4)


def test_tokens_go_to_the_word_in_which_they_begin():
    text = "ab 's \u200b x"
    word_offsets = [(0, 2), (3, 4), (4, 5), (6, 7), (8, 9)]
    # BPE's offsets may hold the space before
    alignment = align(text, word_offsets, [(0, 1), (1, 2), (2, 5), (5, 6), (7, 9), (9, 9)])
    assert list(alignment.first_tokens) == [0, 2, -1, -1, 4] and list(alignment.last_tokens) == [1, 2, -1, -1, 4]
    assert alignment.covering_words == {2: 1} and alignment.words_with_tokens == [0, 1, 4]


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_tokens_of_a_word_are_its_letters(family):
    tokenizer = FamilyTokenizer(tiny.tokenizer(family), 128, catalogue.find(family, "tests").piece_text)
    for text in tiny.texts(10, seed=2):
        tokens = tokenizer.tokenize(text)
        alignment = align(text, word_spans(text), tokens.offsets)
        assert len(alignment.words_with_tokens) + len(alignment.covering_words) == len(word_spans(text))
        for word in alignment.words_with_tokens:
            start, end = tokens.offsets[alignment.first_tokens[word]][0], tokens.offsets[alignment.last_tokens[word]][1]
            assert text[start:end].strip().startswith(text[slice(*word_spans(text)[word])])


# --- windows ---


class LetterTokenizer:
    """A tokenizer of one token a letter, without special tokens; signs in `dropped` become none."""

    def __init__(self, longest, dropped=""):
        self.max_length, self.dropped = longest, dropped

    def tokenize(self, text):
        indices = [index for index, character in enumerate(text) if not character.isspace()
                   and character not in self.dropped]
        return Tokens([ord(text[index]) for index in indices], [(index, index + 1) for index in indices])

    def max_content_length(self, segment_count):
        return self.max_length - 2

    def with_special_tokens(self, *segments):
        return [0, *segments[0], 0], [0] * (len(segments[0]) + 2)


def oracle(task, example, tokenizer, *, rng=None):
    """What the task answers when each asked place gets the right tag's logit, as training would have it."""
    outputs = []
    for feature in task.encode(example, tokenizer, rng):
        target = feature.targets["label"].value
        logits = np.zeros((len(feature), len(task.learned.labels)), dtype=np.float32)
        for position, tag in enumerate(target):
            logits[position, tag if tag >= 0 else 1] = 20.0  # elsewhere a wrong answer, which nobody may look at
        outputs.append(task.reduce(feature, {"logits": logits}))
    return task.decode(example, outputs)


def long_row(rng, words=60):
    tokens = ["".join(rng.choices("abcdefgh", k=rng.randint(1, 9))) for _ in range(words)]
    tags, start = [], 0
    while start < words:
        size = min(rng.choice([1, 1, 2, 3, 6]), words - start)
        entity_type = rng.choice(["P", "L", ""])
        tags += bio_tags([Entity(0, size, entity_type)], size) if entity_type else ["O"] * size
        start += size
    return {"tokens": tokens, "tags": tags}


@pytest.mark.parametrize(("longest", "overlap"), [(12, 4), (16, 0), (20, 9), (64, 32), (400, 32)])
def test_no_entity_is_lost_at_a_windows_border(longest, overlap):
    rng = random.Random(longest)
    task = TokenTagging(TokenTagging.Settings(overlap=overlap))
    rows = [long_row(rng) for _ in range(5)]
    examples = [task.read(Row(index, row)) for index, row in enumerate(rows)]
    task = task.with_learned(task.learn(examples))
    for row, example in zip(rows, examples, strict=True):
        assert oracle(task, example, LetterTokenizer(longest)).values["prediction"] == row["tags"]


@pytest.mark.parametrize("labelled", ["first", "all"])
def test_each_word_is_learned_in_one_window_only(labelled):
    rng = random.Random(5)
    task = TokenTagging(TokenTagging.Settings(overlap=6, label_subwords=labelled))
    example = task.read(Row(0, long_row(rng)))
    task = task.with_learned(task.learn([example]))
    features = task.encode(example, LetterTokenizer(20))
    answered_words = [word for feature in features for word in feature.info["words"]]
    assert sorted(answered_words) == list(range(60))
    targets = [target for feature in features for target in feature.targets["label"].value if target != -100]
    letters = sum(map(len, example.words))
    assert len(targets) == 60 if labelled == "first" else 60 < len(targets) <= letters
    # training keeps nothing that only predicting needs
    assert not task.encode(example, LetterTokenizer(20), random.Random(0))[0].info


def test_a_word_is_answered_where_most_stands_around_it():
    rng = random.Random(3)
    for _ in range(300):
        length, max_size = rng.randint(1, 80), rng.randint(3, 30)
        window_spans = windows(length, max_size, rng.randint(0, max_size // 2))
        first = rng.randrange(length)
        last = min(length - 1, first + rng.randint(0, 2))

        def around(window, window_spans=window_spans, first=first, last=last):
            start, end = window_spans[window]
            return min(first - start if start else 10**6, end - 1 - last if end < window_spans[-1][1] else 10**6)

        containing = [window_index for window_index, (span_start, end) in enumerate(window_spans)
                      if span_start <= first < end]
        assert tag_windows.widest_context_window(window_spans, first,
                                                 last) == max(containing, key=lambda part: (around(part), -part))


def test_later_pieces_go_on_with_the_entity():
    task = TokenTagging(TokenTagging.Settings(label_subwords="all"))
    example = task.read(Row(0, {"tokens": ["abc", "de", "f"], "tags": ["B-P", "I-P", "O"]}))
    task = task.with_learned(task.learn([example]))
    assert task.learned.labels == ("O", "B-P", "I-P")
    assert list(task.encode(example, LetterTokenizer(20))[0].targets["label"].value) == [-100, 1, 2, 2, 2, 2, 0, -100]


def test_words_that_become_no_token_stay_with_their_entity_and_are_counted():
    task = TokenTagging()
    tags = ["B-P", "I-P", "I-P", "O", "B-L", "I-L"]
    example = task.read(Row(0, {"tokens": ["ab", "\u200b", "cd", "\u200b", "\u200b", "ef"], "tags": tags}))
    task = task.with_learned(task.learn([example]))
    tokenizer = LetterTokenizer(20, dropped="\u200b")
    feature = task.encode(example, tokenizer)[0]
    assert feature.info["words"] == [0, 2, 5]
    assert [task.learned.labels[tag] for tag in feature.targets["label"].value if tag >= 0] == ["B-P", "I-P", "B-L"]
    prediction = oracle(task, example, tokenizer)
    assert prediction.values["prediction"] == ["B-P", "I-P", "I-P", "O", "O", "B-L"]
    measures = {name: np.asarray([value]) for name, value in task.measure(example, prediction).items()}
    assert task.tables(measures)["words_without_tokens"] == 3 and task.tables(measures)["words"] == 6


def test_a_text_without_any_token_is_answered():
    task = TokenTagging()
    example = task.read(Row(0, {"tokens": ["\u200b", "\u200b"], "tags": ["B-P", "O"]}))
    task = task.with_learned(task.learn([example]))
    assert oracle(task, example, LetterTokenizer(20, dropped="\u200b")).values == {"prediction": ["O", "O"],
                                                                                   "spans": []}


def test_a_word_inside_anothers_token_belongs_to_its_entity():
    labels, log_probabilities = ("O", "B-P", "I-P"), np.log(np.array([[0.1, 0.8, 0.1], [0.2, 0.1, 0.7],
                                                                      [0.9, 0.05, 0.05]]))
    decoded = decoding.decode_entities([([0, 1, 3], log_probabilities, {2: 1})], labels).entities
    assert [entity for entity, _ in decoded] == [Entity(0, 3, "P")] and decoded[0][1] == pytest.approx(0.75)


# --- decoding ---


@pytest.mark.parametrize("labels", [("O", "B-P", "I-P", "B-L", "I-L"), ("O", "B-P", "I-P", "E-P", "S-P"),
                                    ("O", "B-P", "I-P", "I-L"), ("O", "NOUN", "VERB")])
def test_decoding_finds_the_likeliest_of_all_allowed_sequences(labels):
    rng = np.random.default_rng(0)

    def allowed(tags):
        inner_types = {label[2:] for label in labels if label[0] in "IE"}
        if not inner_types <= {label[2:] for label in labels if label[0] in "BS"}:
            return True  # IOB1: a type has no B
        return all(tag[0] not in "IE" or (tags[position - 1][0] in "BI" and tags[position - 1][2:] == tag[2:]
                                          if position else False)
                   for position, tag in enumerate(tags) if "-" in tag)

    for _ in range(30):
        log_probabilities = np.log(rng.dirichlet(np.full(len(labels), 0.7), size=rng.integers(1, 5)))
        sequences = [sequence for sequence in itertools.product(range(len(labels)), repeat=len(log_probabilities))
                     if allowed([labels[tag] for tag in sequence])]
        best = max(sequences, key=lambda sequence: sum(log_probabilities[position, tag]
                                                       for position, tag in enumerate(sequence)))
        assert decoding.viterbi(log_probabilities, labels) == list(best)


def test_no_entity_goes_on_that_did_not_begin():
    labels = ("O", "B-P", "I-P")
    probabilities = np.array([[0.6, 0.3, 0.1], [0.2, 0.1, 0.7]])  # each by itself: O I-P
    # 0.3 · 0.7 beats 0.6 · 0.2
    assert [labels[tag] for tag in decoding.viterbi(np.log(probabilities), labels)] == ["B-P", "I-P"]
    probabilities[1] = [0.4, 0.0, 0.6]
    # 0.6 · 0.4 beats 0.3 · 0.6
    assert [labels[tag] for tag in decoding.viterbi(np.log(probabilities + 1e-9), labels)] == ["O", "O"]


# --- scores ---


def scores_and_measures(gold, predicted, types=("PER", "LOC", "ORG", "MISC")):
    """Scores of sentences of entities (begin, end, type), and the measures."""
    counts = [spans.span_counts(gold_spans, predicted_spans, types)
              for gold_spans, predicted_spans in zip(gold, predicted, strict=True)]
    measures = {name: np.asarray([row[name] for row in counts]) for name in counts[0]}
    return {name: float(value[0]) for name, value in spans.scores(measures,
                                                                  np.ones((1, len(counts)))).items()}, measures


def entities_of(*sentences):
    return [[(entity.begin, entity.end, entity.type) for entity in entities(tags.split())] for tags in sentences]


@pytest.mark.parametrize(("gold", "predicted", "precision", "recall", "f1"), [
    # 2 predicted, 2 gold, 1 right: the other begins one word too early
    (["O O O B-MISC I-MISC I-MISC O", "B-PER I-PER O"], ["O O B-MISC I-MISC I-MISC I-MISC O", "B-PER I-PER O"], 1 / 2,
     1 / 2, 1 / 2),
    # 4 predicted, 3 gold, 1 right (PER): a wrong type, a wrong border, one too many
    (["B-PER I-PER O B-LOC O B-ORG I-ORG I-ORG O O"], ["B-PER I-PER O B-ORG O B-ORG I-ORG O O B-LOC"], 1 / 4, 1 / 3,
     2 / 7),
    # two neighbours of one type are two entities
    (["B-PER B-PER"], ["B-PER I-PER"], 0.0, 0.0, 0.0),
    # in IOB1 and without a beginning the same entities stand there
    (["I-PER I-PER O I-LOC"], ["B-PER I-PER O B-LOC"], 1.0, 1.0, 1.0),
    # BIOES gold against BIO answers: 3 right of 4 predicted, of 3 gold
    (["B-PER E-PER O S-LOC", "S-ORG O"], ["B-PER I-PER O B-LOC", "B-ORG B-ORG"], 3 / 4, 1.0, 6 / 7),
    # a type that changes inside: gold PER [0, 1), LOC [1, 3); only the second is found
    (["B-PER I-LOC I-LOC"], ["O B-LOC I-LOC"], 1.0, 1 / 2, 2 / 3),
])
def test_scores_worked_by_hand(gold, predicted, precision, recall, f1):
    scores, _ = scores_and_measures(entities_of(*gold), entities_of(*predicted))
    assert scores["precision"] == pytest.approx(precision) and scores["recall"] == pytest.approx(recall)
    assert scores["f1"] == pytest.approx(f1, abs=1e-15)


def test_relaxed_scores_take_each_entity_once():
    assert scores_and_measures([[(0, 4, "PER")]], [[(0, 1, "PER"),
                                                    (2, 4, "PER")]])[0]["relaxed_f1"] == pytest.approx(2 / 3)
    assert scores_and_measures([[(0, 2, "PER"), (2, 4, "PER")]],
                               [[(1, 3, "PER")]])[0]["relaxed_f1"] == pytest.approx(2 / 3)
    assert scores_and_measures([[(0, 3, "PER"), (3, 6, "PER")]],
                               [[(0, 1, "PER"), (1, 4, "PER")]])[0]["relaxed_f1"] == pytest.approx(1.0)
    assert scores_and_measures([[(0, 2, "PER")]], [[(1, 3, "LOC")]])[0]["relaxed_f1"] == 0.0
    # they touch and share nothing
    assert scores_and_measures([[(0, 2, "PER")]], [[(2, 3, "PER")]])[0]["relaxed_f1"] == 0.0


def test_relaxed_pairs_are_as_many_as_can_be():
    rng = random.Random(1)

    def random_spans():
        borders = sorted(rng.sample(range(14), 2 * rng.randint(1, 3)))
        return [(start, end, "P") for start, end in zip(borders[::2], borders[1::2], strict=True)]

    for _ in range(200):
        gold, predicted = random_spans(), random_spans()
        match_counts = (sum(gold_span is not None and gold_span[0] < predicted_span[1]
                            and predicted_span[0] < gold_span[1]
                            for gold_span, predicted_span in zip(order, predicted, strict=False))
                        for order in itertools.permutations([*gold, *[None] * len(predicted)], len(predicted)))
        assert spans.relaxed_matches(gold, predicted) == max(match_counts)


def test_scores_equal_those_of_an_independent_count():
    def by_pattern(tags):
        text = " ".join(tags)
        matches = re.finditer(r"B-(\w+)((?: I-\1(?= |$))*)", text)
        return {(len(text[:match.start()].split()), len(match.group().split()), match.group(1)) for match in matches}

    rng = random.Random(7)
    rows = [[long_row(rng, 12)["tags"] for _ in range(2)] for _ in range(40)]
    correct = sum(len(by_pattern(gold_tags) & by_pattern(predicted_tags)) for gold_tags, predicted_tags in rows)
    gold, predicted = (sum(len(by_pattern(pair[side])) for pair in rows) for side in (0, 1))
    scores, measures = scores_and_measures(*([[(entity.begin, entity.end, entity.type) for entity in entities(
        pair[side])] for pair in rows] for side in (0, 1)),
                                           types=("P", "L"))
    assert scores["precision"] == pytest.approx(correct / predicted, abs=1e-15) and scores["recall"] == pytest.approx(
        correct / gold, abs=1e-15)
    counts = np.random.default_rng(0).integers(0, 3, size=(1, 40)).astype(float)
    repeated_scores, _ = scores_and_measures(*([[(entity.begin, entity.end, entity.type)
                                                 for entity in entities(pair[side])]
                                                for pair, count in zip(rows, counts[0], strict=True)
                                                for _ in range(int(count))] for side in (0, 1)), types=("P", "L"))
    weighted = spans.scores(measures, counts)
    assert all(weighted[name][0] == pytest.approx(repeated_scores[name], abs=1e-15) for name in repeated_scores)


def test_kinds_of_error_are_distinguished():
    gold = [(0, 2, "PER"), (3, 4, "LOC"), (5, 8, "ORG"), (9, 10, "LOC")]
    predicted = [(0, 2, "PER"), (3, 4, "ORG"), (5, 7, "ORG"), (12, 13, "PER")]
    assert spans.error_counts(gold, predicted) == {"wrong_type": 1, "wrong_border": 1, "missed": 1, "spurious": 1}


def test_what_cannot_be_scored_has_no_score():
    silent, _ = scores_and_measures([[(0, 1, "PER")]], [[]])
    assert silent["f1"] == 0 and silent["recall"] == 0 and np.isnan(silent["precision"])
    empty, _ = scores_and_measures([[]], [[]])
    assert all(np.isnan(value) for value in empty.values())


def test_types_that_training_never_showed_count_as_missed():
    scores, measures = scores_and_measures([[(0, 1, "PER"), (1, 2, "NEW")]], [[(0, 1, "PER")]])
    assert scores["recall"] == 0.5
    assert spans.per_type(measures, ("PER", "LOC", "ORG", "MISC"))["(unseen in training)"]["support"] == 1


# --- rows ---


def test_tokens_and_tags_come_in_three_forms():
    expected = TokenTagging().read(Row(0, {"tokens": ["Ann", "naps"], "tags": ["B-P", "O"]}))
    assert TokenTagging().read(Row(0, {"tokens": '["Ann", "naps"]', "tags": '["B-P", "O"]'})) == expected
    assert TokenTagging().read(Row(0, {"tokens": "Ann naps", "tags": "B-P O"})) == expected
    assert TokenTagging().read(Row(0, {"tokens": "Ann naps", "tags": ""})).entities is None


@pytest.mark.parametrize(("values", "code"), [
    ({"tokens": [], "tags": []}, "E201"), ({"tokens": ["a", " "], "tags": ["O", "O"]}, "E201"), ({"text": " "}, "E201"),
    ({}, "E201"), ({"tokens": ["a", "b"], "tags": ["O"]}, "E301"), ({"tokens": ["a", "b"], "tags": "O O O"}, "E301"),
    ({"tokens": ["a"], "tags": ["X-P"]}, "E302"), ({"tokens": ["a"], "tags": [3]}, "E302"),
    ({"tokens": ["a"], "tags": ["B"]}, "E302"), ({"tokens": ["a", "b"], "tags": ["B-P", "P"]}, "E302"),
    ({"text": "Ann", "spans": [{"start": 0, "end": 9, "type": "P"}]}, "E303"),
    ({"text": "Ann", "spans": [{"start": -1, "end": 2, "type": "P"}]}, "E303"),
    ({"text": "Ann", "spans": [{"start": 2, "end": 2, "type": "P"}]}, "E303"),
    ({"text": "Ann", "spans": [[0, 3, "P"]]}, "E303"),
    ({"text": "a b", "spans": [{"start": 1, "end": 2, "type": "P"}]}, "E303"),
    ({"text": "Ann Lee", "spans": [{"start": 0, "end": 3, "type": "P"}, {"start": 2, "end": 7, "type": "P"}]}, "E304"),
    ({"tokens": "['a' 'b']", "tags": ["O", "O"]}, "E305"), ({"tokens": ["a", None], "tags": ["O", "O"]}, "E305"),
])
def test_faulty_rows_are_reported(values, code):
    with pytest.raises(RowFault) as error:
        TokenTagging().read(Row(0, values))
    assert error.value.code == code and error.value.fix


def test_a_given_scheme_is_held_to():
    row = Row(0, {"tokens": ["Ann", "Lee"], "tags": ["B-P", "E-P"]})
    assert TokenTagging().read(row).entities == (Entity(0, 2, "P"),)
    with pytest.raises(RowFault, match="of the scheme bio"):
        TokenTagging(TokenTagging.Settings(scheme="bio")).read(row)


def test_spans_are_set_to_whole_words():
    row = {"text": "Ann-Lee's dog", "spans": [{"start": 0, "end": 6, "type": "P"},
                                              {"start": 9, "end": 13, "type": "A"}]}
    example = TokenTagging().read(Row(0, row))
    assert example.entities == (Entity(0, 3, "P"), Entity(5, 6, "A")) and example.widened == 2


def check_findings(settings=None, **splits):
    task = TokenTagging(TokenTagging.Settings(**(settings or {})))
    examples = {split: [task.read(Row(index, row)) for index, row in enumerate(rows)] for split, rows in splits.items()}
    return [(finding.code, finding.message) for finding in task.check(examples)]


def test_the_check_names_what_a_task_can_see():
    valid_row = {"tokens": ["Ann", "naps"], "tags": ["B-P", "O"]}
    assert check_findings(train=[valid_row], dev=[valid_row]) == []
    findings = check_findings(train=[valid_row, valid_row, {"tokens": ["at", "Rome"], "tags": ["O", "I-L"]}],
                              dev=[{"tokens": ["Rome", "x"], "tags": ["B-L", "B-N"]}])
    assert [code for code, _ in findings] == ["W210",
                                              "W207"] and "1 entities" in findings[0][1] and "'N'" in findings[1][1]
    assert [code for code, _ in check_findings(train=[{"tokens": ["Ann"], "tags": ["S-P"]}])] == ["N210"]
    assert [code for code, _ in check_findings(train=[{"tokens": ["Ann", "at", "Rome"],
                                                       "tags": ["I-P", "O", "I-L"]}])] == ["N210"]
    assert [code for code, _ in check_findings({"scheme": "bio"},
                                               train=[{"tokens": ["Ann"], "tags": ["I-P"]}])] == ["W210"]
    assert [code for code, _ in check_findings(train=[valid_row, {"tokens": ["Ann"]}])] == ["E202"]
    assert [code for code, _ in check_findings(train=[{"tokens": ["Ann"], "tags": ["O"]}])] == ["E203"]
    assert [code for code, _ in check_findings(train=[{"text": "Anna",
                                                       "spans": [{"start": 0, "end": 3, "type": "P"}]}])] == ["W211"]


def test_rows_without_an_answer_are_not_measured():
    task = TokenTagging()
    with pytest.raises(UserError, match="neither tags nor spans"):
        task.measure(task.read(Row(4, {"tokens": ["Ann"]})), None)


def test_the_usual_columns_are_recognised():
    from headstart.contract import Column

    lists = [Column("id", ["1"] * 4), Column("words", [["a", "b"]] * 4), Column("ner_tags", [["O", "B-P"]] * 4)]
    texts = [Column("text", ["a b"] * 4), Column("entities", [[{"start": 0, "end": 1, "type": "P"}]] * 4)]
    assert detect(lists, "x")[1].columns == {"tokens": "words", "tags": "ner_tags"}
    assert detect(texts, "x")[1].columns == {"text": "text", "spans": "entities"}


def test_the_official_file_is_what_conlleval_reads():
    task = TokenTagging()
    rows = [{"tokens": ["Ann", "New York"], "tags": ["I-P", "O"]}, {"tokens": ["x"], "tags": ["O"]}]
    examples = [task.read(Row(index, row)) for index, row in enumerate(rows)]
    task = task.with_learned(task.learn(examples))
    predictions = [oracle(task, example, LetterTokenizer(30)) for example in examples]
    assert task.official_files(examples, predictions) == {"predictions.conll": "Ann B-P B-P\nNew_York O O\n\nx O O\n"}


def test_the_dictionary_knows_what_it_has_seen():
    from headstart.baselines.dictionary import EntityDictionary

    dictionary = EntityDictionary.fit([(["New", "York", "is", "new"], [(0, 2, "L")]),
                                       (["York", "Lee", "naps"], [(0, 1, "P"), (1, 2, "P")]),
                                       (["May", "is"], [(0, 1, "P")]), (["May", "may", "May", "May"], [])])
    # May mostly is none
    assert dictionary.find(["in", "New", "York", ",", "York", "is", "Lee", "May"]) == [(1, 3, "L"), (4, 5, "P"),
                                                                                       (6, 7, "P")]
    assert EntityDictionary.fit([]).find(["a"]) == [] and dictionary.size_bytes > 0


# --- CoNLL files ---


def write(folder, text, name="a.conll"):
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


CONLL_TEXT = "Ann\tB-P\nnaps\tO\n\nat\tO\nNew\tB-L\nYork\tI-L\n"


@pytest.mark.parametrize("text", [
    CONLL_TEXT, CONLL_TEXT.rstrip("\n"), CONLL_TEXT.replace("\n", "\r\n"), CONLL_TEXT.replace("\t", "  "),
    "\ufeff" + CONLL_TEXT, CONLL_TEXT.replace("\n\n", "\n\t\n\n\n"),
    "\n\n" + CONLL_TEXT, CONLL_TEXT.replace("\t", "\tNN\t_\t"), "-DOCSTART-\tO\n\n" + CONLL_TEXT,
    CONLL_TEXT.replace("\n\n", "\n-DOCSTART- -X- O\n"),
    "# id = 1\n" + CONLL_TEXT.replace("\n\n", "\n\n# id = 2\n# text = at New York\n"), CONLL_TEXT.replace("\n", " \n"),
    CONLL_TEXT.replace("\t", " NN "),
])
def test_conll_columns_are_read_in_every_usual_form(tmp_path, text):
    table = open_table(str(write(tmp_path, text)), Data())
    assert table.columns == ("tokens", "tags") and not [finding for finding in table.findings
                                                        if finding.level == "fault"]
    assert [record.values for record in table] == [(["Ann", "naps"], ["B-P", "O"]),
                                                   (["at", "New", "York"], ["O", "B-L", "I-L"])]


def test_a_row_has_the_line_of_its_first_word(tmp_path):
    table = open_table(str(write(tmp_path, "# id = 1\n" + CONLL_TEXT + "\n#\tO\ntag\tB-P\n")), Data())
    assert [record.line for record in table] == [2, 5, 9]
    assert table[2].values[0] == ["#", "tag"]  # a token, no comment


def test_a_file_of_words_alone_can_be_predicted(tmp_path):
    table = open_table(str(write(tmp_path, "Ann\nnaps\n\nat\n")), Data())
    assert table.columns == ("tokens",) and [record.values for record in table] == [(["Ann", "naps"],), (["at"],)]


@pytest.mark.parametrize(("name", "form"), [("a.txt", "conll"), ("a.tsv", "conll"), ("a.bio", "conll"),
                                            ("a.iob", "conll"), ("a.annotated", "conll"), ("a.conll.gz", "conll")])
def test_conll_is_known_by_its_content(tmp_path, name, form):
    import gzip

    content = gzip.compress(CONLL_TEXT.encode()) if name.endswith(".gz") else CONLL_TEXT.encode()
    assert open_table(str(write(tmp_path, content, name)), Data()).format.startswith(form)


@pytest.mark.parametrize("text", ["text\tlabel\na b\tO\nc d\tB-x\n", "text\tlabel\nOh\tyes\n",
                                  "one line\nof plain text\n", "a,b\nO,O\n"])
def test_other_tables_are_still_read_as_what_they_are(text):
    assert not looks_like(text.encode(), "tsv") and not looks_like(text.encode(), "csv")


@dataclass(frozen=True)
class FaultyFile:
    """A faulty file, and the fault that it should give."""

    text: str
    line: int
    code: str
    fix: str
    usable_rows: int = 1  # rows that can be used


FAULTY_FILES = {
    "too few columns": FaultyFile(CONLL_TEXT + "\nAnn\nnaps\tO\n", 8, "E115", "all its columns", 2),
    "too many columns": FaultyFile(CONLL_TEXT.replace("naps\tO", "naps\tVB\tO"), 2, "E115", "all its columns"),
    "a heading": FaultyFile(CONLL_TEXT.replace("\n\n", "\n\n== Page 2 ==\n"), 4, "E115", "all its columns"),
    "an empty tag": FaultyFile(CONLL_TEXT.replace("at\tO", "at\t"), 4, "E115", "all its columns"),
    "spaces among tabs": FaultyFile(CONLL_TEXT.replace("at\tO", "at O"), 4, "E116", "by tabs"),
    "a tab among spaces": FaultyFile(CONLL_TEXT.replace("\t", " ").replace("York ", "York\t"), 6, "E116", "by spaces"),
    "no word": FaultyFile(CONLL_TEXT.replace("York\t", "\t"), 6, "E117", "Write the word"),
    "a word of a wide space": FaultyFile(CONLL_TEXT.replace("Ann\t", "\u3000\t"), 1, "E117", "Write the word"),
    "no word, spaces": FaultyFile(CONLL_TEXT.replace("\t", " ").replace("Ann", ""), 1, "E117", "Write the word"),
    "cut off": FaultyFile(CONLL_TEXT.replace("York\tI-L\n", "Yor"), 6, "E111", "Copy the file again"),
    "NUL": FaultyFile(CONLL_TEXT.replace("naps", "na\0ps"), 2, "E106", "Write the file again"),
    "a comment inside": FaultyFile(CONLL_TEXT.replace("naps\tO", "# remark\nnaps\tO"), 2, "E116", "by tabs"),
    "two faults in a sentence": FaultyFile(CONLL_TEXT.replace("New\tB-L\nYork\tI-L", "New\nYork"), 5, "E115",
                                           "all its columns"),
}


@pytest.mark.parametrize("name", FAULTY_FILES)
def test_every_faulty_conll_file_is_reported_with_its_line(tmp_path, name):
    faulty = FAULTY_FILES[name]
    path = write(tmp_path, faulty.text)
    table = open_table(str(path), Data())
    (fault,) = [finding for finding in table.findings if finding.level == "fault"]
    assert (Path(fault.file).name, fault.line, fault.code) == ("a.conll", faulty.line, faulty.code)
    assert faulty.fix in fault.fix and "--bad-rows skip" in fault.fix
    assert len(table) == faulty.usable_rows and fault.row not in [record.id for record in table]


def test_a_faulty_tag_has_the_line_of_its_sentence(tmp_path):
    from headstart.data.examples import read_examples

    reading = read_examples(TokenTagging(), str(write(tmp_path, CONLL_TEXT.replace("B-L", "b-L"))), Data(), columns={},
                            training=True)
    (fault,) = reading.findings
    assert (fault.line, fault.code) == (4, "E302") and "'New'" in fault.message and len(reading.examples) == 1


def test_an_empty_conll_file_is_reported(tmp_path):
    for text in ("", "\n\n", "-DOCSTART-\tO\n"):
        with pytest.raises(DataError) as error:
            open_table(str(write(tmp_path, text)), Data())
        assert error.value.findings[0].code == "E101"


# --- whole models ---


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_texts_get_spans_of_their_characters(family, tmp_path):
    from headstart.api.model import Model
    from headstart.models.loading.load import load

    task = TokenTagging()
    rows = [{"text": text, "spans": [{"start": match.start(), "end": match.end(), "type": "thing"}
                                     for match in re.finditer("roses|card|bill", text)]}
            for text in tiny.texts(20, seed=4)]
    examples = [task.read(Row(index, row)) for index, row in enumerate(rows)]
    task = task.with_learned(task.learn(examples))
    tokenizer = FamilyTokenizer(tiny.tokenizer(family), 64)
    for row, example in zip(rows, examples, strict=True):
        values = oracle(task, example, tokenizer.with_max_length(24)).values
        assert list(values) == ["spans"]
        assert [{key: span[key] for key in ("start", "end", "type")} for span in values["spans"]] == row["spans"]
        assert all(span["text"] == row["text"][span["start"]:span["end"]] and 0.99 < span["probability"] <= 1
                   for span in values["spans"])
    model = Model(task, load(str(tiny.model_folder(family, tmp_path / family)), task.head(), seed=0), "tiny")
    (of_text,) = model.predict(["Every teacher counts the roses."])
    (of_tokens,) = model.predict([{"tokens": ["Every", "teacher", "counts", "the", "roses", "."]}])
    assert list(of_text) == ["spans"] and len(of_tokens["prediction"]) == 6


def test_a_published_tagger_answers_as_transformers_does(tmp_path):
    import torch
    import transformers

    import headstart

    labels = ["I-P", "O", "I-L"]  # IOB1: nothing is forbidden
    folder = tiny.model_folder("bert", tmp_path / "tagger", head="token-classification", labels=labels)
    model = headstart.load(folder)
    assert model.task.name == "token-tagging" and model.task.learned.labels == tuple(labels)
    tokenizer, plain = transformers.AutoTokenizer.from_pretrained(
        folder), transformers.AutoModelForTokenClassification.from_pretrained(folder)
    for text in tiny.texts(5, seed=6):
        words = text.split()
        inputs = tokenizer(words, is_split_into_words=True, return_tensors="pt")
        with torch.inference_mode():
            best_tags = plain.eval()(**inputs).logits[0].argmax(dim=1).tolist()
        first_tokens = {word: token for token, word in reversed(list(enumerate(inputs.word_ids()))) if word is not None}
        tags = [labels[best_tags[first_tokens[word]]] for word in range(len(words))]
        (row,) = model.predict([{"tokens": words}])
        assert row["prediction"] == bio_tags(entities(tags), len(words))
    assert TokenTagging.from_model_config({"architectures": ["BertForTokenClassification"],
                                           "id2label": {"0": "O", "1": "B"}}) is None
    assert TokenTagging.from_model_config({"architectures": ["BertForSequenceClassification"],
                                           "id2label": {"0": "O", "1": "B-P"}}) is None


def conll_rows(count, seed):
    """Sentences in which some words are things, and what stands behind "in" is a year."""
    rng, pool = random.Random(seed), tiny.sentences()
    blocks = []
    for _ in range(count):
        words = re.findall(r"[\w']+|[^\w\s]", rng.choice(pool))
        tags = ["B-thing" if word in ("roses", "card", "bill", "apples") else "B-year" if word == "1984" else "O"
                for word in words]
        tags = ["B-thing" if tag == "O" and words[index:index + 2] == ["green", "apples"] else
                "I-thing" if word == "apples" and words[index - 1] == "green" else tag
                for index, (word, tag) in enumerate(zip(words, tags, strict=True))]
        blocks.append("".join(f"{word}\t{tag}\n" for word, tag in zip(words, tags, strict=True)))
    return "\n".join(blocks)


def test_the_example_trains_and_tags_a_text(tiny_bert, tmp_path):
    paths = [write(tmp_path, conll_rows(count, seed), f"{name}.conll")
             for seed, (name, count) in enumerate([("train", 300), ("dev", 40), ("test", 40)])]
    process = subprocess.run([sys.executable, str(ROOT / "examples" / "token_tagging.py"), str(paths[0]), "--dev",
                              str(paths[1]), "--test", str(paths[2]),
                              "--model", str(tiny_bert), "--to", str(tmp_path / "run"), "--epochs", "20",
                              "--learning-rate", "3e-3",
                              "--text", "My sister counts seven green apples in 1984."], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    scores = json.loads((tmp_path / "run" / "scores.json").read_text(encoding="utf-8"))
    assert scores["test"]["f1"]["value"] > 0.9 and scores["baselines"]["dictionary"]["scores"]["f1"]["value"] > 0.9
    assert list(scores["test"]) == ["f1", "precision", "recall", "relaxed_f1"]
    assert re.search(r"39-43\s+year\s+1984", process.stdout) and re.search(r"23-35\s+thing\s+green apples",
                                                                           process.stdout)
    assert "thing" in scores["tables"]["test"]["per_type"]
    lines = (tmp_path / "run" / "official" / "test" / "predictions.conll").read_text(encoding="utf-8").split("\n\n")
    assert len(lines) == 40
    process = subprocess.run([sys.executable, "-m", "headstart", "predict", str(tmp_path / "run"), str(paths[2])],
                             capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    rows = [json.loads(line) for line in process.stdout.splitlines()]
    assert len(rows) == 40 and set(rows[0]) == {"tokens", "tags", "prediction", "spans"}
