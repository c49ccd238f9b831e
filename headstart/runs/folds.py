"""Rows scored out of fold: a training for each fold, on all other rows, before the one whose model is saved.

    RUN/folds/2/checkpoints/, log.jsonl    while fold 2 is trained
    RUN/folds/2/outputs.json               what its model made of its rows; from then on nothing else is kept of it

Each fold is a training like any other: it is resumed from its own checkpoints, and one that is done is not made again.
"""

from __future__ import annotations

from collections.abc import Sequence

from headstart.contract import Example
from headstart.evaluation.evaluate import evaluate
from headstart.files import disk_errors, make_folder, remove
from headstart.prediction.predictor import decode_outputs
from headstart.progress import Event, Message, Reporter, StepFinished, TrainingWarning
from headstart.runs.back_off import fit_with_back_off
from headstart.runs.finalize import finish_model
from headstart.runs.fit import Fit, begin
from headstart.runs.fold_outputs import OUTPUTS_FILE, FoldOutputs, OutOfFold, encoded
from headstart.runs.folder import RESUME, RunFolder
from headstart.runs.log import RunLog
from headstart.runs.prepare import Prepared, prepare_fold

FOLDS = "folds"
TRIAL_ROWS = 2  # that are predicted before a fold is trained, to learn whether its outputs can be kept


class FoldListener:
    """Passes on what a person wants to know of the folds' trainings: how far they are, all in one, and their warnings.
    """

    def __init__(self, count: int, reporter: Reporter) -> None:
        self.count, self.reporter = count, reporter
        self.fold = self.steps = 0  # the present fold, and the steps of the first: others have about as many

    @property
    def name(self) -> str:
        """The present fold."""
        return f"fold {self.fold + 1} of {self.count}"

    def receive(self, event: Event) -> bool:
        """Tell the run's reporter; whether somebody asks the run to stop."""
        match event:
            case StepFinished():
                self.steps = self.steps or event.total_steps
                share = round(event.step / event.total_steps * self.steps)
                self.reporter.progress(self.fold * self.steps + share, self.count * self.steps,
                                       f"steps, {self.name}, loss {event.loss:.3f}")
            case Message(warning=True) | TrainingWarning():
                self.reporter.warning(f"{self.name}: {event.text}")
            case _:
                pass
        return self.reporter.stop_requested


def tell_cost(fit: Fit) -> None:
    """Say how much longer a run takes for its folds."""
    folds = fit.prepared.dataset.folds
    if folds is not None and fit.prepared.total_steps:
        fit.reporter.info(f"{folds.count} folds and the model itself are {folds.count + 1} trainings: about "
                          f"{folds.count + 1} times that time (--folds 0 makes one)")


def train_folds(fit: Fit) -> None:
    """Train and predict each fold that is not done yet, and keep the outputs of all; raises UserError."""
    folds = fit.prepared.dataset.folds
    if folds is None:
        return
    listener, parts = FoldListener(folds.count, fit.reporter), list[FoldOutputs]()
    for fold in range(folds.count):
        listener.fold, folder = fold, RunFolder(fit.folder / FOLDS / str(fold + 1))
        part = FoldOutputs.load(folder)
        if part is None:
            fit.interrupts.place = f" in {listener.name}"
            part = train_fold(fit, fold, folder, listener)
            fit.interrupts.place = ""
        with disk_errors(folder.path, RESUME):
            for path in folder.path.iterdir():
                if path.name != OUTPUTS_FILE:
                    remove(path)
        listener.steps = listener.steps or part.steps
        parts.append(part)
    fit.prepared.out_of_fold = OutOfFold(parts)
    fit.reporter.info(f"all {folds.count} folds are predicted; now the saved model is trained on all rows")


def train_fold(fit: Fit, fold: int, folder: RunFolder, listener: FoldListener) -> FoldOutputs:
    """One fold: train a model on the other rows, predict its own, and keep the outputs."""
    dataset = fit.prepared.dataset
    assert dataset.folds is not None, "there are no folds"
    places = dataset.folds.held_out_places(fold)
    held_out = dataset.splits["train"].part(places)
    with disk_errors(folder.path, RESUME):
        make_folder(folder.path)
    reporter = Reporter(listener)
    prepared = prepare_fold(fit.prepared, fold, reporter)
    encoded([outputs for outputs, _ in prepared.predictor().outputs_of(held_out[:TRIAL_ROWS])])
    fold_fit = begin(folder, prepared, RunLog(folder / "log.jsonl"), reporter, fit.interrupts, fit.record,
                     world=fit.world, fold=fold)
    fit_with_back_off(fold_fit)
    if fit.reporter.stop_requested:
        raise fit.interrupts.error(f"stopped by a listener and saved after step {fold_fit.state.step}")
    finish_model(fold_fit)
    outputs, layers = zip(*prepared.predictor().outputs_of(held_out, seed=prepared.settings.seed), strict=True)
    part = FoldOutputs(places.tolist(), outputs, layers, fold_fit.state.step, round(fold_fit.seconds, 3))
    part.save(folder)
    fit.reporter.info(f"{listener.name}: {describe(prepared, part, held_out)}")
    return part


def describe(prepared: Prepared, part: FoldOutputs, held_out: Sequence[Example]) -> str:
    """A fold's first score, before anything is tuned."""
    predictions = decode_outputs(prepared.task, held_out, part.outputs, part.layers)
    name, score = next(iter(evaluate(prepared.task, held_out, predictions, resamples=0, seed=0).scores.items()))
    value = "undefined" if score.value is None else f"{score.value:.4f}"
    return (f"trained on {len(prepared.dataset.splits['train']):,} rows, {name} {value} on the {len(held_out):,} that "
            "it never saw")
