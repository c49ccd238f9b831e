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
from headstart.evaluation.compare import Fits
from headstart.evaluation.confidence import risk_by_threshold, with_selective_scores
from headstart.evaluation.evaluate import SplitEvaluation, evaluate
from headstart.evaluation.slices import evaluate_slices
from headstart.files import remove
from headstart.metrics.calibration import TemperatureFit
from headstart.models.precision import round_weights
from headstart.prediction.predictions_file import (
    GOLDEN_ROWS,
    golden_predictions,
    report_progress,
    write_predictions,
)
from headstart.preparation import benchmarks
from headstart.progress import RunFinished
from headstart.reports import (
    confidence_words,
    depth_table,
    distillation_table,
    error_words,
    fold_words,
    generated_samples,
    report,
)
from headstart.reports import figures as report_figures
from headstart.runs.baselines import fit_baselines
from headstart.runs.confidence import choose_threshold, confidence_tables, tune_confidence
from headstart.runs.fit import Fit
from headstart.runs.fold_results import fold_scores
from headstart.runs.parts import FAILURES_FILE, Parts
from headstart.runs.prepare import Prepared
from headstart.runs.ship import choose_shipped, ship_words


@dataclass
class Results:
    """What a run is measured to be."""

    splits: dict[str, SplitEvaluation] = field(default_factory=dict)
    slices: dict[str, SplitEvaluation] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    temperature_fit: TemperatureFit | None = None

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
    task, dtype = prepared.task, finish_model(fit)
    results, fits = evaluate_splits(fit, parts), Fits()
    shipped = None if prepared.settings.evaluation.ship != "best" else parts.attempt(
        "the comparison that decides which model is saved",
        lambda: choose_shipped(fit, results.splits["dev"], task, fits))
    if shipped is not None and shipped.replaces:
        dtype, results = round_for_saving(fit), evaluate_splits(fit, parts)
    scores = scores_json(fit, results, parts) | ({} if shipped is None else {"ship": shipped.json()})
    save_model(fit, results, scores, parts, dtype)
    fit.folder.write_json("scores.json", scores)
    write_predictions(fit.folder / "predictions.jsonl", prepared.task,
                      {split: (evaluated.examples, evaluated.predictions)
                       for split, evaluated in results.splits.items()},
                      folds={"dev": prepared.dataset.folds.numbers()} if prepared.dataset.folds is not None else {})
    scores, figures = complete(fit, results, scores, parts, fits)
    parts.attempt("the model card", lambda: fit.folder.write("model/README.md", card_text(fit, scores)))
    page = make_report(fit, command, scores, figures, parts)
    fit.folder.write_json("scores.json", scores | ({"failed_parts": parts.failures} if parts.failures else {}))
    fit.folder.write("report.html", page)
    fit.reporter.emit(RunFinished(fit.folder.path, {split: scores[split] for split in results.splits},
                                  fit.folder / "report.html"))


def finish_model(fit: Fit) -> str:
    """Make of what was trained the model that is scored and saved; the type of its weights."""
    prepared = fit.prepared
    prepared.variant.finish(prepared.task, prepared.model, prepared.features, prepared.settings)
    prepared.variant.merge(prepared.task, prepared.model, fit.folder.path, fit.reporter)
    return round_for_saving(fit)


def round_for_saving(fit: Fit) -> str:
    """Round the weights to the type that they are saved in, so that scores are those of the saved model; the type."""
    dtype = fit.prepared.settings.weights.save_dtype
    if dtype == "fp32" or round_weights(fit.prepared.model.module, dtype):
        return dtype
    fit.reporter.warning(f"a weight does not fit into {dtype}: the model is saved in fp32, and scored as it is")
    return "fp32"


def save_model(fit: Fit, results: Results, scores: Mapping[str, Any], parts: Parts, dtype: str) -> None:
    """The artifact, with a card that does not know the baselines yet."""
    prepared = fit.prepared
    metadata: dict[str, Json] = {"scores": {split: scores[split] for split in results.splits},
                                 "golden": golden_rows(fit, results.splits["dev"]),
                                 "model": prepared.settings.model, "precision": {
                                     "scores": prepared.score_precision.name, "weights": dtype}}
    card = parts.attempt("the model card", lambda: card_text(fit, scores)) or ""
    task = dataclasses.replace(prepared.task, trained_columns=prepared.dataset.readings["train"].columns)
    artifact.save(fit.folder / "model", prepared.model, task, card, metadata, dtype=dtype)


def golden_rows(fit: Fit, dev: SplitEvaluation) -> list[dict[str, Json]]:
    """Some dev rows with the saved model's predictions."""
    prepared, predictions = fit.prepared, dev.predictions
    if prepared.out_of_fold is not None:  # those of dev are of other models
        predictions = list(prepared.predictor().predict(dev.examples[:GOLDEN_ROWS], seed=prepared.settings.seed))
    return golden_predictions(prepared.task, dev.examples[:GOLDEN_ROWS], predictions[:GOLDEN_ROWS])


def complete(fit: Fit, results: Results, scores: dict[str, Any], parts: Parts,
             fits: Fits) -> tuple[dict[str, Any], dict[str, list[Figure]]]:
    """The scores with baselines and all that is measured beside them, and the figures by split."""
    prepared, settings = fit.prepared, fit.prepared.settings
    task, model, judged = prepared.task, prepared.model, results.judged_split
    judged_rows = results.splits[judged]
    if settings.evaluation.baselines:
        scores["baselines"] = {comparison.name: comparison.json()
                               for comparison in fit_baselines(fit, judged_rows, judged, parts, fits)}
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
    figures = {split: [*split_figures, *confidence_words.confidence_figures(scores["tables"].get(split) or {}),
                       *threshold_figures(fit, split, results, parts)] for split, split_figures in figures.items()}
    error_figures = parts.attempt("the explanation of wrong answers", lambda: error_words.error_figures(
        task, model, judged_rows, 0 if judged_rows.folds else settings.evaluation.explained_errors)) or []
    figures[judged] = [*sample_figures, *error_words.with_words(figures[judged], error_figures)]
    return scores, figures


def threshold_figures(fit: Fit, split: str, results: Results, parts: Parts) -> list[Figure]:
    """What each threshold of the confidence would give on a split; [] for a task without a confidence."""
    evaluated = results.splits[split]
    return parts.attempt(f"the thresholds of {split}", lambda: confidence_words.threshold_figure(
        risk_by_threshold(fit.prepared.task, evaluated), len(evaluated.predictions))) or []


def evaluate_splits(fit: Fit, parts: Parts) -> Results:
    """Scores with intervals of every split but train; what is tuned on dev (thresholds) is tuned first."""
    prepared, settings = fit.prepared, fit.prepared.settings
    results = Results(seconds={"training": fit.seconds})
    for split, rows in prepared.measured_rows().items():
        start = time.perf_counter()
        predictions = predict_split(fit, split)
        if split == "dev":
            predictions = tune_on_dev(fit, predictions, results, parts)
        results.seconds[f"predict_{split}"] = time.perf_counter() - start
        examples = prepared.measured_examples(split)
        results.splits[split] = with_selective_scores(
            prepared.task, evaluate_split(fit, split, examples, predictions, parts),
            resamples=settings.evaluation.resamples, seed=settings.seed)
        results.slices |= parts.attempt(f"the slices of {split}", partial(
            evaluate_slices, prepared.task, split, rows, results.splits[split],
            settings.data.slice_by, resamples=settings.evaluation.resamples, seed=settings.seed)) or {}
        parts.attempt(f"the official files of {split}", partial(write_official, fit, split, examples, predictions))
    return results


def tune_on_dev(fit: Fit, predictions: list[Prediction], results: Results, parts: Parts) -> list[Prediction]:
    """Learn from the predictions for dev thresholds, a temperature, and when to abstain; the predictions by these."""
    prepared = fit.prepared
    tuned = parts.attempt("what is tuned on dev", partial(tune, prepared, predictions))
    if tuned is not None:
        task, results.temperature_fit = tuned
        if task != prepared.task:
            prepared.task = task
            predictions = predict_split(fit, "dev")
    prepared.task = parts.attempt("the threshold of evaluation.risk", partial(
        choose_threshold, prepared, predictions, fit.reporter)) or prepared.task
    return predictions


def tune(prepared: Prepared, predictions: list[Prediction]) -> tuple[Task[Any], TemperatureFit | None]:
    """The task with what it learns from the predictions for dev (thresholds, a temperature)."""
    task = prepared.task.with_learned(prepared.task.calibrate(prepared.measured_examples("dev"), predictions))
    return tune_confidence(prepared, task, predictions)


def evaluate_split(fit: Fit, split: str, examples: Sequence[Example], predictions: list[Prediction],
                   parts: Parts) -> SplitEvaluation:
    """The scores of a split; a metric of another package that fails goes, the task's own scores stay."""
    prepared, settings = fit.prepared, fit.prepared.settings
    score = partial(evaluate, examples=examples, predictions=predictions, resamples=settings.evaluation.resamples,
                    seed=settings.seed, precision=prepared.score_precision.name,
                    folds=len(prepared.out_of_fold.folds) if split == "dev" and prepared.out_of_fold else 0)
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
    """The model's predictions on a split; of rows that it was trained on, those of the folds' models."""
    prepared, settings = fit.prepared, fit.prepared.settings
    examples = prepared.measured_examples(split)
    if split == "dev" and prepared.out_of_fold is not None:
        return prepared.out_of_fold.predictions(prepared.task, examples)
    fit.reporter.info(f"predicting {split} ({len(examples):,} row{'' if len(examples) == 1 else 's'})")
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
    tables = confidence_tables(fit.prepared, results.temperature_fit, results.splits, parts)
    return {
        **{split: {name: score.json() for name, score in evaluated.scores.items()}
           for split, evaluated in evaluations.items()},
        "baselines": {},
        "best": best_json(fit),
        **({"folds": fold_scores(fit.prepared, results.splits["dev"])} if fit.prepared.out_of_fold is not None else {}),
        "tables": {split: (parts.attempt(f"the tables of {split}", partial(task.tables, evaluated.measures)) or {})
                   | tables.get(split, {}) for split, evaluated in evaluations.items()},
        "learned": task.learned.json()["values"],
        "seconds": {**{name: round(value, 3) for name, value in results.seconds.items()},
                    "per_predicted_row": round(predict_seconds / max(1, row_count), 6)},
        "training": {"steps": fit.state.step, "tokens": fit.tokens,
                     "tokens_per_second": round(fit.tokens / max(1e-9, fit.seconds), 1),
                     "padding_share": round(1 - fit.tokens / fit.padded_tokens, 6) if fit.padded_tokens else 0.0,
                     "precision": fit.precision,
                     "skipped_steps": fit.state.skipped, "micro_batch_size": fit.state.micro_batch_size},
    }


def best_json(fit: Fit) -> dict[str, Any]:
    """Which checkpoint is the model, what chose it (in folds the last, which nothing chose), and among how many."""
    stopping = fit.early_stopping
    if not fit.prepared.has_dev:
        return {"split": None, "score": None, "step": stopping.step}
    return {"split": "dev", "score": stopping.score, "step": stopping.step, "candidates": max(1, len(stopping.top))}


def card_text(fit: Fit, scores: Mapping[str, Any]) -> str:
    """The model card of this run."""
    prepared, dataset, data = fit.prepared, fit.prepared.dataset, fit.prepared.settings.data
    files: dict[str, Mapping[str, Json]] = {split: {"file": Path(reading.table.path).name,
                                                    "format": reading.table.format.split(",")[0],
                                                    "sha256": reading.table.sha256}
                                            for split, reading in dataset.readings.items()}
    if dataset.folds is not None:
        files["dev"] = files["train"]
    return model_card.render(model_card.card_of(
        prepared.task, prepared.model, str(prepared.settings.model), files=files, baselines=scores["baselines"],
        dtype=prepared.settings.weights.save_dtype,
        languages=[language for language in (data.language, data.target_language) if language is not None],
        scores={split: scores[split] for split in prepared.measured_rows() if split in scores},
        score_note=" ".join(fold_words.fold_sentences(scores)),
        rows={split: len(examples) for split, examples in dataset.splits.items()},
        ship=ship_words(scores.get("ship"))))


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
        summary=[*comparison, *confidence_words.confidence_sentences(scores)],
        splits=[{"name": split, "rows": len(examples), "file": dataset.readings[split].table.path,
                 "sha256": dataset.readings[split].table.sha256} for split, examples in dataset.splits.items()],
        data_notes=[*dataset.summary(), prepared.lengths.reason], log=fit.log.events(), scores=scores,
        figures_by_split=drawn_figures, settings=(fit.folder / "settings.toml").read_text(encoding="utf-8"),
        environment=fit.folder.read_json("environment.json"),
        card=card.read_text(encoding="utf-8") if (card := fit.folder / "model" / "README.md").exists() else "")
