"""The end of a run: final scores with intervals, baselines, artifact, predictions, report."""

from __future__ import annotations

import dataclasses
import datetime
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.artifacts import artifact, model_card
from headstart.contract import Figure, Json, Prediction
from headstart.data.examples import read_examples, stop_on_faults
from headstart.evaluation.compare import BaselineComparison
from headstart.evaluation.evaluate import SplitEvaluation, evaluate
from headstart.evaluation.slices import evaluate_slices
from headstart.prediction.predictions_file import golden_predictions, report_progress, write_predictions
from headstart.preparation import benchmarks
from headstart.progress import RunFinished
from headstart.reports import distillation_table, error_words, generated_samples, report
from headstart.runs.baselines import fit_baselines
from headstart.runs.fit import Fit


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
    """Everything after the last step; the report is written last, and marks the run as finished."""
    prepared, settings = fit.prepared, fit.prepared.settings
    prepared.variant.merge(prepared.task, prepared.model, fit.folder.path, fit.reporter)
    results = evaluate_splits(fit)
    task, model, judged = prepared.task, prepared.model, results.judged_split
    judged_rows = results.splits[judged]
    comparisons = fit_baselines(fit, judged_rows, judged) if settings.evaluation.baselines else []
    scores = scores_json(fit, results, comparisons)
    scores |= prepared.variant.scores(task, model, judged_rows, judged, settings, fit.reporter)
    numbers, sample_figures = generated_samples.generate_samples(
        task, model, prepared.measured_examples(judged), prepared.dataset.splits["train"], settings.generation,
        count=settings.evaluation.generated_samples, seed=settings.seed, reporter=fit.reporter)
    scores["tables"][judged] |= numbers
    if settings.preset is not None:
        scores["official"] = benchmarks.official_scores(settings.preset, scores)
        write_submissions(fit)
    fit.folder.write_json("scores.json", scores)
    write_predictions(fit.folder / "predictions.jsonl", task,
                      {split: (evaluated.examples, evaluated.predictions)
                       for split, evaluated in results.splits.items()})
    dev = results.splits["dev"]
    metadata: dict[str, Json] = {"scores": {split: scores[split] for split in results.splits},
                                 "golden": golden_predictions(task, dev.examples, dev.predictions),
                                 "model": settings.model}
    artifact.save(fit.folder / "model", model, task, card_text(fit, scores), metadata)
    figures = {split: task.figures(evaluated.examples, evaluated.predictions, evaluated.measures)
               for split, evaluated in results.splits.items()}
    error_figures = error_words.error_figures(task, model, judged_rows, settings.evaluation.explained_errors)
    figures[judged] = [*sample_figures, *figures[judged], *error_figures]
    write_report(fit, command, scores, figures)
    fit.reporter.emit(RunFinished(fit.folder.path, {split: scores[split] for split in results.splits},
                                  fit.folder / "report.html"))


def evaluate_splits(fit: Fit) -> Results:
    """Scores with intervals of every split but train; what is tuned on dev (thresholds) is tuned first."""
    prepared, settings = fit.prepared, fit.prepared.settings
    results = Results(seconds={"training": fit.seconds})
    for split in [name for name, rows in prepared.dataset.splits.items() if name != "train" and len(rows)]:
        start = time.perf_counter()
        predictions = predict_split(fit, split)
        if split == "dev":
            learned = prepared.task.calibrate(prepared.measured_examples("dev"), predictions)
            if learned != prepared.task.learned:
                prepared.task = prepared.task.with_learned(learned)
                predictions = predict_split(fit, split)
        results.seconds[f"predict_{split}"] = time.perf_counter() - start
        examples, task = prepared.measured_examples(split), prepared.task
        results.splits[split] = evaluate(task, examples, predictions, resamples=settings.evaluation.resamples,
                                         seed=settings.seed)
        results.slices |= evaluate_slices(task, split, prepared.dataset.splits[split], results.splits[split],
                                          settings.data.slice_by,
                                          resamples=settings.evaluation.resamples, seed=settings.seed)
        for name, text in task.official_files(examples, predictions).items():
            (fit.folder / "official" / split).mkdir(parents=True, exist_ok=True)
            fit.folder.write(f"official/{split}/{name}", text)
    return results


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


def scores_json(fit: Fit, results: Results, comparisons: list[BaselineComparison]) -> dict[str, Any]:
    """scores.json."""
    task, evaluations = fit.prepared.task, {**results.splits, **results.slices}
    row_count = sum(len(evaluated.predictions) for evaluated in results.splits.values())
    predict_seconds = sum(value for name, value in results.seconds.items() if name.startswith("predict_"))
    return {
        **{split: {name: score.json() for name, score in evaluated.scores.items()}
           for split, evaluated in evaluations.items()},
        "baselines": {comparison.name: comparison.json() for comparison in comparisons},
        "best": {"split": "dev", "score": fit.early_stopping.score, "step": fit.early_stopping.step},
        "tables": {split: task.tables(evaluated.measures) for split, evaluated in evaluations.items()},
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


def write_report(fit: Fit, command: str, scores: Mapping[str, Any], figures: Mapping[str, list[Figure]]) -> None:
    """report.md, then report.html."""
    prepared, dataset = fit.prepared, fit.prepared.dataset
    content = report.Report(
        title=fit.folder.path.name, task=prepared.task.name, model=str(prepared.settings.model),
        created=datetime.datetime.now().astimezone().isoformat(timespec="minutes"), command=command,
        findings=[finding for finding in dataset.findings if finding.level != "note"],
        summary=distillation_table.distillation_sentences(scores["distillation"]) if "distillation" in scores else (),
        splits=[{"name": split, "rows": len(examples), "file": dataset.readings[split].table.path,
                 "sha256": dataset.readings[split].table.sha256} for split, examples in dataset.splits.items()],
        data_notes=[*dataset.summary(), prepared.lengths.reason], log=fit.log.events(), scores=scores,
        figures_by_split=figures, settings=(fit.folder / "settings.toml").read_text(encoding="utf-8"),
        environment=fit.folder.read_json("environment.json"))
    fit.folder.write("report.md", report.render_markdown(content))
    fit.folder.write("report.html", report.render_html(content))
