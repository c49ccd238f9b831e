"""Loss functions on the head's outputs, summed with weights.

Shapes: N features, T tokens, L tokens of the longest feature, A label positions, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headstart.contract import Batch, HeadSpec
from headstart.settings import Training
from headstart.training.losses.chunked_cross_entropy import chunked_loss
from headstart.training.losses.contrastive import InBatchNegatives

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.training.optimizer import Trainable

Objective = Callable[["Trainable", Batch], "Tensor"]
NO_TARGET = -100  # no target


def balanced_class_weights(counts: Sequence[int]) -> list[float]:
    """Class weights that balance the classes: rows / (classes · rows of the class); 0 for an empty class."""
    rows = sum(counts)
    return [rows / (len(counts) * count) if count else 0.0 for count in counts]


def objective(spec: HeadSpec, settings: Training, counts: Sequence[int]) -> Objective:
    """The weighted loss sum of a batch in fp32, as the head and the settings want it."""
    import torch

    if spec.loss == "in-batch":
        return InBatchNegatives(spec.temperature)

    class_weights = torch.tensor(balanced_class_weights(
        counts)) if settings.class_weights == "balanced" and counts else None
    options: dict[str, Any] = {"smoothing": settings.label_smoothing, "gamma": settings.focal_gamma}

    def classes(logits: Tensor, targets: Tensor, batch: Batch) -> Tensor:
        device_weights = None if class_weights is None else class_weights.to(logits.device)
        return cross_entropy(logits, targets, weights=device_weights, **options)

    loss_functions: dict[str, Callable[[Tensor, Tensor, Batch], Tensor]] = {
        "cross-entropy": classes, "binary": lambda logits, targets, _: binary_loss(logits, targets),
        "squared": lambda logits, targets, _: squared_error(logits, targets), "span": span_loss, "choice": choice_loss,
        "token-binary": lambda logits, targets, _: token_binary_loss(logits, targets)}

    def loss(model: Trainable, batch: Batch) -> Tensor:
        if spec.loss == "vocabulary":
            targets = torch.from_numpy(batch.targets["label"])
            states = model.read_states(batch)["logits"]
            # The scorer never computes the logits of the whole vocabulary.
            if model.scorer is not None and not (settings.label_smoothing or settings.focal_gamma):
                return chunked_loss(states, targets.to(states.device), lambda chunk: chunk, model.scorer.losses,
                                    model.head_parameters())
            return chunked_loss(states, targets.to(states.device), model.apply_head,
                                lambda logits, labels: cross_entropy(logits, labels, **options),
                                model.head_parameters())
        if spec.loss in ("beam-span", "choice+lm"):
            losses = model.feature_losses(batch, spec, choice_loss)
            return (losses * torch.from_numpy(batch.weights).to(losses.device, torch.float32)).sum()
        outputs = {name: output.float() for name, output in model.forward(batch).items()}
        logits = outputs["logits"]
        targets_by_name = {name: torch.from_numpy(target).to(logits.device) for name, target in batch.targets.items()}
        feature_weights = torch.from_numpy(batch.weights).to(logits.device, torch.float32)
        loss_function = loss_functions.get(spec.loss)
        if loss_function is None:
            losses = pretraining_loss(outputs, targets_by_name, batch)
        else:
            losses = loss_function(logits, targets_by_name["label"], batch)
        by_feature = batch.target_levels["label"] == "feature" or spec.loss == "pretraining"
        return (losses * feature_weights).sum() if by_feature else losses.sum()

    return loss


def binary_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over the labels of binary cross-entropy: (N, C), (N, C) -> (N,)."""
    import torch

    return torch.nn.functional.binary_cross_entropy_with_logits(logits, targets.float(), reduction="none").mean(dim=1)


def token_binary_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy of each token, 0 where the target is -100: (T, 1), (T,) -> (T,)."""
    import torch

    present = targets != NO_TARGET
    losses = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], targets.clamp(min=0).float(),
                                                                  reduction="none")
    return torch.where(present, losses, torch.zeros_like(losses))


def squared_error(logits: Tensor, targets: Tensor) -> Tensor:
    """Squared error: (N, 1), (N,) -> (N,)."""
    return (logits[:, 0] - targets.float()) ** 2


def span_loss(logits: Tensor, targets: Tensor, batch: Batch) -> Tensor:
    """Mean cross-entropy of start and end among the feature's tokens: (T, 2), (N, 2) -> (N,)."""
    import torch

    lengths = torch.from_numpy(batch.lengths).to(logits.device)
    positions = torch.arange(int(lengths.max()), device=logits.device)
    present = positions[None, :] < lengths[:, None]  # (N, L)
    padded = logits.new_full((*present.shape, 2), float("-inf"))
    padded[present] = logits
    log_probabilities = torch.log_softmax(padded, dim=1)
    target_logs = log_probabilities.gather(1, targets.clamp(min=0)[:, None, :])[:, 0]  # (N, 2)
    return torch.where(targets >= 0, -target_logs, 0.0).mean(dim=1)


def choice_loss(logits: Tensor, targets: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy of the right choice in its group, given to all of the group's features: (N, 1), (N,) -> (N,)."""
    import torch

    group_ids = torch.from_numpy(batch.groups).to(logits.device)
    group_count = int(group_ids.max()) + 1
    scores = logits[:, 0]
    maxima = scores.new_full((group_count,), float("-inf")).scatter_reduce(0, group_ids, scores.detach(), "amax")
    sums = scores.new_zeros(group_count).index_add(0, group_ids, (scores - maxima[group_ids]).exp())
    correct_scores = scores.new_zeros(group_count).index_add(0, group_ids, scores * (targets == 1))
    return (sums.log() + maxima - correct_scores)[group_ids]


def pretraining_loss(outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor], batch: Batch) -> Tensor:
    """Masked language model (mean over a feature's masks) plus next sentence: (N,) (Devlin et al. 2018, appendix A.2).
    """
    import torch

    losses = cross_entropy(outputs["logits"], targets["label"])
    label_counts = torch.from_numpy(batch.label_counts).to(losses.device)
    feature_ids = torch.repeat_interleave(torch.arange(len(label_counts), device=losses.device), label_counts)
    means = losses.new_zeros(len(label_counts)).index_add(0, feature_ids, losses) / label_counts.clamp(min=1)
    return means + cross_entropy(outputs["next"], targets["next"])


def cross_entropy(logits: Tensor, targets: Tensor, *, smoothing: float = 0.0, gamma: float = 0.0,
                  weights: Tensor | None = None) -> Tensor:
    """Loss of each feature (N,), 0 where the target is -100: logits (N, C), targets (N,).

    smoothing e: (1 - e) of the target on the class, e spread over all (Szegedy et al. 2016, section 7).
    gamma: times (1 - p)^gamma (Lin et al. 2017, eq. 4). weights (C,): times the weight of the class.
    """
    import torch

    present = targets != NO_TARGET
    class_indices = torch.where(present, targets, 0)
    log_probabilities = torch.log_softmax(logits, dim=-1)  # (N, C)
    target_logs = log_probabilities.gather(1, class_indices[:, None])[:, 0]
    target_weights = torch.ones_like(target_logs) if weights is None else weights[class_indices]
    losses = -target_logs * target_weights
    if gamma:
        losses = losses * (1 - target_logs.exp()) ** gamma
    if smoothing:
        uniform_losses = -(log_probabilities if weights is None else log_probabilities * weights).mean(dim=-1)
        losses = (1 - smoothing) * losses + smoothing * uniform_losses
    return torch.where(present, losses, torch.zeros_like(losses))


def total_weight(batches: Sequence[Batch], class_weights: Sequence[float] | None = None) -> float:
    """What a step's loss sum is divided by: the weights of all features (or the number of tokens) with a target, over
    all micro-batches.

    With class weights, each target counts with its class's, as in torch's cross-entropy.
    """
    import numpy as np

    total = 0.0
    for batch in batches:
        targets = batch.targets.get("label")
        if targets is None or targets.ndim > 1 or targets.dtype.kind == "f" or "next" in batch.targets:
            total += float(batch.weights.sum())
            continue
        present = targets != NO_TARGET
        target_weights = np.asarray(class_weights)[np.where(present, targets, 0)] if class_weights is not None else 1.0
        feature_weights = batch.weights if batch.target_levels["label"] == "feature" else 1.0
        total += float((feature_weights * target_weights * present).sum())
    return max(total, 1e-9)  # a step without a single target changes no weight
