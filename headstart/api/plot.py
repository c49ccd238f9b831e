"""A finished run as a figure of matplotlib.

    run.plot()                                    # training, the task's chart, baselines, side by side
    run.plot("task", ax=pyplot.subplot(1, 2, 1))  # one of them, in a figure of your own
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from headstart.api.notebook import in_notebook
from headstart.errors import Exit, UserError, nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PlotKind = Literal["training", "task", "baselines"]
KINDS: tuple[PlotKind, ...] = get_args(PlotKind)
WIDTHS = {"training": 5.0, "task": 5.5, "baselines": 5.5}  # of each chart, in inches
HEIGHT = 4.4


def plot(path: Path, kind: PlotKind | None, axes: Axes | None) -> Figure:
    """The figure of a run's folder; see `Run.plot`. Raises UserError (2, 66, 69)."""
    from headstart.reports import run_figure

    if kind is not None and kind not in KINDS:
        suggestion = nearest(str(kind), KINDS)
        raise UserError(f"There is no plot {kind!r}; there are {', '.join(KINDS)}.",
                        fix=f"Did you mean {suggestion}?" if suggestion else "Name one of them, or none for all.")
    if axes is not None and kind is None:
        raise UserError("One axes holds one chart, and there are three.",
                        fix=f"Name it with ax: run.plot(\"{KINDS[0]}\", ax=ax).")
    scores = read_scores(path)
    kinds: Sequence[PlotKind] = KINDS if kind is None else (kind,)
    if axes is not None:
        figure, places = axes.figure.get_figure(root=True), [axes]
    else:
        figure = run_figure.new_figure(sum(WIDTHS[name] for name in kinds), HEIGHT)
        grid = figure.subplots(1, len(kinds), squeeze=False, width_ratios=[WIDTHS[name] for name in kinds])
        places = list(grid[0])
    for name, place in zip(kinds, places, strict=True):
        if name == "training":
            run_figure.draw_training(place, read_log(path), scores)
        elif name == "task":
            run_figure.draw_task(place, scores, read_lines(path / "predictions.jsonl"))
        else:
            run_figure.draw_baselines(place, scores)
    if axes is None and in_notebook():
        run_figure.forget(figure)
    return figure


def read_scores(path: Path) -> dict[str, Any]:
    """scores.json of a run; raises UserError (66) where there is none."""
    try:
        scores: dict[str, Any] = json.loads((path / "scores.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} has no scores.json: there is no run, or it is not finished.",
                        fix="Check the path, or finish it: headstart.resume(path).", exit=Exit.NO_INPUT) from None
    return scores


def read_log(path: Path) -> list[dict[str, Any]]:
    """The events of a run's log."""
    from headstart.runs.log import RunLog

    return RunLog(path / "log.jsonl").events()


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines; none where it is not there."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
