"""What the gate found, as a table, in words, as JSON, and in the card of the exported folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from headstart.artifacts import model_card
from headstart.contract import Json, Task
from headstart.evaluation.evaluate import SplitEvaluation
from headstart.export.gate import GateResult
from headstart.models.model import Model
from headstart.prediction.export_facts import ExportFacts
from headstart.progress.tables import aligned
from headstart.version import __version__

SHOWN_SCORES = 3  # of the task, its first ones


def table_rows(comparison: GateResult) -> list[tuple[str, str, str, str]]:
    """(what, original, export, difference), the heading first."""
    original, exported = comparison.original, comparison.exported
    rows = [("", f"original, {original.precision}", f"export, {exported.precision}", "difference")]
    rows += [(name, score_text(original, name), score_text(exported, name),
              difference_words(comparison.difference[name])) for name in list(original.scores)[:SHOWN_SCORES]]
    row_count = len(comparison.exported.predictions)
    rows += [("same answers", "", f"{100 * comparison.same_answers:.2f} %", f"of {row_count:,} rows"),
             ("largest difference of an output", "", f"{comparison.largest_difference:.2g}", "")]
    for name, before, after, unit in speed_lines(comparison):
        ratio = after / before if name.startswith("rows") else before / after
        rows.append((name, f"{before:,.4g}{unit}", f"{after:,.4g}{unit}", f"{ratio:.2f} times as quick"))
    megabytes, exported_megabytes = comparison.original_bytes / 1e6, comparison.exported_bytes / 1e6
    rows.append(("size", f"{megabytes:,.1f} MB", f"{exported_megabytes:,.1f} MB",
                 f"{exported_megabytes / megabytes:.2f} of it"))
    return rows


def score_text(evaluated: SplitEvaluation, name: str) -> str:
    """A score's value."""
    value = evaluated.scores[name].value
    return "undefined" if value is None else f"{value:.4f}"


def speed_lines(comparison: GateResult) -> list[tuple[str, float, float, str]]:
    """What was timed, of both, and its unit."""
    original, exported = comparison.original_speed, comparison.exported_speed
    return [("a row alone, median", original.milliseconds, exported.milliseconds, " ms"),
            ("rows a second, one at a time", original.rows_per_second, exported.rows_per_second, ""),
            ("rows a second, 32 at a time", original.rows_per_second_of_32, exported.rows_per_second_of_32, "")]


def difference_words(difference: Any) -> str:
    """A paired difference with its interval."""
    if difference["value"] is None:
        return "undefined"
    if difference["low"] is None:
        return f"{difference['value']:+.4f}"
    return f"{difference['value']:+.4f} ({difference['low']:+.4f} to {difference['high']:+.4f})"


def table_text(comparison: GateResult) -> str:
    """The table for a terminal."""
    return aligned(table_rows(comparison), (False, True, True, True))


def verdict(comparison: GateResult) -> str:
    """Whether it may go out, in a sentence."""
    unit = "points" if comparison.original.scores[comparison.score].higher_is_better else "per cent"
    if comparison.drop == float("inf"):
        return (f"{comparison.score} is undefined on {comparison.rows_from}, so that nothing tells whether the export "
                "is as good")
    change = (f"{comparison.drop:.2f} {unit} worse" if comparison.drop > 0 else f"{-comparison.drop:.2f} {unit} better"
              if comparison.drop < 0 else "the same")
    return (f"{comparison.score} on {comparison.rows_from} is {change}; at most {comparison.max_drop:g} {unit} worse "
            "is allowed")


def result_json(comparison: GateResult) -> dict[str, Json]:
    """The gate's numbers, for `--json` and for Python."""
    def scores_of(evaluated: Any) -> dict[str, Json]:
        return {name: score.json() for name, score in evaluated.scores.items()}

    return {"rows": len(comparison.exported.predictions), "rows_from": comparison.rows_from, "score": comparison.score,
            "passed": comparison.passed, "drop": comparison.drop, "max_drop": comparison.max_drop,
            "same_answers": comparison.same_answers, "largest_difference": comparison.largest_difference,
            "difference": {name: dict(values) for name, values in comparison.difference.items()},
            "original": {"precision": comparison.original.precision, "scores": scores_of(comparison.original),
                         "bytes": comparison.original_bytes, **asdict(comparison.original_speed)},
            "export": {"precision": comparison.exported.precision, "scores": scores_of(comparison.exported),
                       "bytes": comparison.exported_bytes, **asdict(comparison.exported_speed)}}


def card(task: Task[Any], model: Model, facts: ExportFacts, base_model: str, comparison: GateResult | None) -> str:
    """README.md of the exported folder, with the front matter that the hub reads."""
    from huggingface_hub import ModelCard

    details = model_card.card_of(task, model, base_model)
    front_matter = model_card.front_matter(details)
    front_matter["library_name"], front_matter.tags = "onnx", [*front_matter.tags, "onnx"]
    sections = [f"# A model for {task.name}, exported to ONNX\n",
                f"Made by headstart {__version__} from `{model_card.escaped(base_model)}`; its file `{facts.file}` "
                f"computes in {facts.precision}.\n", "## Use\n", usage(facts)]
    if comparison is not None:
        sections += ["## Beside the original\n",
                     f"On {len(comparison.exported.predictions):,} labelled rows "
                     f"({model_card.escaped(comparison.rows_from)}): {model_card.escaped(verdict(comparison))}.\n",
                     markdown(table_rows(comparison))]
    sections.append("## Limits\n\n" + "\n".join(f"- {line}" for line in limits(details, facts)) + "\n")
    text = "\n".join(sections)
    return str(ModelCard(f"---\n{front_matter.to_yaml()}\n---\n\n{text}", ignore_metadata_errors=True))


def usage(facts: ExportFacts) -> str:
    """How to load it, here and in onnxruntime alone."""
    inputs = ", ".join(f"`{name}`" for name in facts.inputs)
    outputs = ", ".join(f"`{name}`" for output in facts.outputs for name in output.tensors)
    return "\n".join(["```", "headstart predict THIS_FOLDER new.csv --to predictions.csv",
                      "headstart serve THIS_FOLDER", "```", "",
                      f"Without headstart: onnxruntime runs `{facts.file}`. It takes {inputs}, each (rows, tokens) of "
                      f"int64, padded with {facts.pad_id}, and gives {outputs}. The file has the name that "
                      "transformers.js and optimum look for.", ""])


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    heading, *body = [[model_card.escaped(cell) for cell in row] for row in rows]
    rule = ["---", *["---:"] * (len(heading) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heading, rule, *body)) + "\n"


def limits(details: model_card.Card, facts: ExportFacts) -> list[str]:
    """What to keep in mind."""
    lines = [line.replace("plain transformers gives", "the file gives") for line in model_card.limits(details)
             if "AutoModel" not in line and "has no class" not in line]
    lines.append("The times are of the machine that it was exported on, of the model alone, without reading texts.")
    if facts.precision == "int8":
        lines.append("What is multiplied is quantized for each batch, so that an answer depends, a little, on the "
                     "texts beside it; processors without instructions for eight bits (VNNI) are slower, and may "
                     "round otherwise.")
    return lines
