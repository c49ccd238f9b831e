"""What a model did with a text: tokens, hidden states, attentions.

Shapes: N chosen layers (0 the embeddings), M chosen layers from 1 on, H chosen heads, T tokens, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import Exit, UserError
from headstart.inspection.encode import Encoded, Token, encode
from headstart.inspection.states import look

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Json
    from headstart.models.model import Model

MOST_BYTES = 8e9  # of attention weights; they are held all at once


@dataclass(frozen=True)
class Inspection:
    """One text inside one model.

    `layers` are the layers of `hidden_states` (N, T, W) float32: 0 is what goes into the first layer, n what comes out
    of layer n. `attentions` (M, H, T, T) float32 are the weights of the layers from 1 on among them and of `heads`
    (numbered from 1): row i holds what token i looks at, and sums to 1 (to less in Transformer-XL, which looks at an empty
    memory too). Empty where they were not wanted.
    """

    model: str
    encoded: Encoded
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    hidden_states: NDArray[Any]
    attentions: NDArray[Any]

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens, special ones included."""
        return self.encoded.tokens

    @property
    def attention_layers(self) -> tuple[int, ...]:
        """The layers of `attentions`: the embeddings have none."""
        return tuple(layer for layer in self.layers if layer > 0) if self.attentions.size else ()

    def as_2020(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """(hidden_states, attentions) as `model(ids)[-2:]` gave them in 2020: tensors (1, T, W) and (1, H, T, T)."""
        import torch

        return (tuple(torch.from_numpy(one[None].copy()) for one in self.hidden_states),
                tuple(torch.from_numpy(one[None].copy()) for one in self.attentions))

    def save(self, path: str | Path) -> Path:
        """Write everything to F.npz, F.safetensors or F.parquet (long form), whole or not at all; raises UserError."""
        from headstart.inspection.export import save

        return save(self, Path(path))

    def page(self, path: str | Path, attribution: Any = None) -> Path:
        """Write the page: one html file to open in a browser, without network."""
        from headstart.inspection.html_page import write

        return write(self, Path(path), attribution)

    def json(self) -> dict[str, Json]:
        """Tokens and shapes, without the numbers."""
        pair: dict[str, Json] = {} if self.encoded.pair is None else {"pair": self.encoded.pair}
        return {"model": self.model, "text": self.encoded.text, **pair, "tokens": [token.json() for token in self.tokens],
                "layers": list(self.layers), "heads": list(self.heads), "hidden_states": list(self.hidden_states.shape),
                "attentions": list(self.attentions.shape)}


def inspect(model: Model, text: str, pair: str | None = None, *, layers: Sequence[int] | None = None,
            heads: Sequence[int] | None = None, attentions: bool = True) -> Inspection:
    """Tokens, hidden states and attentions of one text (or pair), exact; all layers and heads unless some are chosen.

    Raises UserError: 65 for a text without characters or longer than the model reads, 2 for a layer or head that is
    not there.
    """
    import numpy as np

    encoded = encode(model, text, pair)
    chosen = checked(layers, range(model.facts.layers + 1), "layer", model.facts.reference)
    count = heads_of(model)
    wanted = checked(heads, range(1, count + 1), "head", model.facts.reference)
    size = len(encoded.tokens)
    if attentions and 4.0 * model.facts.layers * count * size * size > MOST_BYTES:
        raise UserError(f"The attentions of {size:,} tokens in {model.facts.layers} layers of {count} heads are "
                        f"{4 * model.facts.layers * count * size * size / 1e9:.0f} GB of numbers; that is too much to hold.",
                        fix="Inspect a shorter text, or leave attentions out (--no-attentions).", exit=Exit.DATA)
    states, weights = look(model, encoded.feature, attentions=attentions)
    assert len(states) == model.facts.layers + 1, "a hidden state for the embeddings and for each layer"
    held = np.stack([states[layer].float().cpu().numpy() for layer in chosen])
    picked = [number - 1 for number in wanted]
    maps = [weights[layer - 1][picked].float().cpu().numpy() for layer in chosen if layer > 0] if attentions else []
    table = np.stack(maps) if maps else np.zeros((0, len(wanted), size, size), dtype=np.float32)
    return Inspection(model.facts.reference, encoded, chosen, wanted, held, table)


def heads_of(model: Model) -> int:
    """Attention heads of a layer."""
    config = model.module.config
    return int(getattr(config, "num_attention_heads", None) or config.n_heads)


def checked(given: Sequence[int] | None, known: range, word: str, reference: str) -> tuple[int, ...]:
    """The chosen numbers, ascending and each once; raises UserError for one that is not there."""
    if given is None:
        return tuple(known)
    for number in given:
        if number not in known:
            note = " (0 is the embeddings)" if word == "layer" else ""
            raise UserError(f"{reference} has {word}s {known[0]} to {known[-1]}{note}, but {word} {number} was asked for.",
                            fix=f"Choose among {known[0]} to {known[-1]}.")
    if not given:
        raise UserError(f"At least one {word} is needed, but none was named.", fix=f"Choose among {known[0]} to {known[-1]}.")
    return tuple(sorted(set(given)))
