"""How a training went, in sentences: begun again, ended before its last planned step, what was warned of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MAX_WARNINGS = 5


def training_sentences(scores: Mapping[str, Any], log: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a reader of the curves has to know: which attempt they show, where it ended, and warnings of it."""
    steps = (scores.get("training") or {}).get("steps")
    attempts = [event for event in log if event["event"] == "back_off"]
    sentences = [f"A training at learning rate {event['learning_rate']:g} went wrong at step {event['step']:,} "
                 f"({event.get('reason')}); it began again from the seed at {event['next_learning_rate']:g}."
                 for event in attempts]
    planned = next((event.get("total_steps") for event in reversed(log) if event["event"] == "started"), None)
    if isinstance(planned, int) and steps and steps < planned:
        sentences.append(f"Training ended after step {steps:,} of {planned:,} that were planned: no better score came "
                         "for as many evaluations as training.patience says, or it was asked to stop.")
    warnings = [str(event.get("message")) for event in log if event["event"] == "warning"]
    if len(warnings) > MAX_WARNINGS:
        warnings[MAX_WARNINGS:] = [f"… and {len(warnings) - MAX_WARNINGS:,} more warnings in log.jsonl."]
    return [*sentences, *warnings]
