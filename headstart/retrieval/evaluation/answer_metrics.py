"""The scores of answers: from found passages, from random ones, and of sentences copied from the found ones.

A generator that answers as well from random passages does not read them (Krishna et al. 2021, Hurdles to progress in
long-form question answering).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.artifacts import artifact
from headstart.contract import Example, Json, Prediction, Predictor, Row, Task
from headstart.errors import UserError
from headstart.evaluation.evaluate import SplitEvaluation, differences, evaluate
from headstart.metrics.installed import with_extra_metrics
from headstart.prediction.torch_runtime import torch_predictor
from headstart.progress import Reporter
from headstart.reports.score_table import difference_text, score_text
from headstart.retrieval.documents.passage import ScoredPassage
from headstart.retrieval.evaluation.controls import Overlap, measure_overlap, random_passages
from headstart.retrieval.mining.mine import long_answer_row
from headstart.retrieval.mining.questions import Question
from headstart.settings import Evaluation

if TYPE_CHECKING:
    from headstart.retrieval.index.index import Index

PRINTED_SCORES = ("rouge1", "rouge2", "rougeL", "grounding", "citation_precision", "citation_recall", "length_ratio")


@dataclass(frozen=True)
class AnswerMetrics:
    """A generator on questions with known answers: from found and from random passages, and copying as its baselines.
    """

    from_found: SplitEvaluation
    from_random: SplitEvaluation
    baselines: Mapping[str, SplitEvaluation]
    differences: Mapping[str, Mapping[str, Json]]

    def json(self) -> dict[str, Json]:
        """The same as scores.json holds it."""
        evaluated = {"found passages": self.from_found, "random passages": self.from_random, **self.baselines}
        return {**{name: {score: value.json() for score, value in evaluation.scores.items()}
                   for name, evaluation in evaluated.items()},
                "differences": {name: dict(evaluation) for name, evaluation in self.differences.items()}}

    def table(self) -> str:
        """The scores as text, a block for each source of answers, then the differences."""
        evaluated = {"found passages": self.from_found, "random passages": self.from_random, **self.baselines}
        lines = []
        for name, evaluation in evaluated.items():
            lines.append(f"answers from {name}" if "passages" in name else f"baseline: {name}")
            lines += [f"  {score:<20} {score_text(evaluation.scores[score].json())}"
                      for score in PRINTED_SCORES if score in evaluation.scores]
        for name, difference in self.differences.items():
            cells = [f"{score} {difference_text(difference[score])}" for score in PRINTED_SCORES[:5]
                     if score in difference]
            lines.append(f"{name}: {', '.join(cells)}")
        return "\n".join(lines)


def load_generator(reference: str, *, device: str, batch_tokens: int, precision: str = "fp32") -> Predictor:
    """A long-answer run that answers questions; raises UserError (2) for another."""
    task, model = artifact.load(reference, task_name=None, device=device)
    if task.name != "long-answer":
        raise UserError(f"{reference} is a {task.name} model, not a long-answer model.",
                        fix="Train one: headstart finetune questions.jsonl --task long-answer --index INDEX")
    return torch_predictor(task, model, batch_tokens=batch_tokens, precision=precision)


def measure_answers(index: Index, generator: Predictor, questions: Sequence[Question],
                    hits: Sequence[Sequence[ScoredPassage]], *, relevant: Sequence[Sequence[int]],
                    evaluation: Evaluation, seed: int, reporter: Reporter) -> AnswerMetrics:
    """Answer all questions from what was found for each, and from the controls; the scores of both."""
    task = with_extra_metrics(generator.task, evaluation.extra_metrics)
    passages_by_kind = {"found": hits, "random": random_passages(index.passages, hits, seed=seed, relevant=relevant)}
    evaluated: dict[str, SplitEvaluation] = {}
    for name, passages in passages_by_kind.items():
        examples = read_examples(task, questions, passages)
        reporter.info(f"generating {len(examples):,} answers from {name} passages")
        answers = generator.predict(examples, seed=seed)
        evaluated[name] = evaluate(task, examples, answers, resamples=evaluation.resamples, seed=seed,
                                   precision=generator.precision)
    baselines = {}
    for baseline in task.baselines():
        predictions: list[Prediction] = baseline.fit(evaluated["found"].examples, None,
                                                     seed).predict(evaluated["found"].examples, None)
        baselines[baseline.name] = evaluate(task, evaluated["found"].examples, predictions,
                                            resamples=evaluation.resamples, seed=seed)
    controls = {"found minus random passages": evaluated["random"]}
    controls |= {f"written minus {name}": baseline_scores for name, baseline_scores in baselines.items()}
    score_differences = {name: differences(task, evaluated["found"], control, resamples=evaluation.resamples, seed=seed)
                         for name, control in controls.items()}
    return AnswerMetrics(evaluated["found"], evaluated["random"], baselines, score_differences)


def read_examples(task: Task[Any], questions: Sequence[Question],
                  hits: Sequence[Sequence[ScoredPassage]]) -> list[Example]:
    """Questions with passages as the task reads them."""
    examples: list[Example] = [task.read(Row(question.row, long_answer_row(question, question_hits)))
                               for question, question_hits in zip(questions, hits, strict=True)]
    return examples


def training_overlap(writer: str, questions: Sequence[Question]) -> Overlap | None:
    """Near duplicates of the questions among those that a generator's run was trained on; None where its run does not
    name them.
    """
    try:
        data = json.loads((Path(writer) / "data.json").read_text(encoding="utf-8"))
        rows, path = set(data["splits"]["train"]["rows"]), Path(data["splits"]["train"]["file"])
        with path.open(encoding="utf-8") as lines:
            training_questions = [str(json.loads(line)["question"]) for row, line in enumerate(lines) if row in rows]
    except (OSError, ValueError, KeyError):
        return None
    return measure_overlap(training_questions, [question.text for question in questions])
