"""Writes the section of docs/defaults.md on the recipe from results/defaults.jsonl; what stands around it stays. What
follows from it is also written to results/defaults.json, for README.md.
"""

import json
import statistics
from pathlib import Path
from typing import Any

from default_scores import difference
from default_sets import SETS
from growing_results import write_section

PAGE = Path(__file__).parent.parent / "docs" / "defaults.md"
SUMMARY = Path(__file__).parent / "results" / "defaults.json"
RULES = (
    ("learning rate",
     "5e-5 for a model 768 wide, times (768 / width)², 3e-4 at most; half of it for 2 labels "
     "(5 where a text may have several) and for numbers, a third where pairs of texts are judged; ten times as much "
     "for an adapter",
     "`training.learning_rate`"),
    ("batch",
     "32; 16 below 2,000 rows where the rate is lowered for the task and you set neither epochs nor steps",
     "`training.batch_size`"),
    ("steps",
     "at least 200 where a head is trained from nothing, 120 where there was one before, or a sentence encoder tells "
     "six labels or more apart; whole epochs, at least 5 below 5,000 rows, else 3; 18 steps for each label, as far as "
     "10 epochs have them",
     "`training.epochs`, `training.max_steps`"),
    ("warm-up", "a tenth of the steps", "`training.warmup_ratio`"),
    ("dev", "after every epoch, 20 times at most; the best checkpoint is kept", "`training.evaluate_every`"),
)
INTRODUCTION = """## The recipe

@RULES@

48 rows make as many steps as 500: what looks like a bad draw of few rows is mostly a training that ended too early
(Mosbach et al. 2021; Zhang et al. 2021).

**Back-off.** Where the rate was chosen by rule and training goes wrong, it begins again from the seed at a third of it,
twice at most (`training.back_off`). It has gone wrong where the loss is no number; where the last 20 losses are above
1.5 times the first ten and 0.5 more; where, after half of the steps, dev gets one answer for all and the loss fell by
less than 3 % in the last fifth of all steps; and where 100 steps or more end without ever two answers. One answer for
all is not taken for a rate that is too high where the last losses are below 0.9 times the entropy of the labels (the
model has learned from the texts, and answers the frequent label) or still falling towards 1.1 times it, nor for a model
made from scratch, which has merely begun. A line says so, `log.jsonl` has an event
`back_off`, `data.json` the attempts; a run that is killed in any attempt and resumed ends with the same weights, and so
does `finetune --settings RUN/settings.toml`.

### What it is worth

`python benchmarks/defaults.py` trains each set with the default settings (`--method plain`, so that the recipe itself
is measured) and with the Trainer of transformers as somebody sets it who knows it: batches of 16, a tenth of warm-up,
weight decay 0.01, dev scored after every epoch and the best epoch kept, at 5e-5, 1e-4 and 2e-5. The best of these three
is chosen after the fact, by its score on test, which no user could do. Differences are in points, with the paired 95 %
interval over the test rows. Both train on one thread, in bf16 where the processor has it.
"""


def comparison(results: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """The default beside the best of the peers on one set, model and seed; None where a system is missing."""
    peers = [result for system, result in results.items() if system.startswith("trainer")]
    if "headstart" not in results or len(peers) < 3:
        return None
    default, best = results["headstart"], max(peers, key=lambda result: float(result["score"]))
    part = next(part for part in SETS if part.name == default["set"])
    return {"default": default, "best": best, "part": part,
            "difference": difference(part, default["measures"], best["measures"])}


def row_cells(row: dict[str, Any], peers: dict[str, dict[str, Any]]) -> list[str]:
    default, best, interval, settings = row["default"], row["best"], row["difference"], row["default"]["chosen"]
    attempts = f", attempt {settings['attempts']}" if settings["attempts"] > 1 else ""
    return [f"{default['set']} ({row['part'].score})", default["model"], str(default["seed"]),
            f"{100 * default['score']:.1f}",
            f"{settings['learning_rate']:g}{attempts}, {settings['steps']} × {settings['batch_size']}",
            *(f"{100 * peers[f'trainer {rate}']['score']:.1f}" for rate in ("2e-05", "5e-05", "0.0001")),
            f"{100 * interval.value:+.1f} ({100 * interval.low:+.1f} to {100 * interval.high:+.1f})",
            f"{default['cpu_seconds']} / {best['cpu_seconds']}"]


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How many trainings of how many sets, the mean and median difference in points, and where it is wholly below 0."""
    names = [f"{row['default']['set']} ({row['default']['model']}, seed {row['default']['seed']})" for row in rows]
    differences = [100 * row["difference"].value for row in rows]
    return {"trainings": len(rows), "sets": len({row["default"]["set"] for row in rows}),
            "mean": round(statistics.mean(differences), 2), "median": round(statistics.median(differences), 2),
            "below": [name for name, row in zip(names, rows, strict=True) if row["difference"].high < 0]}


def write_recipe(results: list[dict[str, Any]]) -> None:
    """The table and what follows from it."""
    groups: dict[tuple[str, str, int], dict[str, dict[str, Any]]] = {}
    for result in results:
        groups.setdefault((result["set"], result["model"], result["seed"]), {})[result["system"]] = result
    rows = [(row, peers) for peers in groups.values() if (row := comparison(peers)) is not None]
    header = ["set (score)", "model", "seed", "default", "its rate, steps × batch", "2e-5", "5e-5", "1e-4",
              "default − best", "processor s, default / best"]
    rules = ["| what | chosen where you set nothing | setting |", "|---|---|---|",
             *(f"| {' | '.join(rule)} |" for rule in RULES)]
    lines = [INTRODUCTION.replace("@RULES@", "\n".join(rules)), f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    lines += [f"| {' | '.join(row_cells(row, peers))} |" for row, peers in rows]
    if rows:
        summary = summarise([row for row, _ in rows])
        SUMMARY.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
        below = ", ".join(summary["below"]) or "nowhere"
        lines += ["", f"Over these {len(rows)} rows the default is {summary['mean']:+.2f} points from the "
                      f"best of three on average ({summary['median']:+.2f} in the median); wholly below it: {below}."]
    missing = [" ".join(map(str, key)) for key, peers in groups.items() if comparison(peers) is None]
    if missing:
        lines += ["", f"Not complete yet: {', '.join(missing)}."]
    parts = {row["part"].name: row["part"] for row, _ in rows}
    lines += ["", "Rows to train, rows of dev, epochs of the Trainer: " + "; ".join(
        f"{part.name} {part.train_rows:,}, {part.dev_rows}, {part.epochs}" for part in parts.values()) + "."]
    write_section(PAGE, "recipe", "\n".join(lines))
