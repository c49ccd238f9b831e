"""The end of a run: final scores with intervals, baselines, artifact, predictions, report."""

from __future__ import annotations

import dataclasses
import datetime
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from headstart.artifacts import artifact, model_card
from headstart.contract import Example, Figure, Json, Prediction, Task
from headstart.data.examples import read_examples, stop_on_faults
from headstart.evaluation.evaluate import SplitEvaluation, evaluate
from headstart.evaluation.slices import evaluate_slices
from headstart.files import remove
from headstart.models.precision import round_weights
from headstart.prediction.predictions_file import golden_predictions, report_progress, write_predictions
from headstart.preparation import benchmarks
from headstart.progress import RunFinished
from headstart.reports import depth_table, distillation_table, error_words, generated_samples, report
from headstart.reports import figures as report_figures
from headstart.runs.baselines import fit_baselines
from headstart.runs.fit import Fit
from headstart.runs.parts import FAILURES_FILE, Parts
from headstart.runs.prepare import Prepared


@dataclass
class Results:
    """What a run is measured to be."""

    splits: dict[str, SplitEvaluation] = field(default_factory=dict)
    slices: dict[str, SplitEvaluation] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def judged_split(self) -> str:
        """The split that the run is judged on: test, else dev."""
        return "test" if "test" in self.splits else "dev"


def finalize(fit: Fit, command: str) -> None:
    """Everything after the last step; the report is written last, and marks the run as finished.

    Model, scores and predictions are saved first; whatever else fails is told, and the run ends without it.
    """
    prepared, parts = fit.prepared, Parts(fit.folder, fit.reporter)
    remove(fit.folder / FAILURES_FILE)  # of an earlier try
    prepared.variant.merge(prepared.task, prepared.model, fit.folder.path, fit.reporter)
    dtype = round_for_saving(fit)
    results = evaluate_splits(fit, parts)
    scores = scores_json(fit, results, parts)
    save_model(fit, results, scores, parts, dtype)
    fit.folder.write_json("scores.json", scores)
    write_predictions(fit.folder / "predictions.jsonl", prepared.task,
                      {split: (evaluated.examples, evaluated.predictions)
                       for split, evaluated in results.splits.items()})
    scores, figures = complete(fit, results, scores, parts)
    parts.attempt("the model card", lambda: fit.folder.write("model/README.md", card_text(fit, scores)))
    page = make_report(fit, command, scores, figures, parts)
    fit.folder.write_json("scores.json", scores | ({"failed_parts": parts.failures} if parts.failures else {}))
    fit.folder.write("report.html", page)
    fit.reporter.emit(RunFinished(fit.folder.path, {split: scores[split] for split in results.splits},
                                  fit.folder / "report.html"))


def round_for_saving(fit: Fit) -> str:
    """Round the weights to the type that they are saved in, so that scores are those of the saved model; the type."""
    dtype = fit.prepared.settings.weights.save_dtype
    if dtype == "fp32" or round_weights(fit.prepared.model.module, dtype):
        return dtype
    fit.reporter.warning(f"a weight does not fit into {dtype}: the model is saved in fp32, and scored as it is")
    return "fp32"


def save_model(fit: Fit, results: Results, scores: Mapping[str, Any], parts: Parts, dtype: str) -> None:
    """The artifact, with a card that does not know the baselines yet."""
    prepared, dev = fit.prepared, results.splits["dev"]
    metadata: dict[str, Json] = {"scores": {split: scores[split] for split in results.splits},
                                 "golden": golden_predictions(prepared.task, dev.examples, dev.predictions),
                                 "model": prepared.settings.model, "precision": {
                                     "scores": prepared.score_precision.name, "weights": dtype}}
    card = parts.attempt("the model card", lambda: card_text(fit, scores)) or ""
    task = dataclasses.replace(prepared.task, trained_columns=prepared.dataset.readings["train"].columns)
    artifact.save(fit.folder / "model", prepared.model, task, card, metadata, dtype=dtype)


def complete(fit: Fit, results: Results, scores: dict[str, Any],
             parts: Parts) -> tuple[dict[str, Any], dict[str, list[Figure]]]:
    """The scores with baselines and all that is measured beside them, and the figures by split."""
    prepared, settings = fit.prepared, fit.prepared.settings
    task, model, judged = prepared.task, prepared.model, results.judged_split
    judged_rows = results.splits[judged]
    if settings.evaluation.baselines:
        scores["baselines"] = {comparison.name: comparison.json()
                               for comparison in fit_baselines(fit, judged_rows, judged, parts)}
    scores |= parts.attempt("the comparison with the teacher, or with full depth", lambda: prepared.variant.scores(
        task, model, judged_rows, judged, settings, fit.reporter)) or {}
    numbers, sample_figures = parts.attempt("the generated samples", lambda: generated_samples.generate_samples(
        task, model, prepared.measured_examples(judged), prepared.dataset.splits["train"], settings.generation,
        count=settings.evaluation.generated_samples, seed=settings.seed, reporter=fit.reporter)) or ({}, [])
    scores["tables"][judged] |= numbers
    if settings.preset is not None:
        scores |= parts.attempt("the preset's official scores", lambda: {
            "official": benchmarks.official_scores(str(settings.preset), scores)}) or {}
        parts.attempt("the preset's submission", lambda: write_submissions(fit))
    figures = {split: parts.attempt(f"the figures of {split}", partial(
        task.figures, evaluated.examples, evaluated.predictions, evaluated.measures)) or []
        for split, evaluated in results.splits.items()}
    error_figures = parts.attempt("the explanation of wrong answers", lambda: error_words.error_figures(
        task, model, judged_rows, settings.evaluation.explained_errors)) or []
    figures[judged] = [*sample_figures, *figures[judged], *error_figures]
    return scores, figures


def evaluate_splits(fit: Fit, parts: Parts) -> Results:
    """Scores with intervals of every split but train; what is tuned on dev (thresholds) is tuned first."""
    prepared, settings = fit.prepared, fit.prepared.settings
    results = Results(seconds={"training": fit.seconds})
    for split in [name for name, rows in prepared.dataset.splits.items() if name != "train" and len(rows)]:
        start = time.perf_counter()
        predictions = predict_split(fit, split)
        if split == "dev":
            tuned_task = parts.attempt("what is tuned on dev", partial(tune, prepared, predictions))
            if tuned_task is not None and tuned_task != prepared.task:
                prepared.task = tuned_task
                predictions = predict_split(fit, split)
        results.seconds[f"predict_{split}"] = time.perf_counter() - start
        examples = prepared.measured_examples(split)
        results.splits[split] = evaluate_split(fit, split, examples, predictions, parts)
        results.slices |= parts.attempt(f"the slices of {split}", partial(
            evaluate_slices, prepared.task, split, prepared.dataset.splits[split], results.splits[split],
            settings.data.slice_by, resamples=settings.evaluation.resamples, seed=settings.seed)) or {}
        parts.attempt(f"the official files of {split}", partial(write_official, fit, split, examples, predictions))
    return results


def tune(prepared: Prepared, predictions: list[Prediction]) -> Task[Any]:
    """The task with what it learns from the predictions for dev (thresholds)."""
    return prepared.task.with_learned(prepared.task.calibrate(prepared.measured_examples("dev"), predictions))


def evaluate_split(fit: Fit, split: str, examples: Sequence[Example], predictions: list[Prediction],
                   parts: Parts) -> SplitEvaluation:
    """The scores of a split; a metric of another package that fails goes, the task's own scores stay."""
    prepared, settings = fit.prepared, fit.prepared.settings
    score = partial(evaluate, examples=examples, predictions=predictions, resamples=settings.evaluation.resamples,
                    seed=settings.seed, precision=prepared.score_precision.name)
    if prepared.task.extra_metrics:
        evaluated = parts.attempt(f"evaluation.extra_metrics on {split}", lambda: score(prepared.task))
        if evaluated is not None:
            return evaluated
        prepared.task = dataclasses.replace(prepared.task, extra_metrics=())
    return score(prepared.task)


def write_official(fit: Fit, split: str, examples: Sequence[Example], predictions: list[Prediction]) -> None:
    """The files that the task's official scripts read: official/SPLIT/NAME."""
    for name, text in fit.prepared.task.official_files(examples, predictions).items():
        (fit.folder / "official" / split).mkdir(parents=True, exist_ok=True)
        fit.folder.write(f"official/{split}/{name}", text)


def predict_split(fit: Fit, split: str) -> list[Prediction]:
    """The model's predictions on a split."""
    prepared, settings = fit.prepared, fit.prepared.settings
    examples = prepared.measured_examples(split)
    fit.reporter.info(f"predicting {split} ({len(examples):,} rows)")
    predictions = prepared.predictor().predict(examples, seed=settings.seed)
    return list(report_progress(predictions, len(examples), fit.reporter))


def write_submissions(fit: Fit) -> None:
    """A preset's rows without labels, predicted in the dataset's own layout: official/glue/NAME.tsv."""
    prepared, settings = fit.prepared, fit.prepared.settings
    for name, path, columns in benchmarks.unlabelled_files(str(settings.preset), settings.train):
        reading = read_examples(prepared.task, str(path), dataclasses.replace(settings.data, header=True),
                                columns=columns, training=False)
        stop_on_faults([reading], settings.data, None)
        fit.reporter.info(f"predicting {path.name} for {name}.tsv ({len(reading.examples):,} rows)")
        predictions = prepared.predictor().predict(reading.examples)
        text = benchmarks.submission_text([prediction.values["prediction"] for prediction in predictions])
        (fit.folder / "official" / "glue").mkdir(parents=True, exist_ok=True)
        fit.folder.write(f"official/glue/{name}.tsv", text)


def scores_json(fit: Fit, results: Results, parts: Parts) -> dict[str, Any]:
    """scores.json, before baselines are fitted."""
    task, evaluations = fit.prepared.task, {**results.splits, **results.slices}
    row_count = sum(len(evaluated.predictions) for evaluated in results.splits.values())
    predict_seconds = sum(value for name, value in results.seconds.items() if name.startswith("predict_"))
    return {
        **{split: {name: score.json() for name, score in evaluated.scores.items()}
           for split, evaluated in evaluations.items()},
        "baselines": {},
        "best": {"split": "dev", "score": fit.early_stopping.score, "step": fit.early_stopping.step},
        "tables": {split: parts.attempt(f"the tables of {split}", partial(task.tables, evaluated.measures)) or {}
                   for split, evaluated in evaluations.items()},
        "learned": task.learned.json()["values"],
        "seconds": {**{name: round(value, 3) for name, value in results.seconds.items()},
                    "per_predicted_row": round(predict_seconds / max(1, row_count), 6)},
        "training": {"steps": fit.state.step, "tokens": fit.tokens,
                     "tokens_per_second": round(fit.tokens / max(1e-9, fit.seconds), 1),
                     "padding_share": round(1 - fit.tokens / max(1, fit.padded_tokens), 6), "precision": fit.precision,
                     "skipped_steps": fit.state.skipped, "micro_batch_size": fit.state.micro_batch_size},
    }


def card_text(fit: Fit, scores: Mapping[str, Any]) -> str:
    """The model card of this run."""
    prepared, dataset, data = fit.prepared, fit.prepared.dataset, fit.prepared.settings.data
    files: dict[str, Mapping[str, Json]] = {split: {"file": Path(reading.table.path).name,
                                                    "format": reading.table.format.split(",")[0],
                                                    "sha256": reading.table.sha256}
                                            for split, reading in dataset.readings.items()}
    return model_card.render(model_card.card_of(
        prepared.task, prepared.model, str(prepared.settings.model), files=files, baselines=scores["baselines"],
        languages=[language for language in (data.language, data.target_language) if language is not None],
        scores={split: scores[split] for split in dataset.splits if split in scores},
        rows={split: len(examples) for split, examples in dataset.splits.items()}))


def make_report(fit: Fit, command: str, scores: Mapping[str, Any], figures: Mapping[str, list[Figure]],
                parts: Parts) -> str:
    """Write report.md; the page of report.html, a plain one where the report itself fails."""
    content = parts.attempt("the report's content", lambda: report_of(fit, command, scores, figures, parts))
    if content is not None:
        parts.attempt("report.md", lambda: fit.folder.write("report.md", report.render_markdown(content)))
        full_content = dataclasses.replace(content, summary=[*content.summary, *parts.sentences()])
        if (page := parts.attempt("the report's page", lambda: report.render_html(full_content))) is not None:
            return page
    return report.plain_html(fit.folder.path.name, parts.sentences())


def report_of(fit: Fit, command: str, scores: Mapping[str, Any], figures: Mapping[str, list[Figure]],
              parts: Parts) -> report.Report:
    """What the report shows; a figure that cannot be drawn is left out."""
    prepared, dataset = fit.prepared, fit.prepared.dataset
    drawn_figures = {split: [figure for figure in split_figures if parts.attempt(
        f"the figure {figure.title!r}", partial(report_figures.render, figure)) is not None]
        for split, split_figures in figures.items()}
    comparison = (distillation_table.distillation_sentences(scores["distillation"]) if "distillation" in scores else
                  depth_table.depth_sentences(scores["early_exit"]) if "early_exit" in scores else ())
    return report.Report(
        title=fit.folder.path.name, task=prepared.task.name, model=str(prepared.settings.model),
        created=datetime.datetime.now().astimezone().isoformat(timespec="minutes"), command=command,
        findings=[finding for finding in dataset.findings if finding.level != "note"],
        summary=comparison,
        splits=[{"name": split, "rows": len(examples), "file": dataset.readings[split].table.path,
                 "sha256": dataset.readings[split].table.sha256} for split, examples in dataset.splits.items()],
        data_notes=[*dataset.summary(), prepared.lengths.reason], log=fit.log.events(), scores=scores,
        figures_by_split=drawn_figures, settings=(fit.folder / "settings.toml").read_text(encoding="utf-8"),
        environment=fit.folder.read_json("environment.json"))
