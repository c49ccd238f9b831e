"""Whether dev has rows enough for the risk that is to be promised: known before training, and told then."""

from __future__ import annotations

from headstart.errors import Exit, UserError
from headstart.metrics.risk import CERTAINTY, fewest_answers
from headstart.preparation.dataset import Dataset
from headstart.settings.run_settings import RunSettings


def refuse_few_rows(settings: RunSettings, dataset: Dataset) -> None:
    """Refuse a risk that dev, or the rows that are scored in folds, are too few to promise, even if every answer were
    right; raises UserError (65). Nothing is said of a task that always answers.
    """
    risk, in_folds = settings.evaluation.risk, dataset.folds is not None
    rows = len(dataset.splits["train" if in_folds else "dev"])
    if risk is None or not dataset.task.answer_columns or rows >= (fewest := fewest_answers(risk)):
        return
    promised = 1 - (1 - CERTAINTY) ** (1 / rows) if rows else 1.0
    kind, way_out = (("rows", "more rows") if in_folds else
                     ("dev rows", "more dev rows (or none: --folds scores all rows of one file)"))
    raise UserError(f"A risk of {risk:g} takes at least {fewest:,} {kind} to be promised with {100 * CERTAINTY:.0f} % "
                    f"certainty, and there are {rows:,}: all of them right would promise {promised:.3f}.",
                    fix=f"Give {way_out}, take a higher --risk, or leave it out.", exit=Exit.DATA)
