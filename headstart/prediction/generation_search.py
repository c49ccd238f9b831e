"""A grid over settings of writing: every combination is measured, the best is kept in the model's folder."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart import settings as groups
from headstart.artifacts.artifact import FILE
from headstart.contract import Json, Task
from headstart.errors import Exit, UserError, nearest
from headstart.generation.encoder_decoder import PUBLISHED, settings_of
from headstart.prediction.evaluate_file import evaluate_file
from headstart.progress import Voice
from headstart.runs.folder import write_whole
from headstart.settings import Data, Evaluation, Generation

if TYPE_CHECKING:
    from headstart.models.model import Model

MOST = 500  # combinations
NAMES = PUBLISHED | {"num_beam_groups": "beam_groups", "diversity_penalty": "diversity", "penalty_alpha": "contrast"}  # the library's


def combinations(text: str) -> list[dict[str, Any]]:
    """"num_beams=2,4;length_penalty=0.8,1.2" as four dicts, by our names; raises UserError (2, 78)."""
    known = {line.key.split(".")[1] for line in groups.lines("generation", Generation)}
    axes: list[tuple[str, list[Any]]] = []
    for part in filter(str.strip, text.split(";")):
        name, equals, values = part.partition("=")
        ours = NAMES.get(name.strip(), name.strip())
        if not equals or not values.strip():
            raise UserError(f"--search takes NAME=VALUE,VALUE;NAME=VALUE, but it has {part.strip()!r}.",
                            fix='For example --search "beams=2,4;length_penalty=0.8,1.2"')
        if ours not in known:
            near = nearest(ours, sorted(known))
            raise UserError(f"There is no setting of writing called {name.strip()!r}.", exit=Exit.SETTINGS,
                            fix=f"Did you mean {near}?" if near else f"There are {', '.join(sorted(known))}.")
        axes.append((ours, [getattr(groups.build({f"generation.{ours}": read(one)})["generation"], ours) for one in values.split(",")]))
    found = [dict(zip([name for name, _ in axes], held, strict=True)) for held in itertools.product(*(values for _, values in axes))]
    if not axes or len(found) > MOST:
        raise UserError(f"--search asks for {len(found) if axes else 0:,} combinations; 1 to {MOST} can be measured.",
                        fix="Name fewer values.")
    return found


def read(value: str) -> Any:
    """A value as it stands on the command line."""
    try:
        return json.loads(value)
    except ValueError:
        return value.strip()


def search(task: Task[Any], model: Model, reference: str, path: str, asked: Sequence[dict[str, Any]], *, settings: Data,
           given: Mapping[str, str], evaluation: Evaluation, seed: int, to: Path, voice: Voice) -> list[dict[str, Any]]:
    """Every combination's scores, best first: [{"settings": …, "scores": …}]; what `to` holds already is not measured again.

    Writes search.json and search.md there, and the best settings into the model folder's headstart.json, if it has one.
    """
    if not task.writes:
        raise UserError(f"--search tries settings of writing, and {task.name} does not write.", fix="Leave --search out.")
    base = settings_of(model, task.known.values.get("generation") or {})
    to.mkdir(parents=True, exist_ok=True)
    file = to / "search.json"
    kept: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["rows"] if file.exists() else []
    rows = []
    for number, one in enumerate(asked, 1):
        known = next((row for row in kept if row["settings"] == one), None)
        if known is None:
            voice.say(f"{number} of {len(asked)}: {told(one)}")
            model.writing = dataclasses.replace(base, **one)
            scores = evaluate_file(task, model, path, settings=settings, given=given, evaluation=evaluation, seed=seed, to=None,
                                   voice=voice)
            known = {"settings": one, "scores": scores["test"]}
            kept.append(known)
            write_whole(file, json.dumps({"rows": kept}, ensure_ascii=False, indent=1) + "\n")
        rows.append(known)
    model.writing = None
    first, higher = task.best
    rows.sort(key=lambda row: (row["scores"][first]["value"] is None, -(row["scores"][first]["value"] or 0.0) * (1 if higher else -1)))
    write_whole(to / "search.md", table(rows, "| {} |") + "\n")
    keep(reference, rows[0]["settings"], base, voice)
    return rows


def keep(reference: str, best: Mapping[str, Json], base: Generation, voice: Voice) -> None:
    """Write the best settings into headstart.json, so that predict writes by them."""
    place = next((one for one in (Path(reference) / FILE, Path(reference) / "model" / FILE) if one.is_file()), None)
    if place is None:
        voice.say("the model's folder is no run of headstart: the best settings are in search.json alone")
        return
    held = json.loads(place.read_text(encoding="utf-8"))
    chosen = dataclasses.replace(base, **best)
    held["learned"]["values"]["generation"] = {name: value for name, value in vars(chosen).items() if value != getattr(Generation(), name)}
    write_whole(place, json.dumps(held, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
    voice.say(f"{place} now says {told(best)}")


def told(settings: Mapping[str, Json]) -> str:
    """Settings in words."""
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def table(rows: Sequence[Mapping[str, Any]], line: str = "{}") -> str:
    """A line a combination, best first; with "| {} |" as Markdown."""
    names, scores = list(rows[0]["settings"]), [name for name in rows[0]["scores"] if rows[0]["scores"][name]["value"] is not None][:6]
    def value(row: Mapping[str, Any], name: str) -> str:
        found = row["scores"][name]["value"]
        return "–" if found is None else f"{found:.4f}"

    cells = [[*names, *scores]]
    cells += [[*(str(row["settings"][name]) for name in names), *(value(row, name) for name in scores)] for row in rows]
    if line != "{}":
        cells.insert(1, ["---"] * len(cells[0]))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    between = " | " if line != "{}" else "  "
    return "\n".join(line.format(between.join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))) for row in cells)
