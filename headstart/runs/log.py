"""log.jsonl: one line an event, appended as it happens."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.files import append_line, write_text
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
from headstart.runs.attempts import Attempt, lower_rate
from headstart.text.json_values import is_number

STEPS_BETWEEN_LINES = 10
DAMAGED_LINES = "log_damaged.txt"
KINDS = ("started", "estimate", "step", "evaluation", "checkpoint", "warning", "finished", "changed_settings",
         "back_off")
NUMBERS = {"step": ("step", "epoch", "loss", "learning_rate", "gradient_norm", "tokens", "seconds"),
           "evaluation": ("step", "seconds"), "checkpoint": ("step",), "started": ("step",),
           "back_off": ("step", "learning_rate", "seconds")}
OF_ONE_ATTEMPT = ("step", "evaluation", "checkpoint")  # events that a training which begins again makes anew


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
        append_line(self.path, json.dumps({"event": name, **values}, ensure_ascii=False, allow_nan=False),
                    "Free some space, then run headstart resume.", durable=False)

    def write_back_off(self, attempt: Attempt) -> None:
        """Append that training begins again at a lower rate; raises UserError (74)."""
        self.write("back_off", vars(attempt) | {"next_learning_rate": lower_rate(attempt.learning_rate)})

    def events(self) -> list[dict[str, Any]]:
        """Every whole event so far, of steps and evaluations those of the last attempt; damaged lines are left out."""
        events = [event for event in map(read_event, self.lines()) if event is not None]
        start = attempt_start(events, sum(event["event"] == "back_off" for event in events))
        return [event for event in events[:start] if event["event"] not in OF_ONE_ATTEMPT] + events[start:]

    def lines(self) -> list[str]:
        """The lines of the file, as far as they are text."""
        if not self.path.exists():
            return []
        return self.path.read_text(encoding="utf-8", errors="replace").splitlines()

    def rewind(self, step: int, attempts: Sequence[Attempt] = ()) -> int:
        """Drop what happened after this step of the attempt that follows these: a resumed run does it again.

        Damaged lines go to log_damaged.txt; gives how many those are (a last line that was cut off is none).
        """
        lines = self.lines()
        events = [read_event(line) for line in lines]
        intact_events = [event for event in events if event is not None]
        start = attempt_start(intact_events, len(attempts))
        remaining = [*intact_events[:start], *(event for event in intact_events[start:]
                                  if event.get("step", 0) <= step and event["event"] != "back_off")]
        write_text(self.path, "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in remaining))
        damaged_lines = [line for line, event in zip(lines[:-1], events[:-1], strict=True) if event is None]
        for line in damaged_lines:
            append_line(self.path.with_name(DAMAGED_LINES), line, durable=False)
        for attempt in attempts[sum(event["event"] == "back_off" for event in remaining):]:
            self.write_back_off(attempt)  # the run was killed before it stood here
        return len(damaged_lines)


def attempt_start(events: Sequence[Mapping[str, Any]], attempts: int) -> int:
    """The place of the first event after so many attempts; behind all events where the last of them is not told yet."""
    places = [place for place, event in enumerate(events, start=1) if event["event"] == "back_off"]
    return 0 if not attempts else places[attempts - 1] if attempts <= len(places) else len(events)


def read_event(line: str) -> dict[str, Any] | None:
    """A line of the log as an event; None for one that is not as it was written."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not is_intact(event):
        return None
    return event


def is_intact(event: Mapping[str, Any]) -> bool:
    """Whether an event has what every reader of the log expects of its kind."""
    kind = event.get("event")
    if kind not in KINDS:
        return False
    scores = event.get("scores", {})
    has_scores = isinstance(scores, dict) and all(score is None or is_number(score) for score in scores.values())
    return has_scores and (kind != "evaluation" or "scores" in event) and is_number(event.get("step", 0)) and all(
        is_number(event.get(name)) for name in NUMBERS.get(kind, ()))


def step_values(event: StepFinished) -> dict[str, Any]:
    """What the log says of one step."""
    values: dict[str, Any] = {
        "step": event.step, "epoch": event.epoch, "loss": round(event.loss, 6), "learning_rate": event.learning_rate,
        "gradient_norm": round(event.gradient_norm, 6), "tokens": event.tokens, "seconds": round(event.seconds, 3)}
    return values | ({"padding": dict(event.padding)} if event.padding else {})
