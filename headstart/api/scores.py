"""Scores as Python gives them: the mapping of scores.json, which shows itself as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Scores(dict[str, Any]):
    """Scores by split and name, as in scores.json; printed or in a notebook they are a table.

    >>> scores = headstart.load("reviews-run").evaluate("reviews.csv")
    >>> print(scores)  # a line for each score, with its interval
    >>> value = scores["test"]["macro_f1"]["value"]
    """

    def __init__(self, scores: Mapping[str, Any] | None = None, **entries: Any) -> None:
        super().__init__({} if scores is None else scores, **entries)

    def __repr__(self) -> str:
        from headstart.reports.score_table import score_table

        return score_table(self) if self.is_table() else dict.__repr__(self)

    def _repr_html_(self) -> str | None:
        from headstart.api.html import scores_html

        return scores_html(self) if self.is_table() else None

    def is_table(self) -> bool:
        """Whether it holds scores of splits and nothing else that a table has no place for."""
        from headstart.reports.summary import splits_by_weight

        splits = splits_by_weight(self)
        return bool(splits) and all(
            isinstance(self[split], Mapping) and self[split] and all(
                isinstance(score, Mapping) and {"value", "low", "high", "n"} <= set(score)
                for score in self[split].values()) for split in splits)
