"""Train, dev and test splits of one file, or folds of it: seeded, stratified, equal texts in one split.

M rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headstart.errors import Exit, UserError

if TYPE_CHECKING:
    from headstart.contract import Ints


def parse_shares(text: str) -> tuple[float, float, float]:
    """"80/10/10" as shares of 1; raises UserError (78)."""
    try:
        shares = [float(share) for share in text.split("/")]
    except ValueError:
        shares = []
    if len(shares) != 3 or min(shares) < 0 or sum(shares) <= 0 or shares[0] == 0 or not np.isfinite(shares).all():
        raise UserError(f"data.split takes train/dev/test shares, but it is {text!r}.", fix="For example 80/10/10.",
                        exit=Exit.SETTINGS)
    total = sum(shares)
    return shares[0] / total, shares[1] / total, shares[2] / total


def split_rows(dedup_hashes: Ints, strata: Ints, shares: tuple[float, ...], seed: int) -> list[Ints]:
    """Indices of the rows of each split, in file order.

    Rows with equal dedup keys (hashes) go to one split. Within each stratum, groups in seeded order go to the split
    that is furthest below its share; the first group of a stratum goes to the first split, so a class is never without
    training rows.
    """
    count = len(dedup_hashes)
    _, group_of = np.unique(dedup_hashes, return_inverse=True)
    groups = int(group_of.max()) + 1 if count else 0
    first_rows = np.full(groups, count, dtype=np.int64)
    np.minimum.at(first_rows, group_of, np.arange(count))
    sizes = np.bincount(group_of, minlength=groups)
    stratum = strata[first_rows] if count else strata
    split_of_group = np.zeros(groups, dtype=np.int64)
    order = np.random.default_rng([seed, 7]).permutation(groups)
    order = order[np.argsort(stratum[order], kind="stable")]
    borders = np.flatnonzero(np.diff(stratum[order])) + 1
    target_shares = np.asarray(shares)
    deficits = np.zeros(len(shares))  # what rounding in earlier strata left over
    for members in np.split(order, borders):
        total = sizes[members].sum()
        targets = target_shares * total + deficits
        sizes_so_far = np.zeros(len(shares))
        for position, group in enumerate(members.tolist()):
            split = 0 if position == 0 else int(np.argmax(targets - sizes_so_far))
            split_of_group[group] = split
            sizes_so_far[split] += sizes[group]
        deficits = targets - sizes_so_far
    split_of_row = split_of_group[group_of] if count else split_of_group
    return [np.flatnonzero(split_of_row == index) for index in range(len(shares))]


def fold_rows(keys: Ints, strata: Ints, folds: int, seed: int) -> Ints:
    """The fold of each row, from 0: (M,).

    Rows with equal keys go to one fold. Each key in turn (those of many rows first, then stratum by stratum in seeded
    order) goes to the fold with the least share of its strata so far, of equals to the smallest: of rows that stand
    alone, the folds' counts of a stratum and of all differ by one at most.
    """
    _, key_of = np.unique(keys, return_inverse=True)
    _, stratum_of = np.unique(strata, return_inverse=True)
    sizes, totals = np.bincount(key_of), np.bincount(stratum_of)
    rows_of_key = np.split(np.argsort(key_of, kind="stable"), np.cumsum(sizes)[:-1])
    first_stratum = np.asarray([stratum_of[rows[0]] for rows in rows_of_key])
    order = np.random.default_rng([seed, 13]).permutation(len(sizes))
    order = order[np.lexsort((first_stratum[order], -sizes[order]))]
    counts, fold_sizes = np.zeros((len(totals), folds)), np.zeros(folds, dtype=np.int64)
    fold_of_row = np.zeros(len(keys), dtype=np.int64)
    for key in order.tolist():
        rows = rows_of_key[key]
        row_strata, row_counts = np.unique(stratum_of[rows], return_counts=True)
        shares = (row_counts / totals[row_strata]) @ counts[row_strata]
        fold = int(np.lexsort((fold_sizes, np.round(shares, 12)))[0])
        fold_of_row[rows], fold_sizes[fold] = fold, fold_sizes[fold] + len(rows)
        counts[row_strata, fold] += row_counts
    return fold_of_row


def cut_document(pieces: Ints, lengths: Ints, shares: tuple[float, ...]) -> list[Ints]:
    """A document's pieces in consecutive parts, as near to these shares of its characters as pieces allow.

    Every split with a share gets a piece where there are enough, the first ones first.
    """
    ends = np.cumsum(lengths[pieces]) / max(1, int(lengths[pieces].sum()))
    borders = [int(np.searchsorted(ends, share, side="left")) + 1 for share in np.cumsum(shares)[:-1]]
    used = [share > 0 for share in shares]
    for split in range(len(borders) - 1, -1, -1):  # leave a piece for each later split
        following = sum(used[split + 1:])
        borders[split] = max(sum(used[:split + 1]), min(borders[split], len(pieces) - following))
    for split in range(1, len(borders)):
        borders[split] = min(len(pieces), max(borders[split], borders[split - 1] + used[split]))
    return np.split(pieces, borders)


def sample_size_of(amount: float, count: int) -> int:
    """How many of `count` rows a count (1 or more) or a share below 1 means; at least one."""
    sample_size = round(amount * count) if isinstance(amount, float) and amount < 1 else int(amount)
    return max(1, min(count, sample_size))


def sample_rows(indices: Ints, strata: Ints, amount: float, seed: int) -> Ints:
    """A seeded, stratified sample: a count (1 or more) or a share below 1; at least one row, in the order given."""
    count = len(indices)
    sample_size = sample_size_of(amount, count)
    if sample_size == count:
        return indices
    rng = np.random.default_rng([seed, 11])
    order = rng.permutation(count)
    order = order[np.argsort(strata[order], kind="stable")]
    # Every k-th row of the rows sorted by stratum keeps the shares to within one row.
    positions = np.floor((np.arange(sample_size) + rng.random()) * count / sample_size).astype(np.int64) % count
    return indices[np.sort(order[positions])]
