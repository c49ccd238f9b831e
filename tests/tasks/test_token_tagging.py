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
from headstart.text.alignment import align, joined, words_in, words_of
from headstart.text.tags import Entity, ambiguous, as_bio, entities, parts, repairs, scheme, signs
from headstart.text.windows import windows

ROOT = Path(__file__).parents[2]
TASK = find("token-tagging")


# --- schemes ---


@pytest.mark.parametrize("tags", ["B-P I-P O B-L B-L", "I-P I-P O I-L B-L", "B-P E-P O S-L S-L", "B-P L-P O U-L U-L", "B-P I-P O S-L B-L"])
def test_every_scheme_spells_the_same_entities(tags):
    held = entities(tags.split())
    assert held == [Entity(0, 2, "P"), Entity(3, 4, "L"), Entity(4, 5, "L")]
    assert as_bio(held, 5) == ["B-P", "I-P", "O", "B-L", "B-L"]


@pytest.mark.parametrize(("tags", "found"), [
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
def test_faulty_tags_are_read_as_conlleval_reads_them(tags, found):
    assert [(one.begin, one.end, one.type) for one in entities(tags.split())] == found


def test_bio_tags_and_entities_turn_into_each_other():
    draw = random.Random(0)
    for _ in range(200):
        held, at, count = [], 0, draw.randint(0, 20)
        while at < count:
            size = min(draw.randint(1, 4), count - at)
            if draw.random() < 0.5:
                held.append(Entity(at, at + size, draw.choice("PLX")))
            at += size
        assert entities(as_bio(held, count)) == held and repairs(as_bio(held, count), "bio") == 0


@pytest.mark.parametrize(("sentences", "form"), [
    (["B-P I-P O", "O B-L"], "bio"), (["I-P I-P O", "I-L B-L"], "iob1"), (["B-P E-P", "O"], "bioes"), (["U-P O"], "bioes"),
    (["NOUN VERB", "O"], "plain"), (["O O"], "bio"), ([], "bio"),
    (["B-P I-P", "B-L O", "O I-L"], "bio"),  # one fault does not make it IOB1
    (["I-P I-P", "I-L O", "O B-L"], "iob1"),
])
def test_a_datasets_scheme_is_found_from_its_tags(sentences, form):
    assert scheme(sum((signs(one.split()) for one in sentences), Counter())) == form


@pytest.mark.parametrize(("tags", "form", "count"), [
    ("B-P I-P O B-P B-P", "bio", 0), ("O I-P I-P O I-L", "bio", 2), ("B-P I-L", "bio", 1), ("I-P I-P B-P O I-L", "iob1", 0),
    ("O B-P I-P", "iob1", 1), ("B-P E-P S-L", "bioes", 0), ("O E-P", "bioes", 1), ("B-P O", "bioes", 1), ("B-P I-P S-L", "bioes", 1),
    ("I-P O", "bioes", 1), ("NOUN VERB", "plain", 0),
])
def test_every_repair_is_counted(tags, form, count):
    assert repairs(tags.split(), form) == count


def test_what_can_be_mended_in_two_ways_is_not_mended():
    assert ambiguous("O B-P E-L".split()) == 2
    assert ambiguous("B-P I-P I-L E-L".split()) == 2
    assert ambiguous("B-P I-L".split()) is None  # in BIO only a beginning is missing
    assert ambiguous("B-P E-P I-L E-L".split()) is None
    with pytest.raises(RowFault) as told:
        TASK().read(Row(0, {"tokens": ["at", "Ann", "Hall"], "tags": ["O", "B-P", "E-L"]}))
    assert told.value.code == "E307" and "token 2" in told.value.message


@pytest.mark.parametrize("tag", ["X-P", "b-P", "B", "I", "B-", "", "-P", "B P"])
def test_what_is_no_tag(tag):
    assert parts(tag) is None


# --- words, characters, tokens ---


@pytest.mark.parametrize(("text", "words"), [
    ("Ann's 5kg!", "Ann ' s 5kg !"), ("e-mail a_b", "e - mail a_b"), ("cafe\u0301s ok", "cafe\u0301s ok"), ("हिन्दी में", "हिन्दी में"),
    ("我在London。", "我 在 London 。"), ("ไทย", "ไ ท ย"), ("I \u2764\ufe0f it", "I \u2764\ufe0f it"), ("  two\t\nlines ", "two lines"), ("", ""),
    ("김치 3개", "김 치 3 개"),
])
def test_a_text_falls_into_words(text, words):
    assert [text[begin:end] for begin, end in words_of(text)] == words.split()


def test_given_words_keep_their_places():
    text, places = joined(["New York", "is", "big"])
    assert text == "New York is big" and [text[begin:end] for begin, end in places] == ["New York", "is", "big"]


def test_characters_become_the_words_they_touch():
    places = words_of("In New York.")
    assert words_in(places, 3, 11) == (1, 3)
    assert words_in(places, 4, 8) == (1, 3)  # inside of both words
    assert words_in(places, 2, 3) is None  # the space between
    assert words_in(places, 11, 12) == (3, 4)


def test_tokens_go_to_the_word_in_which_they_begin():
    text = "ab 's \u200b x"
    places = [(0, 2), (3, 4), (4, 5), (6, 7), (8, 9)]
    made = align(text, places, [(0, 1), (1, 2), (2, 5), (5, 6), (7, 9), (9, 9)])  # BPE's offsets may hold the space before
    assert list(made.first) == [0, 2, -1, -1, 4] and list(made.last) == [1, 2, -1, -1, 4]
    assert made.held_by == {2: 1} and made.spoken == [0, 1, 4]


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_tokens_of_a_word_are_its_letters(family):
    tokenizer = FamilyTokenizer(tiny.tokenizer(family), 128, catalogue.find(family, "tests").surface)
    for text in tiny.texts(10, seed=2):
        tokens = tokenizer.tokenize(text)
        made = align(text, words_of(text), tokens.offsets)
        assert len(made.spoken) + len(made.held_by) == len(words_of(text))
        for word in made.spoken:
            begin, end = tokens.offsets[made.first[word]][0], tokens.offsets[made.last[word]][1]
            assert text[begin:end].strip().startswith(text[slice(*words_of(text)[word])])


# --- windows ---


class Letters:
    """A tokenizer of one token a letter, without special tokens; signs in `dropped` become none."""

    def __init__(self, longest, dropped=""):
        self.longest, self.dropped = longest, dropped

    def tokenize(self, text):
        places = [place for place, mark in enumerate(text) if not mark.isspace() and mark not in self.dropped]
        return Tokens([ord(text[place]) for place in places], [(place, place + 1) for place in places])

    def room(self, parts):
        return self.longest - 2

    def lay_out(self, *parts):
        return [0, *parts[0], 0], [0] * (len(parts[0]) + 2)


def oracle(task, example, tokenizer, *, draw=None):
    """What the task answers when each asked place gets the right tag's logit, as training would have it."""
    pieces = []
    for feature in task.encode(example, tokenizer, draw):
        target = feature.targets["label"].value
        logits = np.zeros((len(feature), len(task.known.labels)), dtype=np.float32)
        for place, tag in enumerate(target):
            logits[place, tag if tag >= 0 else 1] = 20.0  # elsewhere a wrong answer, which nobody may look at
        pieces.append(task.reduce(feature, {"logits": logits}))
    return task.decode(example, pieces)


def long_row(draw, words=60):
    tokens = ["".join(draw.choices("abcdefgh", k=draw.randint(1, 9))) for _ in range(words)]
    tags, at = [], 0
    while at < words:
        size = min(draw.choice([1, 1, 2, 3, 6]), words - at)
        kind = draw.choice(["P", "L", ""])
        tags += as_bio([Entity(0, size, kind)], size) if kind else ["O"] * size
        at += size
    return {"tokens": tokens, "tags": tags}


@pytest.mark.parametrize(("longest", "overlap"), [(12, 4), (16, 0), (20, 9), (64, 32), (400, 32)])
def test_no_entity_is_lost_at_a_windows_border(longest, overlap):
    draw = random.Random(longest)
    task = TASK(TASK.Settings(overlap=overlap))
    rows = [long_row(draw) for _ in range(5)]
    examples = [task.read(Row(number, row)) for number, row in enumerate(rows)]
    task = task.knowing(task.learn(examples))
    for row, example in zip(rows, examples, strict=True):
        assert oracle(task, example, Letters(longest)).values["prediction"] == row["tags"]


@pytest.mark.parametrize("labelled", ["first", "all"])
def test_each_word_is_learned_in_one_window_only(labelled):
    draw = random.Random(5)
    task = TASK(TASK.Settings(overlap=6, labelled=labelled))
    example = task.read(Row(0, long_row(draw)))
    task = task.knowing(task.learn([example]))
    features = task.encode(example, Letters(20))
    answered = [word for feature in features for word in feature.info["words"]]
    assert sorted(answered) == list(range(60))
    targets = [target for feature in features for target in feature.targets["label"].value if target != -100]
    letters = sum(map(len, example.words))
    assert len(targets) == 60 if labelled == "first" else 60 < len(targets) <= letters
    assert not task.encode(example, Letters(20), random.Random(0))[0].info  # training keeps nothing that only predicting needs


def test_a_word_is_answered_where_most_stands_around_it():
    draw = random.Random(3)
    for _ in range(300):
        length, room = draw.randint(1, 80), draw.randint(3, 30)
        held = windows(length, room, draw.randint(0, room // 2))
        first = draw.randrange(length)
        last = min(length - 1, first + draw.randint(0, 2))

        def around(part, held=held, first=first, last=last):
            begin, end = held[part]
            return min(first - begin if begin else 10**6, end - 1 - last if end < held[-1][1] else 10**6)

        inside = [part for part, (begin, end) in enumerate(held) if begin <= first < end]
        assert tag_windows.best(held, first, last) == max(inside, key=lambda part: (around(part), -part))


def test_later_pieces_go_on_with_the_entity():
    task = TASK(TASK.Settings(labelled="all"))
    example = task.read(Row(0, {"tokens": ["abc", "de", "f"], "tags": ["B-P", "I-P", "O"]}))
    task = task.knowing(task.learn([example]))
    assert task.known.labels == ("O", "B-P", "I-P")
    assert list(task.encode(example, Letters(20))[0].targets["label"].value) == [-100, 1, 2, 2, 2, 2, 0, -100]


def test_words_that_become_no_token_stay_with_their_entity_and_are_counted():
    task = TASK()
    tags = ["B-P", "I-P", "I-P", "O", "B-L", "I-L"]
    example = task.read(Row(0, {"tokens": ["ab", "\u200b", "cd", "\u200b", "\u200b", "ef"], "tags": tags}))
    task = task.knowing(task.learn([example]))
    tokenizer = Letters(20, dropped="\u200b")
    feature = task.encode(example, tokenizer)[0]
    assert feature.info["words"] == [0, 2, 5]
    assert [task.known.labels[tag] for tag in feature.targets["label"].value if tag >= 0] == ["B-P", "I-P", "B-L"]
    made = oracle(task, example, tokenizer)
    assert made.values["prediction"] == ["B-P", "I-P", "I-P", "O", "O", "B-L"]
    measures = {name: np.asarray([value]) for name, value in task.measure(example, made).items()}
    assert task.tables(measures)["words_without_tokens"] == 3 and task.tables(measures)["words"] == 6


def test_a_text_without_any_token_is_answered():
    task = TASK()
    example = task.read(Row(0, {"tokens": ["\u200b", "\u200b"], "tags": ["B-P", "O"]}))
    task = task.knowing(task.learn([example]))
    assert oracle(task, example, Letters(20, dropped="\u200b")).values == {"prediction": ["O", "O"], "spans": []}


def test_a_word_inside_anothers_token_belongs_to_its_entity():
    labels, logs = ("O", "B-P", "I-P"), np.log(np.array([[0.1, 0.8, 0.1], [0.2, 0.1, 0.7], [0.9, 0.05, 0.05]]))
    held = decoding.found([([0, 1, 3], logs, {2: 1})], labels)
    assert [one for one, _ in held] == [Entity(0, 3, "P")] and held[0][1] == pytest.approx(0.75)


# --- decoding ---


@pytest.mark.parametrize("labels", [("O", "B-P", "I-P", "B-L", "I-L"), ("O", "B-P", "I-P", "E-P", "S-P"), ("O", "B-P", "I-P", "I-L"),
                                    ("O", "NOUN", "VERB")])
def test_decoding_finds_the_likeliest_of_all_allowed_sequences(labels):
    draw = np.random.default_rng(0)

    def allowed(tags):
        inner = {label[2:] for label in labels if label[0] in "IE"}
        if not inner <= {label[2:] for label in labels if label[0] in "BS"}:
            return True  # IOB1: a type has no B
        return all(tag[0] not in "IE" or (tags[place - 1][0] in "BI" and tags[place - 1][2:] == tag[2:] if place else False)
                   for place, tag in enumerate(tags) if "-" in tag)

    for _ in range(30):
        logs = np.log(draw.dirichlet(np.full(len(labels), 0.7), size=draw.integers(1, 5)))
        ways = [way for way in itertools.product(range(len(labels)), repeat=len(logs)) if allowed([labels[tag] for tag in way])]
        best = max(ways, key=lambda way: sum(logs[place, tag] for place, tag in enumerate(way)))
        assert decoding.likeliest(logs, labels) == list(best)


def test_no_entity_goes_on_that_did_not_begin():
    labels = ("O", "B-P", "I-P")
    alone = np.array([[0.6, 0.3, 0.1], [0.2, 0.1, 0.7]])  # each by itself: O I-P
    assert [labels[tag] for tag in decoding.likeliest(np.log(alone), labels)] == ["B-P", "I-P"]  # 0.3 · 0.7 beats 0.6 · 0.2
    alone[1] = [0.4, 0.0, 0.6]
    assert [labels[tag] for tag in decoding.likeliest(np.log(alone + 1e-9), labels)] == ["O", "O"]  # 0.6 · 0.4 beats 0.3 · 0.6


# --- scores ---


def scored(gold, predicted, types=("PER", "LOC", "ORG", "MISC")):
    """Scores of sentences of entities (begin, end, type), and the measures."""
    held = [spans.counts(one, two, types) for one, two in zip(gold, predicted, strict=True)]
    measures = {name: np.asarray([one[name] for one in held]) for name in held[0]}
    return {name: float(value[0]) for name, value in spans.scores(measures, np.ones((1, len(held)))).items()}, measures


def of_tags(*sentences):
    return [[(one.begin, one.end, one.type) for one in entities(tags.split())] for tags in sentences]


@pytest.mark.parametrize(("gold", "predicted", "precision", "recall", "f1"), [
    # 2 predicted, 2 gold, 1 right: the other begins one word too early
    (["O O O B-MISC I-MISC I-MISC O", "B-PER I-PER O"], ["O O B-MISC I-MISC I-MISC I-MISC O", "B-PER I-PER O"], 1 / 2, 1 / 2, 1 / 2),
    # 4 predicted, 3 gold, 1 right (PER): a wrong type, a wrong border, one too many
    (["B-PER I-PER O B-LOC O B-ORG I-ORG I-ORG O O"], ["B-PER I-PER O B-ORG O B-ORG I-ORG O O B-LOC"], 1 / 4, 1 / 3, 2 / 7),
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
    found, _ = scored(of_tags(*gold), of_tags(*predicted))
    assert found["precision"] == pytest.approx(precision) and found["recall"] == pytest.approx(recall)
    assert found["f1"] == pytest.approx(f1, abs=1e-15)


def test_relaxed_scores_take_each_entity_once():
    assert scored([[(0, 4, "PER")]], [[(0, 1, "PER"), (2, 4, "PER")]])[0]["relaxed_f1"] == pytest.approx(2 / 3)
    assert scored([[(0, 2, "PER"), (2, 4, "PER")]], [[(1, 3, "PER")]])[0]["relaxed_f1"] == pytest.approx(2 / 3)
    assert scored([[(0, 3, "PER"), (3, 6, "PER")]], [[(0, 1, "PER"), (1, 4, "PER")]])[0]["relaxed_f1"] == pytest.approx(1.0)
    assert scored([[(0, 2, "PER")]], [[(1, 3, "LOC")]])[0]["relaxed_f1"] == 0.0
    assert scored([[(0, 2, "PER")]], [[(2, 3, "PER")]])[0]["relaxed_f1"] == 0.0  # they touch and share nothing


def test_relaxed_pairs_are_as_many_as_can_be():
    draw = random.Random(1)

    def some():
        borders = sorted(draw.sample(range(14), 2 * draw.randint(1, 3)))
        return [(begin, end, "P") for begin, end in zip(borders[::2], borders[1::2], strict=True)]

    for _ in range(200):
        gold, predicted = some(), some()
        ways = (sum(one is not None and one[0] < two[1] and two[0] < one[1] for one, two in zip(order, predicted, strict=False))
                for order in itertools.permutations([*gold, *[None] * len(predicted)], len(predicted)))
        assert spans.relaxed(gold, predicted) == max(ways)


def test_scores_equal_those_of_an_independent_count():
    def by_pattern(tags):
        text = " ".join(tags)
        held = re.finditer(r"B-(\w+)((?: I-\1(?= |$))*)", text)
        return {(len(text[:one.start()].split()), len(one.group().split()), one.group(1)) for one in held}

    draw = random.Random(7)
    rows = [[long_row(draw, 12)["tags"] for _ in range(2)] for _ in range(40)]
    right = sum(len(by_pattern(one) & by_pattern(two)) for one, two in rows)
    gold, made = (sum(len(by_pattern(pair[side])) for pair in rows) for side in (0, 1))
    found, measures = scored(*([[(one.begin, one.end, one.type) for one in entities(pair[side])] for pair in rows] for side in (0, 1)),
                             types=("P", "L"))
    assert found["precision"] == pytest.approx(right / made, abs=1e-15) and found["recall"] == pytest.approx(right / gold, abs=1e-15)
    times = np.random.default_rng(0).integers(0, 3, size=(1, 40)).astype(float)
    again, _ = scored(*([[(one.begin, one.end, one.type) for one in entities(pair[side])]
                         for pair, count in zip(rows, times[0], strict=True) for _ in range(int(count))] for side in (0, 1)), types=("P", "L"))
    weighted = spans.scores(measures, times)
    assert all(weighted[name][0] == pytest.approx(again[name], abs=1e-15) for name in again)


def test_errors_are_told_apart():
    gold = [(0, 2, "PER"), (3, 4, "LOC"), (5, 8, "ORG"), (9, 10, "LOC")]
    predicted = [(0, 2, "PER"), (3, 4, "ORG"), (5, 7, "ORG"), (12, 13, "PER")]
    assert spans.errors(gold, predicted) == {"wrong_type": 1, "wrong_border": 1, "missed": 1, "spurious": 1}


def test_what_cannot_be_scored_has_no_score():
    silent, _ = scored([[(0, 1, "PER")]], [[]])
    assert silent["f1"] == 0 and silent["recall"] == 0 and np.isnan(silent["precision"])
    empty, _ = scored([[]], [[]])
    assert all(np.isnan(value) for value in empty.values())


def test_types_that_training_never_showed_count_as_missed():
    found, measures = scored([[(0, 1, "PER"), (1, 2, "NEW")]], [[(0, 1, "PER")]])
    assert found["recall"] == 0.5
    assert spans.per_type(measures, ("PER", "LOC", "ORG", "MISC"))["(unseen in training)"]["support"] == 1


# --- rows ---


def test_tokens_and_tags_come_in_three_forms():
    wanted = TASK().read(Row(0, {"tokens": ["Ann", "naps"], "tags": ["B-P", "O"]}))
    assert TASK().read(Row(0, {"tokens": '["Ann", "naps"]', "tags": '["B-P", "O"]'})) == wanted
    assert TASK().read(Row(0, {"tokens": "Ann naps", "tags": "B-P O"})) == wanted
    assert TASK().read(Row(0, {"tokens": "Ann naps", "tags": ""})).found is None


@pytest.mark.parametrize(("values", "code"), [
    ({"tokens": [], "tags": []}, "E201"), ({"tokens": ["a", " "], "tags": ["O", "O"]}, "E201"), ({"text": " "}, "E201"), ({}, "E201"),
    ({"tokens": ["a", "b"], "tags": ["O"]}, "E301"), ({"tokens": ["a", "b"], "tags": "O O O"}, "E301"),
    ({"tokens": ["a"], "tags": ["X-P"]}, "E302"), ({"tokens": ["a"], "tags": [3]}, "E302"), ({"tokens": ["a"], "tags": ["B"]}, "E302"),
    ({"tokens": ["a", "b"], "tags": ["B-P", "P"]}, "E302"),
    ({"text": "Ann", "spans": [{"start": 0, "end": 9, "type": "P"}]}, "E303"),
    ({"text": "Ann", "spans": [{"start": -1, "end": 2, "type": "P"}]}, "E303"),
    ({"text": "Ann", "spans": [{"start": 2, "end": 2, "type": "P"}]}, "E303"),
    ({"text": "Ann", "spans": [[0, 3, "P"]]}, "E303"), ({"text": "a b", "spans": [{"start": 1, "end": 2, "type": "P"}]}, "E303"),
    ({"text": "Ann Lee", "spans": [{"start": 0, "end": 3, "type": "P"}, {"start": 2, "end": 7, "type": "P"}]}, "E304"),
    ({"tokens": "['a' 'b']", "tags": ["O", "O"]}, "E305"), ({"tokens": ["a", None], "tags": ["O", "O"]}, "E305"),
])
def test_faulty_rows_are_told(values, code):
    with pytest.raises(RowFault) as told:
        TASK().read(Row(0, values))
    assert told.value.code == code and told.value.fix


def test_a_given_scheme_is_held_to():
    row = Row(0, {"tokens": ["Ann", "Lee"], "tags": ["B-P", "E-P"]})
    assert TASK().read(row).found == (Entity(0, 2, "P"),)
    with pytest.raises(RowFault, match="of the scheme bio"):
        TASK(TASK.Settings(scheme="bio")).read(row)


def test_spans_are_set_to_whole_words():
    row = {"text": "Ann-Lee's dog", "spans": [{"start": 0, "end": 6, "type": "P"}, {"start": 9, "end": 13, "type": "A"}]}
    example = TASK().read(Row(0, row))
    assert example.found == (Entity(0, 3, "P"), Entity(5, 6, "A")) and example.widened == 2


def check(settings=None, **splits):
    task = TASK(TASK.Settings(**(settings or {})))
    held = {split: [task.read(Row(number, row)) for number, row in enumerate(rows)] for split, rows in splits.items()}
    return [(one.code, one.message) for one in task.check(held)]


def test_the_check_names_what_a_task_can_see():
    good = {"tokens": ["Ann", "naps"], "tags": ["B-P", "O"]}
    assert check(train=[good], dev=[good]) == []
    found = check(train=[good, good, {"tokens": ["at", "Rome"], "tags": ["O", "I-L"]}], dev=[{"tokens": ["Rome", "x"], "tags": ["B-L", "B-N"]}])
    assert [code for code, _ in found] == ["W210", "W207"] and "1 entities" in found[0][1] and "'N'" in found[1][1]
    assert [code for code, _ in check(train=[{"tokens": ["Ann"], "tags": ["S-P"]}])] == ["N210"]
    assert [code for code, _ in check(train=[{"tokens": ["Ann", "at", "Rome"], "tags": ["I-P", "O", "I-L"]}])] == ["N210"]
    assert [code for code, _ in check({"scheme": "bio"}, train=[{"tokens": ["Ann"], "tags": ["I-P"]}])] == ["W210"]
    assert [code for code, _ in check(train=[good, {"tokens": ["Ann"]}])] == ["E202"]
    assert [code for code, _ in check(train=[{"tokens": ["Ann"], "tags": ["O"]}])] == ["E203"]
    assert [code for code, _ in check(train=[{"text": "Anna", "spans": [{"start": 0, "end": 3, "type": "P"}]}])] == ["W211"]


def test_rows_without_an_answer_are_not_measured():
    task = TASK()
    with pytest.raises(UserError, match="neither tags nor spans"):
        task.measure(task.read(Row(4, {"tokens": ["Ann"]})), None)


def test_the_usual_columns_are_recognised():
    from headstart.contract import Column

    lists = [Column("id", ["1"] * 4), Column("words", [["a", "b"]] * 4), Column("ner_tags", [["O", "B-P"]] * 4)]
    texts = [Column("text", ["a b"] * 4), Column("entities", [[{"start": 0, "end": 1, "type": "P"}]] * 4)]
    assert detect(lists, "x")[1].columns == {"tokens": "words", "tags": "ner_tags"}
    assert detect(texts, "x")[1].columns == {"text": "text", "spans": "entities"}


def test_the_official_file_is_what_conlleval_reads():
    task = TASK()
    rows = [{"tokens": ["Ann", "New York"], "tags": ["I-P", "O"]}, {"tokens": ["x"], "tags": ["O"]}]
    examples = [task.read(Row(number, row)) for number, row in enumerate(rows)]
    task = task.knowing(task.learn(examples))
    made = [oracle(task, example, Letters(30)) for example in examples]
    assert task.official(examples, made) == {"predictions.conll": "Ann B-P B-P\nNew_York O O\n\nx O O\n"}


def test_the_dictionary_knows_what_it_has_seen():
    from headstart.baselines.dictionary import Dictionary

    made = Dictionary.fit([(["New", "York", "is", "new"], [(0, 2, "L")]), (["York", "Lee", "naps"], [(0, 1, "P"), (1, 2, "P")]),
                           (["May", "is"], [(0, 1, "P")]), (["May", "may", "May", "May"], [])])
    assert made.find(["in", "New", "York", ",", "York", "is", "Lee", "May"]) == [(1, 3, "L"), (4, 5, "P"), (6, 7, "P")]  # May mostly is none
    assert Dictionary.fit([]).find(["a"]) == [] and made.size_bytes > 0


# --- CoNLL files ---


def write(folder, text, name="a.conll"):
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


GOOD = "Ann\tB-P\nnaps\tO\n\nat\tO\nNew\tB-L\nYork\tI-L\n"


@pytest.mark.parametrize("text", [
    GOOD, GOOD.rstrip("\n"), GOOD.replace("\n", "\r\n"), GOOD.replace("\t", "  "), "\ufeff" + GOOD, GOOD.replace("\n\n", "\n\t\n\n\n"),
    "\n\n" + GOOD, GOOD.replace("\t", "\tNN\t_\t"), "-DOCSTART-\tO\n\n" + GOOD, GOOD.replace("\n\n", "\n-DOCSTART- -X- O\n"),
    "# id = 1\n" + GOOD.replace("\n\n", "\n\n# id = 2\n# text = at New York\n"), GOOD.replace("\n", " \n"), GOOD.replace("\t", " NN "),
])
def test_conll_columns_are_read_in_every_usual_form(tmp_path, text):
    table = open_table(str(write(tmp_path, text)), Data())
    assert table.columns == ("tokens", "tags") and not [one for one in table.findings if one.level == "fault"]
    assert [record.values for record in table] == [(["Ann", "naps"], ["B-P", "O"]), (["at", "New", "York"], ["O", "B-L", "I-L"])]


def test_a_row_has_the_line_of_its_first_word(tmp_path):
    table = open_table(str(write(tmp_path, "# id = 1\n" + GOOD + "\n#\tO\ntag\tB-P\n")), Data())
    assert [record.line for record in table] == [2, 5, 9]
    assert table[2].values[0] == ["#", "tag"]  # a token, no comment


def test_a_file_of_words_alone_can_be_predicted(tmp_path):
    table = open_table(str(write(tmp_path, "Ann\nnaps\n\nat\n")), Data())
    assert table.columns == ("tokens",) and [record.values for record in table] == [(["Ann", "naps"],), (["at"],)]


@pytest.mark.parametrize(("name", "form"), [("a.txt", "conll"), ("a.tsv", "conll"), ("a.bio", "conll"), ("a.iob", "conll"),
                                            ("a.annotated", "conll"), ("a.conll.gz", "conll")])
def test_conll_is_known_by_its_content(tmp_path, name, form):
    import gzip

    held = gzip.compress(GOOD.encode()) if name.endswith(".gz") else GOOD.encode()
    assert open_table(str(write(tmp_path, held, name)), Data()).format.startswith(form)


@pytest.mark.parametrize("text", ["text\tlabel\na b\tO\nc d\tB-x\n", "text\tlabel\nOh\tyes\n", "one line\nof plain text\n", "a,b\nO,O\n"])
def test_other_tables_are_still_read_as_what_they_are(text):
    assert not looks_like(text.encode(), "tsv") and not looks_like(text.encode(), "csv")


@dataclass(frozen=True)
class Bad:
    """A faulty file, and the fault that it should give."""

    text: str
    line: int
    code: str
    fix: str
    left: int = 1  # rows that can be used


BAD = {
    "too few columns": Bad(GOOD + "\nAnn\nnaps\tO\n", 8, "E115", "all its columns", 2),
    "too many columns": Bad(GOOD.replace("naps\tO", "naps\tVB\tO"), 2, "E115", "all its columns"),
    "a heading": Bad(GOOD.replace("\n\n", "\n\n== Page 2 ==\n"), 4, "E115", "all its columns"),
    "an empty tag": Bad(GOOD.replace("at\tO", "at\t"), 4, "E115", "all its columns"),
    "spaces among tabs": Bad(GOOD.replace("at\tO", "at O"), 4, "E116", "by tabs"),
    "a tab among spaces": Bad(GOOD.replace("\t", " ").replace("York ", "York\t"), 6, "E116", "by spaces"),
    "no word": Bad(GOOD.replace("York\t", "\t"), 6, "E117", "Write the word"),
    "a word of a wide space": Bad(GOOD.replace("Ann\t", "\u3000\t"), 1, "E117", "Write the word"),
    "no word, spaces": Bad(GOOD.replace("\t", " ").replace("Ann", ""), 1, "E117", "Write the word"),
    "cut off": Bad(GOOD.replace("York\tI-L\n", "Yor"), 6, "E111", "Copy the file again"),
    "NUL": Bad(GOOD.replace("naps", "na\0ps"), 2, "E106", "Write the file again"),
    "a comment inside": Bad(GOOD.replace("naps\tO", "# remark\nnaps\tO"), 2, "E116", "by tabs"),
    "two faults in a sentence": Bad(GOOD.replace("New\tB-L\nYork\tI-L", "New\nYork"), 5, "E115", "all its columns"),
}


@pytest.mark.parametrize("name", BAD)
def test_every_faulty_conll_file_is_told_with_its_line(tmp_path, name):
    bad = BAD[name]
    path = write(tmp_path, bad.text)
    table = open_table(str(path), Data())
    (fault,) = [one for one in table.findings if one.level == "fault"]
    assert (Path(fault.file).name, fault.line, fault.code) == ("a.conll", bad.line, bad.code)
    assert bad.fix in fault.fix and "--bad-rows skip" in fault.fix
    assert len(table) == bad.left and fault.row not in [record.id for record in table]


def test_a_faulty_tag_has_the_line_of_its_sentence(tmp_path):
    from headstart.preparation.examples import read_examples

    reading = read_examples(TASK(), str(write(tmp_path, GOOD.replace("B-L", "b-L"))), Data(), given={}, training=True)
    (fault,) = reading.findings
    assert (fault.line, fault.code) == (4, "E302") and "'New'" in fault.message and len(reading.examples) == 1


def test_an_empty_conll_file_is_told(tmp_path):
    for text in ("", "\n\n", "-DOCSTART-\tO\n"):
        with pytest.raises(DataError) as told:
            open_table(str(write(tmp_path, text)), Data())
        assert told.value.findings[0].code == "E101"


# --- whole models ---


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_texts_get_spans_of_their_characters(family, tmp_path):
    from headstart.api.model import Model
    from headstart.models.loading.load import load

    task = TASK()
    rows = [{"text": text, "spans": [{"start": found.start(), "end": found.end(), "type": "thing"} for found in re.finditer("roses|card|bill", text)]}
            for text in tiny.texts(20, seed=4)]
    examples = [task.read(Row(number, row)) for number, row in enumerate(rows)]
    task = task.knowing(task.learn(examples))
    tokenizer = FamilyTokenizer(tiny.tokenizer(family), 64)
    for row, example in zip(rows, examples, strict=True):
        made = oracle(task, example, tokenizer.with_longest(24)).values
        assert list(made) == ["spans"]
        assert [{key: one[key] for key in ("start", "end", "type")} for one in made["spans"]] == row["spans"]
        assert all(one["text"] == row["text"][one["start"]:one["end"]] and 0.99 < one["probability"] <= 1 for one in made["spans"])
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
    assert model.task.name == "token-tagging" and model.task.known.labels == tuple(labels)
    held, plain = transformers.AutoTokenizer.from_pretrained(folder), transformers.AutoModelForTokenClassification.from_pretrained(folder)
    for text in tiny.texts(5, seed=6):
        words = text.split()
        made = held(words, is_split_into_words=True, return_tensors="pt")
        with torch.inference_mode():
            best = plain.eval()(**made).logits[0].argmax(dim=1).tolist()
        firsts = {word: place for place, word in reversed(list(enumerate(made.word_ids()))) if word is not None}
        tags = [labels[best[firsts[word]]] for word in range(len(words))]
        (row,) = model.predict([{"tokens": words}])
        assert row["prediction"] == as_bio(entities(tags), len(words))
    assert TASK.adopt({"architectures": ["BertForTokenClassification"], "id2label": {"0": "O", "1": "B"}}) is None
    assert TASK.adopt({"architectures": ["BertForSequenceClassification"], "id2label": {"0": "O", "1": "B-P"}}) is None


def conll_rows(count, seed):
    """Sentences in which some words are things, and what stands behind "in" is a year."""
    draw, known = random.Random(seed), tiny.sentences()
    blocks = []
    for _ in range(count):
        words = re.findall(r"[\w']+|[^\w\s]", draw.choice(known))
        tags = ["B-thing" if word in ("roses", "card", "bill", "apples") else "B-year" if word == "1984" else "O" for word in words]
        tags = ["B-thing" if tag == "O" and words[place:place + 2] == ["green", "apples"] else
                "I-thing" if word == "apples" and words[place - 1] == "green" else tag for place, (word, tag) in enumerate(zip(words, tags, strict=True))]
        blocks.append("".join(f"{word}\t{tag}\n" for word, tag in zip(words, tags, strict=True)))
    return "\n".join(blocks)


def test_the_example_trains_and_tags_a_text(tiny_bert, tmp_path):
    paths = [write(tmp_path, conll_rows(count, seed), f"{name}.conll") for seed, (name, count) in enumerate([("train", 300), ("dev", 40), ("test", 40)])]
    done = subprocess.run([sys.executable, str(ROOT / "examples" / "token_tagging.py"), str(paths[0]), "--dev", str(paths[1]), "--test", str(paths[2]),
                           "--model", str(tiny_bert), "--to", str(tmp_path / "run"), "--epochs", "20", "--learning-rate", "3e-3",
                           "--text", "My sister counts seven green apples in 1984."], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "run" / "scores.json").read_text(encoding="utf-8"))
    assert scores["test"]["f1"]["value"] > 0.9 and scores["baselines"]["dictionary"]["scores"]["f1"]["value"] > 0.9
    assert list(scores["test"]) == ["f1", "precision", "recall", "relaxed_f1"]
    assert re.search(r"39-43\s+year\s+1984", done.stdout) and re.search(r"23-35\s+thing\s+green apples", done.stdout)
    assert "thing" in scores["tables"]["test"]["per_type"]
    lines = (tmp_path / "run" / "official" / "test" / "predictions.conll").read_text(encoding="utf-8").split("\n\n")
    assert len(lines) == 40
    done = subprocess.run([sys.executable, "-m", "headstart", "predict", str(tmp_path / "run"), str(paths[2])], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 40 and set(rows[0]) == {"tokens", "tags", "prediction", "spans"}
