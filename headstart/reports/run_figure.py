"""A run as charts of matplotlib, for notebooks and papers; an axes of the caller's is drawn into as it is.

The only file that knows matplotlib.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headstart.errors import Exit, UserError
from headstart.reports.summary import evaluation_split, first_scores, is_frozen, training_series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_COUNTED_LABELS = 12  # a larger confusion matrix has no room for the numbers in its cells
MAX_NAMED_LABELS = 40  # beyond, the labels of a matrix would stand on each other
MAX_BARS = 30
MAX_LABEL = 24  # characters of a label beside an axis
LOSS_COLOUR, SCORE_COLOUR, OTHER_COLOUR = "tab:gray", "tab:blue", "tab:gray"


def new_figure(width: float, height: float) -> Figure:
    """A figure of so many inches that pyplot knows: `pyplot.show()` shows it. Raises UserError (69) without matplotlib.
    """
    try:
        pyplot = importlib.import_module("matplotlib.pyplot")
    except ImportError:
        raise UserError("Plots need matplotlib.", fix="pip install 'headstart[plots]'", exit=Exit.UNAVAILABLE) from None
    figure: Figure = pyplot.figure(figsize=(width, height), layout="constrained")
    return figure


def forget(figure: Figure) -> None:
    """Take a figure from pyplot, so that a notebook shows it once: as what a cell gives, and not at its end again."""
    importlib.import_module("matplotlib.pyplot").close(figure)


def draw_training(axes: Axes, log: Sequence[Mapping[str, Any]], scores: Mapping[str, Any]) -> None:
    """The loss by step, and on a second axis the score on dev, with the step whose weights are the model marked."""
    best = scores.get("best") or {}
    name = str(best.get("score") or "score")
    axes.set(title="training", xlabel="step", ylabel="loss")
    series = training_series(log, scores)
    losses, evaluations = series["loss"], series["dev"]
    axes.plot(*columns(losses), color=LOSS_COLOUR)
    if not losses:
        axes.annotate("no step was trained", (0.5, 0.5), xycoords="axes fraction", ha="center")
    if not evaluations or scores.get("folds"):  # with folds nothing is scored while the saved model is trained
        return
    score_axes = axes.twinx()
    score_axes.plot(*columns(evaluations), color=SCORE_COLOUR, marker=".")
    score_axes.set_ylabel(f"{name.replace('_', ' ')} on dev", color=SCORE_COLOUR)
    best_points = [point for point in evaluations if point[0] == best.get("step")]
    if best_points:
        step, value = best_points[-1]
        score_axes.axvline(step, color=SCORE_COLOUR, linestyle=":")
        score_axes.plot([step], [value], color=SCORE_COLOUR, marker="o", markersize=9, linestyle="none")
        note = "; saved is the frozen encoder" if is_frozen(scores) else ""
        axes.set_title(f"training: best at step {step:,}, {value:.4f}{note}")


def columns(points: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    """The x and the y of points."""
    return [point[0] for point in points], [point[1] for point in points]


def draw_baselines(axes: Axes, scores: Mapping[str, Any]) -> None:
    """The first score of the model and of each baseline on the split that judges, with 95 % intervals."""
    name, entries = first_scores(scores)
    title = name.replace("_", " ")
    draw_scores(axes, entries)
    axes.set(title=f"{title} on {evaluation_split(scores)}, 95 % intervals", xlabel=title)


def draw_scores(axes: Axes, entries: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Scores under each other, the first on top: a dot for the value, a line for its interval."""
    for place, (_, score) in enumerate(entries):
        colour = OTHER_COLOUR if place else SCORE_COLOUR
        value, low, high = score["value"], score["low"], score["high"]
        if value is None:
            axes.annotate("undefined", (0.02, place), xycoords=("axes fraction", "data"), va="center")
            continue
        if low is not None:
            axes.plot([low, high], [place, place], color=colour, linewidth=2)
        axes.plot([value], [place], color=colour, marker="o", linestyle="none")
        axes.annotate(f"{value:.3f}", (value, place), textcoords="offset points", xytext=(0, 7), ha="center")
    axes.set_yticks(range(len(entries)), [shortened(label) for label, _ in entries])
    axes.set_ylim(len(entries) - 0.4, -0.6)
    ends = [score[end] for _, score in entries for end in ("value", "low", "high") if score[end] is not None]
    if ends and min(ends) >= 0 and max(ends) <= 1:
        axes.set_xlim(0, 1.02)


def draw_task(axes: Axes, scores: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """What the task has to show on the split that judges: the confusion matrix of labels, the F1 of each type or label,
    numbers against those of the file, else every score with its interval. `rows` are those of predictions.jsonl.
    """
    split = evaluation_split(scores)
    tables = scores.get("tables", {}).get(split) or {}
    label_scores = tables.get("per_type") or tables.get("per_label")
    points = [(row["gold"], row["prediction"]) for row in rows if row.get("split") == split
              and is_number(row.get("gold")) and is_number(row.get("prediction"))]
    if tables.get("confusion"):
        draw_confusion(axes, tables["labels"], tables["confusion"])
    elif label_scores:
        draw_label_scores(axes, {label: values["f1"] for label, values in label_scores.items()})
    elif points:
        draw_numbers(axes, points)
    else:
        draw_scores(axes, [(name.replace("_", " "), score) for name, score in scores[split].items()])
        axes.set_title("scores")
    axes.set_title(f"{axes.get_title()} on {split}")


def is_number(value: Any) -> bool:
    """Whether a value of a row is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def draw_confusion(axes: Axes, labels: Sequence[str], counts: Sequence[Sequence[int]]) -> None:
    """Labels of the file down, predicted ones across; the shade is the share of the row, the number its count."""
    names = [shortened(label) for label in labels]
    shares = [[count / max(1, sum(row)) for count in row] for row in counts]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set(title="confusion matrix", xlabel="predicted", ylabel="in the file")
    if len(names) <= MAX_NAMED_LABELS:
        axes.set_yticks(range(len(names)), names)
        axes.set_xticks(range(len(counts[0])), names[:len(counts[0])], rotation=45, ha="right",
                        rotation_mode="anchor")
    if len(names) <= MAX_COUNTED_LABELS:
        for row, row_counts in enumerate(counts):
            for column, count in enumerate(row_counts):
                if count:
                    axes.annotate(str(count), (column, row), ha="center", va="center",
                                  color="white" if shares[row][column] > 0.5 else "black")


def draw_label_scores(axes: Axes, values: Mapping[str, float | None]) -> None:
    """The F1 of each label, worst last; an undefined one has no bar."""
    ordered = sorted(values.items(), key=lambda pair: -(pair[1] if pair[1] is not None else -1.0))[-MAX_BARS:]
    places = range(len(ordered))
    axes.barh(places, [value or 0.0 for _, value in ordered], color=SCORE_COLOUR)
    axes.set_yticks(places, [shortened(label) for label, _ in ordered])
    axes.invert_yaxis()
    axes.set(title="F1 of each label" + ("" if len(values) <= MAX_BARS else f", the {MAX_BARS} lowest"), xlabel="F1",
             xlim=(0, 1.02))


def draw_numbers(axes: Axes, points: Sequence[tuple[float, float]]) -> None:
    """Predicted numbers against those of the file; on the line they agree."""
    gold, predicted = columns(points)
    ends = [min(gold + predicted), max(gold + predicted)]
    axes.plot(ends, ends, color=OTHER_COLOUR, linestyle=":")
    axes.plot(gold, predicted, color=SCORE_COLOUR, marker=".", linestyle="none", alpha=0.6)
    axes.set(title="predictions", xlabel="number in the file", ylabel="prediction")


def shortened(label: str) -> str:
    """A label that fits beside an axis on one line, dollar signs as they are and not as a formula."""
    line = "".join(letter if letter.isprintable() else "\ufffd" for letter in " ".join(label.split()))
    text = line if len(line) <= MAX_LABEL else f"{line[:MAX_LABEL]}…"
    return text.replace("$", r"\$")
