"""Scores of a model on rows: for `evaluate`, and for the end of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.contract import Example, Json, Learned, Prediction, Task
from headstart.data.writers import writing
from headstart.errors import Exit, UserError
from headstart.evaluation.evaluate import Evaluated, evaluate
from headstart.prediction.predict import measured, predict
from headstart.prediction.predict_file import record_of
from headstart.preparation import slices
from headstart.preparation.examples import open_given, read_examples, stop_on_faults
from headstart.progress import Voice
from headstart.runs.folder import write_whole
from headstart.runs.variants import lora
from headstart.settings import Data, Evaluation

if TYPE_CHECKING:
    from headstart.models.model import Model


def evaluate_rows(task: Task[Any], model: Model, examples: Sequence[Example], *, evaluation: Evaluation,
                  seed: int) -> dict[str, Any]:
    """{"test": scores, "tables": {"test": …}} of labelled examples."""
    examples = measured(task, model, examples, seed)
    answers = predict(task, model, examples, batch_tokens=evaluation.batch_tokens, seed=seed)
    return as_scores(task, {"test": evaluate(task, examples, answers, resamples=evaluation.resamples, seed=seed)})


def evaluate_checkpoints(run: Path, task: Task[Any], model: Model, path: str, *, settings: Data, given: Mapping[str, str],
                         evaluation: Evaluation, seed: int, voice: Voice) -> list[dict[str, Any]]:
    """Scores of every kept checkpoint of a run on a labelled file, oldest first: [{"update": 400, "scores": {…}}].

    Raises UserError (66) for a run without checkpoints, DataError for faulty rows.
    """
    from headstart.training import checkpoint
    from headstart.training.loop import load_weights

    rows = []
    model = lora.beside_base(run, task, model)
    for place in checkpoint.all_of(run / "checkpoints"):
        reason = checkpoint.verify(place)
        if reason is not None:
            voice.say(f"{place.name} is passed over: {reason}")
            continue
        load_weights(model, place)
        held = checkpoint.progress_of(place).get("learned")
        known = task.knowing(Learned.from_json(held)) if held is not None else task
        scores = evaluate_file(known, model, path, settings=settings, given=given, evaluation=evaluation, seed=seed, to=None, voice=voice)
        rows.append({"update": int(place.name.rpartition("-")[2]), "scores": scores["test"]})
    if not rows:
        raise UserError(f"{run} has no checkpoints.", fix="Name a run folder; training.keep and training.keep_best say how many stay.",
                        exit=Exit.NO_INPUT)
    return rows


def as_scores(task: Task[Any], done: Mapping[str, Evaluated]) -> dict[str, Any]:
    """Evaluations in the form of scores.json."""
    return {**{split: {name: score.json() for name, score in one.scores.items()} for split, one in done.items()},
            "tables": {split: task.tables(one.measures) for split, one in done.items()}}


def evaluate_file(task: Task[Any], model: Model, path: str, *, settings: Data, given: Mapping[str, str],
                  evaluation: Evaluation, seed: int, to: str | None, voice: Voice) -> dict[str, Any]:
    """Scores on a labelled file; with `to`, a folder gets scores.json and predictions.jsonl.

    Raises DataError for faulty rows, UserError (73) when the folder holds scores already.
    """
    place = Path(to) if to is not None else None
    if place is not None and (place / "scores.json").exists():
        raise UserError(f"{place} already holds scores.json.", fix="Choose another folder with --to.", exit=Exit.EXISTS)
    table = open_given(path, settings)
    slices.check_columns(settings.by, {"test": table})
    reading = read_examples(task, path, settings, given=given, training=True, table=table)
    skipped = stop_on_faults([reading], settings, None)
    voice.say(f"{reading.table.path}: {len(reading.examples):,} rows; {reading.table.format}")
    if skipped:
        voice.say(f"left out {skipped:,} rows that cannot be used")
    if any(label.startswith("LABEL_") for label in task.answers):
        voice.say("the model's labels have no names: 0 in the file is LABEL_0, 1 is LABEL_1 and so on")
    held = {task.stratum(example) for example in reading.examples}
    unknown = sorted(label for label in held if label is not None and label not in task.answers)
    if task.known.labels and unknown:
        voice.say(f"{len(unknown)} labels of the file are unknown to the model and count as wrong: {', '.join(unknown[:5])}")
    examples = measured(task, model, reading.examples, seed)
    answers = predict(task, model, examples, batch_tokens=evaluation.batch_tokens, seed=seed)
    done = evaluate(task, examples, told(answers, len(examples), voice),
                    resamples=evaluation.resamples, seed=seed)
    parts = slices.evaluated(task, "test", reading.examples, done, settings.by, resamples=evaluation.resamples, seed=seed)
    scores = as_scores(task, {"test": done, **parts})
    if place is not None:
        import json

        place.mkdir(parents=True, exist_ok=True)
        write_predictions(place / "predictions.jsonl", task, {"test": done})
        write_whole(place / "scores.json", json.dumps(scores, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
    return scores


def told(predictions: Any, total: int, voice: Voice) -> Any:
    """The predictions, with progress told as they pass."""
    for done, prediction in enumerate(predictions, start=1):
        yield prediction
        if done % 512 == 0 or done == total:
            voice.progress(done, total, "rows")


def write_predictions(path: Path, task: Task[Any], splits: Mapping[str, Evaluated]) -> None:
    """predictions.jsonl: every row's id, gold, and prediction, split by split."""
    with writing(str(path), (), "jsonl") as out:
        for split, done in splits.items():
            for example, prediction in zip(done.examples, done.predictions, strict=True):
                out.write({"split": split, **record_of(example, prediction, task.gold(example))})


def golden(task: Task[Any], done: Evaluated, count: int = 3) -> list[dict[str, Json]]:
    """The first predictions, kept in headstart.json so that a copy of the model can be checked."""
    rows: list[tuple[Example, Prediction]] = list(zip(done.examples, done.predictions, strict=True))[:count]
    return [{"text": task.subject(example), **prediction.values} for example, prediction in rows]
