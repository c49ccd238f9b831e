"""A threshold on confidence that promises a risk: the share of wrong answers among those that are given.

Answers are given from a confidence on. How often such answers are wrong is known on some rows only, so a low share
there may be luck. The promise holds with a certainty of 95 %: thresholds are tested by the exact binomial bound of
their risk (Clopper and Pearson 1934), as in "selection with guaranteed risk" (Geifman and El-Yaniv 2017), and since
several are tested, each gets a part of the 5 % (the fallback procedure, Wiens and Dmitrienko 2005): from few answers to
many, what a passed test had passes on to the next.

M rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.metrics.abstention import tie_ends

Floats = NDArray[np.float64]
CERTAINTY = 0.95
STEP = 1.25  # how many times more answers a threshold gives than the one before, of those with a chance of their own
SUBSTEPS = 4  # tested thresholds from one of those to the next; between them only what a passed test passes on is spent


@dataclass(frozen=True)
class PromisedThreshold:
    """A threshold with what the rows say that it was chosen on: how many it answers, how many of these wrongly, and the
    upper bound of its risk at the certainty that its test had.
    """

    threshold: float
    answers: int
    errors: int
    risk_bound: float


def upper_bound(errors: int, answers: int, certainty: float) -> float:
    """The largest risk with which so few errors among the answers are still likelier than 1 - certainty (one-sided;
    Clopper and Pearson 1934).
    """
    from scipy.special import betaincinv

    return 1.0 if errors >= answers else float(betaincinv(errors + 1, answers - errors, certainty))


def exact_interval(errors: int, answers: int, certainty: float = CERTAINTY) -> tuple[float, float]:
    """The two-sided interval of a share (Clopper and Pearson 1934)."""
    half = (1 + certainty) / 2
    return 1 - upper_bound(answers - errors, answers, half), upper_bound(errors, answers, half)


def fewest_answers(risk: float, certainty: float = CERTAINTY) -> int:
    """How many answers, all of them right, it takes to promise a risk: (1 - risk)^n ≤ 1 - certainty.

    fewest_answers(0.05) -> 59
    """
    return math.ceil(math.log(1 - certainty) / math.log1p(-risk) - 1e-9)


def promised_threshold(confidences: Floats, wrong: NDArray[Any], risk: float,
                       certainty: float = CERTAINTY) -> PromisedThreshold | None:
    """The threshold that answers most among those that promise the risk; None where none does.

    Answers of equal confidence are given together. The threshold lies midway to the next lower confidence, so that
    rounding turns no answer into silence.
    """
    order = np.argsort(-confidences, kind="stable")
    ordered, errors = confidences[order], np.cumsum(wrong[order].astype(np.int64))
    counts = tested_counts(ordered, fewest_answers(risk, certainty))
    chance = (1 - certainty) / max(1, sum(counts.values()))
    best, inherited = None, 0.0
    for count, has_chance in counts.items():
        level = inherited + chance * has_chance
        bound = upper_bound(int(errors[count - 1]), count, 1 - level) if level else 1.0
        inherited = level if bound <= risk else 0.0
        if bound <= risk:
            lower = float(ordered[count]) if count < len(ordered) else 0.0
            best = PromisedThreshold((float(ordered[count - 1]) + lower) / 2, count, int(errors[count - 1]), bound)
    return best


def tested_counts(ordered: Floats, fewest: int) -> dict[int, bool]:
    """How many answers each tested threshold gives, ascending, and whether it has a chance of its own: all answers, and
    each a fifth fewer, down to what can promise anything; three between each two have none.

    Which these are does not depend on what is right. Confidences (M,) descend.
    """
    whole_counts = tie_ends(ordered) + 1  # those that part no equals
    counts: dict[int, bool] = {}
    step = 0
    while (most := len(ordered) / STEP**(step / SUBSTEPS)) >= fewest:
        position = int(np.searchsorted(whole_counts, math.floor(most + 1e-9), side="right")) - 1
        if position >= 0 and whole_counts[position] >= fewest:
            count = int(whole_counts[position])
            counts[count] = counts.get(count, False) or step % SUBSTEPS == 0
        step += 1
    return dict(sorted(counts.items()))
