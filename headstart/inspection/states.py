"""Hidden states and attentions of one text, from the same inputs that predictions come from.

Shapes: L layers, H heads, T tokens, R tokens of a target, W width.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from headstart.contract import Batch, Feature
from headstart.data.features.batches import collate
from headstart.models.family import submodule, unchanged_inputs
from headstart.models.heads.pooling import attention_mask
from headstart.models.hidden_states import without_shortcuts
from headstart.models.loading.quiet import quiet

if TYPE_CHECKING:
    from headstart.models.model import Model


@dataclass(frozen=True)
class DecoderOutputs:
    """A decoder's hidden states (R, W), its attentions (H, R, R) and cross-attentions (H, R, T), layer by layer, and
    log p of each token of the target.
    """

    hidden_states: list[Any]
    attentions: list[Any]
    cross_attentions: list[Any]
    log_probabilities: list[float]


def states_and_attentions(model: Model, feature: Feature, *, attentions: bool) -> tuple[list[Any], list[Any]]:
    """Every hidden state (T, W) from the embeddings up, and every layer's attention weights (H, T, T), as tensors.

    Exact: transformers' own eager attention, fp32, one text, no padding. Without `attentions` the second list is empty.
    """
    batch = collate([feature], model.layout(packed=False))
    model.module.eval()
    with torch.inference_mode(), record_outputs(model, [model.module.base_model], attentions=attentions) as outputs:
        reading_once(model).backbone(batch, None)
    output = outputs[0]
    # A Transformer-XL has columns for its memory before those of the tokens; the memory is empty here.
    weights = [layer_weights[0][..., -len(feature):] for layer_weights in output.attentions] if attentions else []
    return [states[0] for states in output.hidden_states], weights


def source_and_target(model: Model, feature: Feature, *, attentions: bool) -> tuple[list[Any], list[Any],
                                                                                    DecoderOutputs]:
    """The encoder's hidden states and attentions for the source of a feature, and the decoder's outputs for its target.

    As exact as `states_and_attentions`: what the decoder reads is its start token and the target without its last one.
    """
    batch = collate([feature], model.layout(packed=False))
    model.module.eval()
    backbone, family = model.module.base_model, model.info.family
    decoder = submodule(model.module, family.decoder_path).base_model if family.decoder_path else backbone.decoder
    stacks = [backbone.encoder, decoder]
    with torch.inference_mode(), quiet(), record_outputs(model, stacks, attentions=attentions) as outputs:
        surprisals = without_shortcuts(model).surprisals(batch)["surprise"]
    source_output, target_output = outputs
    weights = [layer_weights[0] for layer_weights in family.attention_weights(source_output)] if attentions else []
    decoder_weights = [[layer_weights[0] for layer_weights in target_output[name]] if attentions else []
                       for name in ("attentions", "cross_attentions")]
    return ([states[0] for states in source_output["hidden_states"]], weights,
            DecoderOutputs([states[0] for states in target_output["hidden_states"]], decoder_weights[0],
                           decoder_weights[1], [-float(surprise) for surprise in surprisals]))


def source_states(model: Model, batch: Batch) -> Sequence[Any]:
    """The hidden states of a whole batch from the embeddings up, (B, S, W) each; of an encoder-decoder, the encoder's.
    """
    backbone = model.module.base_model
    stack = backbone.encoder if model.generates_from_source else backbone
    with quiet(), record_outputs(model, [stack], attentions=False) as outputs:
        if model.generates_from_source:
            ids = torch.from_numpy(batch.ids).to(model.device)
            stack(input_ids=ids, attention_mask=attention_mask(batch).to(model.device),
                  **model.info.family.encoder_inputs(ids))
        else:
            reading_once(model).states(batch)
    states: Sequence[Any] = outputs[0]["hidden_states"]
    return states


def reading_once(model: Model) -> Model:
    """The same model, which reads a text as it stands, whatever its head does with the inputs (XLNet's language model
    reads in two streams).
    """
    family = model.info.family
    head = dataclasses.replace(family.heads[model.head], prepare_inputs=unchanged_inputs)
    family = dataclasses.replace(family, heads={**family.heads, model.head: head})
    return dataclasses.replace(model, info=dataclasses.replace(model.info, family=family))


@contextlib.contextmanager
def record_outputs(model: Model, stacks: list[Any], *, attentions: bool) -> Iterator[list[Any]]:
    """For a while these stacks return all their states (and attentions); their outputs are added to the list as they
    come.

    The inputs stay those that the model builds for a prediction: one hook adds the flags to the arguments, another
    keeps the output. Attention functions that never form their weights (ours, torch's own) give way to the eager one.
    """
    outputs: list[Any] = []

    def request_outputs(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...],
                                                                                        dict[str, Any]]:
        """A forward pre-hook."""
        return args, kwargs | {"output_hidden_states": True, "output_attentions": attentions, "return_dict": True}

    def record_output(_: Any, __: Any, output: Any) -> None:
        """A forward hook."""
        outputs.append(output)

    hooks = [hook for stack in stacks
             for hook in (stack.register_forward_pre_hook(request_outputs, with_kwargs=True),
                          stack.register_forward_hook(record_output))]
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
