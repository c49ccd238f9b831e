"""What training makes small: losses on the head's outputs, summed with weights.

Shapes: N features, T tokens, L tokens of the longest feature, A asked tokens, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headstart.contract import Batch, HeadSpec
from headstart.settings import Training
from headstart.training.losses.contrastive import InBatch

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.training.optimizer import Trainable

Objective = Callable[["Trainable", Batch], "Tensor"]
NONE = -100  # no target


def balanced(counts: Sequence[int]) -> list[float]:
    """Weight of each class so that all count the same: rows / (classes · rows of the class); 0 for an empty one."""
    rows = sum(counts)
    return [rows / (len(counts) * count) if count else 0.0 for count in counts]


def objective(spec: HeadSpec, settings: Training, counts: Sequence[int]) -> Objective:
    """The weighted loss sum of a batch, in fp32: what the head is trained on, as set."""
    import torch

    from headstart.training.losses.chunked_cross_entropy import vocabulary_loss

    if spec.loss == "in-batch":
        return InBatch(spec.temperature)

    weights = torch.tensor(balanced(counts)) if settings.class_weights == "balanced" and counts else None
    options: dict[str, Any] = {"smoothing": settings.label_smoothing, "gamma": settings.focal_gamma}

    def classes(logits: Tensor, targets: Tensor, batch: Batch) -> Tensor:
        own = None if weights is None else weights.to(logits.device)
        return cross_entropy(logits, targets, weights=own, **options)

    kinds: dict[str, Callable[[Tensor, Tensor, Batch], Tensor]] = {
        "cross-entropy": classes, "binary": lambda logits, targets, _: binary(logits, targets),
        "squared": lambda logits, targets, _: squared(logits, targets), "span": span, "choice": choice,
        "token-binary": lambda logits, targets, _: token_binary(logits, targets)}

    def loss(model: Trainable, batch: Batch) -> Tensor:
        if spec.loss == "vocabulary":
            targets = torch.from_numpy(batch.targets["label"])
            states = model.read_states(batch)["logits"]
            if model.scorer is not None and not (settings.label_smoothing or settings.focal_gamma):  # never all pieces at once
                return vocabulary_loss(states, targets.to(states.device), lambda part: part, model.scorer.losses, model.head_parameters())
            return vocabulary_loss(states, targets.to(states.device), model.apply_head,
                                   lambda logits, gold: cross_entropy(logits, gold, **options), model.head_parameters())
        if spec.loss in ("beam-span", "choice+words"):
            each = model.own_losses(batch, spec, choice)
            return (each * torch.from_numpy(batch.weights).to(each.device, torch.float32)).sum()
        outputs = {name: held.float() for name, held in model.forward(batch).items()}
        logits = outputs["logits"]
        held_targets = {name: torch.from_numpy(held).to(logits.device) for name, held in batch.targets.items()}
        rows = torch.from_numpy(batch.weights).to(logits.device, torch.float32)
        own = kinds.get(spec.loss)
        each = pretraining(outputs, held_targets, batch) if own is None else own(logits, held_targets["label"], batch)
        return (each * rows).sum() if batch.per["label"] == "feature" or spec.loss == "pretraining" else each.sum()

    return loss


def binary(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over the labels of each one's cross-entropy: (N, C), (N, C) -> (N,)."""
    import torch

    return torch.nn.functional.binary_cross_entropy_with_logits(logits, targets.float(), reduction="none").mean(dim=1)


def token_binary(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of yes and no for each token, 0 where the target is -100: (T, 1), (T,) -> (T,)."""
    import torch

    real = targets != NONE
    each = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], targets.clamp(min=0).float(), reduction="none")
    return torch.where(real, each, torch.zeros_like(each))


def squared(logits: Tensor, targets: Tensor) -> Tensor:
    """Squared error: (N, 1), (N,) -> (N,)."""
    return (logits[:, 0] - targets.float()) ** 2


def span(logits: Tensor, targets: Tensor, batch: Batch) -> Tensor:
    """Mean cross-entropy of first and last token among the feature's own: (T, 2), (N, 2) -> (N,)."""
    import torch

    lengths = torch.from_numpy(batch.lengths).to(logits.device)
    steps = torch.arange(int(lengths.max()), device=logits.device)
    real = steps[None, :] < lengths[:, None]  # (N, L)
    table = logits.new_full((*real.shape, 2), float("-inf"))
    table[real] = logits
    logs = torch.log_softmax(table, dim=1)
    taken = logs.gather(1, targets.clamp(min=0)[:, None, :])[:, 0]  # (N, 2)
    return torch.where(targets >= 0, -taken, 0.0).mean(dim=1)


def choice(logits: Tensor, targets: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy of the right one among its group, shared by the group's features: (N, 1), (N,) -> (N,)."""
    import torch

    owner = torch.from_numpy(batch.groups).to(logits.device)
    count = int(owner.max()) + 1
    scores = logits[:, 0]
    top = scores.new_full((count,), float("-inf")).scatter_reduce(0, owner, scores.detach(), "amax")
    sums = scores.new_zeros(count).index_add(0, owner, (scores - top[owner]).exp())
    right = scores.new_zeros(count).index_add(0, owner, scores * (targets == 1))
    return (sums.log() + top - right)[owner]


def pretraining(outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor], batch: Batch) -> Tensor:
    """Masked words (mean over a feature's) and next sentence, added: (N,) (Devlin et al. 2018, appendix A.2)."""
    import torch

    words = cross_entropy(outputs["logits"], targets["label"])
    asked = torch.from_numpy(batch.asked).to(words.device)
    owner = torch.repeat_interleave(torch.arange(len(asked), device=words.device), asked)
    means = words.new_zeros(len(asked)).index_add(0, owner, words) / asked.clamp(min=1)
    return means + cross_entropy(outputs["next"], targets["next"])


def cross_entropy(logits: Tensor, targets: Tensor, *, smoothing: float = 0.0, gamma: float = 0.0,
                  weights: Tensor | None = None) -> Tensor:
    """Loss of each feature (N,), 0 where the target is -100: logits (N, C), targets (N,).

    smoothing e: (1 - e) of the target on the class, e spread over all (Szegedy et al. 2016, section 7).
    gamma: times (1 - p)^gamma (Lin et al. 2017, eq. 4). weights (C,): times the weight of the class.
    """
    import torch

    real = targets != NONE
    safe = torch.where(real, targets, 0)
    logs = torch.log_softmax(logits, dim=-1)  # (N, C)
    taken = logs.gather(1, safe[:, None])[:, 0]
    own = torch.ones_like(taken) if weights is None else weights[safe]
    each = -taken * own
    if gamma:
        each = each * (1 - taken.exp()) ** gamma
    if smoothing:
        spread = -(logs if weights is None else logs * weights).mean(dim=-1)
        each = (1 - smoothing) * each + smoothing * spread
    return torch.where(real, each, torch.zeros_like(each))


def total_weight(batches: Sequence[Batch], class_weights: Sequence[float] | None = None) -> float:
    """What an update's loss sum is divided by: the weights of all features (or the number of tokens) with a target, over
    all micro-batches.

    With class weights, each counts by its class, as torch's own cross-entropy does.
    """
    import numpy as np

    total = 0.0
    for batch in batches:
        targets = batch.targets.get("label")
        if targets is None or targets.ndim > 1 or targets.dtype.kind == "f" or "next" in batch.targets:
            total += float(batch.weights.sum())
            continue
        real = targets != NONE
        each = np.asarray(class_weights)[np.where(real, targets, 0)] if class_weights is not None else 1.0
        rows = batch.weights if batch.per["label"] == "feature" else 1.0
        total += float((rows * each * real).sum())
    return max(total, 1e-9)  # an update without a single target moves nothing
