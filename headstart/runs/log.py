"""log.jsonl: one line an event, appended as it happens."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.files import disk_errors, write_text
from headstart.progress import (
    CheckpointSaved,
    EvaluationFinished,
    Event,
    ResourcesEstimated,
    RunFinished,
    RunStarted,
    StepFinished,
    TrainingWarning,
)

STEPS_BETWEEN_LINES = 10


class RunLog:
    """Writes a run's events to log.jsonl, of its steps every tenth, the first and the last."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def receive(self, event: Event) -> None:
        """Append an event, where it belongs into the log."""
        match event:
            case StepFinished(step=step, total_steps=total_steps):
                if step % STEPS_BETWEEN_LINES == 0 or step in (1, total_steps):
                    self.write("step", step_values(event))
            case RunStarted():
                self.write("started", {"step": event.step, "task": event.task, "model": event.model,
                                       "total_steps": event.total_steps})
            case ResourcesEstimated():
                self.write("estimate", event.values)
            case EvaluationFinished():
                self.write("evaluation", {"step": event.step, "split": event.split, "seconds": round(event.seconds, 3),
                                          "scores": dict(event.scores)})
            case CheckpointSaved():
                self.write("checkpoint", {"step": event.step})
            case TrainingWarning():
                self.write("warning", {"step": event.step, "message": event.text})
            case RunFinished():
                self.write("finished", {})
            case _:
                pass

    def write(self, name: str, values: Mapping[str, Any]) -> None:
        """Append one line; raises UserError (74)."""
        with disk_errors(self.path,
                         "Free some space, then run headstart resume."), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": name, **values}, ensure_ascii=False, allow_nan=False) + "\n")

    def events(self) -> list[dict[str, Any]]:
        """Every whole event so far; a last line that was cut off is left out."""
        if not self.path.exists():
            return []
        events = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                events.append(json.loads(line))
        return events

    def rewind(self, step: int) -> None:
        """Drop what happened after this step: a resumed run does it again."""
        events = [event for event in self.events() if event.get("step", 0) <= step]
        write_text(self.path, "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events))


def step_values(event: StepFinished) -> dict[str, Any]:
    """What the log says of one step."""
    values: dict[str, Any] = {
        "step": event.step, "epoch": event.epoch, "loss": round(event.loss, 6), "learning_rate": event.learning_rate,
        "gradient_norm": round(event.gradient_norm, 6), "tokens": event.tokens, "seconds": round(event.seconds, 3)}
    return values | ({"padding": dict(event.padding)} if event.padding else {})
