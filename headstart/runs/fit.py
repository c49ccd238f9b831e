"""Training with evaluation: consumes the loop's steps, logs, evaluates, saves, and decides to stop."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.contract import Json, Score
from headstart.data.features import cache
from headstart.data.features.batches import choose_batcher, collate, costs, micro, parted, planned, within
from headstart.data.features.features import Features
from headstart.evaluation.evaluate import measure, scores
from headstart.prediction.predict import predict
from headstart.progress import Voice
from headstart.runs.folder import Log, RunFolder
from headstart.runs.prepare import Prepared, can_pack
from headstart.runs.signals import Interrupts
from headstart.runs.variants import distillation
from headstart.training import checkpoint, estimate, precision, sparse_embeddings
from headstart.training.early_stopping import Progress
from headstart.training.loop import Plan, State, Step, load_weights, train
from headstart.training.losses import losses

if TYPE_CHECKING:
    from headstart.contract import Batch, Ints

EVERY = 10  # updates between log lines


@dataclass
class Fit:
    """Everything that one training needs, and how far it is."""

    folder: RunFolder
    prepared: Prepared
    log: Log
    voice: Voice
    interrupts: Interrupts
    state: State
    progress: Progress
    precision: str
    packed: bool
    warned: bool = False
    slots: int = 0
    tokens: int = 0
    seconds: float = 0.0
    epoch: int = 0  # whose features are held; a task that draws has others in each

    @property
    def features(self) -> Features:
        """The training rows."""
        return self.prepared.features

    def draw(self, epoch: int) -> None:
        """Make the features anew for an epoch, where the task draws."""
        prepared = self.prepared
        if prepared.task.draws and epoch != self.epoch:
            data = prepared.request.data
            prepared.features = cache.encode(prepared.task, prepared.data.splits["train"], prepared.model.tokenizer,
                                                     seed=prepared.request.seed, epoch=epoch, workers=data.workers, folder=data.cache)
            self.epoch = epoch

    def goal(self) -> losses.Objective:
        """What training makes small."""
        prepared = self.prepared
        own = losses.objective(prepared.task.head(), prepared.request.training, prepared.task.known.counts)
        return distillation.around(own, prepared.request, prepared.task, prepared.teacher, prepared.model)

    @property
    def checkpoints(self) -> Any:
        """The folder of checkpoints."""
        return self.folder / "checkpoints"

    def plan(self) -> Plan:
        """The updates of each epoch."""
        request = self.prepared.request

        def updates(epoch: int) -> list[Ints]:
            self.draw(epoch)
            return planned(self.prepared.model.kind, self.features, request.training, request.seed, epoch, packed=self.packed,
                           in_order=self.prepared.task.in_order(epoch))

        return updates

    def make(self, examples: Ints, size: int) -> list[Batch]:
        """An update's examples as micro-batches."""
        layout = self.prepared.model.layout(packed=self.packed)
        model = self.prepared.model
        if self.prepared.request.training.micro_batch is None:
            most = estimate.tokens_at_once(model.module, layers=model.facts.layers, width=model.facts.width,
                                           device=self.prepared.request.device,
                                           parts_are_read_twice=self.prepared.task.head().loss == "in-batch")
            size = within(examples, costs(model.kind, self.features), size, most)
        parts = micro(examples, self.features.example_lengths, size)
        return [collate(self.features.of_examples(part), layout) for part in parts]


def begin(folder: RunFolder, prepared: Prepared, log: Log, voice: Voice, interrupts: Interrupts) -> Fit:
    """Choose batcher and precision by rule, and take up the newest good checkpoint where there is one."""
    request, model, task = prepared.request, prepared.model, prepared.task
    name, why = choose_batcher(request.training.batcher, can_pack=can_pack(request, model, prepared.teacher))
    number, reason = precision.choose(request.training.precision, request.device)
    voice.say(f"batches: {name}, because {why}; precision {number}, because {reason}")
    if request.training.gradient_checkpointing:
        model.checkpoint_gradients()
    state = State.fresh(model, request.training, precision=number, device=request.device)
    if training_tokens := request.training.batch_tokens:
        largest = max(map(len, planned(model.kind, prepared.features, request.training, request.seed, 0, packed=name == "packed")))
        state.micro = request.training.micro_batch or largest
        voice.say(f"updates of at most {training_tokens:,} tokens, padding included: up to {largest:,} examples")
    sparse_embeddings.trim(state.optimizer, model.module, prepared.features.token_ids())
    score, higher = task.best
    fit = Fit(folder, prepared, log, voice, interrupts, state, Progress(score, higher), number, name == "packed")
    newest, passed = checkpoint.newest_valid(fit.checkpoints)
    for words in passed:
        voice.say(words)
    if newest is not None:
        held = state.load(newest)
        fit.progress = Progress(**held["best"])
        fit.warned, fit.slots, fit.tokens, fit.seconds = (held[key] for key in ("warned", "slots", "tokens", "seconds"))
        log.rewind(state.update)
        voice.say(f"going on after update {state.update} of {prepared.total_updates}")
    return fit


def tell_estimate(fit: Fit) -> None:
    """Measure the longest batch and say what the run will take; raises UserError when it cannot fit."""
    prepared = fit.prepared
    request = prepared.request
    lengths, updates = fit.features.example_lengths, fit.plan()(0)
    taken = costs(prepared.model.kind, fit.features)
    longest = (max(updates, key=lambda update: int(taken[update].max())) if request.training.batch_tokens else
               np.argsort(-taken, kind="stable")[:request.training.batch_size])
    found = estimate.measure(
        prepared.model, fit.make(longest, fit.state.micro), fit.goal(), updates=prepared.total_updates,
        mean_tokens=float(lengths.sum()) / len(updates), precision=fit.precision, device=request.device,
        folder=fit.folder.path, kept=request.training.keep)
    fit.voice.say(found.words())
    fit.log.write("estimate", **found.json())


def first_batch(fit: Fit) -> dict[str, Json]:
    """The first training batch, decoded, as the model saw it."""
    updates = fit.plan()(0)
    batch = fit.make(updates[0], fit.state.micro)[0]
    tokenizer = fit.prepared.model.tokenizer
    rows: list[Json] = []
    targets = {name: parted(batch, name) for name in batch.targets}
    for n, (row, start, end) in enumerate(batch.segments.tolist()):
        ids = batch.ids[row, start:end].tolist()
        rows.append({"row": row, "begin": start, "end": end, "tokens": tokenizer.held.convert_ids_to_tokens(ids), "ids": ids,
                     "weight": float(batch.weights[n]),
                     "targets": {name: values[n].tolist() for name, values in targets.items()}})
    return {"packed": fit.packed, "shape": list(batch.ids.shape), "features": rows}


def fit_all(fit: Fit) -> None:
    """Every update to the end (or until patience is out), then the best weights back in the model.

    Raises UserError (75) after saving when a signal asked to stop.
    """
    prepared, request = fit.prepared, fit.prepared.request
    training, total = request.training, prepared.total_updates
    counts = prepared.task.known.counts
    goal = fit.goal()
    class_weights = losses.balanced(counts) if training.class_weights == "balanced" else None
    per_epoch = len(fit.plan()(0))
    evaluate_every = training.evaluate_every or per_epoch
    fit.interrupts.waiting = True
    begun = time.perf_counter()
    if not fit.progress.exhausted(training.patience):
        for step in train(fit.state, fit.plan(), fit.make, goal, lambda batches: losses.total_weight(batches, class_weights),
                          training, total=total, seed=request.seed, precision=fit.precision, device=request.device):
            fit.slots, fit.tokens = fit.slots + step.slots, fit.tokens + step.tokens
            fit.seconds, begun = fit.seconds + time.perf_counter() - begun, time.perf_counter()
            tell_step(fit, step, total)
            due = step.update % evaluate_every == 0 or step.update == total
            if due:
                evaluate_now(fit, step)
                begun = time.perf_counter()
            save_due = step.update % training.save_every == 0 if training.save_every else due
            if save_due or step.update == total or fit.interrupts.asked or (due and step.update in fit.progress.best(training.keep_best)):
                save(fit)
                begun = time.perf_counter()
            if fit.interrupts.asked:
                raise fit.interrupts.error(f"interrupted and saved after update {step.update} of {total}")
            if due and fit.progress.exhausted(training.patience):
                fit.voice.say(f"stopped after update {step.update}: {training.patience} evaluations without a better {fit.progress.score}")
                break
    fit.interrupts.waiting = False
    load_best(fit)


def tell_step(fit: Fit, step: Step, total: int) -> None:
    """Log and show an update."""
    for note in step.notes:
        fit.voice.say(note)
        fit.log.write("warning", update=step.update, words=note)
    if step.skipped:
        fit.log.write("warning", update=step.update, words="a scaled overflow: this update was left out")
    if step.update % EVERY == 0 or step.update in (1, total):
        fit.log.write("update", update=step.update, epoch=step.epoch, loss=round(step.loss, 6), learning_rate=step.learning_rate,
                      gradient_norm=round(step.gradient_norm, 6), tokens=fit.tokens, seconds=round(fit.seconds, 3),
                      **({"padding": step.padding} if step.padding else {}))
    best = "" if fit.progress.value is None else f", {fit.progress.score} {fit.progress.value:.4f}"
    fit.voice.progress(step.update, total, f"updates, loss {step.loss:.3f}{best}")


def evaluate_now(fit: Fit, step: Step) -> None:
    """Score dev, without intervals (they come at the end), and remember the best."""
    prepared = fit.prepared
    begun = time.perf_counter()
    found, measures = quick_scores(fit)
    fit.progress = fit.progress.after(step.update, found[fit.progress.score].value)
    fit.log.write("evaluation", update=step.update, split="dev", seconds=round(time.perf_counter() - begun, 3),
                  scores={name: score.value for name, score in found.items()})
    words = prepared.task.warn(measures)
    if words is not None and not fit.warned:
        fit.warned = True
        fit.voice.say(f"after update {step.update}: {words}")
        fit.log.write("warning", update=step.update, words=words)


def quick_scores(fit: Fit) -> tuple[Mapping[str, Score], Any]:
    """Scores on dev without intervals, and the measures."""
    prepared = fit.prepared
    dev = prepared.measured("dev")
    answers = predict(prepared.task, prepared.model, dev, batch_tokens=prepared.request.evaluation.batch_tokens,
                      seed=prepared.request.seed)
    measures = measure(prepared.task, dev, answers)
    return scores(prepared.task, measures, None, resamples=0, seed=0), measures


def save(fit: Fit) -> None:
    """A checkpoint of this update; older ones but the best go."""
    held = {"best": vars(fit.progress), "warned": fit.warned, "slots": fit.slots, "tokens": fit.tokens,
            "seconds": round(fit.seconds, 3), "learned": fit.prepared.task.known.json()}
    checkpoint.save(fit.checkpoints, fit.state.update, lambda place: fit.state.save(place, held))
    training = fit.prepared.request.training
    best = [checkpoint.name_of(update) for update in fit.progress.best(training.keep_best)]
    checkpoint.prune(fit.checkpoints, keep=training.keep, protect=best)
    fit.log.write("checkpoint", update=fit.state.update)


def load_best(fit: Fit) -> None:
    """The weights of the best checkpoint."""
    assert fit.progress.update is not None
    place = fit.checkpoints / checkpoint.name_of(fit.progress.update)
    load_weights(fit.prepared.model, place)
    fit.voice.say(f"best {fit.progress.score} on dev after update {fit.progress.update}")
