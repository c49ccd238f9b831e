"""The table and the picture of few_rows.py, from its runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from growing_results import write_section

RESAMPLES = 1000
NAMES = {"trec": "TREC", "banking": "12 intents", "banking-whole": "77 intents", "tweets": "tweets"}
COLOURS = {"contrastive": "#1b6ca8", "frozen": "#7a9e3f", "plain": "#c0562f", "setfit": "#8a6fb0"}
METHODS = ("contrastive", "frozen", "plain")
RULE = "rule"
Run = Mapping[str, Any]


def macro_f1(run: Run, weights: Any = None) -> float:
    """Macro F1 over all labels of the set that the test rows have or the model gives."""
    gold, predicted = np.asarray(run["gold"]), np.asarray(run["predicted"])
    weights = np.ones(len(gold)) if weights is None else weights
    true = np.bincount(gold, weights * (gold == predicted), run["labels"])
    sizes = np.bincount(gold, weights, run["labels"]) + np.bincount(predicted, weights, run["labels"])
    return float((2 * true[sizes > 0] / sizes[sizes > 0]).mean())


def cell_runs(runs: Sequence[Run], name: str, rows: int) -> dict[str, dict[int, Run]]:
    """The runs of one set and size: method -> draw -> run; the rule's are those of the way that it takes."""
    methods: dict[str, dict[int, Run]] = {}
    for run in runs:
        if run["set"] == name and run["rows"] == rows:
            methods.setdefault(run["method"], {})[run["draw"]] = run
    choices = methods.pop(RULE, {})
    rule_runs = {draw: methods[choice["choice"]][draw] for draw, choice in choices.items()
                 if draw in methods.get(choice["choice"], {})}
    return {**methods, RULE: rule_runs} if rule_runs else methods


def difference(first: Mapping[int, Run], second: Mapping[int, Run]) -> tuple[float, float, float, int] | None:
    """Mean difference of macro F1 over the draws that both have, with a 95 % interval over draws and test rows."""
    draws = sorted(set(first) & set(second))
    if not draws:
        return None
    rng, values = np.random.default_rng(0), []
    size = len(first[draws[0]]["gold"])
    for _ in range(RESAMPLES):
        chosen = rng.choice(draws, len(draws))
        weights = np.bincount(rng.integers(0, size, size), minlength=size).astype(float)
        values.append(np.mean([macro_f1(first[seed], weights) - macro_f1(second[seed], weights) for seed in chosen]))
    mean = float(np.mean([macro_f1(first[seed]) - macro_f1(second[seed]) for seed in draws]))
    low, high = np.quantile(values, [0.025, 0.975])
    return mean, float(low), float(high), len(draws)


def table(runs: Sequence[Run]) -> str:
    """A line for each set and number of rows a label."""
    lines = ["| set, rows a label | draws | plain | frozen | contrastive | rule: takes | rule | rule − best of three | "
             "SetFit | rule − SetFit | seconds: contrastive, plain, SetFit |", f"|{'---|' * 11}"]
    for name in NAMES:
        sizes = sorted({run["rows"] for run in runs if run["set"] == name})
        lines += [table_line(name, rows, cell_runs(runs, name, rows)) for rows in sizes]
    return "\n".join(lines)


def table_line(name: str, rows: int, methods: Mapping[str, Mapping[int, Run]]) -> str:
    """One line of the table."""
    def mean(method: str) -> str:
        scores = [macro_f1(run) for run in methods.get(method, {}).values()]
        return f"{100 * np.mean(scores):.1f}" if scores else ""

    def seconds(method: str) -> str:
        values = [run["seconds"] for run in methods.get(method, {}).values()]
        return f"{np.mean(values):.0f}" if values else "–"

    def against(method: str) -> str:
        part = difference(methods.get(RULE, {}), methods.get(method, {}))
        return "" if part is None else f"{100 * part[0]:+.1f} ({100 * part[1]:+.1f} to {100 * part[2]:+.1f})"

    best = max((method for method in METHODS if method in methods),
               key=lambda method: np.mean([macro_f1(run) for run in methods[method].values()]))
    ways = dict.fromkeys(run["method"] for run in methods.get(RULE, {}).values())
    cells = [f"{NAMES[name]}, {rows}", str(len(methods.get("contrastive", {}))), mean("plain"), mean("frozen"),
             mean("contrastive"), ", ".join(ways), mean(RULE), against(best), mean("setfit"), against("setfit"),
             ", ".join(map(seconds, ("contrastive", "plain", "setfit")))]
    return f"| {' | '.join(cells)} |"


def picture(runs: Sequence[Run]) -> str:
    """Macro F1 by rows a label, a panel for each set: an SVG."""
    parts, width = [], 250
    for index, name in enumerate(NAMES):
        left = 44 + index * width
        sizes = sorted({run["rows"] for run in runs if run["set"] == name})
        parts.append(f'<text x="{left + 85}" y="20" text-anchor="middle" font-weight="bold">{NAMES[name]}</text>')
        for share in (20, 40, 60, 80, 100):
            y = 230 - 2 * share
            parts.append(f'<path d="M{left} {y}h180" stroke="#ddd"/>'
                         f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{share}</text>')
        for rank, rows in enumerate(sizes):
            parts.append(f'<text x="{left + 20 + 70 * rank}" y="250" text-anchor="middle">{rows}</text>')
        for method, colour in COLOURS.items():
            points = [(left + 20 + 70 * rank, 230 - 200 * np.mean([macro_f1(run) for run in draws.values()]))
                      for rank, rows in enumerate(sizes) if (draws := cell_runs(runs, name, rows).get(method))]
            line = " ".join(f"{x:.0f},{y:.1f}" for x, y in points)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
            parts += [f'<circle cx="{x:.0f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
    for rank, (method, colour) in enumerate(COLOURS.items()):
        parts.append(f'<circle cx="{60 + 110 * rank}" cy="276" r="4" fill="{colour}"/>'
                     f'<text x="{70 + 110 * rank}" y="280">{"SetFit" if method == "setfit" else method}</text>')
    title = "Macro F1 in per cent by rows a label"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1030 290" font-family="sans-serif" font-size="12" '
            f'role="img" aria-label="{title}"><title>{title}</title><rect width="1030" height="290" fill="#fff"/>'
            f'{"".join(parts)}</svg>\n')


def write(page: Path, runs: Sequence[Run]) -> None:
    """Put the table between the marks of a page, and the picture beside it."""
    (page.parent / "images").mkdir(exist_ok=True)
    (page.parent / "images" / "few-rows.svg").write_text(picture(runs), encoding="utf-8")
    write_section(page, "few rows", f"![Macro F1 by rows a label](images/few-rows.svg)\n\n{table(runs)}")
