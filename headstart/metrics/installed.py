"""Metrics that other packages add (entry points of the group `headstart.metrics`), and which task can take them."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

from headstart import extensions
from headstart.contract import Metric, Task
from headstart.errors import Exit, UserError, nearest


@cache
def find(name: str) -> Metric:
    """The metric of this name; raises UserError (69, 78) when no package adds it, or it cannot be used."""
    extension = extensions.find("metrics", name)
    if extension is None:
        names = extensions.names("metrics")
        suggestion = nearest(name, names)
        raise UserError(f"evaluation.extra_metrics names {name!r}, but no installed package adds such a metric; "
                        f"there is {', '.join(names) or 'none at all'}.",
                        fix=f"Did you mean {suggestion}?" if suggestion else "Install the package that adds it.",
                        exit=Exit.SETTINGS)
    metric = extension.load()
    if not isinstance(metric, Metric):
        raise extension.unusable(f"is {metric!r:.60}, a headstart.Metric was expected")
    if metric.name != name:
        raise extension.unusable(f"calls itself {metric.name!r}; both names must be the same")
    return metric


def origin(name: str) -> str:
    """Where a metric comes from: its module and package."""
    extension = extensions.find("metrics", name)
    assert extension is not None, f"{name} was found before"
    return extension.origin


def with_extra_metrics(task: Task[Any], names: str) -> Task[Any]:
    """The task with these metrics (evaluation.extra_metrics) beside its own; raises UserError (69, 78)."""
    metric_names = tuple(dict.fromkeys(name for name in map(str.strip, names.split(",")) if name))
    for name in metric_names:
        metric = find(name)
        if task.answer_type not in metric.answers:
            answer = f"a {task.answer_type}" if task.answer_type else "neither a label, a number nor a text"
            raise UserError(f"The metric {name!r} compares a {' or a '.join(metric.answers)}; an answer of {task.name} "
                            f"is {answer}.",
                            fix="Leave it out of evaluation.extra_metrics.", exit=Exit.SETTINGS)
    return dataclasses.replace(task, extra_metrics=metric_names) if metric_names else task
