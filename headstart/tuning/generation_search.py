"""A grid search over generation settings: every combination is evaluated, the best is saved in the model's folder."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart import settings as groups
from headstart.contract import Json, Task
from headstart.errors import Exit, UserError, nearest
from headstart.evaluation.evaluate_file import evaluate_file
from headstart.files import hash_json, sha256, write_text
from headstart.generation.encoder_decoder import generation_settings
from headstart.models.loading import manifest
from headstart.models.loading.manifest import METADATA_FILE
from headstart.models.precision import precision_text
from headstart.prediction.torch_runtime import torch_predictor
from headstart.progress import Reporter
from headstart.settings import Data, Evaluation, Generation

if TYPE_CHECKING:
    from headstart.models.model import Model

MAX_COMBINATIONS = 500


def combinations(text: str) -> list[dict[str, Any]]:
    """"num_beams=2,4;length_penalty=0.8,1.2" as four dicts; raises UserError (2, 78)."""
    setting_names = {setting.key.split(".")[1] for setting in groups.list_settings("generation", Generation)}
    axes: list[tuple[str, list[Any]]] = []
    for axis in filter(str.strip, text.split(";")):
        name, equals, values = axis.partition("=")
        setting_name = name.strip()
        if not equals or not values.strip():
            raise UserError(f"--search takes NAME=VALUE,VALUE;NAME=VALUE, but it has {axis.strip()!r}.",
                            fix='For example --search "num_beams=2,4;length_penalty=0.8,1.2"')
        if setting_name not in setting_names:
            suggestion = nearest(setting_name, sorted(setting_names))
            raise UserError(f"There is no generation setting called {name.strip()!r}.", exit=Exit.SETTINGS,
                            fix=f"Did you mean {suggestion}?" if suggestion
                            else f"There are {', '.join(sorted(setting_names))}.")
        settings = [groups.build({f"generation.{setting_name}": parse_value(value)})["generation"]
                    for value in values.split(",")]
        axes.append((setting_name, [getattr(generation, setting_name) for generation in settings]))
    grid = [dict(zip([name for name, _ in axes], combination, strict=True))
            for combination in itertools.product(*(axis_values for _, axis_values in axes))]
    if not axes or len(grid) > MAX_COMBINATIONS:
        raise UserError(f"--search asks for {len(grid) if axes else 0:,} combinations; 1 to {MAX_COMBINATIONS} can be "
                        "evaluated.",
                        fix="Name fewer values.")
    return grid


def parse_value(value: str) -> Any:
    """A value as it stands on the command line."""
    try:
        return json.loads(value)
    except ValueError:
        return value.strip()


def search_grid(task: Task[Any], model: Model, reference: str, path: str, grid: Sequence[dict[str, Any]], *,
                generation: Generation | None, settings: Data,
                columns: Mapping[str, str], evaluation: Evaluation, seed: int, to: Path,
                reporter: Reporter) -> list[dict[str, Any]]:
    """Every combination's scores, best first: [{"settings": …, "scores": …}]; what `to` holds already of this search is
    not evaluated again. What a combination does not name is as in `generation`, else as in the model's own settings.

    Writes search.json and search.md there, and the best settings into the model folder's headstart.json, if it has one.
    Raises UserError (73) where another model, file, seed or precision was searched there.
    """
    if not task.generative:
        raise UserError(f"--search tries generation settings, and {task.name} does not generate text.",
                        fix="Leave --search out.")
    base = generation or generation_settings(model, task.learned.values.get("generation") or {})
    to.mkdir(parents=True, exist_ok=True)
    file = to / "search.json"
    subject = search_subject(reference, path, {"columns": dict(columns), "data": dataclasses.asdict(settings),
                                               "evaluation": dataclasses.asdict(evaluation),
                                               "precision": precision_text(model), "seed": seed})
    cached_rows = rows_of_search(to, subject)
    rows = []
    for number, combination in enumerate(grid, 1):
        row = next((row for row in cached_rows if row["settings"] == combination), None)
        if row is None:
            reporter.info(f"{number} of {len(grid)}: {settings_text(combination)}")
            predictor = torch_predictor(task, model, batch_tokens=evaluation.batch_tokens,
                                        generation=dataclasses.replace(base, **combination))
            scores = evaluate_file(predictor, path, settings=settings, columns=columns, evaluation=evaluation,
                                   seed=seed, to=None, reporter=reporter)
            row = {"settings": combination, "scores": scores["test"]}
            cached_rows.append(row)
            write_text(file, json.dumps({"of": subject, "rows": cached_rows}, ensure_ascii=False, indent=1) + "\n")
        rows.append(row)
    score_name, higher_is_better = task.selection_score
    sign = -1 if higher_is_better else 1
    rows.sort(key=lambda row: (row["scores"][score_name]["value"] is None,
                               sign * (row["scores"][score_name]["value"] or 0.0)))
    write_text(to / "search.md", results_table(rows, "| {} |") + "\n")
    save_best(reference, rows[0]["settings"], base, reporter)
    return rows


def search_subject(reference: str, path: str, settings: Mapping[str, Any]) -> dict[str, Json]:
    """What a search is of: the model, the file by its content, and a hash of the settings that scores depend on."""
    return {"model": reference, "data": path, "sha256": sha256(path) if Path(path).is_file() else None,
            "settings": hash_json(json.loads(json.dumps(settings, default=str)))}


def rows_of_search(to: Path, subject: Mapping[str, Json]) -> list[dict[str, Any]]:
    """The rows that an earlier search of the same subject left; raises UserError (73) for those of another, and for a
    search.md that is none of a search.
    """
    file = to / "search.json"
    if not file.exists():
        if (to / "search.md").exists():
            raise UserError(f"{to / 'search.md'} exists already; nothing was overwritten.",
                            fix="Name another folder with --to.", exit=Exit.EXISTS)
        return []
    try:
        search = json.loads(file.read_text(encoding="utf-8"))
        is_same, rows = search.get("of") == subject, list(search["rows"])
    except (ValueError, AttributeError, KeyError, TypeError):
        is_same, rows = False, []
    if not is_same:
        raise UserError(f"{file} is a search of another model, file or settings; nothing was overwritten.",
                        fix="Name another folder with --to, or remove that file.", exit=Exit.EXISTS)
    return rows


def save_best(reference: str, best: Mapping[str, Json], base: Generation, reporter: Reporter) -> None:
    """Write the best settings into headstart.json, so that predict uses them."""
    candidates = (Path(reference) / METADATA_FILE, Path(reference) / "model" / METADATA_FILE)
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        reporter.info("the model's folder is not a run of headstart: the best settings are in search.json alone")
        return
    metadata = manifest.read(path.parent) or {}
    best_generation = dataclasses.replace(base, **best)
    metadata["learned"]["values"]["generation"] = {name: value for name, value in vars(best_generation).items()
                                                   if value != getattr(Generation(), name)}
    manifest.write(path.parent, metadata)
    reporter.info(f"{path} now says {settings_text(best)}")


def settings_text(settings: Mapping[str, Json]) -> str:
    """Settings as a line of text."""
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def results_table(rows: Sequence[Mapping[str, Any]], template: str = "{}") -> str:
    """A line a combination, best first; with "| {} |" as Markdown."""
    names, scores = list(rows[0]["settings"]), [name for name in rows[0]["scores"]
                                                if rows[0]["scores"][name]["value"] is not None][:6]
    def value(row: Mapping[str, Any], name: str) -> str:
        score = row["scores"][name]["value"]
        return "–" if score is None else f"{score:.4f}"

    cells = [[*names, *scores]]
    cells += [[*(str(row["settings"][name]) for name in names), *(value(row, name) for name in scores)] for row in rows]
    if template != "{}":
        cells.insert(1, ["---"] * len(cells[0]))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    separator = " | " if template != "{}" else "  "
    return "\n".join(template.format(separator.join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
                     for row in cells)
