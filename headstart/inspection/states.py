"""Hidden states and attentions of one text, from the same inputs that predictions come from.

Shapes: L layers, H heads, T tokens, W width.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from headstart.contract import Feature, Layout
from headstart.data.features.batches import collate
from headstart.models.loading.weights import quiet

if TYPE_CHECKING:
    from headstart.models.model import Model


def look(model: Model, feature: Feature, *, attentions: bool) -> tuple[list[Any], list[Any]]:
    """Every hidden state (T, W) from the embeddings up, and every layer's attention weights (H, T, T), as tensors.

    Exact: transformers' own eager attention, fp32, one text, no padding. Without `attentions` the second list is empty.
    """
    import torch

    batch = collate([feature], Layout(packed=False, pad_id=model.tokenizer.pad_id))
    model.module.eval()
    with torch.inference_mode(), watched(model, attentions=attentions) as seen:
        model.backbone(batch, None)
    output = seen[0]
    # A Transformer-XL has columns for its memory before those of the tokens; the memory is empty here.
    weights = [one[0][..., -len(feature):] for one in output.attentions] if attentions else []
    return [one[0] for one in output.hidden_states], weights


@contextlib.contextmanager
def watched(model: Model, *, attentions: bool) -> Iterator[list[Any]]:
    """For a while the backbone hands out all its states (and attentions); what it gave stands in the list.

    The inputs stay those that the model builds for a prediction: hooks add the wish on the way in and keep a copy on
    the way out. Attention functions that never form their weights (ours, torch's own) give way to the eager one.
    """
    seen: list[Any] = []
    backbone = model.module.base_model

    def ask(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """On the way in."""
        return given, named | {"output_hidden_states": True, "output_attentions": attentions, "return_dict": True}

    def keep(_: Any, __: Any, output: Any) -> None:
        """On the way out."""
        seen.append(output)

    hooks = [backbone.register_forward_pre_hook(ask, with_kwargs=True), backbone.register_forward_hook(keep)]
    try:
        with eager(model.module) if attentions else contextlib.nullcontext():
            yield seen
    finally:
        for hook in hooks:
            hook.remove()


@contextlib.contextmanager
def eager(module: Any) -> Iterator[None]:
    """For a while attention forms its weights; then the implementation is what it was."""
    before = module.config._attn_implementation
    with quiet():
        module.set_attn_implementation("eager")
    try:
        yield
    finally:
        with quiet():
            module.set_attn_implementation(before)
