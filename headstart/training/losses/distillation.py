"""Learning from a teacher: an objective around the head's own (Hinton et al. 2015; Sanh et al. 2019).

    loss = alpha_soft · T² · KL(teacher ‖ student, both at temperature T) + alpha_task · the head's own loss
         + alpha_hidden · mean squared error of matched hidden states + alpha_cosine · (1 - cosine of last states)

Each part weighs features and tokens as the head's own loss does, so that all are divided by the same number. Shapes:
N features, T tokens, A asked tokens, C classes, V pieces, W width, G groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from headstart.contract import Batch, HeadSpec
from headstart.errors import Exit, UserError
from headstart.models import hidden_states
from headstart.settings import Distil, Training
from headstart.training.losses.chunked_cross_entropy import vocabulary_loss
from headstart.training.losses.losses import NONE, Objective, cross_entropy

if TYPE_CHECKING:
    from headstart.models.model import Model

NOT_TAUGHT = {"in-batch": "compares texts of a batch with one another", "beam-span": "follows several starts to their ends",
              "choice+words": "has two heads with one loss"}
Matches = Mapping[str, Sequence[tuple[int, int]]]  # by stack: after so many of the student's layers, of the teacher's


class Once:
    """A model whose one pass through a batch serves every loss: what the head's own objective is handed."""

    def __init__(self, model: Model, batch: Batch, *, hidden: bool) -> None:
        self.model, self.batch = hidden_states.whole(model) if hidden else model, batch
        self.hidden: hidden_states.Depths = {}
        self.outputs: dict[str, Tensor] | None = None
        if hidden:
            with hidden_states.listening(self.model) as found:
                self.read = self.model.read_states(batch)
            self.hidden = found
        else:
            self.read = self.model.read_states(batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def read_states(self, batch: Batch) -> dict[str, Tensor]:
        """The states that were read."""
        return self.read

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The head's outputs, made once."""
        if self.outputs is None:
            heads = self.model.facts.row.heads[self.model.head].outputs
            self.outputs = {name: heads[name].apply(self.model.module, held) for name, held in self.read.items()}
        return self.outputs


@dataclass(frozen=True)
class Taught:
    """The objective of a student with its teacher, whose weights stay as they are."""

    own: Objective
    spec: HeadSpec
    settings: Distil
    training: Training
    teacher: Model
    matches: Matches

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        """The loss sum of a batch; raises UserError (65) when the teacher's outputs are no numbers."""
        told, hidden = self.settings, bool(self.settings.alpha_hidden or self.settings.alpha_cosine)
        student = Once(model, batch, hidden=hidden)
        total = student.read["logits"].new_zeros((), dtype=torch.float32)
        if not told.alpha_soft and not hidden:
            return total + told.alpha_task * self.own(student, batch)
        with torch.no_grad():
            self.teacher.module.eval()
            teacher = Once(self.teacher, batch, hidden=hidden)
        if self.spec.loss == "vocabulary" and told.alpha_soft:
            total = total + self.words(student, teacher, batch)
        else:
            if told.alpha_soft:
                total = total + told.alpha_soft * self.soft(student, teacher, batch)
            if told.alpha_task:
                total = total + told.alpha_task * self.own(student, batch)
        if hidden:
            total = total + self.states(student, teacher, batch)
        return total

    def soft(self, student: Once, teacher: Once, batch: Batch) -> Tensor:
        """T² · KL of every output, where there is a target."""
        with torch.no_grad():
            guides = {name: finite(held.float()) for name, held in teacher.forward(batch).items()}
        given = student.forward(batch)
        total = guides["logits"].new_zeros(())
        for name, target in ({"logits": "label", "next": "next"} if self.spec.loss == "pretraining" else {"logits": "label"}).items():
            each = likeness(self.spec.loss, given[name].float(), guides[name], batch, self.settings.temperature)
            each = torch.where(has_target(batch, target).to(each.device), each, torch.zeros_like(each))
            if batch.per[target] == "feature":
                each = each * torch.from_numpy(batch.weights).to(each.device, torch.float32)
            elif self.spec.loss == "pretraining":  # the mean over a feature's hidden words, as the task's own loss
                shares = np.repeat(batch.weights / np.maximum(batch.asked, 1), batch.asked)
                each = each * torch.from_numpy(shares).to(each.device, each.dtype)
            total = total + each.sum()
        return total

    def words(self, student: Once, teacher: Once, batch: Batch) -> Tensor:
        """The soft and the task's own loss over a vocabulary, some tokens at a time."""
        states, guides = student.read["logits"], teacher.read["logits"]
        targets = torch.from_numpy(batch.targets["label"]).to(states.device)
        options: dict[str, Any] = {"smoothing": self.training.label_smoothing, "gamma": self.training.focal_gamma}

        def loss(logits: Tensor, places: Tensor) -> Tensor:
            gold = targets[places]
            with torch.no_grad():
                guide = finite(self.teacher.apply_head(guides[places]).float())
            each = self.settings.alpha_soft * categories(logits, guide, self.settings.temperature)
            each = torch.where(gold != NONE, each, torch.zeros_like(each))
            return each + self.settings.alpha_task * cross_entropy(logits, gold, **options)

        return vocabulary_loss(states, torch.arange(len(states), device=states.device), student.model.apply_head, loss,
                               student.model.head_parameters())

    def states(self, student: Once, teacher: Once, batch: Batch) -> Tensor:
        """How far hidden states are from the teacher's: the mean over a feature's tokens, by the feature's weight."""
        total = student.read["logits"].new_zeros((), dtype=torch.float32)
        for stack, pairs in self.matches.items():
            counts = hidden_states.sizes(batch, stack)
            shares = torch.from_numpy(np.repeat(weight_of(batch) / np.maximum(counts, 1), counts)).to(total.device, torch.float32)
            for ours, theirs in pairs if self.settings.alpha_hidden else ():
                one, other = (hidden_states.real(held[stack][place], batch, stack).float()
                              for held, place in ((student.hidden, ours), (teacher.hidden, theirs)))
                gap = apart(one, finite(other), normalise=self.settings.normalise_hidden)
                total = total + (self.settings.alpha_hidden or 0.0) * (gap * shares).sum() / sum(map(len, self.matches.values()))
            if self.settings.alpha_cosine and stack in ("", "decoder"):
                one, other = (hidden_states.real(held[stack][-1], batch, stack).float() for held in (student.hidden, teacher.hidden))
                gap = 1 - torch.nn.functional.cosine_similarity(one, finite(other), dim=1)
                total = total + self.settings.alpha_cosine * (gap * shares).sum()
        return total


def finite(guide: Tensor) -> Tensor:
    """What the teacher says; raises UserError (65) where it is no number."""
    if not bool(torch.isfinite(guide.sum())) and not bool(torch.isfinite(guide).all()):
        raise UserError("The teacher's outputs are no numbers (NaN or infinity): nothing can be learned from them.",
                        fix="Try training.precision=fp32; else the teacher is damaged: train it again, or set distil.with_teacher=false.",
                        exit=Exit.DATA)
    return guide


def likeness(loss: str, student: Tensor, teacher: Tensor, batch: Batch, temperature: float) -> Tensor:
    """T² · KL of each feature, token or asked token, in the form of the head's own loss; squared error for numbers: (N,)."""
    if loss == "squared":
        return (student - teacher)[:, 0] ** 2
    if loss in ("binary", "token-binary"):
        return yes_or_no(student, teacher, temperature)
    if loss == "span":
        owner = np.repeat(np.arange(len(batch.lengths)), batch.lengths)
        both = [grouped(student[:, side], teacher[:, side], owner, len(batch.lengths), temperature) for side in (0, 1)]
        return (both[0] + both[1]) / 2
    if loss == "choice":
        return grouped(student[:, 0], teacher[:, 0], batch.groups, int(batch.groups.max()) + 1, temperature)[torch.from_numpy(batch.groups)]
    return categories(student, teacher, temperature)


def categories(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² · KL of classes: (A, C), (A, C) -> (A,)."""
    ours, theirs = torch.log_softmax(student / temperature, dim=-1), torch.log_softmax(teacher / temperature, dim=-1)
    return (theirs.exp() * (theirs - ours)).sum(dim=-1) * temperature**2


def yes_or_no(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² · KL of yes and no, the mean over labels: (N, C), (N, C) -> (N,)."""
    ours, theirs, sure = student / temperature, teacher / temperature, torch.nn.functional.logsigmoid
    share = torch.sigmoid(theirs)
    each = share * (sure(theirs) - sure(ours)) + (1 - share) * (sure(-theirs) - sure(-ours))
    return each.mean(dim=-1) * temperature**2


def grouped(student: Tensor, teacher: Tensor, owner: Any, count: int, temperature: float) -> Tensor:
    """T² · KL of one among each group: (T,), (T,), owner (T,) -> (G,)."""
    place = torch.from_numpy(owner).to(student.device)

    def logs(scores: Tensor) -> Tensor:
        top = scores.new_full((count,), float("-inf")).scatter_reduce(0, place, scores.detach(), "amax")
        sums = scores.new_zeros(count).index_add(0, place, (scores - top[place]).exp())
        return scores - top[place] - sums.log()[place]

    ours, theirs = logs(student / temperature), logs(teacher / temperature)
    return student.new_zeros(count).index_add(0, place, theirs.exp() * (theirs - ours)) * temperature**2


def apart(student: Tensor, teacher: Tensor, *, normalise: bool) -> Tensor:
    """The mean squared difference of each token's two states: (T, W), (T, W) -> (T,)."""
    if normalise:
        student, teacher = (torch.nn.functional.layer_norm(held, held.shape[-1:]) for held in (student, teacher))
    return ((student - teacher) ** 2).mean(dim=1)


def has_target(batch: Batch, name: str) -> Tensor:
    """Whether each feature, token or asked token has something to learn."""
    held = batch.targets[name]
    if held.dtype.kind == "f":
        return torch.ones(len(held), dtype=torch.bool)
    real = (held != NONE) if held.ndim == 1 else (held >= 0).any(axis=1)
    return torch.from_numpy(np.asarray(real))


def weight_of(batch: Batch) -> Any:
    """What each feature's states weigh: as much as its targets do in the update's whole weight, (N,)."""
    held, per = batch.targets["label"], batch.per["label"]
    if per == "feature" or "next" in batch.targets:
        real = has_target(batch, "label").numpy() if per == "feature" else np.ones(len(batch.weights), dtype=bool)
        return batch.weights * real
    counts = batch.lengths if per == "token" else batch.asked
    ends = np.cumsum(counts)
    return np.asarray([float((held[end - count:end] != NONE).sum()) for end, count in zip(ends, counts, strict=True)])


def evenly(ours: int, theirs: int) -> list[tuple[int, int]]:
    """Each of the student's layers with the teacher's that stands as far up: 3 and 6 are (1, 2), (2, 4), (3, 6)."""
    return [(place, -(-place * theirs // ours)) for place in range(1, ours + 1)]


def matches(asked: str, ours: Mapping[str, int], theirs: Mapping[str, int]) -> dict[str, list[tuple[int, int]]]:
    """The pairs of depths that are compared, by stack; raises UserError (78). A list tells those of the only or upper stack."""
    found = {stack: evenly(count, theirs[stack]) for stack, count in ours.items()}
    top = list(ours)[-1]
    if asked.strip():
        pairs = [word.partition(":")[::2] for word in asked.replace(" ", "").split(",") if word]
        bounds = ours[top], theirs[top]
        if not all(one.isdigit() and 1 <= int(one) <= most for pair in pairs for one, most in zip(pair, bounds, strict=True)):
            raise UserError(f"distil.matched is {asked!r}; pairs of layers were expected, from 1 to {ours[top]} of the student and "
                            f"from 1 to {theirs[top]} of the teacher.", exit=Exit.SETTINGS,
                            fix="For example distil.matched=" + ",".join(f"{one}:{other}" for one, other in found[top]))
        found[top] = [(int(one), int(other)) for one, other in pairs]
    return found


def refuse(spec: HeadSpec) -> None:
    """Raises UserError (2) for a head whose teacher cannot be followed."""
    reason = NOT_TAUGHT.get(spec.loss) or ("is trained on tokens in drawn orders" if spec.drawn_order else None)
    if reason is not None:
        raise UserError(f"This head {reason}: headstart has no way yet to follow a teacher's.",
                        fix="Set distil.with_teacher=false: the student is then shrunk and fine-tuned.")
