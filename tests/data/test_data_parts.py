"""Columns, splits, the data check, lengths, features and batches."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.contract import Feature, Field, Layout, Target
from headstart.data import splits
from headstart.data.checks import checks
from headstart.data.columns import assign_columns
from headstart.data.features.batches import choose_batcher, collate, micro_batches, plan_batches
from headstart.data.features.features import Features
from headstart.data.features.lengths import choose_max_length
from headstart.errors import UserError
from headstart.tasks.text_classification import LabelledText, TextClassification
from headstart.text.normalise import hash_text, normalise_text
from headstart.text.windows import head_tail, windows

FIELDS = (Field("text", "the text", aliases=("review",)), Field("label", "its label", target=True),
          Field("pair", "more", required=False))


def test_columns_are_found_named_and_refused():
    assert assign_columns(("review", "label"), FIELDS, {}, None, "a.csv", True) == {"text": ("review",),
                                                                                    "label": ("label",)}
    assert assign_columns(("a", "b", "label"), FIELDS, {"text": "a,b"}, None, "a.csv", True)["text"] == ("a", "b")
    assert assign_columns(("a,b", "label"), FIELDS, {"text": "a,b"}, None, "a.csv", True)["text"] == ("a,b",)
    assert "label" not in assign_columns(("text",), FIELDS, {}, None, "a.csv", False)
    for user_columns, code in (({"text": "txet"}, 65), ({"text": "text", "pair": "text", "label": "labels"}, 2)):
        with pytest.raises(UserError) as caught:
            assign_columns(("text", "labels"), FIELDS, user_columns, None, "a.csv", True)
        assert caught.value.exit == code
    with pytest.raises(UserError) as caught:
        assign_columns(("text", "lable"), FIELDS, {}, None, "a.csv", True)
    assert "lable" in caught.value.fix


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=120), st.integers(0, 5))
def test_splits_hold_every_row_once_and_equal_texts_in_one_split(rows, seed):
    dedup_hashes, strata = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    split_rows = splits.split_rows(dedup_hashes, strata, (0.8, 0.1, 0.1), seed)
    assert sorted(np.concatenate(split_rows).tolist()) == list(range(len(rows)))
    hash_sets = [set(dedup_hashes[rows_of_split].tolist()) for rows_of_split in split_rows]
    assert not hash_sets[0] & hash_sets[1] and not hash_sets[0] & hash_sets[2] and not hash_sets[1] & hash_sets[2]
    again = splits.split_rows(dedup_hashes, strata, (0.8, 0.1, 0.1), seed)
    assert all(np.array_equal(*pair) for pair in zip(split_rows, again, strict=True))


def test_splits_keep_the_shares_of_every_label():
    strata = np.repeat(np.arange(4), [400, 200, 40, 10])
    split_rows = splits.split_rows(np.arange(650), strata, (0.8, 0.1, 0.1), 0)
    assert [len(rows_of_split) for rows_of_split in split_rows] == pytest.approx([520, 65, 65], abs=2)
    for label, count in enumerate((400, 200, 40, 10)):
        label_counts = [(strata[rows_of_split] == label).sum() for rows_of_split in split_rows]
        assert label_counts == pytest.approx([0.8 * count, 0.1 * count, 0.1 * count], abs=1.1)
    single_rows = splits.split_rows(np.arange(6), np.arange(6), (0.8, 0.1, 0.1), 0)
    assert len(single_rows[0]) == 6  # a class of one row is trained on


@pytest.mark.parametrize("amount", [0.25, 50])
def test_a_sample_is_stratified_and_seeded(amount):
    strata = np.repeat(np.arange(2), [160, 40])
    sample = splits.sample_rows(np.arange(200), strata, amount, 3)
    assert len(sample) == 50 and (strata[sample] == 1).sum() == pytest.approx(10, abs=1)
    assert np.array_equal(sample, splits.sample_rows(np.arange(200), strata, amount, 3))
    assert not np.array_equal(sample, splits.sample_rows(np.arange(200), strata, amount, 4))


def run_check(**rows_of_split):
    task = TextClassification()
    examples = {name: [LabelledText(index, text, label=label) for index, (text, label) in enumerate(rows)]
                for name, rows in rows_of_split.items()}
    return checks.check_splits(task, examples, {name: lambda row,
                                                name=name: (f"{name}.csv", row + 2) for name in examples})


def test_the_check_names_leaks_duplicates_and_contradictions_with_their_lines():
    data_check = run_check(train=[("a b", "x"), ("c d", "y"), ("a b", "x"), ("c d", "x"), ("A  b!", "x")],
                           test=[("c d", "y"), ("new", "z")])
    locations = {(finding.code, finding.file, finding.line) for finding in data_check.findings}
    assert {("W202", "train.csv", 4), ("W203", "train.csv", 5), ("W201", "test.csv", 2)} <= locations
    assert {finding.code for finding in data_check.findings} >= {"W208", "W207", "W205"}
    assert data_check.problem_counts == {"duplicates": 1, "contradictions": 1, "near_duplicates": 1, "leaks": 1}
    assert data_check.counts["train"] == {"x": 4, "y": 1}


def test_the_check_sees_labels_that_differ_only_by_case_or_space_and_one_class():
    assert "W204" in {finding.code for finding in run_check(train=[("a", "Pos"), ("b", "pos "), ("c", "neg")]).findings}
    assert "E203" in {finding.code for finding in run_check(train=[("a", "x"), ("b", "x")]).findings}


def test_similar_classes_are_named():
    rows = [(f"{word} money card {number}", label) for label, word in (("a", "refund"), ("b", "refund"), ("c", "tiger"))
            for number in range(12)]
    rows += [(f"stripes grass jungle {number}", "c") for number in range(12)]
    assert next(finding.message for finding in run_check(train=rows).findings
                if finding.code == "W209").startswith("the labels 'a' and 'b'")


@given(st.text(max_size=30))
@settings(derandomize=True, deadline=None)
def test_normal_forms_are_stable(text):
    assert normalise_text(normalise_text(text)) == normalise_text(text)
    assert normalise_text(text.upper() if text.isascii() else text) == normalise_text(text)
    assert -(2**63) <= hash_text(text) < 2**63


def test_windows_leave_nothing_out_and_share_the_overlap():
    assert windows(10, 4, 1) == [(0, 4), (3, 7), (6, 10)]
    for length in range(1, 40):
        spans = windows(length, 8, 3)
        assert set().union(*(range(*span) for span in spans)) == set(range(length))
        assert all(second[0] == first[1] - 3 for first, second in itertools.pairwise(spans))
    assert head_tail(20, 8) == [(0, 2), (14, 20)] and head_tail(5, 8) == [(0, 5)]


def test_the_longest_input_covers_nearly_all_rows_and_reports_its_cost():
    lengths = np.array([100] * 990 + [190] * 10)
    assert choose_max_length(lengths, limit=512, requested=None).max_length == 192
    with_outlier = np.array([150] * 999 + [400])
    choice = choose_max_length(with_outlier, limit=512, requested=None)
    assert choice.max_length == 152 and choice.cut_rows == 0.001 and "cut" in choice.reason
    assert choose_max_length(lengths, limit=64, requested=None).max_length == 64
    assert choose_max_length(lengths, limit=64, requested=100).max_length == 64
    assert choose_max_length(lengths, limit=512, requested=32).max_length == 32
    short = np.array([6] * 20)  # texts that come later may be longer
    assert choose_max_length(short, limit=512, requested=None).max_length == 128
    assert choose_max_length(short, limit=64, requested=None).max_length == 64
    assert choose_max_length(short, limit=512, requested=None, truncates=False).max_length == 8


def features():
    return [Feature([1, 2, 3], [0, 0, 1], {"label": Target(2), "tags": Target([5, 6, 7], "token"),
                                           "words": Target([8, 9], "position")},
                    label_positions=[0, 2], group="a"),
            Feature([4, 5], [0, 0], {"label": Target(0), "tags": Target([8, 9], "token"),
                                     "words": Target([7], "position")}, weight=0.5,
                    label_positions=[1], group="a")]


def test_a_packed_batch_has_no_padding():
    batch = collate(features(), Layout(packed=True, pad_id=9))
    assert batch.ids.tolist() == [[1, 2, 3, 4, 5]] and batch.segments.tolist() == [[0, 0, 3], [0, 3, 5]]
    assert batch.targets["tags"].tolist() == [5, 6, 7, 8, 9] and batch.targets["words"].tolist() == [8, 9, 7]
    assert batch.label_positions.tolist() == [0, 2, 4] and batch.label_counts.tolist() == [
        2, 1] and batch.groups.tolist() == [0, 0]
    assert batch.targets["label"].tolist() == [2, 0] and batch.weights.tolist() == [1, 0.5] and batch.tokens == 5


@pytest.mark.parametrize(("side", "row"), [("right", [4, 5, 9]), ("left", [9, 4, 5])])
def test_a_padded_batch_pads_on_its_side(side, row):
    batch = collate(features(), Layout(packed=False, pad_id=9, side=side))
    assert batch.ids.tolist() == [[1, 2, 3], row] and batch.targets["words"].tolist() == [8, 9, 7]
    assert batch.targets["tags"].tolist() == [5, 6, 7, 8, 9] and batch.tokens == 5


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=300), st.integers(1, 40), st.booleans(), st.integers(0, 3))
def test_an_epoch_holds_every_example_once_and_follows_from_seed_and_epoch(lengths, size, bucketed, epoch):
    length_array = np.array(lengths)
    steps = plan_batches(length_array, batch_size=size, seed=1, epoch=epoch, bucketed=bucketed)
    assert sorted(np.concatenate(steps).tolist()) == list(range(len(lengths)))
    assert all(len(step) <= size for step in steps) and len(steps) == -(-len(lengths) // size)
    again = plan_batches(length_array, batch_size=size, seed=1, epoch=epoch, bucketed=bucketed)
    assert all(np.array_equal(*pair) for pair in zip(steps, again, strict=True))
    if bucketed:
        assert length_array[steps[0]].max() == length_array.max()
    micro = micro_batches(steps[0], length_array, 3)
    assert sorted(np.concatenate(micro).tolist()) == sorted(steps[0].tolist())


def test_epochs_differ_and_buckets_save_padding():
    lengths = np.random.default_rng(0).integers(4, 80, 2000)
    first, second = (plan_batches(lengths, batch_size=32, seed=0, epoch=epoch, bucketed=False) for epoch in (0, 1))
    assert not np.array_equal(first[0], second[0])

    def padding(bucketed):
        steps = plan_batches(lengths, batch_size=32, seed=0, epoch=0, bucketed=bucketed)
        return 1 - lengths.sum() / sum(len(step) * lengths[step].max() for step in steps)

    assert padding(True) < 0.1 < padding(False)


def test_the_batcher_follows_a_rule():
    assert choose_batcher("auto", can_pack=True)[0] == "packed"
    assert choose_batcher("auto", can_pack=False)[0] == "bucketed"
    assert choose_batcher("bucketed", can_pack=True)[0] == "bucketed"
    assert choose_batcher("packed", can_pack=False)[0] == "bucketed"


def test_features_are_stored_flat():
    stored = Features()
    stored.add(features())
    stored.add([Feature([7], info={"window": 3}, group="g", truncated_tokens=4)])
    assert (len(stored),
            stored.examples) == (3, 2) and stored.example_lengths.tolist() == [5, 1] and stored.cut.tolist() == [0, 4]
    assert list(stored[1].ids) == [4, 5] and stored[2].info == {"window": 3} and stored[2].group == "g"
    assert [list(feature.ids) for feature in stored.of_examples([1, 0])] == [[7], [1, 2, 3], [4, 5]]


def test_features_made_by_several_processes_are_the_same(tmp_path):
    import tiny

    from headstart.contract import Row
    from headstart.data.features.features import Features
    from headstart.models.loading.load import load
    from headstart.tasks.masked_language_model import MaskedLanguageModel

    model = load(str(tiny.model_folder("bert", tmp_path / "m", "masked-language-model")), None, seed=0)
    task = MaskedLanguageModel()
    # two examples a row
    rows = [task.read(Row(number // 2, {"text": text})) for number, text in enumerate(tiny.texts(2100))]
    single_process, two_processes = (Features.encode(task, rows, model.tokenizer, seed=3, epoch=1, workers=count)
                                     for count in (0, 2))
    assert len(single_process) == len(two_processes) and single_process.examples == two_processes.examples == 2100
    for name in ("tokens", "token_types", "feature_ends", "example_ends", "feature_weights", "truncated_counts",
                 "targets", "optional_fields"):
        assert getattr(single_process, name) == getattr(two_processes, name), name
