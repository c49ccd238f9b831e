"""Hidden states after every layer, of real tokens alone, as an ordinary pass through a batch makes them.

Shapes: B rows, S tokens of a row, T real tokens of all features, N features, L tokens of the longest, W width.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from headstart.models.family import inner

if TYPE_CHECKING:
    from headstart.contract import Batch
    from headstart.models.model import Model

Depths = Mapping[str, tuple[Tensor, ...]]  # by stack: the states after 0, 1, 2 … layers


def whole(model: Model) -> Model:
    """The same model, whose last layer works on all tokens also where its head reads the first alone, and whose stacks are called
    as a whole, so that they can be listened to, also where both could go through packed rows."""
    row = dataclasses.replace(model.facts.row, first_only="", packed_pairs="")
    return dataclasses.replace(model, facts=dataclasses.replace(model.facts, row=row))


@contextlib.contextmanager
def listening(model: Model) -> Iterator[dict[str, tuple[Tensor, ...]]]:
    """While it is open, every pass leaves its hidden states here by stack ("", or "encoder" and "decoder"): (B, S, W) each."""
    found: dict[str, tuple[Tensor, ...]] = {}
    base = model.module.base_model
    names = [""] if model.facts.row.rewrite is None else [path.split(".")[0] for path in model.facts.row.layer_paths]

    def ask(_: Any, given: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return given, named | {"output_hidden_states": True}

    hooks = []
    for name in names:
        part = inner(base, name) if name else base

        def keep(_: Any, given: Any, output: Any, name: str = name) -> None:
            found[name] = output["hidden_states"]

        hooks += [part.register_forward_pre_hook(ask, with_kwargs=True), part.register_forward_hook(keep)]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def real(states: Tensor, batch: Batch, stack: str) -> Tensor:
    """The states of real tokens, feature after feature: (B, S, W) -> (T, W); of a decoder, of what is written."""
    rows, size = states.shape[:2]
    if stack == "decoder":
        held = np.arange(size)[None, :] < batch.asked[:, None]
        places = np.flatnonzero(held)
    else:
        places = np.concatenate([np.arange(begin, end) + row * size for row, begin, end in batch.segments.tolist()])
    flat = states.reshape(rows * size, -1)
    return flat if len(places) == len(flat) else flat.index_select(0, torch.from_numpy(places).to(states.device))


def sizes(batch: Batch, stack: str) -> Any:
    """How many such tokens each feature has, (N,)."""
    return batch.asked if stack == "decoder" else batch.lengths
