"""Predicted efficiency on 8, 64 and 1,024 GPUs, and the time of 10⁹ predictions: a formula, not a measurement.

    python benchmarks/cost_model.py                     # writes the section of docs/scale.md anew
    python benchmarks/cost_model.py --training 1=812,2=1490,3=1980 --prediction 1=2100,2=3900 \
        --machine "2 cores, MiniLM, BANKING77, batch 64"    # rows/s by number of processes: calibrates it

A step of W GPUs takes compute + exchange + host. What is measured on one machine calibrates the form of the formula
(how far it is from the measured rates), not the links and GPUs of another machine: those are inputs, and stand there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULT, PAGE = HERE / "results" / "cost_model.json", HERE.parent / "docs" / "scale.md"
BEGIN, END = "<!-- cost model: written by benchmarks/cost_model.py -->\n", "<!-- end of the cost model -->"
GPUS, ROWS = (8, 64, 1024), 10**9


@dataclass(frozen=True)
class Machine:
    """A machine of eight GPUs, as its data sheet says, and what of that is assumed to be reached."""

    gpus: int = 8
    peak: float = 989e12  # products in bf16 a second, of one GPU
    reached: float = 0.30  # of it
    inside: float = 450e9  # bytes a second between its GPUs, one way
    between: float = 50e9  # bytes a second to another machine, one way, of one GPU
    links_reached: float = 0.7
    hop: float = 20e-6  # seconds of each step of a ring
    host: float = 4e-3  # seconds of a step that Python and the launch of kernels take
    store: float = 1.25e9  # bytes a second that one machine reads from an object store


@dataclass(frozen=True)
class Model:
    """A model, how it is trained, and on what."""

    name: str
    layers: float  # weights that each token is multiplied with
    trained: float  # weights whose gradients are exchanged, in fp32
    tokens: int  # of a row
    row_bytes: int


MODELS = (Model("MiniLM-L6, questions", 10.6e6, 22.7e6, 16, 80), Model("DistilBERT, reviews", 42.5e6, 66e6, 256, 1300),
          Model("decoder of 1.1 B, all weights", 1.0e9, 1.1e9, 512, 2500),
          Model("decoder of 7 B, LoRA of rank 16", 6.6e9, 40e6, 512, 2500))
MACHINE = Machine()


@dataclass(frozen=True)
class Step:
    """The seconds of one step."""

    compute: float
    exchange: float
    host: float

    @property
    def seconds(self) -> float:
        """All of it: as it is built, gradients are exchanged after the backward pass."""
        return self.compute + self.exchange + self.host


@dataclass(frozen=True)
class Fit:
    """Seconds a row of W processes: a / W + b 2(W - 1) / W, and how far that is from what was measured."""

    a: float
    b: float
    error: float

    def rate(self, processes: int) -> float:
        """Rows a second."""
        return processes / (self.a + 2 * (processes - 1) * self.b)


def ring_seconds(count: int, size: float, speed: float, hop: float) -> float:
    """A ring all-reduce of so many bytes: 2(n - 1)/n of them over each link, 2(n - 1) hops (Patarasuk & Yuan 2009)."""
    return 2 * (count - 1) / count * size / speed + 2 * (count - 1) * hop


def step_seconds(model: Model, gpus: int, rows: float, machine: Machine = MACHINE) -> Step:
    """A step in which each GPU computes so many rows: 6 products a weight and token (Kaplan et al. 2020, section 2.1),
    and a sum of gradients first inside each machine, then between machines, of an eighth each.
    """
    compute = 6 * model.layers * model.tokens * rows / (machine.peak * machine.reached)
    size, inside = 4 * model.trained, min(gpus, machine.gpus)
    machines = max(1, gpus // machine.gpus)
    exchange = ring_seconds(inside, size, machine.inside * machine.links_reached, machine.hop) + ring_seconds(
        machines, size / inside, machine.between * machine.links_reached, machine.hop)
    return Step(compute, exchange, machine.host)


def efficiency(model: Model, gpus: int, rows: int, *, same_step: bool) -> float:
    """The share of W single GPUs' work that W do: of a step that stays, divided among them, or that grows with them."""
    one = step_seconds(model, 1, rows * gpus if same_step else rows).seconds
    many = step_seconds(model, gpus, rows).seconds
    return one / (gpus * many) if same_step else one / many


def prediction_hours(model: Model, gpus: int, machine: Machine = MACHINE) -> float:
    """Hours of 10⁹ rows in parts: 2 products a weight and token, or the reading where that takes longer; a minute to
    start.
    """
    compute = ROWS * 2 * model.layers * model.tokens / (gpus * machine.peak * machine.reached)
    reading = ROWS * model.row_bytes / (max(1, gpus // machine.gpus) * machine.store)
    return (max(compute, reading) + 60) / 3600


def fit(rates: Mapping[int, float]) -> Fit:
    """The line through W / rate over 2(W - 1), by least squares; rates are rows a second by number of processes."""
    points = [(2 * (count - 1), count / rate) for count, rate in sorted(rates.items())]
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    b = max(0.0, sum((x - mean_x) * (y - mean_y) for x, y in points) / spread) if spread else 0.0
    fitted = Fit(mean_y - b * mean_x, b, 0.0)
    return Fit(fitted.a, b, max(abs(fitted.rate(count) / rate - 1) for count, rate in rates.items()))


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def section(measured: Mapping[str, Any]) -> str:
    """The section of the page, from its heading on."""
    lines = ["| training | rows a GPU | " + " | ".join(f"{gpus:,} GPUs" for gpus in GPUS) + " | the same step on 8 |",
             "|---" * (len(GPUS) + 3) + "|"]
    for model, rows in zip(MODELS, (512, 64, 8, 8), strict=True):
        shares = [percent(efficiency(model, gpus, rows, same_step=False)) for gpus in GPUS]
        same = percent(efficiency(model, 8, max(1, rows // 8), same_step=True))
        lines.append(f"| {model.name} | {rows} | {' | '.join(shares)} | {same} |")
    lines += ["", "The step grows with the GPUs, but for the last column: there the step of one GPU is divided by "
              "eight.", "", "| 10⁹ rows predicted | " + " | ".join(f"{gpus:,} GPUs" for gpus in GPUS) + " |",
              "|---" * (len(GPUS) + 1) + "|"]
    for model in MODELS:
        hours = [prediction_hours(model, gpus) for gpus in GPUS]
        lines.append(f"| {model.name} | " + " | ".join(f"{60 * value:.0f} min" if value < 2 else f"{value:,.1f} h"
                                                       for value in hours) + " |")
    inputs = ", ".join(f"{name} {value:g}" for name, value in asdict(MACHINE).items())
    lines += ["", f"Inputs (benchmarks/cost_model.py): {inputs}.", "", *calibration_lines(measured)]
    return "\n".join(lines) + "\n"


def calibration_lines(measured: Mapping[str, Any]) -> list[str]:
    """What was measured, how far the formula is from it, and what it says of more processes."""
    if not measured:
        return ["**Not calibrated yet:** no rates of several processes are in benchmarks/results/cost_model.json. How "
                "far the formula is from a measurement is not known."]
    lines = [f"Calibrated on {measured['machine']}:", ""]
    for name in ("training", "prediction"):
        rates = {int(count): float(rate) for count, rate in measured.get(name, {}).items()}
        if len(rates) < 2:
            continue
        fitted = fit(rates)
        words = ", ".join(f"{count} process{'es' if count > 1 else ''} {rate:,.0f} rows/s "
                          f"({percent(rate / count / rates[1])})" for count, rate in sorted(rates.items()))
        error = (f"the formula is off by {100 * fitted.error:.1f} % at most there" if len(rates) > 2 else
                 "two rates fix its two numbers, so that they say nothing of its error")
        lines.append(f"- {name}: {words}; {error}. By the fit, what two processes do one after the other is "
                     f"{percent(fitted.b / fitted.a)} of the computing of a row.")
    return [*lines, "", "The error of the tables above is larger than that, and not known: no GPU and no second "
            "machine was measured."]


def section_of(page: str) -> str:
    """The section as the page has it."""
    return page.partition(BEGIN)[2].partition(END)[0]


def rates_of(text: str) -> dict[str, float]:
    """1=812,2=1490 as rates by number of processes."""
    return {count: float(rate) for count, rate in (pair.split("=") for pair in text.split(",") if pair)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the cost model into docs/scale.md.")
    parser.add_argument("--training", type=rates_of, default={}, help="rows/s by number of processes: 1=812,2=1490")
    parser.add_argument("--prediction", type=rates_of, default={})
    parser.add_argument("--machine", default="", help="machine, model and data of these rates, in words")
    arguments = parser.parse_args()
    measured = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    if arguments.training or arguments.prediction:
        measured = {"machine": arguments.machine or measured.get("machine", "a machine that was not named"),
                    "training": arguments.training or measured.get("training", {}),
                    "prediction": arguments.prediction or measured.get("prediction", {})}
        RESULT.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page.replace(section_of(page), section(measured), 1), encoding="utf-8")
    print(section(measured))


if __name__ == "__main__":
    main()
