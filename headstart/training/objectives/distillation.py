"""Knowledge distillation: a loss around the task's own (Hinton et al. 2015; Sanh et al. 2019).

    loss = alpha_soft · T² · KL(teacher ‖ student, both at temperature T) + alpha_task · the task's loss
         + alpha_hidden · mean squared error of matched hidden states + alpha_cosine · (1 - cosine of last states)

Each term weights features and tokens as the task's loss does, so that all are divided by the same number. Shapes:
N features, T tokens, A label positions, W width.
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
from headstart.settings import Distil
from headstart.training.losses import LossFunction, VocabularyLoss
from headstart.training.objectives.chunked_cross_entropy import chunked_loss
from headstart.training.objectives.divergence import categorical_divergence
from headstart.training.objectives.objective import NO_TARGET

if TYPE_CHECKING:
    from headstart.models.model import Model

# by stack: (student layer, teacher layer), from 1; 0 are the embeddings
LayerPairs = Mapping[str, Sequence[tuple[int, int]]]


class CachedForward:
    """A model with its states for one batch: several losses share one forward pass."""

    def __init__(self, model: Model, batch: Batch, *, with_hidden: bool) -> None:
        self.model, self.batch = hidden_states.without_shortcuts(model) if with_hidden else model, batch
        self.hidden: hidden_states.LayerStates = {}
        self.outputs: dict[str, Tensor] | None = None
        if with_hidden:
            with hidden_states.recorded_hidden_states(self.model) as states_by_layer:
                self.head_states = self.model.read_states(batch)
            self.hidden = states_by_layer
        else:
            self.head_states = self.model.read_states(batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def read_states(self, batch: Batch) -> dict[str, Tensor]:
        """The states that the head reads."""
        return self.head_states

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The head's outputs, computed once."""
        if self.outputs is None:
            outputs = self.model.info.family.heads[self.model.head].outputs
            self.outputs = {name: outputs[name].apply(self.model.module, states)
                            for name, states in self.head_states.items()}
        return self.outputs


@dataclass(frozen=True)
class DistillationLoss:
    """The loss of a student with a frozen teacher."""

    task_loss: LossFunction[Any]
    settings: Distil
    teacher: Model
    layer_pairs: LayerPairs

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        """The loss sum of a batch; raises UserError (65) when the teacher's outputs are not finite."""
        settings, with_hidden = self.settings, bool(self.settings.alpha_hidden or self.settings.alpha_cosine)
        student = CachedForward(model, batch, with_hidden=with_hidden)
        total = student.head_states["logits"].new_zeros((), dtype=torch.float32)
        if not settings.alpha_soft and not with_hidden:
            return total + settings.alpha_task * self.task_loss(student, batch)
        with torch.no_grad():
            self.teacher.module.eval()
            teacher = CachedForward(self.teacher, batch, with_hidden=with_hidden)
        if isinstance(self.task_loss, VocabularyLoss) and settings.alpha_soft:
            total = total + self.chunked_vocabulary_loss(self.task_loss, student, teacher, batch)
        else:
            if settings.alpha_soft:
                total = total + settings.alpha_soft * self.soft_loss(student, teacher, batch)
            if settings.alpha_task:
                total = total + settings.alpha_task * self.task_loss(student, batch)
        if with_hidden:
            total = total + self.state_loss(student, teacher, batch)
        return total

    def soft_loss(self, student: CachedForward, teacher: CachedForward, batch: Batch) -> Tensor:
        """T² · KL of every output, where there is a target."""
        with torch.no_grad():
            teacher_outputs = {name: finite(output.float()) for name, output in teacher.forward(batch).items()}
        student_outputs = student.forward(batch)
        total = teacher_outputs["logits"].new_zeros(())
        for name, target in self.task_loss.distilled_outputs.items():
            losses = self.task_loss.divergence(student_outputs[name].float(), teacher_outputs[name], batch,
                                               self.settings.temperature)
            losses = torch.where(has_target(batch, target).to(losses.device), losses, torch.zeros_like(losses))
            weights = self.task_loss.divergence_weights(batch, target)
            if weights is not None:
                losses = losses * torch.from_numpy(weights).to(losses.device, torch.float32)
            total = total + losses.sum()
        return total

    def chunked_vocabulary_loss(self, task_loss: VocabularyLoss[Any], student: CachedForward, teacher: CachedForward,
                                batch: Batch) -> Tensor:
        """The soft and the task's loss over a vocabulary, in chunks of tokens."""
        student_states, teacher_states = student.head_states["logits"], teacher.head_states["logits"]
        targets = torch.from_numpy(batch.targets["label"]).to(student_states.device)

        def loss_function(logits: Tensor, positions: Tensor) -> Tensor:
            labels = targets[positions]
            with torch.no_grad():
                teacher_logits = finite(self.teacher.apply_head(teacher_states[positions]).float())
            losses = self.settings.alpha_soft * categorical_divergence(logits, teacher_logits,
                                                                       self.settings.temperature)
            losses = torch.where(labels != NO_TARGET, losses, torch.zeros_like(losses))
            return losses + self.settings.alpha_task * task_loss.losses(logits, labels)

        positions = torch.arange(len(student_states), device=student_states.device)
        return chunked_loss(student_states, positions, student.model.apply_head, loss_function,
                            student.model.head_parameters())

    def state_loss(self, student: CachedForward, teacher: CachedForward, batch: Batch) -> Tensor:
        """Distance of hidden states to the teacher's: the mean over a feature's tokens, times the feature's weight."""
        total = student.head_states["logits"].new_zeros((), dtype=torch.float32)
        pair_count = sum(map(len, self.layer_pairs.values()))
        for stack, pairs in self.layer_pairs.items():
            counts = hidden_states.token_counts(batch, stack)
            token_weights = np.repeat(state_weights(batch) / np.maximum(counts, 1), counts)
            weights = torch.from_numpy(token_weights).to(total.device, torch.float32)
            for student_layer, teacher_layer in pairs if self.settings.alpha_hidden else ():
                student_states = hidden_states.token_states(student.hidden[stack][student_layer], batch, stack).float()
                teacher_states = hidden_states.token_states(teacher.hidden[stack][teacher_layer], batch, stack).float()
                errors = squared_state_error(student_states, finite(teacher_states),
                                             normalize=self.settings.normalise_hidden)
                total = total + (self.settings.alpha_hidden or 0.0) * (errors * weights).sum() / pair_count
            if self.settings.alpha_cosine and stack in ("", "decoder"):
                student_states = hidden_states.token_states(student.hidden[stack][-1], batch, stack).float()
                teacher_states = hidden_states.token_states(teacher.hidden[stack][-1], batch, stack).float()
                errors = 1 - torch.nn.functional.cosine_similarity(student_states, finite(teacher_states), dim=1)
                total = total + self.settings.alpha_cosine * (errors * weights).sum()
        return total


def finite(teacher_output: Tensor) -> Tensor:
    """The teacher's output; raises UserError (65) where it is not finite."""
    if not bool(torch.isfinite(teacher_output.sum())) and not bool(torch.isfinite(teacher_output).all()):
        raise UserError("The teacher's outputs are not finite (NaN or infinity): nothing can be learned from them.",
                        fix="Try training.precision=fp32; else the teacher is damaged: train it again, or set "
                            "distil.with_teacher=false.",
                        exit=Exit.DATA)
    return teacher_output


def squared_state_error(student: Tensor, teacher: Tensor, *, normalize: bool) -> Tensor:
    """The mean squared difference of each token's two states: (T, W), (T, W) -> (T,)."""
    if normalize:
        student, teacher = (torch.nn.functional.layer_norm(states, states.shape[-1:]) for states in (student, teacher))
    return ((student - teacher) ** 2).mean(dim=1)


def has_target(batch: Batch, name: str) -> Tensor:
    """Whether each feature, token or label position has a target."""
    targets = batch.targets[name]
    if targets.dtype.kind == "f":
        return torch.ones(len(targets), dtype=torch.bool)
    present = (targets != NO_TARGET) if targets.ndim == 1 else (targets >= 0).any(axis=1)
    return torch.from_numpy(np.asarray(present))


def state_weights(batch: Batch) -> Any:
    """The weight of each feature's states: that of its targets in the step's total weight, (N,)."""
    targets, level = batch.targets["label"], batch.target_levels["label"]
    if level == "feature" or "next" in batch.targets:
        present = has_target(batch, "label").numpy() if level == "feature" else np.ones(len(batch.weights), dtype=bool)
        return batch.weights * present
    counts = batch.lengths if level == "token" else batch.label_counts
    ends = np.cumsum(counts)
    return np.asarray([float((targets[end - count:end] != NO_TARGET).sum())
                       for end, count in zip(ends, counts, strict=True)])


def even_layer_pairs(student_layers: int, teacher_layers: int) -> list[tuple[int, int]]:
    """Each of the student's layers with the teacher's at the same relative depth: 3 and 6 give (1, 2), (2, 4), (3, 6).
    """
    return [(layer, -(-layer * teacher_layers // student_layers)) for layer in range(1, student_layers + 1)]


def matched_layers(layer_map: str, student_layers: Mapping[str, int],
                   teacher_layers: Mapping[str, int]) -> dict[str, list[tuple[int, int]]]:
    """The pairs of layers that are compared, by stack; raises UserError (78). `layer_map` applies to the only or upper
    stack.
    """
    layer_pairs = {stack: even_layer_pairs(count, teacher_layers[stack]) for stack, count in student_layers.items()}
    last_stack = list(student_layers)[-1]
    if layer_map.strip():
        pairs = [pair_text.partition(":")[::2] for pair_text in layer_map.replace(" ", "").split(",") if pair_text]
        bounds = student_layers[last_stack], teacher_layers[last_stack]
        if not all(layer.isdigit() and 1 <= int(layer) <= bound for pair in pairs
                   for layer, bound in zip(pair, bounds, strict=True)):
            suggestion = ",".join(f"{student_layer}:{teacher_layer}"
                                  for student_layer, teacher_layer in layer_pairs[last_stack])
            raise UserError(f"distil.layer_map is {layer_map!r}; pairs of layers were expected, from 1 to {bounds[0]} "
                            f"of the student and from 1 to {bounds[1]} of the teacher.", exit=Exit.SETTINGS,
                            fix=f"For example distil.layer_map={suggestion}")
        layer_pairs[last_stack] = [(int(student_layer), int(teacher_layer)) for student_layer, teacher_layer in pairs]
    return layer_pairs


def check_head(spec: HeadSpec) -> None:
    """Raises UserError (2) for a head that cannot be distilled."""
    reason = spec.loss.not_distillable or ("is trained on tokens in random orders" if spec.permutation_order else "")
    if reason:
        raise UserError(f"This head {reason}: headstart cannot distil it yet.",
                        fix="Set distil.with_teacher=false: the student is then pruned and fine-tuned.")
