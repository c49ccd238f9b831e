"""Few rows in a run: a sentence encoder trained by comparing texts, or left as it is, with a linear classifier of its
vectors (Tunstall et al. 2022, "Efficient few-shot learning without prompts").

The classifier is a logistic regression, and stands in the family's own classification head; it is fitted anew whenever
the model predicts, from the weights of that moment, so a resumed run ends with the same bits.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from headstart.contract import Task
from headstart.data.features.features import Features
from headstart.errors import Exit, UserError, first_names
from headstart.models.heads import linear_head
from headstart.models.loading.weights import checksum
from headstart.models.model import Model
from headstart.preparation.dataset import Dataset
from headstart.progress import Reporter
from headstart.runs.choose_model import choose_model
from headstart.runs.variants.sentence_head import HeadInputs, fit_classifier, head_inputs
from headstart.runs.variants.variant import Schedule, Variant
from headstart.settings import Training
from headstart.settings.run_settings import RunSettings
from headstart.training.losses import LossFunction
from headstart.training.objectives.label_contrast import LabelContrast
from headstart.training.objectives.objective import Objective

if TYPE_CHECKING:
    from headstart.contract import Ints

# Of a base model, as in Tunstall et al. 2022; narrower ones learn faster, by the square of the width. At 2e-4 in the
# place of 5e-5 MiniLM unlearns what is no topic (three kinds of tweets, 8 rows each: macro F1 46.7, not 54.9).
LEARNING_RATE, WIDTH, HIGHEST_RATE = 2e-5, 768, 5e-5
BATCH_SIZE, FEWEST_TEXTS = 16, 4
STEP_SETTINGS = ("epochs", "max_steps", "learning_rate")  # that a user may set, and that no step reads in frozen
PASSES = 30  # through the rows, where those are neither fewer nor more than these steps
FEWEST_STEPS, MOST_STEPS = 60, 150


class FewRows(Variant):
    """Trains a sentence encoder by comparing texts (contrastive), or not at all (frozen); a linear classifier reads it.
    """

    compares_texts = True

    def __init__(self, method: str) -> None:
        self.method = method
        # of each model (the run's, and each fold's) the checksum of the weights that its classifier was fitted to
        self.fitted_sums: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self.finished: WeakSet[Any] = WeakSet()

    def resolve(self, settings: RunSettings, device: str, reporter: Reporter) -> RunSettings:
        """Refuses what does not go with it; raises UserError (78)."""
        if ways := other_ways(settings):
            flag, _ = ways[0]
            raise UserError(f"training.method={self.method} reads a pretrained sentence encoder with a linear "
                            f"classifier; it does not go with {flag}.", fix="Leave one of the two out.",
                            exit=Exit.SETTINGS)
        size = settings.training.batch_size
        if self.method == "contrastive" and size is not None and size < FEWEST_TEXTS:
            raise UserError(f"training.batch_size is {size}, but training.method is contrastive, which compares the "
                            f"texts of a step: {FEWEST_TEXTS} are the least, two of each of two labels.",
                            fix=f"Leave it out ({BATCH_SIZE} is the default), or raise it.", exit=Exit.SETTINGS)
        return settings

    def dataset(self, dataset: Dataset, settings: RunSettings, reporter: Reporter) -> Dataset:
        """The rows as they are; raises UserError (65, 78) for a task, or for rows, that cannot be compared by label."""
        check_task(dataset.task, self.method)
        if self.method == "contrastive":
            check_rows(dataset)
        return dataset

    def model(self, settings: RunSettings, task: Task[Any], device: str,
              reporter: Reporter) -> tuple[Model, RunSettings]:
        """The encoder, its head a way for its sentence vector to the classifier; raises UserError (2, 69, 78)."""
        model = choose_model(settings, task, device, reporter, sentence_vectors=True)
        linear_head.pass_states_on(model)
        model.sentence_vectors = True
        return model, settings

    def schedule(self, settings: RunSettings, model: Model, features: Features,
                 reporter: Reporter) -> Schedule | None:
        """How long the texts are compared; no step at all where the encoder stays as it is."""
        training = settings.training
        rate = training.learning_rate or min(HIGHEST_RATE, LEARNING_RATE * (WIDTH / model.info.width) ** 2)
        training = dataclasses.replace(training, learning_rate=rate, batch_size=training.batch_size or BATCH_SIZE,
                                       back_off="off")
        if self.method == "frozen":
            unread = [f"training.{name}" for name in STEP_SETTINGS if getattr(settings.training, name) is not None]
            reporter.info("no training step: the encoder is frozen, and a logistic regression is fitted on its vectors"
                          + (f"; not read: {', '.join(unread)}" if unread else ""))
            return Schedule(training, 0)
        total_steps = step_count(training, features.examples)
        reporter.info(f"{total_steps:,} steps of {training.examples_per_step} texts, which are compared with each "
                      f"other, at a learning rate of {rate:g}; then a logistic regression is fitted on their vectors")
        # Dev of few rows says too little to choose a checkpoint by: it is scored once, at the end.
        return Schedule(dataclasses.replace(training, epochs=None, max_steps=total_steps,
                                            evaluate_every=training.evaluate_every or total_steps), total_steps)

    def epoch_steps(self, features: Features, settings: RunSettings, epoch: int) -> list[Ints] | None:
        """Steps in which every text has others of its label beside it."""
        import numpy as np

        labels = np.asarray([int(features.targets[features.example_ends[example]]["label"].value)
                             for example in range(features.examples)])
        return label_batches(labels, settings.training.examples_per_step, settings.seed, epoch)

    def objective(self, task_loss: LossFunction[Any], task: Task[Any], model: Model,
                  settings: RunSettings) -> Objective:
        """Texts of one label near one another."""
        return LabelContrast(task_loss.spec, settings.training, ())

    def before_predicting(self, task: Task[Any], model: Model, features: Features, settings: RunSettings) -> None:
        """Fit the classifier to the weights as they are now."""
        prefix = f"{model.module.base_model_prefix}."
        weights_sum = checksum(weight for name, weight in model.module.named_parameters() if name.startswith(prefix))
        if model.module in self.finished or weights_sum == self.fitted_sums.get(model.module):
            return
        inputs = head_inputs(model, features, batch_tokens=settings.evaluation.batch_tokens)
        self.fit(task, model, inputs, settings)
        self.fitted_sums[model.module] = weights_sum

    def fit(self, task: Task[Any], model: Model, inputs: HeadInputs, settings: RunSettings) -> None:
        """Fit the classifier to what the head reads of the training rows."""
        fit_classifier(model, inputs, len(task.learned.labels),
                       balanced=settings.training.class_weights == "balanced")

    def finish(self, task: Task[Any], model: Model, features: Features, settings: RunSettings) -> None:
        """The classifier of the final weights; what is rounded or changed later is scored as it is."""
        self.before_predicting(task, model, features, settings)
        self.finished.add(model.module)


def other_ways(settings: RunSettings) -> list[tuple[str, str]]:
    """What makes the training another than that of a whole pretrained model: how it is asked for, and in words."""
    training = settings.training
    ways = [("--from-scratch", "the model is made from scratch", settings.from_scratch is not None),
            (f"training.adapter={training.adapter}", f"training.adapter is {training.adapter}",
             training.adapter != "none"),
            ("training.early_exit", "training.early_exit is true", training.early_exit),
            ("headstart distil", "a student has a teacher", settings.teacher is not None)]
    return [(flag, words) for flag, words, applies in ways if applies]


def step_count(training: Training, rows: int) -> int:
    """How many steps texts are compared for."""
    per_epoch = max(1, -(-rows // training.examples_per_step))
    if training.max_steps is not None and training.epochs is None:
        return training.max_steps
    steps = (max(1, round(training.epochs * per_epoch)) if training.epochs is not None
             else max(FEWEST_STEPS, min(PASSES * per_epoch, MOST_STEPS)))
    return min(steps, training.max_steps or steps)


def label_batches(labels: Ints, batch_size: int, seed: int, epoch: int) -> list[Ints]:
    """An epoch's steps, each row once: groups of rows of one label, at least two, drawn together; a pure function of
    (seed, epoch), as many steps in each epoch.
    """
    import numpy as np

    rng = np.random.default_rng([seed, epoch])
    names = np.unique(labels)
    group_size, step_count = max(2, batch_size // len(names)), max(1, -(-len(labels) // batch_size))
    groups: list[Ints] = []
    for name in names:
        rows = rng.permutation(np.flatnonzero(labels == name))
        groups += np.array_split(rows, max(1, len(rows) // group_size, min(step_count, len(rows) // 2)))
    order = rng.permutation(len(groups))
    steps: list[list[Ints]] = [[] for _ in range(step_count)]
    sizes = np.zeros(step_count, dtype=np.int64)
    # The largest first, each where there is least: steps of about one size.
    for group in sorted(order.tolist(), key=lambda index: -len(groups[index])):
        step = int(sizes.argmin())
        steps[step].append(groups[group])
        sizes[step] += len(groups[group])
    return [np.concatenate(parts) for parts in steps if parts]


def unfit_task(task: Task[Any]) -> str:
    """Why a task's rows cannot be read by a linear classifier of sentence vectors; "" where they can."""
    head = task.head()
    if head.kind == "sequence-classification" and head.loss.exit_answer == "class":
        return ""
    return f"an answer of {task.name} is not one label for a text"


def check_task(task: Task[Any], method: str) -> None:
    """Refuse a task without one label for a text; raises UserError (78)."""
    if reason := unfit_task(task):
        raise UserError(f"training.method is {method}, but {reason}.",
                        fix="Use --method plain, or leave it out: contrastive and frozen go with text-classification.",
                        exit=Exit.SETTINGS)


def check_rows(dataset: Dataset) -> None:
    """Refuse labels with a single training row: there is nothing of its label to compare it with; raises UserError
    (65).
    """
    learned = dataset.task.learned
    alone = [label for label, count in zip(learned.labels, learned.counts, strict=True) if count < 2]
    if alone:
        names = first_names([repr(label) for label in alone], 5)
        raise UserError(f"training.method is contrastive, which compares texts of one label, but of {names} there is "
                        "only one training row.",
                        fix="Label at least one more row of each, leave such rows out, or use --method frozen, which "
                            "needs one row a label.", exit=Exit.DATA)
