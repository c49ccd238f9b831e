"""Folds of rows: each row once, what belongs together in one, classes evenly; as sklearn's, which is the reference."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from headstart.data.splits import fold_rows


def class_shares(fold_of_row, strata, folds):
    """The share of each class in each fold: (folds, classes)."""
    counts = np.asarray([np.bincount(strata[fold_of_row == fold], minlength=strata.max() + 1) for fold in range(folds)])
    return counts / counts.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("folds", [2, 3, 5])
def test_rows_that_stand_alone_are_dealt_out_to_within_one_of_each_class(folds, seed):
    rng = np.random.default_rng(seed)
    strata = rng.choice(6, 173, p=[0.4, 0.3, 0.15, 0.1, 0.03, 0.02])
    fold_of_row = fold_rows(np.arange(173), strata, folds, seed)
    sizes = np.bincount(fold_of_row, minlength=folds)
    assert sizes.sum() == 173 and sizes.max() - sizes.min() <= 1
    for stratum in range(6):
        counts = np.bincount(fold_of_row[strata == stratum], minlength=folds)
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("seed", range(8))
def test_groups_stay_whole_and_classes_are_as_even_as_those_of_sklearn(seed):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(60), rng.integers(1, 7, 60))
    rng.shuffle(groups)
    group_class = rng.choice(3, 60, p=[0.6, 0.3, 0.1])
    strata = np.where(rng.random(len(groups)) < 0.85, group_class[groups], rng.choice(3, len(groups)))
    fold_of_row = fold_rows(groups, strata, 5, seed)
    assert set(fold_of_row) == set(range(5))
    assert all(len(set(fold_of_row[groups == group])) == 1 for group in range(60))
    reference = np.zeros(len(groups), dtype=int)
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    for fold, (_, held_out) in enumerate(splitter.split(np.zeros(len(groups)), strata, groups)):
        reference[held_out] = fold
    overall = np.bincount(strata, minlength=3) / len(strata)
    ours, theirs = (np.abs(class_shares(folds, strata, 5) - overall).max() for folds in (fold_of_row, reference))
    assert ours <= max(theirs, 0.05) + 0.02


def test_folds_follow_from_the_seed_alone():
    strata = np.arange(90) % 3
    first, again, other = (fold_rows(np.arange(90), strata, 5, seed) for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()
