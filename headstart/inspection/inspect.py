"""A look inside a model while it reads a text: tokens, hidden states, attentions.

Shapes: N chosen layers (0 the embeddings), M chosen layers from 1 on, H chosen heads, T tokens, L tokens of a target,
W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headstart.errors import Exit, UserError
from headstart.inspection.encode import EncodedText, encode
from headstart.inspection.inspection import Inspection, TargetInspection
from headstart.inspection.states import source_and_target, states_and_attentions
from headstart.inspection.target import TargetText, choose_target, decoder_tokens, with_target
from headstart.models.encoder_decoder import EncoderDecoderModel

if TYPE_CHECKING:
    from headstart.models.model import Model
    from headstart.settings import Generation

MAX_ATTENTION_BYTES = 8e9  # all attentions are in memory at once


def inspect(model: Model, text: str, pair: str | None = None, *, layers: Sequence[int] | None = None,
            heads: Sequence[int] | None = None, attentions: bool = True, target: str | None = None,
            generation: Generation | None = None) -> Inspection:
    """Tokens, hidden states and attentions of one text (or pair), exact; all layers and heads unless some are chosen.

    Of an encoder-decoder the text is the source, and its decoder is shown at `target`, or at what it writes itself (by
    `generation`, else by its own settings). Raises UserError: 65 for a text without characters or longer than the
    model reads, 2 for a layer or head that is not there, and for a target that the model does not read.
    """
    encoded = encode(model, text, pair)
    if isinstance(model, EncoderDecoderModel):
        return inspect_both(model, encoded, layers=layers, heads=heads, attentions=attentions,
                            target=choose_target(model, encoded.feature.ids, target, generation))
    if target is not None:
        raise UserError(f"A target is for models that write one for a source, but {model.info.reference} "
                        f"({model.info.family_name}) is a {model.kind}.", fix="Leave --target out.")
    reference, layer_count, head_count = model.info.reference, model.info.layers, heads_per_layer(model.module.config)
    layer_numbers = checked_numbers(layers, range(layer_count + 1), "layer", reference)
    head_numbers = checked_numbers(heads, range(1, head_count + 1), "head", reference)
    token_count = len(encoded.tokens)
    check_size(token_count * token_count * layer_count * head_count if attentions else 0, f"{token_count:,} tokens")
    states, weights = states_and_attentions(model, encoded.feature, attentions=attentions)
    assert len(states) == layer_count + 1, "a hidden state for the embeddings and for each layer"
    return Inspection(reference, encoded, layer_numbers, head_numbers, stacked_states(states, layer_numbers),
                      stacked_weights(weights, layer_numbers, head_numbers, (token_count, token_count)))


def inspect_both(model: EncoderDecoderModel, encoded: EncodedText, *, layers: Sequence[int] | None,
                 heads: Sequence[int] | None, attentions: bool, target: TargetText) -> Inspection:
    """The same of an encoder-decoder: each side has those of the chosen layers and heads that it has."""
    reference, config = model.info.reference, model.module.config
    layer_counts = {"encoder": model.info.layers, "decoder": model.cached_layers}
    head_counts = {"encoder": heads_per_layer(getattr(config, "encoder", config), "encoder_attention_heads"),
                   "decoder": heads_per_layer(model.decoder_config, "decoder_attention_heads")}
    layer_numbers, head_numbers = (
        {stack: checked_numbers(numbers, range(start, count + start + extra), kind, f"The {stack} of {reference}",
                                largest=max(counts.values()) + start + extra - 1)
         for stack, count in counts.items()}
        for numbers, counts, kind, start, extra in ((layers, layer_counts, "layer", 0, 1),
                                                    (heads, head_counts, "head", 1, 0)))
    source_count, target_count = len(encoded.tokens), len(target.ids)
    weights_count = (source_count ** 2 * layer_counts["encoder"] * head_counts["encoder"]
                     + target_count * (target_count + source_count) * layer_counts["decoder"] * head_counts["decoder"])
    check_size(weights_count if attentions else 0, f"{source_count:,} and {target_count:,} tokens")
    states, weights, decoder = source_and_target(model, with_target(encoded.feature, target.ids), attentions=attentions)
    stack = ("encoder", "decoder")
    assert [len(states), len(decoder.hidden_states)] == [layer_counts[name] + 1 for name in stack]
    numbers = layer_numbers["decoder"], head_numbers["decoder"]
    target_inspection = TargetInspection(
        target.text, target.written_by_model, decoder_tokens(model, model.start_id, target, decoder.log_probabilities),
        *numbers, stacked_states(decoder.hidden_states, numbers[0]),
        stacked_weights(decoder.attentions, *numbers, (target_count, target_count)),
        stacked_weights(decoder.cross_attentions, *numbers, (target_count, source_count)))
    return Inspection(reference, encoded, layer_numbers["encoder"], head_numbers["encoder"],
                      stacked_states(states, layer_numbers["encoder"]),
                      stacked_weights(weights, layer_numbers["encoder"], head_numbers["encoder"],
                                      (source_count, source_count)), target_inspection)


def stacked_states(states: Sequence[Any], layers: Sequence[int]) -> Any:
    """The states of the chosen layers, (N, T, W)."""
    import numpy as np

    return np.stack([states[layer].float().cpu().numpy() for layer in layers])


def stacked_weights(weights: Sequence[Any], layers: Sequence[int], heads: Sequence[int], size: tuple[int, int]) -> Any:
    """The weights of the chosen layers from 1 on and of the chosen heads, (M, H, rows, columns); (0, H, …) for none."""
    import numpy as np

    head_indices = [head - 1 for head in heads]
    by_layer = [weights[layer - 1][head_indices].float().cpu().numpy() for layer in layers if layer > 0 and weights]
    return np.stack(by_layer) if by_layer else np.zeros((0, len(head_indices), *size), dtype=np.float32)


def check_size(weight_count: int, tokens: str) -> None:
    """Refuse more attention weights than fit into memory; raises UserError (65)."""
    attention_bytes = 4 * weight_count
    if attention_bytes > MAX_ATTENTION_BYTES:
        raise UserError(f"The attentions of {tokens} in all layers and heads are {attention_bytes / 1e9:.0f} GB of "
                        "numbers; that is too much to hold.",
                        fix="Inspect a shorter text, or leave attentions out (--no-attentions).", exit=Exit.DATA)


def heads_per_layer(config: Any, name: str = "num_attention_heads") -> int:
    """Attention heads of a layer: by the name of one side, by the usual one, or by an old one."""
    names = (name, "num_attention_heads", "n_heads")
    return int(next(count for key in names if (count := getattr(config, key, None))))


def checked_numbers(numbers: Sequence[int] | None, valid: range, kind: str, reference: str, *,
                    largest: int | None = None) -> tuple[int, ...]:
    """The chosen layers or heads, ascending and without repeats; raises UserError for one that is not there.

    Numbers up to `largest` are of the other side of an encoder-decoder, where this one has none of that number.
    """
    if numbers is None:
        return tuple(valid)
    highest = valid[-1] if largest is None else largest
    for number in numbers:
        if not valid[0] <= number <= highest:
            note = " (0 is the embeddings)" if kind == "layer" else ""
            raise UserError(f"{reference} has {kind}s {valid[0]} to {valid[-1]}{note}, but {kind} {number} was asked "
                            "for.",
                            fix=f"Choose among {valid[0]} to {highest}.")
    valid_numbers = tuple(sorted(set(numbers) & set(valid)))
    if not valid_numbers:
        none_named = f"At least one {kind} is needed, but none was named" if not numbers else \
            f"{reference} has {kind}s {valid[0]} to {valid[-1]}, and none of them was asked for"
        raise UserError(f"{none_named}.", fix=f"Choose among {valid[0]} to {valid[-1]}.")
    return valid_numbers
