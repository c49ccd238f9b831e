"""What commands that train and evaluate print at their end: scores on standard output, words on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headstart.progress import Reporter, print_tables
from headstart.reports.confidence_words import confidence_sentences
from headstart.reports.depth_table import depth_table
from headstart.reports.distillation_table import distillation_table
from headstart.reports.score_table import score_table, score_tables
from headstart.reports.summary import score_sentences

if TYPE_CHECKING:
    from headstart.api.finetune import Run


def print_run(run: Run, reporter: Reporter, *, as_json: bool) -> None:
    """The scores of a finished run, then where its files are, and last, in words, what the scores say."""
    scores = run.scores
    if as_json:
        print(json.dumps({"run": str(run.path), "scores": scores}, ensure_ascii=False))
    else:
        print_scores(scores)
        if "distillation" in scores:
            print("\n".join(distillation_table(scores["distillation"])))
    sys.stdout.flush()  # the words come after the scores also where both go to one file
    reporter.info(f"report: {run.report}\nmodel:  {run.path / 'model'}")
    reporter.info("\n".join([*score_sentences(scores), *confidence_sentences(scores)]))


def print_scores(scores: Mapping[str, Any]) -> None:
    """Every split's scores, test first, and the baselines."""
    print_tables(score_tables(scores), score_table(scores))
    if "early_exit" in scores:
        print("\n".join(depth_table(scores["early_exit"])))
