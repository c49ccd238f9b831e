"""Labels that came with the call beside those of a labelled file, and the majority baseline on its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headstart.contract import Example, Task
from headstart.errors import Exit, UserError
from headstart.evaluation.compare import compare_baseline
from headstart.evaluation.evaluate import SplitEvaluation
from headstart.prediction.zero_shot.labels import joined_labels, nearest_label
from headstart.progress import Reporter

if TYPE_CHECKING:
    from headstart.contract import Floats

MAX_NAMED = 10  # labels that a message lists


def check_file_labels(task: Task[Any], examples: Sequence[Example], path: str, reporter: Reporter) -> None:
    """Tell which labels of the file are not among the given ones, and the other way; raises UserError (65) where the
    file has none of them.
    """
    counts = Counter(label for example in examples for label in gold_labels(task, example))
    labels = task.answer_labels
    unknown, absent = [label for label in counts if label not in labels], [label for label in labels
                                                                           if label not in counts]
    if counts and len(unknown) == len(counts):
        raise UserError(f"{path} has none of the labels {joined_labels(labels, MAX_NAMED)}; it has "
                        f"{joined_labels(list(counts), MAX_NAMED)}.",
                        fix="Name the labels as the file spells them, with their descriptions: --labels "
                            '"LABEL=description; …"', exit=Exit.DATA)
    for label in unknown[:MAX_NAMED]:
        suggestion = nearest_label(label, absent)
        hint = f"; --labels has {suggestion!r}" if suggestion else ""
        rows = "1 row" if counts[label] == 1 else f"{counts[label]:,} rows"
        reporter.warning(f"the label {label!r} of the file ({rows}) is not among --labels, so what has it counts as "
                         f"wrong{hint}")
    if len(unknown) > MAX_NAMED:
        reporter.warning(f"+ {len(unknown) - MAX_NAMED} more such labels")
    if absent:
        reporter.info(f"{len(absent)} of {len(labels)} labels {'has' if len(absent) == 1 else 'have'} no row in the "
                      f"file, so nothing measures {'it' if len(absent) == 1 else 'them'}: "
                      f"{joined_labels(absent, MAX_NAMED)}")


def gold_labels(task: Task[Any], example: Example) -> tuple[str, ...]:
    """The labels that a row has in the file."""
    gold = task.gold(example)
    return () if gold is None else (gold,) if isinstance(gold, str) else tuple(map(str, gold))


def majority_baseline(task: Task[Any], evaluated: SplitEvaluation, *, resamples: int, seed: int,
                      reporter: Reporter) -> dict[str, Any]:
    """The scores of always answering the file's most frequent label, as in scores.json."""
    labels = set(task.answer_labels)
    known_rows = [example for example in evaluated.examples if labels & set(gold_labels(task, example))]
    majority = task.baselines()[0]
    comparison = compare_baseline(task, majority, known_rows, evaluated, split="test", states=no_states,
                                  resamples=resamples, seed=seed)
    reporter.info(f"the baseline {majority.name} knows these rows' own labels: there are no training rows")
    return {"baselines": {majority.name: comparison.json()}}


def no_states(examples: Sequence[Example]) -> Floats:
    """The states of an untrained model, which the majority baseline never asks for."""
    raise AssertionError("the majority baseline reads no states")
