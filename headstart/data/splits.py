"""Train, dev and test parts of one file: seeded, stratified, equal texts on one side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headstart.errors import Exit, UserError

if TYPE_CHECKING:
    from headstart.contract import Ints


def parse_shares(text: str) -> tuple[float, float, float]:
    """"80/10/10" as shares of 1; raises UserError (78)."""
    try:
        numbers = [float(part) for part in text.split("/")]
    except ValueError:
        numbers = []
    if len(numbers) != 3 or min(numbers) < 0 or sum(numbers) <= 0 or numbers[0] == 0 or not np.isfinite(numbers).all():
        raise UserError(f"data.split takes train/dev/test shares, but it is {text!r}.", fix="For example 80/10/10.",
                        exit=Exit.SETTINGS)
    whole = sum(numbers)
    return numbers[0] / whole, numbers[1] / whole, numbers[2] / whole


def split(subjects: Ints, strata: Ints, shares: tuple[float, ...], seed: int) -> list[Ints]:
    """Places of the rows of each part, in file order.

    Rows with equal subjects (hashes) go to one part. Within each stratum, groups in seeded order go to the part that
    is furthest below its share; the first group of a stratum goes to the first part, so a class is never without
    training rows.
    """
    count = len(subjects)
    _, group_of = np.unique(subjects, return_inverse=True)
    groups = int(group_of.max()) + 1 if count else 0
    first = np.full(groups, count, dtype=np.int64)
    np.minimum.at(first, group_of, np.arange(count))
    sizes = np.bincount(group_of, minlength=groups)
    stratum = strata[first] if count else strata
    part = np.zeros(groups, dtype=np.int64)
    order = np.random.default_rng([seed, 7]).permutation(groups)
    order = order[np.argsort(stratum[order], kind="stable")]
    borders = np.flatnonzero(np.diff(stratum[order])) + 1
    aims = np.asarray(shares)
    owed = np.zeros(len(shares))  # what rounding in earlier strata left over
    for members in np.split(order, borders):
        total = sizes[members].sum()
        targets = aims * total + owed
        filled = np.zeros(len(shares))
        for at, group in enumerate(members.tolist()):
            chosen = 0 if at == 0 else int(np.argmax(targets - filled))
            part[group] = chosen
            filled[chosen] += sizes[group]
        owed = targets - filled
    chosen_of = part[group_of] if count else part
    return [np.flatnonzero(chosen_of == number) for number in range(len(shares))]


def part(indices: Ints, strata: Ints, amount: float, seed: int) -> Ints:
    """A seeded, stratified part: a count (1 or more) or a share below 1; at least one row, in the order given."""
    count = len(indices)
    wanted = round(amount * count) if isinstance(amount, float) and amount < 1 else int(amount)
    wanted = max(1, min(count, wanted))
    if wanted == count:
        return indices
    draw = np.random.default_rng([seed, 11])
    order = draw.permutation(count)
    order = order[np.argsort(strata[order], kind="stable")]
    # Every k-th row of the rows sorted by stratum keeps the shares to within one row.
    places = np.floor((np.arange(wanted) + draw.random()) * count / wanted).astype(np.int64) % count
    return indices[np.sort(order[places])]
