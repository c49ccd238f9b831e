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


def states_and_attentions(model: Model, feature: Feature, *, attentions: bool) -> tuple[list[Any], list[Any]]:
    """Every hidden state (T, W) from the embeddings up, and every layer's attention weights (H, T, T), as tensors.

    Exact: transformers' own eager attention, fp32, one text, no padding. Without `attentions` the second list is empty.
    """
    import torch

    batch = collate([feature], Layout(packed=False, pad_id=model.tokenizer.pad_id))
    model.module.eval()
    with torch.inference_mode(), record_outputs(model, attentions=attentions) as outputs:
        model.backbone(batch, None)
    output = outputs[0]
    # A Transformer-XL has columns for its memory before those of the tokens; the memory is empty here.
    weights = [layer_weights[0][..., -len(feature):] for layer_weights in output.attentions] if attentions else []
    return [states[0] for states in output.hidden_states], weights


@contextlib.contextmanager
def record_outputs(model: Model, *, attentions: bool) -> Iterator[list[Any]]:
    """For a while the backbone returns all its states (and attentions); its outputs are added to the list.

    The inputs stay those that the model builds for a prediction: one hook adds the flags to the arguments, another
    keeps the output. Attention functions that never form their weights (ours, torch's own) give way to the eager one.
    """
    outputs: list[Any] = []
    backbone = model.module.base_model

    def request_outputs(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...],
                                                                                        dict[str, Any]]:
        """A forward pre-hook."""
        return args, kwargs | {"output_hidden_states": True, "output_attentions": attentions, "return_dict": True}

    def record_output(_: Any, __: Any, output: Any) -> None:
        """A forward hook."""
        outputs.append(output)

    hooks = [backbone.register_forward_pre_hook(request_outputs, with_kwargs=True),
             backbone.register_forward_hook(record_output)]
    try:
        with eager_attention(model.module) if attentions else contextlib.nullcontext():
            yield outputs
    finally:
        for hook in hooks:
            hook.remove()


@contextlib.contextmanager
def eager_attention(module: Any) -> Iterator[None]:
    """For a while attention forms its weights; then the implementation is what it was."""
    implementation = module.config._attn_implementation
    with quiet():
        module.set_attn_implementation("eager")
    try:
        yield
    finally:
        with quiet():
            module.set_attn_implementation(implementation)
