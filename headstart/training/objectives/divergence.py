"""Divergence of a student's outputs from a teacher's: T² · KL(teacher ‖ student, both at temperature T), without sums.

Hinton et al. 2015, section 2: T² keeps the size of gradients the same for every T. Shapes: N features, T tokens of all,
A label positions, C classes, G groups.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def categorical_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² · KL of categorical distributions: (A, C), (A, C) -> (A,)."""
    student_logs, teacher_logs = torch.log_softmax(student / temperature,
                                                   dim=-1), torch.log_softmax(teacher / temperature, dim=-1)
    return (teacher_logs.exp() * (teacher_logs - student_logs)).sum(dim=-1) * temperature**2


def binary_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² · KL of binary distributions, the mean over labels: (N, C), (N, C) -> (N,)."""
    student_logits, teacher_logits, log_sigmoid = (student / temperature, teacher / temperature,
                                                   torch.nn.functional.logsigmoid)
    probability = torch.sigmoid(teacher_logits)
    positive = probability * (log_sigmoid(teacher_logits) - log_sigmoid(student_logits))
    negative = (1 - probability) * (log_sigmoid(-teacher_logits) - log_sigmoid(-student_logits))
    losses = positive + negative
    return losses.mean(dim=-1) * temperature**2


def grouped_divergence(student: Tensor, teacher: Tensor, group_ids: Any, group_count: int,
                       temperature: float) -> Tensor:
    """T² · KL of the distributions within each group: (T,), (T,), group_ids (T,) -> (G,)."""
    indices = torch.from_numpy(group_ids).to(student.device)

    def log_softmax(scores: Tensor) -> Tensor:
        maxima = scores.new_full((group_count,), float("-inf")).scatter_reduce(0, indices, scores.detach(), "amax")
        sums = scores.new_zeros(group_count).index_add(0, indices, (scores - maxima[indices]).exp())
        return scores - maxima[indices] - sums.log()[indices]

    student_logs, teacher_logs = log_softmax(student / temperature), log_softmax(teacher / temperature)
    return student.new_zeros(group_count).index_add(0, indices,
                                                    teacher_logs.exp() * (teacher_logs - student_logs)) * temperature**2
