"""Training with evaluation: consumes the loop's steps, tells of them, evaluates, saves, and decides to stop."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from headstart.contract import Json
from headstart.data.features.batches import choose_batcher
from headstart.errors import Exit, UserError
from headstart.files import disk_errors, make_folder
from headstart.progress import (
    CheckpointSaved,
    EvaluationFinished,
    Reporter,
    RunStarted,
    StepFinished,
    TrainingWarning,
)
from headstart.runs.attempts import (
    MOST_ATTEMPTS,
    Attempt,
    attempts_from,
    lower_rate,
    newest_of_attempts,
    read_attempts,
)
from headstart.runs.defaults import evaluation_interval
from headstart.runs.folder import RESUME, RunFolder
from headstart.runs.initial_state import initial_state, largest_batch
from headstart.runs.leading import Beginning, leading
from headstart.runs.log import DAMAGED_LINES, RunLog
from headstart.runs.prepare import Prepared
from headstart.runs.selection import LOSS, dev_loss, quick_scores, selection_score
from headstart.runs.sharded import is_sharded, shard_model, whole_again
from headstart.runs.signals import Interrupts
from headstart.runs.training_steps import TrainingSteps
from headstart.runs.unread import unread_settings
from headstart.settings import Training
from headstart.training import checkpoint, precision
from headstart.training.distributed import ALONE, LostProcess, World
from headstart.training.divergence import Diverged, LossWatch, prior_loss
from headstart.training.early_stopping import EarlyStopping
from headstart.training.loop import Step, train
from headstart.training.state import TrainingState, load_weights


@dataclass
class Fit:
    """Everything that one training needs, and how far it is."""

    folder: RunFolder
    prepared: Prepared
    log: RunLog
    reporter: Reporter
    interrupts: Interrupts
    state: TrainingState
    early_stopping: EarlyStopping
    precision: str
    steps: TrainingSteps
    record: Mapping[str, Json]  # settings and data, as every checkpoint holds them
    attempts: list[Attempt] = field(default_factory=list)  # trainings that went wrong before this one
    losses: LossWatch = field(default_factory=LossWatch)
    collapse_warned: bool = False
    padded_tokens: int = 0
    tokens: int = 0
    seconds: float = 0.0
    world: World = ALONE
    fold: int | None = None  # which of the folds' trainings; None for that of the model that is saved
    checkpoint: Path | None = None  # what a sharded training goes on from: every process reads its part of it

    @property
    def training(self) -> Training:
        """The settings of training, with the learning rate of this attempt."""
        training = self.prepared.settings.training
        if not self.attempts or self.attempts[0].learning_rate != training.learning_rate:  # one was set since
            return training
        return replace(training, learning_rate=lower_rate(self.attempts[-1].learning_rate))

    @property
    def backs_off(self) -> bool:
        """Whether training begins again at a lower rate where it goes wrong."""
        return (self.prepared.settings.training.back_off == "on" and len(self.attempts) + 1 < MOST_ATTEMPTS
                and not self.reporter.stop_requested)

    @property
    def is_stuck(self) -> bool:
        """Whether one answer to all says that the rate is too high; of a model made from scratch it says nothing."""
        prepared = self.prepared
        has_prior = prepared.task.head().loss.problem_type == "single_label_classification"
        return (self.backs_off and prepared.settings.from_scratch is None and self.losses.is_stuck(
            prepared.total_steps, prior_loss=prior_loss(prepared.task.learned.counts) if has_prior else 0.0))

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.folder / "checkpoints"


def begin(folder: RunFolder, prepared: Prepared, log: RunLog, reporter: Reporter, interrupts: Interrupts,
          record: Mapping[str, Json], *, world: World = ALONE, fold: int | None = None) -> Fit:
    """Choose batcher and precision by rule, and take up the newest good checkpoint where there is one."""
    settings, model = prepared.settings, prepared.model
    batcher, batcher_reason = choose_batcher(settings.training.batcher,
                                             can_pack=prepared.variant.can_pack(model, settings))
    precision_name, precision_reason = precision.choose_precision(settings.training.precision, settings.device)
    reporter.info(f"batches: {batcher}, because {batcher_reason}; precision {precision_name}, because "
                  f"{precision_reason}")
    state = initial_state(prepared, precision=precision_name, packed=batcher == "packed")
    if max_tokens := settings.training.batch_tokens:
        largest = largest_batch(prepared, packed=batcher == "packed")
        reporter.info(f"steps of at most {max_tokens:,} tokens, padding included: up to {largest:,} examples")
    score, higher_is_better = selection_score(prepared)
    fit = Fit(folder, prepared, log, reporter, interrupts, state, EarlyStopping(score, higher_is_better),
              precision_name, TrainingSteps(prepared, batcher == "packed", reporter), record, read_attempts(folder),
              world=world, fold=fold)
    with disk_errors(folder.path, RESUME):
        make_folder(fit.checkpoints)
        newest, skipped = newest_of_attempts(fit.checkpoints, fit.attempts)
    for reason in skipped:
        reporter.warning(reason)
    if newest is not None:
        restore(fit, newest)
    if damaged_lines := log.rewind(fit.state.step, fit.attempts):
        reporter.warning(f"{damaged_lines:,} lines of {log.path.name} are damaged and were left out; they are in "
                         f"{DAMAGED_LINES}")
    reporter.emit(RunStarted(folder.path, prepared.task.name, str(settings.model), state.step, prepared.total_steps,
                             read_settings(prepared)))
    return fit


def restore(fit: Fit, folder: Path) -> None:
    """Take up a checkpoint: weights, optimizer, and how far the run was; those of a sharded model later."""
    if is_sharded(fit.training, fit.world):
        fit.checkpoint = folder
        progress = fit.state.load_progress(folder)
    else:
        progress = fit.state.load(folder)
    fit.early_stopping = EarlyStopping(**progress["best"])
    fit.collapse_warned, fit.padded_tokens, fit.tokens, fit.seconds = (
        progress[name] for name in ("warned", "slots", "tokens", "seconds"))
    fit.attempts = attempts_from(progress.get("attempts", []))
    fit.losses = LossWatch(**progress.get("losses", {}))
    if fit.state.step > fit.prepared.total_steps:
        raise UserError(f"The run has made {fit.state.step} steps, and its settings ask for "
                        f"{fit.prepared.total_steps} now.", fix="Set training.epochs or training.max_steps back.",
                        exit=Exit.SETTINGS)
    fit.reporter.info(f"resuming after step {fit.state.step} of {fit.prepared.total_steps}")


def read_settings(prepared: Prepared) -> dict[str, Any]:
    """Every setting that the run reads, as {"training.epochs": 3.0}; None for those that are not set."""
    unread = unread_settings(prepared.settings, prepared.task, prepared.model)
    return {key: value for key, value in prepared.settings.by_key().items() if key not in unread}


def fit_all(fit: Fit) -> None:
    """Every step to the end (or until patience is out or a listener asks to stop), then the best weights back in the
    model.

    Raises UserError (75) after saving when a signal asked to stop, Diverged where training went wrong.
    """
    training, total = fit.training, fit.prepared.total_steps
    evaluate_every = training.evaluate_every or evaluation_interval(total, len(fit.steps.plan()(0)))
    fit.interrupts.waiting = True
    if not fit.early_stopping.exhausted(training.patience):
        try:
            run_steps(fit, total, evaluate_every)
        except LostProcess:
            save_last_step(fit)
            raise
    if not total and fit.early_stopping.step is None:  # a way of training without a step
        evaluate_now(fit, Step(0, 0, 0.0, 0.0, 0.0, 0, 0))
        save(fit)
    fit.interrupts.waiting = False
    if fit.state.sharding is not None:
        fit.state = whole_again(fit.state, fit.prepared, precision=fit.precision, packed=fit.steps.packed)
    load_best(fit)


def save_last_step(fit: Fit) -> None:
    """Save the weights after the last whole step; of a sharded model the lost process has its part with it."""
    checkpoints = fit.checkpoints
    if fit.state.sharding is None and fit.state.step and not (
            checkpoints / checkpoint.checkpoint_name(fit.state.step)).is_dir():
        save(fit)


def run_steps(fit: Fit, total: int, evaluate_every: int) -> None:
    """Take steps, tell of them, evaluate and save; raises UserError (75) after saving when a signal asked to stop."""
    start = time.perf_counter()
    with closing(steps_of(fit)) as steps:
        for step in steps:
            fit.seconds += time.perf_counter() - start
            tell_step(fit, step, total)
            watch_loss(fit, step)
            is_last = step.number == total or fit.reporter.stop_requested
            evaluation_due = is_last or step.number % evaluate_every == 0
            if evaluation_due:
                with fit.state.gathered():
                    evaluate_now(fit, step)
            if save_due(fit, step, evaluation_due=evaluation_due) or is_last:
                save(fit)
            start = time.perf_counter()
            if fit.interrupts.requested:
                raise fit.interrupts.error(f"interrupted and saved after step {step.number} of {total}")
            if (reason := stop_reason(fit, evaluation_due=evaluation_due)) is not None:
                fit.reporter.info(f"stopped after step {step.number}: {reason}")
                break


def steps_of(fit: Fit) -> Generator[Step, None, None]:
    """The steps of a training, which the other processes of the world make along."""
    settings, steps = fit.prepared.settings, fit.steps
    beginning = Beginning(fit.fold, fit.training, fit.precision, steps.packed, fit.checkpoints, fit.checkpoint)
    shard = partial(shard_model, fit.state, fit.prepared, beginning, fit.world)
    with leading(fit.world, fit.state, beginning, shard):
        yield from train(fit.state, steps.plan(), steps.make_batches, steps.objective(), steps.total_weight(),
                         fit.training, total_steps=fit.prepared.total_steps, seed=settings.seed,
                         precision=fit.precision, device=settings.device, world=fit.world)


def save_due(fit: Fit, step: Step, *, evaluation_due: bool) -> bool:
    """Whether a checkpoint is due after this step."""
    training = fit.prepared.settings.training
    due = step.number % training.save_every == 0 if training.save_every else evaluation_due
    return due or fit.interrupts.requested or (evaluation_due
                                               and step.number in fit.early_stopping.best_steps(training.keep_best))


def stop_reason(fit: Fit, *, evaluation_due: bool) -> str | None:
    """Why training ends before its last step; None where it goes on."""
    patience = fit.prepared.settings.training.patience
    if evaluation_due and fit.early_stopping.exhausted(patience):
        return f"{patience} evaluations without a better {fit.early_stopping.score}"
    return "a listener asked for it" if fit.reporter.stop_requested else None


def tell_step(fit: Fit, step: Step, total: int) -> None:
    """Count a step, and tell of it."""
    fit.padded_tokens, fit.tokens = fit.padded_tokens + step.padded_tokens, fit.tokens + step.tokens
    for note in step.notes:
        fit.reporter.emit(TrainingWarning(step.number, note))
    if step.skipped:
        fit.reporter.emit(TrainingWarning(step.number, "the scaled loss overflowed: this step was skipped"))
    fit.reporter.emit(StepFinished(step.number, total, step.epoch, step.loss, step.learning_rate, step.gradient_norm,
                                   fit.tokens, fit.seconds, step.padding))


def watch_loss(fit: Fit, step: Step) -> None:
    """Remember a step's loss; raises Diverged where losses have risen and training may begin again."""
    fit.losses = fit.losses.after_step(step.loss)
    if fit.backs_off and fit.losses.has_risen:
        raise Diverged(f"the loss rose from {fit.losses.start:.3g} to {fit.losses.recent_mean:.3g}")


def evaluate_now(fit: Fit, step: Step) -> None:
    """Score dev, without intervals (they come at the end), and remember the best; without dev rows, the last."""
    start = time.perf_counter()
    dev_scores, measures = quick_scores(fit.prepared)
    values = {name: score.value for name, score in dev_scores.items()}
    if fit.early_stopping.score == LOSS:
        values[LOSS] = dev_loss(fit.prepared, fit.steps.objective(), fit.steps.total_weight(), packed=fit.steps.packed,
                                precision=fit.precision)
    if fit.prepared.has_dev:
        fit.early_stopping = fit.early_stopping.after_evaluation(step.number, values[fit.early_stopping.score])
        fit.reporter.emit(EvaluationFinished(step.number, "dev", values, time.perf_counter() - start))
    else:
        fit.early_stopping = fit.early_stopping.at_last_step(step.number)
    warning = fit.prepared.task.collapse_warning(measures)
    if warning is not None and fit.is_stuck:
        raise Diverged(warning.split(". ")[0])
    fit.losses = fit.losses.after_evaluation(fit.prepared.total_steps, collapsed=warning is not None)
    if warning is not None and not fit.collapse_warned:
        fit.collapse_warned = True
        fit.reporter.emit(TrainingWarning(step.number, f"after step {step.number}: {warning}"))


def save(fit: Fit) -> None:
    """A checkpoint of this step; older ones but the best go."""
    progress = {"best": vars(fit.early_stopping), "warned": fit.collapse_warned, "slots": fit.padded_tokens,
                "tokens": fit.tokens, "seconds": round(fit.seconds, 3), "learned": fit.prepared.task.learned.json(),
                "record": dict(fit.record), "losses": vars(fit.losses),
                "attempts": [vars(attempt) for attempt in fit.attempts]}
    folder = checkpoint.save(fit.checkpoints, fit.state.step, lambda staging: fit.state.save(staging, progress))
    training = fit.prepared.settings.training
    best = [checkpoint.checkpoint_name(step) for step in fit.early_stopping.best_steps(training.keep_best)]
    checkpoint.prune(fit.checkpoints, keep_last=training.keep_last, protect=best)
    fit.reporter.emit(CheckpointSaved(fit.state.step, folder))


def load_best(fit: Fit) -> None:
    """The weights of the best checkpoint."""
    if fit.early_stopping.step is None:  # all steps were made before settings asked for an earlier end
        raise UserError("The run was never evaluated on dev, so it has no best checkpoint.",
                        fix="Set training.epochs or training.max_steps back, then run headstart resume.",
                        exit=Exit.SETTINGS)
    best = fit.checkpoints / checkpoint.checkpoint_name(fit.early_stopping.step)
    if best.is_dir() and (reason := checkpoint.verify(best)) is not None:
        raise UserError(f"The best checkpoint {best} is damaged: {reason}.",
                        fix="Run headstart resume: it trains again from what is whole.", exit=Exit.UNAVAILABLE)
    load_weights(fit.prepared.model, best)
    if not fit.prepared.total_steps:
        return
    if fit.prepared.has_dev:
        fit.reporter.info(f"best {fit.early_stopping.score} on dev after step {fit.early_stopping.step}")
    else:
        fit.reporter.info(f"no dev rows choose a checkpoint: the model is that of step {fit.early_stopping.step}, the "
                          "last")
