"""The recipe: learning rate, batch, steps and warm-up by rule where the user sets none, each with its reason in words.

Measured in docs/defaults.md. It looks at the rows, the labels, whether a row is a pair of texts, the model's width, and
what the model was trained for before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from headstart.settings import Training

LORA = 10  # times the rate of the whole model
WIDTH, WIDTH_RATE = 768, 5e-5  # of a base model, and the field's habit for it
LOWEST_RATE, HIGHEST_RATE = 1e-5, 3e-4
MANY_LABELS = 6  # from here on labels are topics or intents, which the words of a text tell
# labels below which a high rate collapses; of three it learns also a rare one, which half of it does not
FEW_LABELS = {"text-classification": 3, "multilabel-classification": MANY_LABELS}
JUDGING = ("text-classification", "multilabel-classification", "multiple-choice")  # tasks that a high rate collapses
NEW_HEADS = (*JUDGING, "regression", "token-tagging", "question-answering")  # tasks whose head is trained from nothing
FEWEST_STEPS, FEWEST_STEPS_OF_NEW_HEADS = 120, 200
STEPS_A_LABEL, MOST_EPOCHS_OF_LABELS = 18, 10
FEWEST_EPOCHS, FEWEST_EPOCHS_OF_FEW_ROWS, ROWS_OF_FEWER_EPOCHS = 3, 5, 5000
FEW_ROWS, SMALL_BATCH = 2000, 16
EVALUATIONS = 20  # of dev in one training at most: each may write a checkpoint


@dataclass(frozen=True)
class Choice:
    """A chosen number and why."""

    value: float
    reason: str


@dataclass(frozen=True)
class Subject:
    """What the recipe looks at; `labels` is 0 for a task without labels."""

    task: str
    rows: int
    labels: int
    width: int
    is_pair: bool = False
    is_sentence_encoder: bool = False


def learning_rate(subject: Subject) -> Choice:
    """Peak learning rate: 5e-5 for a width of 768, growing with the square of how much narrower the model is; less for
    what a high rate makes answer with one label.
    """
    base = rounded(min(HIGHEST_RATE, max(LOWEST_RATE, WIDTH_RATE * (WIDTH / subject.width) ** 2)))
    words = f"{base:g} suits a model of width {subject.width}"
    share, reason = rate_share(subject)
    return Choice(rounded(share * base), f"{words}; {reason}" if reason else words)


def rate_share(subject: Subject) -> tuple[float, str]:
    """Which share of the width's rate is used, and why; no words where it is all."""
    if subject.task in JUDGING and (subject.is_pair or subject.task == "multiple-choice"):
        return 1 / 3, "a third of it, because on pairs of texts a high rate may end with one answer for all"
    if subject.labels < FEW_LABELS.get(subject.task, 0):
        return 1 / 2, f"half of it, because with few labels ({subject.labels}) a high rate may give one answer to all"
    if subject.task == "regression":
        return 1 / 2, "half of it, because numbers are predicted"
    return 1.0, ""


def batch_size(subject: Subject) -> int:
    """Examples of a step: 16 below 2,000 rows where the rate is lowered, so that an epoch makes steps enough; else 32.

    At the full rate steps of 16 are too rough: 8 labels on 650 rows lost 1 point on dev and 9 on test.
    """
    if subject.rows < FEW_ROWS and rate_share(subject)[0] < 1:
        return SMALL_BATCH
    return Training().examples_per_step


def steps(subject: Subject) -> int:
    """Fewest steps: 120; 200 where a head is trained from nothing, unless a sentence encoder tells many labels apart,
    as its vectors do so already.

    Few rows need as many steps as more rows do: what looks like a bad draw is mostly a training that ended too early
    (Mosbach et al. 2021, section 5; Zhang et al. 2021, section 5).
    """
    tells_apart = subject.task in JUDGING and subject.labels >= MANY_LABELS and subject.is_sentence_encoder
    is_new = subject.task in NEW_HEADS and not tells_apart
    return FEWEST_STEPS_OF_NEW_HEADS if is_new else FEWEST_STEPS


def epochs(subject: Subject, steps_per_epoch: int) -> Choice:
    """Whole passes over the rows that make those steps, and at least 3; 5 below 5,000 rows. Many labels take more: 18
    steps each, in 10 epochs at most; the 77 of BANKING77 need 1,400 steps.
    """
    fewest = FEWEST_EPOCHS_OF_FEW_ROWS if subject.rows < ROWS_OF_FEWER_EPOCHS else FEWEST_EPOCHS
    least = max(fewest, -(-steps(subject) // steps_per_epoch))
    by_label = min(MOST_EPOCHS_OF_LABELS, -(-STEPS_A_LABEL * subject.labels // steps_per_epoch))
    if by_label > least:
        return Choice(float(by_label), f"{STEPS_A_LABEL} steps for each of {subject.labels} labels, in "
                                       f"{MOST_EPOCHS_OF_LABELS} epochs at most")
    return Choice(float(least), f"at least {steps(subject)} steps and {fewest} epochs")


def evaluation_interval(total_steps: int, steps_per_epoch: int) -> int:
    """Steps between evaluations on dev: an epoch, or more where those would be more than 20."""
    return max(steps_per_epoch, -(-total_steps // EVALUATIONS))


def choose_rate(training: Training, subject: Subject) -> Choice:
    """The learning rate: the user's, else by rule; an adapter takes ten times the rate of the whole model."""
    if training.learning_rate is not None:
        return Choice(training.learning_rate, "you chose it")
    choice = learning_rate(subject)
    if training.adapter != "none":
        return Choice(rounded(LORA * choice.value), f"{LORA} times the rate of the whole model, {choice.value:g}, "
                                                    "because it is an adapter")
    return choice


def with_batch_size(training: Training, subject: Subject) -> Training:
    """The settings with a batch size: by rule where the number of steps is, too."""
    if training.batch_size is not None or training.batch_tokens is not None:
        return training
    chooses_steps = training.epochs is None and training.max_steps is None
    size = batch_size(subject) if chooses_steps else training.examples_per_step
    return replace(training, batch_size=size)


def with_back_off(training: Training) -> Training:
    """The settings with whether training begins again at a lower rate: only where the rate was chosen by rule."""
    if training.back_off != "auto":
        return training
    return replace(training, back_off="on" if training.learning_rate is None else "off")


def rounded(rate: float) -> float:
    """A learning rate to two digits."""
    return float(f"{rate:.2g}")
