"""The end of a run: final scores with intervals, baselines, artifact, predictions, report."""

from __future__ import annotations

import dataclasses
import datetime
import time
from collections.abc import Mapping
from typing import Any

from headstart.artifacts import artifact, model_card
from headstart.contract import Figure, Json, Prediction, Score, Task
from headstart.evaluation.compare import Compared, compare
from headstart.evaluation.evaluate import Evaluated, evaluate
from headstart.prediction.evaluate_file import golden, told, write_predictions
from headstart.prediction.predict import drawn_features, pooled_states, predict
from headstart.preparation import benchmarks, slices
from headstart.preparation.examples import read_examples, stop_on_faults
from headstart.reports import distillation_table, error_words, report
from headstart.reports.generated_samples import written
from headstart.runs.fit import Fit
from headstart.runs.prepare import unique
from headstart.runs.variants import distillation, lora


def finish(fit: Fit, command: str) -> None:
    """Everything after the last update; the report is written last, and marks the run as finished."""
    prepared = fit.prepared
    task, data, request = prepared.task, prepared.data, prepared.request
    if prepared.model.adapter is not None:
        lora.merge(fit)
    done: dict[str, Evaluated] = {}
    parts: dict[str, Evaluated] = {}
    seconds: dict[str, float] = {"training": fit.seconds}
    for split in [name for name, examples in data.splits.items() if name != "train" and len(examples)]:
        begun = time.perf_counter()
        answers = answered(fit, task, split)
        if split == "dev":
            learned = task.calibrate(prepared.measured("dev"), answers)
            if learned != task.known:
                task = prepared.task = task.knowing(learned)
                answers = answered(fit, task, split)
        seconds[f"predict_{split}"] = time.perf_counter() - begun
        examples = prepared.measured(split)
        done[split] = evaluate(task, examples, answers, resamples=request.evaluation.resamples, seed=request.seed)
        parts |= slices.evaluated(task, split, data.splits[split], done[split], request.data.by,
                                   resamples=request.evaluation.resamples, seed=request.seed)
        official(fit, split, task.official(examples, answers))
    judged = "test" if "test" in done else "dev"
    rivals = baselines(fit, done[judged], judged) if request.evaluation.baselines else []
    scores = as_json(fit, done, parts, rivals, seconds) | distillation.side_by_side(fit, done[judged], judged)
    numbers, samples = written(task, prepared.model, prepared.measured(judged), data.splits["train"], request.generation,
                               count=request.evaluation.samples, seed=request.seed, voice=fit.voice)
    scores["tables"][judged] |= numbers
    if request.preset is not None:
        scores["official"] = benchmarks.official(request.preset, scores)
        submit(fit, task)
    fit.folder.write_json("scores.json", scores)
    write_predictions(fit.folder / "predictions.jsonl", task, done)
    facts: dict[str, Json] = {"scores": {split: scores[split] for split in done}, "golden": golden(task, done["dev"]),
                              "model": request.model}
    artifact.save(fit.folder / "model", prepared.model, task, model_card.render(card_of(fit, scores)), facts)
    figures = {split: task.figures(one.examples, one.predictions, one.measures) for split, one in done.items()}
    figures[judged] = [*samples, *figures[judged], *error_words.figures(task, prepared.model, done[judged], request.evaluation.explained)]
    write_report(fit, command, scores, figures)


def official(fit: Fit, split: str, files: Mapping[str, str]) -> None:
    """Files that the field's own scripts read."""
    for name, text in files.items():
        (fit.folder / "official" / split).mkdir(parents=True, exist_ok=True)
        fit.folder.write(f"official/{split}/{name}", text)


def submit(fit: Fit, task: Task[Any]) -> None:
    """A preset's rows without labels, answered in the dataset's own layout: official/glue/NAME.tsv."""
    request = fit.prepared.request
    for name, path, columns in benchmarks.unlabelled(str(request.preset), request.train):
        reading = read_examples(task, str(path), dataclasses.replace(request.data, header=True), given=columns, training=False)
        stop_on_faults([reading], request.data, None)
        fit.voice.say(f"answering {path.name} for {name}.tsv ({len(reading.examples):,} rows)")
        answers = predict(task, fit.prepared.model, reading.examples, batch_tokens=request.evaluation.batch_tokens)
        text = benchmarks.submission([one.values["prediction"] for one in answers])
        (fit.folder / "official" / "glue").mkdir(parents=True, exist_ok=True)
        fit.folder.write(f"official/glue/{name}.tsv", text)


def answered(fit: Fit, task: Task[Any], split: str) -> list[Prediction]:
    """The model's answers on a split."""
    examples = fit.prepared.measured(split)
    fit.voice.say(f"predicting {split} ({len(examples):,} rows)")
    made = predict(task, fit.prepared.model, examples, batch_tokens=fit.prepared.request.evaluation.batch_tokens,
                   seed=fit.prepared.request.seed)
    return list(told(made, len(examples), fit.voice))


def baselines(fit: Fit, ours: Evaluated, split: str) -> list[Compared]:
    """Every baseline of the task on the split that ours was judged on; one that cannot be fitted is told, not hidden."""
    from headstart.models.loading.load import load

    prepared = fit.prepared
    request, task = prepared.request, prepared.task
    untrained: list[Any] = []

    def states(examples: Any) -> Any:
        if not untrained:
            head = task.head_for(prepared.model.facts.row.kinds[0])
            made = load(str(prepared.model.facts.folder), head, seed=request.seed, device=request.device,
                        allow_pickle=request.allow_pickle, longest=prepared.model.tokenizer.longest,
                        language=request.data.language)
            untrained.append(made)
        return pooled_states(task, untrained[0], examples, batch_tokens=request.evaluation.batch_tokens)

    def features(examples: Any) -> Any:
        return drawn_features(task, prepared.model, examples, request.seed)

    found = []
    for baseline in task.baselines():
        if baseline.needs_states and (request.from_scratch is not None or request.teacher is not None):
            continue  # states of drawn weights say nothing, and a teacher's are no cheap rival's
        try:
            one = compare(task, baseline, prepared.data.splits["train"], ours, split=split, states=states, features=features,
                          resamples=request.evaluation.resamples, seed=request.seed)
        except (ValueError, MemoryError) as error:
            fit.voice.say(f"baseline {baseline.name} could not be fitted: {error}")
            continue
        found.append(one)
        first = next(iter(one.evaluated.scores.items()))
        fit.voice.say(f"baseline {baseline.name}: {first[0]} {shown(first[1])} on {split}, {one.seconds:.1f} s")
    return found


def shown(score: Score) -> str:
    """A score's value in words."""
    return "undefined" if score.value is None else f"{score.value:.4f}"


def as_json(fit: Fit, done: Mapping[str, Evaluated], parts: Mapping[str, Evaluated], rivals: list[Compared],
            seconds: Mapping[str, float]) -> dict[str, Json]:
    """scores.json."""
    task = fit.prepared.task
    rows = sum(len(one.predictions) for one in done.values())
    predicting = sum(value for name, value in seconds.items() if name.startswith("predict_"))
    return {
        **{split: {name: score.json() for name, score in one.scores.items()} for split, one in {**done, **parts}.items()},
        "baselines": {one.name: one.json() for one in rivals},
        "best": {"split": "dev", "score": fit.progress.score, "update": fit.progress.update},
        "tables": {split: task.tables(one.measures) for split, one in {**done, **parts}.items()},
        "learned": task.known.json()["values"],
        "seconds": {**{name: round(value, 3) for name, value in seconds.items()},
                    "per_predicted_row": round(predicting / max(1, rows), 6)},
        "training": {"updates": fit.state.update, "tokens": fit.tokens, "tokens_per_second": round(fit.tokens / max(1e-9, fit.seconds), 1),
                     "padding_share": round(1 - fit.tokens / max(1, fit.slots), 6), "precision": fit.precision,
                     "skipped_updates": fit.state.skipped, "micro_batch": fit.state.micro},
    }


def card_of(fit: Fit, scores: Mapping[str, Any]) -> model_card.Card:
    """What the model card says of this run."""
    prepared = fit.prepared
    data, task = prepared.data, prepared.task
    files = [{"file": one.table.path, "sha256": one.table.sha256} for one in unique(data.readings)]
    held = {split: scores[split] for split in data.splits if split in scores}
    return model_card.Card(task.name, str(prepared.request.model), task.known.labels, held, scores["baselines"], files,
                     {split: len(examples) for split, examples in data.splits.items()}, model_card.only_here(task, prepared.model))


def write_report(fit: Fit, command: str, scores: Mapping[str, Json], figures: Mapping[str, list[Figure]]) -> None:
    """report.md, then report.html."""
    prepared = fit.prepared
    data, request = prepared.data, prepared.request
    made = report.Report(
        title=fit.folder.path.name, task=prepared.task.name, model=str(request.model),
        created=datetime.datetime.now().astimezone().isoformat(timespec="minutes"), command=command,
        findings=[finding for finding in data.findings if finding.level != "note"],
        summary=distillation_table.sentences(scores["distillation"]) if "distillation" in scores else (),
        splits=[{"name": split, "rows": len(examples), "file": data.readings[split].table.path,
                 "sha256": data.readings[split].table.sha256} for split, examples in data.splits.items()],
        data_words=[*data.words(), prepared.lengths.reason], log=fit.log.events(), scores=scores,
        figures_by_split=figures, settings=(fit.folder / "settings.toml").read_text(encoding="utf-8"),
        environment=fit.folder.read_json("environment.json"))
    fit.folder.write("report.md", report.render_markdown(made))
    fit.folder.write("report.html", report.render_html(made))
