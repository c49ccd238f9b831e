"""A linear classifier of sentence vectors inside the family's own classification head.

Between the pooled state and the last linear layer most heads have a dense layer and an activation (BERT's pooler,
RoBERTa's dense layer). They are made to pass the state on: the dense layer is a multiple of the identity, small where
the activation is odd (tanh: nearly a line around 0), with a shift where it is not (ReLU, GELU: a line well above 0).
The classifier is fitted on what comes out of them, so that the little which they bend is in the fit, and the saved head
gives the very numbers that were fitted.

Shapes: N features, W width, C classes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from headstart.errors import Exit, UserError
from headstart.models.heads.mean_layer import set_linear

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from headstart.models.model import Model

SCALE = 0.1  # before tanh: a state of 1 is bent by a third of a percent
SHIFT = 4.0  # before ReLU and GELU: four standard deviations of a normed state


class HeadMisfit(UserError):
    """A classification head that cannot hold a linear classifier of sentence vectors."""


@contextlib.contextmanager
def recorded_inputs(module: Any) -> Iterator[list[tuple[nn.Linear, Tensor]]]:
    """Inside, the linear layers that are called, in their order, each with what it reads."""
    calls: list[tuple[nn.Linear, Tensor]] = []
    handles = [layer.register_forward_pre_hook(lambda linear, inputs: calls.append((linear, inputs[0])))
               for layer in module.modules() if isinstance(layer, nn.Linear)]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def head_calls(model: Model, states: Tensor) -> list[tuple[nn.Linear, Tensor]]:
    """The linear layers of the classification head, from the pooled states (N, W) to the classes, each with what it
    reads, without dropout.
    """
    was_training = model.module.training
    model.module.eval()
    with torch.no_grad(), recorded_inputs(model.module) as calls:
        model.apply_head(states)
    model.module.train(was_training)
    return calls


def head_layers(model: Model) -> list[nn.Linear]:
    """The linear layers of the classification head, from the pooled state to the classes."""
    return [layer for layer, _ in head_calls(model, torch.zeros(1, model.info.width, device=model.device))]


def pass_states_on(model: Model) -> None:
    """Make the head's layers before its last pass the pooled state on; raises UserError (78) for a head that cannot."""
    *dense_layers, last = head_layers(model)
    width = model.info.width
    if last.bias is None or any(dense.bias is None or dense.weight.shape != (width, width) for dense in dense_layers):
        raise HeadMisfit(f"The classification head of {model.info.reference} ({model.info.family_name}) has layers "
                         "without a bias, or of another width than the model's, so no classifier of sentence vectors "
                         "fits into it.", fix="Use --method plain, or another model.", exit=Exit.SETTINGS)
    for dense in dense_layers:
        with torch.no_grad():
            set_linear(dense, 1.0)
            is_odd = activation_is_odd(model)
            set_linear(dense, SCALE if is_odd else 1.0)
            dense.bias.fill_(0.0 if is_odd else SHIFT)


def activation_is_odd(model: Model) -> bool:
    """Whether what follows the head's dense layer turns -x into minus what it makes of x."""
    width = model.info.width
    probe = torch.linspace(-2, 2, width, device=model.device)[None]
    return bool(torch.allclose(head_inputs(model, probe), -head_inputs(model, -probe), atol=1e-3))


def head_inputs(model: Model, states: Tensor) -> Tensor:
    """What the head's last linear layer reads for pooled states: (N, W) -> (N, W)."""
    _, last_inputs = head_calls(model, states)[-1]
    return last_inputs.reshape(len(states), -1)


def set_classifier(model: Model, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> None:
    """Put a linear classifier (C, W), (C,) of what `head_inputs` gives into the head's last layer."""
    layer = head_layers(model)[-1]
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(bias))
