"""Answers of a batch where each text is read until its answer stays the same (PABEE).

After layer j the head of that layer gives an answer. The counter of a text grows by 1 where the answer is that of the
layer before, and starts again at 0 else (Zhou et al. 2020, "BERT loses patience", equations 2 and 3). At `patience`, or
after the last layer, the text is answered, and no later layer sees it. Texts do not see one another, so each is
answered at the same layer whatever stands beside it. Shapes: N texts, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from headstart.models.exits.exit_heads import logits_after
from headstart.models.exits.layer_rows import LayerRows, layer_rows, states_for_head

if TYPE_CHECKING:
    from headstart.contract import Batch
    from headstart.models.model import Model


@dataclass(frozen=True)
class ExitRule:
    """When a text is answered: once `patience` layers in a row agree with the layer before them.

    Classes agree where they are the same, numbers where they differ by less than `tolerance`, in the head's own unit.
    """

    patience: int
    tolerance: float | None = None  # of numbers; None for classes

    def agreeing(self, logits: Tensor, earlier_logits: Tensor) -> Tensor:
        """Whether each text has the same answer after two layers: (N, C), (N, C) -> (N,)."""
        if self.tolerance is None:
            return logits.argmax(dim=1) == earlier_logits.argmax(dim=1)
        return (logits - earlier_logits)[:, 0].abs() < self.tolerance

    def never_fires(self, layers: int) -> bool:
        """Whether the last layer answers every text: a text can agree once less than there are layers."""
        return self.patience >= layers - 1


def forward(model: Model, batch: Batch, rule: ExitRule) -> dict[str, Tensor]:
    """Each text's logits (N, C) from the layer where it was answered, and the number of that layer, (N,)."""
    layers = model.info.layers
    if rule.never_fires(layers):
        logits = model.forward(batch)["logits"]
        return {"logits": logits, "layers": torch.full((len(logits),), layers, device=logits.device)}
    return read_until_answered(model, batch, rule)


def run_layer(model: Model, rows: LayerRows, number: int) -> Tensor:
    """Take the texts through layer `number`, from 1; the logits of the head after it, (N, C)."""
    rows.run(number)
    output = model.info.family.heads[model.head].outputs["logits"]
    return logits_after(model.module, output, number, states_for_head(model, rows, number))


def read_until_answered(model: Model, batch: Batch, rule: ExitRule) -> dict[str, Tensor]:
    """The same layer by layer."""
    rows, layers = layer_rows(model, batch), model.info.layers
    texts = torch.arange(len(batch.segments), device=model.device)  # those that are not answered yet
    counters = torch.zeros_like(texts)
    answering_layers = torch.zeros_like(texts)
    answers: list[tuple[Tensor, Tensor]] = []
    earlier_logits = None
    for number in range(1, layers + 1):
        logits = run_layer(model, rows, number)
        if earlier_logits is not None:
            counters = torch.where(rule.agreeing(logits, earlier_logits), counters + 1, 0)
        answered_now = counters >= rule.patience if number < layers else torch.ones_like(texts, dtype=torch.bool)
        earlier_logits = logits
        if not bool(answered_now.any()):
            continue
        answers.append((texts[answered_now], logits[answered_now]))
        answering_layers[texts[answered_now]] = number
        remaining = (~answered_now).nonzero()[:, 0]
        if not len(remaining):
            break
        rows.keep(remaining)
        texts, counters, earlier_logits = texts[remaining], counters[remaining], logits[remaining]
    order = torch.cat([indices for indices, _ in answers]).argsort()
    return {"logits": torch.cat([logits for _, logits in answers])[order], "layers": answering_layers}
