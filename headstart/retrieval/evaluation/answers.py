"""What answers are worth: those from found passages beside those from random ones, and beside sentences copied from what was found.

A writer that answers as well from random passages does not read them (Krishna et al. 2021, Hurdles to progress in long-form
question answering).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.artifacts import artifact
from headstart.contract import Example, Json, Prediction, Row, Task
from headstart.errors import UserError
from headstart.evaluation.evaluate import Evaluated, differences, evaluate
from headstart.prediction.predict import predict
from headstart.progress import Voice
from headstart.reports.score_table import shown, signed
from headstart.retrieval.documents.passage import Found
from headstart.retrieval.evaluation.controls import Overlap, overlap, random_passages
from headstart.retrieval.mining.mine import answered
from headstart.retrieval.mining.questions import Question
from headstart.settings import Evaluation

if TYPE_CHECKING:
    from headstart.models.model import Model
    from headstart.retrieval.index.index import Index

SHOWN = ("rouge1", "rouge2", "rougeL", "grounding", "citation_precision", "citation_recall", "length_ratio")


@dataclass(frozen=True)
class Answers:
    """A writer on questions with known answers: from found and from random passages, and its copying rivals."""

    found: Evaluated
    random: Evaluated
    rivals: Mapping[str, Evaluated]
    differences: Mapping[str, Mapping[str, Json]]

    def json(self) -> dict[str, Json]:
        """The same as scores.json holds it."""
        held = {"found passages": self.found, "random passages": self.random, **self.rivals}
        return {**{name: {score: value.json() for score, value in one.scores.items()} for name, one in held.items()},
                "differences": {name: dict(one) for name, one in self.differences.items()}}

    def words(self) -> str:
        """A table: a line a score, a column a way to answer, then the differences."""
        held = {"found passages": self.found, "random passages": self.random, **self.rivals}
        lines = []
        for name, one in held.items():
            lines.append(f"answers from {name}" if "passages" in name else f"rival: {name}")
            lines += [f"  {score:<20} {shown(one.scores[score].json())}" for score in SHOWN if score in one.scores]
        for name, difference in self.differences.items():
            lines.append(f"{name}: " + ", ".join(f"{score} {signed(difference[score])}" for score in SHOWN[:5] if score in difference))
        return "\n".join(lines)


def open_writer(reference: str, *, device: str) -> tuple[Task[Any], Model]:
    """A long-answer run with its task; raises UserError (2) for another."""
    task, model = artifact.load(reference, task_name=None, device=device)
    if task.name != "long-answer":
        raise UserError(f"{reference} is a {task.name} model, not a writer of long answers.",
                        fix="Train one: headstart finetune questions.jsonl --task long-answer --index INDEX")
    return task, model


def measure(index: Index, writer: tuple[Task[Any], Model], questions: Sequence[Question], listed: Sequence[Sequence[Found]], *,
            right: Sequence[Sequence[int]], evaluation: Evaluation, seed: int, voice: Voice) -> Answers:
    """Answers to all questions from what was found for each, and the controls."""
    task, model = writer
    ways = {"found": listed, "random": random_passages(index.passages, listed, seed=seed, never=right)}
    made: dict[str, Evaluated] = {}
    for name, passages in ways.items():
        examples = examples_of(task, questions, passages)
        voice.say(f"writing {len(examples):,} answers from {name} passages")
        answers = predict(task, model, examples, batch_tokens=evaluation.batch_tokens, seed=seed)
        made[name] = evaluate(task, examples, answers, resamples=evaluation.resamples, seed=seed)
    rivals = {}
    for one in task.baselines():
        held: list[Prediction] = one.fit(made["found"].examples, None, seed).predict(made["found"].examples, None)
        rivals[one.name] = evaluate(task, made["found"].examples, held, resamples=evaluation.resamples, seed=seed)
    ours = {"resamples": evaluation.resamples, "seed": seed}
    gaps = {"found minus random passages": differences(task, made["found"], made["random"], resamples=ours["resamples"], seed=seed)}
    gaps |= {f"written minus {name}": differences(task, made["found"], one, resamples=ours["resamples"], seed=seed)
             for name, one in rivals.items()}
    return Answers(made["found"], made["random"], rivals, gaps)


def examples_of(task: Task[Any], questions: Sequence[Question], listed: Sequence[Sequence[Found]]) -> list[Example]:
    """Questions with passages as the task reads them."""
    found: list[Example] = [task.read(Row(one.row, answered(one, held))) for one, held in zip(questions, listed, strict=True)]
    return found



def learned_by_heart(writer: str, questions: Sequence[Question]) -> Overlap | None:
    """Near duplicates of the questions among those that a writer's run was trained on; None where its run does not tell them."""
    try:
        data = json.loads((Path(writer) / "data.json").read_text(encoding="utf-8"))
        rows, place = set(data["splits"]["train"]["rows"]), Path(data["splits"]["train"]["file"])
        with place.open(encoding="utf-8") as lines:
            known = [str(json.loads(line)["question"]) for number, line in enumerate(lines) if number in rows]
    except (OSError, ValueError, KeyError):
        return None
    return overlap(known, [one.text for one in questions])
