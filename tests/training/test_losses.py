"""Losses: every task's has a file, each equals its formula written out in plain torch, and a file adds another one."""

import ast
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch.nn import functional

from headstart import tasks
from headstart.contract import Batch, Learned, Loss
from headstart.contract import losses as declared_losses
from headstart.contract.losses import (
    BeamSpan,
    BinaryCrossEntropy,
    ChoiceCrossEntropy,
    ChoiceWithLanguageModel,
    CrossEntropy,
    InBatchNegatives,
    MaskedTokensAndNextSentence,
    SpanCrossEntropy,
    SquaredError,
    TokenBinaryCrossEntropy,
    VocabularyCrossEntropy,
)
from headstart.errors import UserError
from headstart.runs.unread import unread_by_loss
from headstart.settings import Training
from headstart.training import losses
from headstart.training.losses import build_loss

PACKAGE = Path(losses.__file__).parents[2]
LOSS_CLASSES = [value for value in vars(declared_losses).values()
                if isinstance(value, type) and issubclass(value, Loss) and value is not Loss]
WITH_OTHER_SETTINGS = {"multiple-choice": {"lm_loss_weight": 0.5}, "question-answering": {"beam_search": True}}
CLASSES, VOCABULARY, WIDTH = 4, 9, 6
COUNTS = (5, 3, 0, 8)  # training rows of each class
SETTINGS = {"class_weights": "balanced", "label_smoothing": 0.1, "focal_gamma": 1.5}


@dataclass
class Case:
    """A batch, a model that gives random outputs, and the loss sum written out for some settings."""

    loss: Loss
    batch: Batch
    model: SimpleNamespace
    expected: object  # settings -> the loss sum in double precision


def batch_of(generator, lengths, *, groups=None, label_counts=None, **targets):
    """Features end to end in one row; targets as name=(values, level)."""
    ends = np.cumsum(lengths)
    segments = np.stack([np.zeros(len(lengths), dtype=np.int64), ends - lengths, ends], axis=1)
    ids = np.zeros((1, int(ends[-1])), dtype=np.int64)
    label_counts = np.zeros(len(lengths), dtype=np.int64) if label_counts is None else label_counts
    return Batch(ids, ids, segments, {name: values for name, (values, _) in targets.items()},
                 generator.uniform(0.2, 1.0, len(lengths)),
                 np.arange(len(lengths)) if groups is None else groups, np.arange(int(label_counts.sum())),
                 label_counts, {name: level for name, (_, level) in targets.items()})


def tensor(generator, *shape):
    return torch.from_numpy(generator.normal(0, 2, shape).astype(np.float32))


def model_of(**outputs):
    return SimpleNamespace(forward=lambda batch: outputs)


def some_missing(generator, targets):
    return np.where(generator.random(targets.shape) < 0.3, -100, targets)


def class_loss(logits, target, settings):
    """Cross-entropy of one target as the papers write it; 0 where there is none."""
    if target == -100:
        return 0.0
    weights = torch.ones(len(logits), dtype=torch.float64)
    if settings.class_weights == "balanced":
        weights = torch.tensor([sum(COUNTS) / (len(COUNTS) * count) if count else 0.0 for count in COUNTS]).double()
    logs = torch.log_softmax(logits.double(), dim=0)
    focused = -weights[target] * (1 - logs[target].exp()) ** settings.focal_gamma * logs[target]
    return float((1 - settings.label_smoothing) * focused - settings.label_smoothing * (weights * logs).mean())


def cross_entropy_case(generator, level):
    lengths = generator.integers(1, 6, 5)
    label_counts = generator.integers(0, 3, 5)
    count = {"feature": 5, "token": int(lengths.sum()), "position": int(label_counts.sum())}[level]
    targets, logits = some_missing(generator, generator.integers(0, CLASSES, count)), tensor(generator, count, CLASSES)
    batch = batch_of(generator, lengths, label_counts=label_counts, label=(targets, level))

    def expected(settings):
        weights = batch.weights if level == "feature" else np.ones(count)
        return sum(weight * class_loss(scores, target, settings)
                   for weight, scores, target in zip(weights, logits, targets, strict=True))

    return Case(CrossEntropy(), batch, model_of(logits=logits), expected)


def vocabulary_case(generator):
    label_counts = generator.integers(0, 9, 4)
    count = int(label_counts.sum())
    states, weight = tensor(generator, count, WIDTH), tensor(generator, VOCABULARY, WIDTH).requires_grad_()
    targets = generator.integers(0, VOCABULARY, count)
    batch = batch_of(generator, label_counts + 1, label_counts=label_counts, label=(targets, "position"))
    model = SimpleNamespace(read_states=lambda batch: {"logits": states}, scorer=None,
                            apply_head=lambda states: states @ weight.T, head_parameters=lambda: [weight])
    return Case(VocabularyCrossEntropy(), batch, model, lambda settings: sum(
        class_loss(weight.detach() @ state, target, settings) for state, target in zip(states, targets, strict=True)))


def binary_case(generator):
    targets, logits = generator.integers(0, 2, (5, CLASSES)), tensor(generator, 5, CLASSES)
    batch = batch_of(generator, np.full(5, 3), label=(targets, "feature"))
    probability = torch.sigmoid(logits.double()).numpy()
    losses = -np.log(np.where(targets == 1, probability, 1 - probability)).mean(axis=1)
    return Case(BinaryCrossEntropy(), batch, model_of(logits=logits), lambda settings: float(losses @ batch.weights))


def token_binary_case(generator):
    lengths = generator.integers(1, 6, 4)
    count = int(lengths.sum())
    targets, logits = some_missing(generator, generator.integers(0, 2, count)), tensor(generator, count, 1)
    probability = torch.sigmoid(logits[:, 0].double()).numpy()
    losses = np.where(targets == 1, -np.log(probability), -np.log(1 - probability)) * (targets != -100)
    return Case(TokenBinaryCrossEntropy(), batch_of(generator, lengths, label=(targets, "token")),
                model_of(logits=logits), lambda settings: float(losses.sum()))


def squared_case(generator):
    targets, outputs = generator.normal(0, 1, 5), tensor(generator, 5, 1)
    batch = batch_of(generator, np.full(5, 2), label=(targets, "feature"))
    return Case(SquaredError(), batch, model_of(logits=outputs), lambda settings: sum(
        weight * (float(output) - target) ** 2
        for weight, output, target in zip(batch.weights, outputs[:, 0], targets, strict=True)))


def span_losses(start_logits, end_logits, start, end):
    return [-float(torch.log_softmax(scores.double(), dim=0)[position])
            for scores, position in ((start_logits, start), (end_logits, end))]


def span_case(generator):
    lengths = generator.integers(2, 7, 4)
    spans = np.stack([generator.integers(0, lengths), generator.integers(0, lengths)], axis=1)
    spans[0] = -1  # no target
    logits = tensor(generator, int(lengths.sum()), 2)
    batch = batch_of(generator, lengths, label=(spans, "feature"))

    def expected(settings):
        return sum(weight * sum(span_losses(scores[:, 0], scores[:, 1], *span)) / 2 for weight, scores, span
                   in zip(batch.weights, logits.split(lengths.tolist()), spans, strict=True) if span[0] >= 0)

    return Case(SpanCrossEntropy(), batch, model_of(logits=logits), expected)


def beam_span_case(generator):
    lengths = np.array([3, 5, 4])
    spans = np.stack([generator.integers(0, lengths), generator.integers(0, lengths)], axis=1)
    spans[1] = 0  # the pooled token: there is no answer
    starts, ends, no_answer = tensor(generator, 3, 5), tensor(generator, 3, 5), tensor(generator, 3)
    for scores in (starts, ends):
        scores[0, 3:] = scores[2, 4:] = -1e30  # as the head's mask has it
    head = SimpleNamespace(start_logits=lambda states, p_mask: starts,
                           end_logits=lambda states, start_positions, p_mask: ends,
                           answer_class=lambda states, start_positions, cls_index: no_answer)
    inputs = SimpleNamespace(head=head, states=torch.zeros(3, 5, WIDTH), outside=torch.zeros(3, 5),
                             pooled_positions=torch.zeros(3, dtype=torch.long))
    batch = batch_of(generator, lengths, label=(spans, "feature"))

    def expected(settings):
        return sum(batch.weights[row] * (
            sum(span_losses(starts[row], ends[row], *spans[row])) / 2 + 0.5 * float(functional.softplus(
                (-no_answer[row] if spans[row][0] == 0 else no_answer[row]).double()))) for row in range(3))

    return Case(BeamSpan(), batch, SimpleNamespace(span_head_inputs=lambda batch: inputs), expected)


def choice_groups(generator):
    """Choices of four questions: the group of each, and 1 for the right one."""
    groups = np.repeat(np.arange(4), generator.integers(2, 5, 4))
    targets = np.zeros(len(groups), dtype=np.int64)
    for group in range(4):
        targets[generator.choice(np.flatnonzero(groups == group))] = 1
    return groups, targets


def choice_loss(scores, groups, targets, group):
    inside = groups == group
    return float(functional.cross_entropy(scores[inside].double()[None], torch.tensor([int(targets[inside].argmax())])))


def choice_case(generator):
    groups, targets = choice_groups(generator)
    logits = tensor(generator, len(groups), 1)
    batch = batch_of(generator, np.full(len(groups), 2), groups=groups, label=(targets, "feature"))
    return Case(ChoiceCrossEntropy(), batch, model_of(logits=logits), lambda settings: sum(
        weight * choice_loss(logits[:, 0], groups, targets, group)
        for weight, group in zip(batch.weights, groups, strict=True)))


def choice_with_language_model_case(generator):
    groups, targets = choice_groups(generator)
    lengths = generator.integers(2, 6, len(groups))
    borders = torch.from_numpy(np.stack([np.cumsum(lengths) - lengths, np.cumsum(lengths)], axis=1))
    states, choice_weight = tensor(generator, int(lengths.sum()), WIDTH), tensor(generator, WIDTH)
    vocabulary_weight = tensor(generator, VOCABULARY, WIDTH)
    next_tokens = np.where(np.repeat(targets, lengths) == 1, generator.integers(0, VOCABULARY, len(states)), -100)
    next_tokens[np.cumsum(lengths) - 1] = -100  # nothing follows the last token
    batch = batch_of(generator, lengths, groups=groups, label=(targets, "feature"), next_token=(next_tokens, "token"))
    head = SimpleNamespace(
        lm_head=lambda module, states: states @ vocabulary_weight.T,
        outputs={"logits": SimpleNamespace(apply=lambda module, states: (states @ choice_weight)[:, None])})
    model = SimpleNamespace(head="both", module=None, states=lambda batch: (states, borders),
                            info=SimpleNamespace(family=SimpleNamespace(heads={"both": head})),
                            pooling_positions=lambda batch, pooling: borders[:, 1] - 1)

    def expected(settings):
        scores = states[borders[:, 1] - 1] @ choice_weight
        total = 0.0
        for index, (start, end) in enumerate(borders.tolist()):
            total += batch.weights[index] * choice_loss(scores, groups, targets, groups[index])
            if targets[index]:  # the tokens of a row count once, whatever its choices weigh
                token_losses = functional.cross_entropy(
                    (states[start:end - 1] @ vocabulary_weight.T).double(), torch.from_numpy(next_tokens[start:end - 1]))
                total += 0.7 * float(token_losses)
        return total

    return Case(ChoiceWithLanguageModel(0.7), batch, model, expected)


def pretraining_case(generator):
    label_counts = np.array([2, 0, 3])  # one pair without a masked token
    masked, follows = generator.integers(0, VOCABULARY, 5), generator.integers(0, 2, 3)
    logits, next_logits = tensor(generator, 5, VOCABULARY), tensor(generator, 3, 2)
    batch = batch_of(generator, np.full(3, 6), label_counts=label_counts, label=(masked, "position"),
                     next=(follows, "feature"))

    def expected(settings):
        total, plain = 0.0, Training()
        for row, positions in enumerate(np.split(np.arange(5), np.cumsum(label_counts)[:-1])):
            masked_losses = [class_loss(logits[position], masked[position], plain) for position in positions]
            total += batch.weights[row] * (sum(masked_losses) / max(1, len(masked_losses))
                                           + class_loss(next_logits[row], follows[row], plain))
        return total

    return Case(MaskedTokensAndNextSentence(), batch, model_of(logits=logits, next=next_logits), expected)


def in_batch_case(generator):
    roles = np.array([0, 1, 2, 0, 1, 0, 1, 0, 1, 2])  # question, passage, hard negative
    texts = np.array([10, 20, 21, 11, 21, 10, 22, 12, 20, 23])  # two rows ask the same, two have the same passage
    vectors = functional.normalize(tensor(generator, 10, WIDTH), dim=1)
    batch = batch_of(generator, np.full(10, 3), role=(roles, "feature"), text=(texts, "feature"))
    questions, passages = np.flatnonzero(roles == 0), np.flatnonzero(roles == 1)
    candidates = [*passages, *np.flatnonzero(roles == 2)]

    def similarity(row, column):
        """q·p / τ, or nothing where the candidate answers the question, too, without being its passage."""
        answers = {texts[passages[other]] for other in range(4) if texts[questions[other]] == texts[questions[row]]}
        if column != row and texts[candidates[column]] in answers:
            return -np.inf
        return float(vectors[questions[row]].double() @ vectors[candidates[column]].double()) / 0.3

    def expected(settings):
        table = np.array([[similarity(row, column) for column in range(len(candidates))] for row in range(4)])
        return sum(np.log(np.exp(table[row]).sum()) + np.log(np.exp(table[:, row]).sum()) - 2 * table[row, row]
                   for row in range(4)) / 2

    return Case(InBatchNegatives(0.3), batch, model_of(logits=vectors), expected)


CASES = {
    CrossEntropy: [lambda generator, level=level: cross_entropy_case(generator, level)
                   for level in ("feature", "token", "position")],
    VocabularyCrossEntropy: [vocabulary_case], BinaryCrossEntropy: [binary_case],
    TokenBinaryCrossEntropy: [token_binary_case], SquaredError: [squared_case], SpanCrossEntropy: [span_case],
    BeamSpan: [beam_span_case], ChoiceCrossEntropy: [choice_case],
    ChoiceWithLanguageModel: [choice_with_language_model_case], MaskedTokensAndNextSentence: [pretraining_case],
    InBatchNegatives: [in_batch_case]}
EVERY = pytest.mark.parametrize(("loss_class", "make_case"), [
    (loss_class, make_case) for loss_class, cases in CASES.items() for make_case in cases])


def loss_value(case, settings):
    return float(build_loss(case.loss, settings, COUNTS)(case.model, case.batch).detach())


@pytest.mark.parametrize("name", tasks.names())
def test_the_loss_of_every_task_has_a_file_and_a_reference(name):
    task_class = tasks.find(name)
    for options in ({}, WITH_OTHER_SETTINGS.get(name, {})):
        task = task_class(task_class.Settings(**options)).with_learned(Learned(("no", "yes"), (2, 3)))
        loss = task.head().loss
        assert type(loss) in CASES, f"write {type(loss).__name__} out in this file"
        assert losses.find(type(loss)).__module__ == f"headstart.training.losses.{type(loss).file_name()}"


def test_every_loss_has_a_file_and_every_file_a_loss():
    assert {loss_class.file_name() for loss_class in LOSS_CLASSES} == set(losses.names())
    assert set(LOSS_CLASSES) == set(CASES)
    for loss_class in LOSS_CLASSES:
        docstring = sys.modules[losses.find(loss_class).__module__].__doc__
        assert "    loss = " in docstring and "| input | shape |" in docstring, loss_class


@EVERY
@pytest.mark.parametrize("seed", range(4))
def test_every_loss_is_its_formula_on_random_inputs(loss_class, make_case, seed):
    case = make_case(np.random.default_rng(seed))
    settings = Training(**{name: value for name, value in SETTINGS.items()
                           if name in loss_class.reads_settings and seed % 2})
    assert loss_value(case, settings) == pytest.approx(case.expected(settings), rel=2e-5)


@EVERY
@pytest.mark.parametrize("name", SETTINGS)
def test_a_loss_reads_the_settings_that_it_names_and_no_others(loss_class, make_case, name):
    case = make_case(np.random.default_rng(7))
    is_read = loss_value(case, Training(**{name: SETTINGS[name]})) != loss_value(case, Training())
    assert is_read == (name in loss_class.reads_settings)


@pytest.mark.parametrize("name", tasks.names())
def test_a_run_refuses_the_settings_that_its_loss_does_not_read(name):
    task = tasks.find(name)().with_learned(Learned(("no", "yes"), (2, 3)))
    refused = {key.removeprefix("training.") for key, _ in unread_by_loss(task)}
    assert refused == set(SETTINGS) - task.head().loss.reads_settings


@pytest.mark.parametrize("loss_class", [loss_class for loss_class in LOSS_CLASSES if not loss_class.not_distillable])
def test_a_student_that_equals_its_teacher_has_no_divergence_and_any_other_has(loss_class):
    generator = np.random.default_rng(3)
    groups = np.array([0, 0, 1, 1, 1])
    batch = batch_of(generator, np.full(5, 2), groups=groups, label=(np.zeros(5), "feature"))
    function = build_loss(loss_class(), Training(), ())
    rows = 10 if loss_class is SpanCrossEntropy else 5
    student, teacher = tensor(generator, rows, 2), tensor(generator, rows, 2)
    assert function.divergence(teacher, teacher, batch, 2.0).abs().max() < 1e-6
    divergence = function.divergence(student, teacher, batch, 2.0)
    assert len(divergence) == 5 and bool((divergence > 0).all())


HUBER = '''
import torch

from headstart.training.losses import TargetLoss


class HuberLoss(TargetLoss):
    """Huber's loss."""

    def losses(self, logits, targets, batch):
        """(N, 1), (N,) -> (N,)."""
        return torch.nn.functional.huber_loss(logits[:, 0], targets.float(), delta=self.spec.delta, reduction="none")
'''


@dataclass(frozen=True)
class Huber(Loss):
    """Squared near 0, absolute beyond delta."""

    delta: float


@dataclass(frozen=True)
class HuberElsewhere(Huber):
    """The same from a package of its own."""

    package: ClassVar[str] = "losses_of_another_package"


@pytest.mark.parametrize("loss", [Huber(0.5), HuberElsewhere(0.5)], ids=["in our folder", "in another package"])
def test_one_file_adds_a_loss(loss, tmp_path, monkeypatch):
    folder = tmp_path / "losses_of_another_package"
    folder.mkdir()
    (folder / "__init__.py").touch()
    module_name = f"{loss.package}.{loss.file_name()}"
    with pytest.raises(UserError, match=loss.file_name()):
        build_loss(loss, Training(), ())
    (folder / f"{loss.file_name()}.py").write_text(HUBER, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    if type(loss) is Huber:
        monkeypatch.setattr(losses, "__path__", [*losses.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, module_name, raising=False)
    case = squared_case(np.random.default_rng(1))
    errors = [abs(float(output) - target) for output, target
              in zip(case.model.forward(None)["logits"][:, 0], case.batch.targets["label"], strict=True)]
    expected = sum(weight * (error**2 / 2 if error < 0.5 else 0.5 * (error - 0.25))
                   for weight, error in zip(case.batch.weights, errors, strict=True))
    value = float(build_loss(loss, Training(), ())(case.model, case.batch))
    monkeypatch.delitem(sys.modules, module_name)
    assert value == pytest.approx(expected, rel=1e-5)


def test_the_machinery_knows_no_loss_by_name():
    """Tasks name their loss, its file computes it; all else asks the object."""
    names = {loss_class.__name__ for loss_class in LOSS_CLASSES}
    for path in PACKAGE.rglob("*.py"):
        folders = path.relative_to(PACKAGE).parts
        if folders[0] in ("tasks", "contract") or folders[:2] == ("training", "losses"):
            continue
        imported = {alias.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                    if isinstance(node, ast.ImportFrom) for alias in node.names}
        assert not imported & names, path
