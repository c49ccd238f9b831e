"""Columns, splits, the data check, lengths, features and batches."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.contract import Feature, Field, Layout, Target
from headstart.data import splits
from headstart.data.checks import checks
from headstart.data.columns import choose
from headstart.data.features.batches import choose_batcher, collate, micro, plan
from headstart.data.features.features import Features
from headstart.data.features.lengths import choose_longest
from headstart.errors import UserError
from headstart.tasks.text_classification import LabelledText, TextClassification
from headstart.text.normalise import hash_text, normalised
from headstart.text.windows import head_tail, windows

FIELDS = (Field("text", "the text", usual=("review",)), Field("label", "its label", target=True), Field("pair", "more", required=False))


def test_columns_are_found_named_and_refused():
    assert choose(("review", "label"), FIELDS, {}, None, "a.csv", True) == {"text": ("review",), "label": ("label",)}
    assert choose(("a", "b", "label"), FIELDS, {"text": "a,b"}, None, "a.csv", True)["text"] == ("a", "b")
    assert choose(("a,b", "label"), FIELDS, {"text": "a,b"}, None, "a.csv", True)["text"] == ("a,b",)
    assert "label" not in choose(("text",), FIELDS, {}, None, "a.csv", False)
    for given_columns, code in (({"text": "txet"}, 65), ({"text": "text", "pair": "text", "label": "labels"}, 2)):
        with pytest.raises(UserError) as told:
            choose(("text", "labels"), FIELDS, given_columns, None, "a.csv", True)
        assert told.value.exit == code
    with pytest.raises(UserError) as told:
        choose(("text", "lable"), FIELDS, {}, None, "a.csv", True)
    assert "lable" in told.value.fix


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=120), st.integers(0, 5))
def test_splits_hold_every_row_once_and_equal_texts_on_one_side(rows, seed):
    subjects, strata = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    parts = splits.split(subjects, strata, (0.8, 0.1, 0.1), seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(rows)))
    held = [set(subjects[part].tolist()) for part in parts]
    assert not held[0] & held[1] and not held[0] & held[2] and not held[1] & held[2]
    again = splits.split(subjects, strata, (0.8, 0.1, 0.1), seed)
    assert all(np.array_equal(*pair) for pair in zip(parts, again, strict=True))


def test_splits_keep_the_shares_of_every_label():
    strata = np.repeat(np.arange(4), [400, 200, 40, 10])
    parts = splits.split(np.arange(650), strata, (0.8, 0.1, 0.1), 0)
    assert [len(part) for part in parts] == pytest.approx([520, 65, 65], abs=2)
    for label, count in enumerate((400, 200, 40, 10)):
        assert [(strata[part] == label).sum() for part in parts] == pytest.approx([0.8 * count, 0.1 * count, 0.1 * count], abs=1.1)
    alone = splits.split(np.arange(6), np.arange(6), (0.8, 0.1, 0.1), 0)
    assert len(alone[0]) == 6  # a class of one row is trained on


@pytest.mark.parametrize("amount", [0.25, 50])
def test_a_part_is_stratified_and_seeded(amount):
    strata = np.repeat(np.arange(2), [160, 40])
    found = splits.part(np.arange(200), strata, amount, 3)
    assert len(found) == 50 and (strata[found] == 1).sum() == pytest.approx(10, abs=1)
    assert np.array_equal(found, splits.part(np.arange(200), strata, amount, 3))
    assert not np.array_equal(found, splits.part(np.arange(200), strata, amount, 4))


def checked(**held):
    task = TextClassification()
    examples = {name: [LabelledText(number, text, label=label) for number, (text, label) in enumerate(rows)] for name, rows in held.items()}
    return checks.check(task, examples, {name: lambda place, name=name: (f"{name}.csv", place + 2) for name in examples})


def test_the_check_names_leaks_duplicates_and_contradictions_with_their_lines():
    found = checked(train=[("a b", "x"), ("c d", "y"), ("a b", "x"), ("c d", "x"), ("A  b!", "x")], test=[("c d", "y"), ("new", "z")])
    told = {(one.code, one.file, one.line) for one in found.findings}
    assert {("W202", "train.csv", 4), ("W203", "train.csv", 5), ("W201", "test.csv", 2)} <= told
    assert {one.code for one in found.findings} >= {"W208", "W207", "W205"}
    assert found.numbers == {"duplicates": 1, "contradictions": 1, "near_duplicates": 1, "leaks": 1}
    assert found.counts["train"] == {"x": 4, "y": 1}


def test_the_check_sees_labels_that_differ_only_by_case_or_space_and_one_class():
    assert "W204" in {one.code for one in checked(train=[("a", "Pos"), ("b", "pos "), ("c", "neg")]).findings}
    assert "E203" in {one.code for one in checked(train=[("a", "x"), ("b", "x")]).findings}


def test_class_twins_are_named():
    rows = [(f"{word} money card {number}", label) for label, word in (("a", "refund"), ("b", "refund"), ("c", "tiger")) for number in range(12)]
    rows += [(f"stripes grass jungle {number}", "c") for number in range(12)]
    assert next(one.message for one in checked(train=rows).findings if one.code == "W209").startswith("the labels 'a' and 'b'")


@given(st.text(max_size=30))
@settings(derandomize=True, deadline=None)
def test_normal_forms_are_stable(text):
    assert normalised(normalised(text)) == normalised(text)
    assert normalised(text.upper() if text.isascii() else text) == normalised(text)
    assert -(2**63) <= hash_text(text) < 2**63


def test_windows_leave_nothing_out_and_share_the_overlap():
    assert windows(10, 4, 1) == [(0, 4), (3, 7), (6, 10)]
    for length in range(1, 40):
        found = windows(length, 8, 3)
        assert set().union(*(range(*one) for one in found)) == set(range(length))
        assert all(second[0] == first[1] - 3 for first, second in itertools.pairwise(found))
    assert head_tail(20, 8) == [(0, 2), (14, 20)] and head_tail(5, 8) == [(0, 5)]


def test_the_longest_input_covers_nearly_all_rows_and_tells_its_cost():
    lengths = np.array([10] * 990 + [100] * 10)
    assert choose_longest(lengths, limit=512, given=None).longest == 104
    few = np.array([10] * 999 + [400])
    found = choose_longest(few, limit=512, given=None)
    assert found.longest == 16 and found.cut_rows == 0.001 and "cut" in found.reason
    assert choose_longest(lengths, limit=64, given=None).longest == 64
    assert choose_longest(lengths, limit=64, given=100).longest == 64
    assert choose_longest(lengths, limit=512, given=32).longest == 32


def features():
    return [Feature([1, 2, 3], [0, 0, 1], {"label": Target(2), "tags": Target([5, 6, 7], "token"), "words": Target([8, 9], "asked")},
                    asks=[0, 2], group="a"),
            Feature([4, 5], [0, 0], {"label": Target(0), "tags": Target([8, 9], "token"), "words": Target([7], "asked")}, weight=0.5,
                    asks=[1], group="a")]


def test_a_packed_batch_has_no_padding():
    batch = collate(features(), Layout(packed=True, pad_id=9))
    assert batch.ids.tolist() == [[1, 2, 3, 4, 5]] and batch.segments.tolist() == [[0, 0, 3], [0, 3, 5]]
    assert batch.targets["tags"].tolist() == [5, 6, 7, 8, 9] and batch.targets["words"].tolist() == [8, 9, 7]
    assert batch.asks.tolist() == [0, 2, 4] and batch.asked.tolist() == [2, 1] and batch.groups.tolist() == [0, 0]
    assert batch.targets["label"].tolist() == [2, 0] and batch.weights.tolist() == [1, 0.5] and batch.tokens == 5


@pytest.mark.parametrize(("side", "row"), [("right", [4, 5, 9]), ("left", [9, 4, 5])])
def test_a_padded_batch_pads_on_its_side(side, row):
    batch = collate(features(), Layout(packed=False, pad_id=9, side=side))
    assert batch.ids.tolist() == [[1, 2, 3], row] and batch.targets["words"].tolist() == [8, 9, 7]
    assert batch.targets["tags"].tolist() == [5, 6, 7, 8, 9] and batch.tokens == 5


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=300), st.integers(1, 40), st.booleans(), st.integers(0, 3))
def test_an_epoch_holds_every_example_once_and_follows_from_seed_and_epoch(lengths, size, bucketed, epoch):
    held = np.array(lengths)
    updates = plan(held, batch_size=size, seed=1, epoch=epoch, bucketed=bucketed)
    assert sorted(np.concatenate(updates).tolist()) == list(range(len(lengths)))
    assert all(len(update) <= size for update in updates) and len(updates) == -(-len(lengths) // size)
    again = plan(held, batch_size=size, seed=1, epoch=epoch, bucketed=bucketed)
    assert all(np.array_equal(*pair) for pair in zip(updates, again, strict=True))
    if bucketed:
        assert held[updates[0]].max() == held.max()
    parts = micro(updates[0], held, 3)
    assert sorted(np.concatenate(parts).tolist()) == sorted(updates[0].tolist())


def test_epochs_differ_and_buckets_save_padding():
    lengths = np.random.default_rng(0).integers(4, 80, 2000)
    assert not np.array_equal(plan(lengths, batch_size=32, seed=0, epoch=0, bucketed=False)[0], plan(lengths, batch_size=32, seed=0, epoch=1, bucketed=False)[0])

    def padding(bucketed):
        updates = plan(lengths, batch_size=32, seed=0, epoch=0, bucketed=bucketed)
        return 1 - lengths.sum() / sum(len(update) * lengths[update].max() for update in updates)

    assert padding(True) < 0.1 < padding(False)


def test_the_batcher_follows_a_rule():
    assert choose_batcher("auto", can_pack=True)[0] == "packed"
    assert choose_batcher("auto", can_pack=False)[0] == "bucketed"
    assert choose_batcher("bucketed", can_pack=True)[0] == "bucketed"
    assert choose_batcher("packed", can_pack=False)[0] == "bucketed"


def test_features_are_stored_flat():
    stored = Features()
    stored.add(features())
    stored.add([Feature([7], info={"window": 3}, group="g", cut=4)])
    assert (len(stored), stored.examples) == (3, 2) and stored.example_lengths.tolist() == [5, 1] and stored.cut.tolist() == [0, 4]
    assert list(stored[1].ids) == [4, 5] and stored[2].info == {"window": 3} and stored[2].group == "g"
    assert [list(one.ids) for one in stored.of_examples([1, 0])] == [[7], [1, 2, 3], [4, 5]]


def test_features_made_by_several_processes_are_the_same(tmp_path):
    import tiny

    from headstart.contract import Row
    from headstart.data.features.features import Features
    from headstart.models.loading.load import load
    from headstart.tasks.masked_language_model import MaskedLanguageModel

    model = load(str(tiny.model_folder("bert", tmp_path / "m", "masked-language-model")), None, seed=0)
    task = MaskedLanguageModel()
    rows = [task.read(Row(number // 2, {"text": text})) for number, text in enumerate(tiny.texts(2100))]  # two examples a row
    alone, shared = (Features.encode(task, rows, model.tokenizer, seed=3, epoch=1, workers=count) for count in (0, 2))
    assert len(alone) == len(shared) and alone.examples == shared.examples == 2100
    assert all(getattr(alone, name) == getattr(shared, name) for name in ("tokens", "kinds", "ends", "borders", "weight_of", "cut_of", "targets", "extra"))
